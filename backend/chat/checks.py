"""What a question must be to be asked: pure."""

from collections.abc import Sequence

from backend.chat.context import Weight, rough_tokens
from backend.chat.conversation import CONVERSATION_LIMIT, EXCHANGES_LIMIT, QUESTION_LIMIT, Conversation, Question
from backend.engines.remedies import GPU_ENGINES
from backend.errors import InvalidInput, Message, Value
from backend.memory_plan.formulas import option
from backend.servers.server import ServerView

FIELD = "question"
ONE_AT_A_TIME = frozenset({"transformers"})  # engines that answer one request after another


def at_once(server: ServerView) -> int | None:
    """How many requests the server works on at the same time; None = not known, or as many as come."""
    config = server.config
    if config.engine in ONE_AT_A_TIME:
        return None if "--continuous-batching" in config.extra else 1
    if config.engine in GPU_ENGINES and not option(config, "--dp"):
        return option(config, "--max-batch-size") or None
    return None


def check_fits(question: Question, servers: Sequence[ServerView]) -> None:
    """InvalidInput where a server takes no pictures, or the text alone is far beyond its context."""
    text, limit = question.text, QUESTION_LIMIT
    if question.characters > limit:
        count, key = question.characters, "too_long" if len(text) > limit else "too_long_files"
        raise InvalidInput(Message(f"chat.error.{key}", {"count": count, "limit": limit}, field=FIELD))
    for server in servers:
        if question.pictures and not server.takes_images:
            raise InvalidInput(Message("chat.error.no_pictures", {"name": server.name}, field=FIELD))
        tokens = rough_tokens(text)
        if 0 < server.context_length < tokens // 2:
            sizes: dict[str, Value] = {"tokens": tokens, "context": server.context_length, "name": server.name}
            raise InvalidInput(Message("chat.error.context_sure", sizes, field=FIELD))


def check_room(weight: Weight, name: str) -> None:
    """InvalidInput where a question has no room in the context of the server of that name, whatever is left out."""
    if weight.fits:
        return
    sizes: dict[str, Value] = {"tokens": f"{weight.needed:,}", "context": f"{weight.context:,}", "name": name}
    key = "context_exact" if weight.exact else "context_about"
    raise InvalidInput(Message(f"chat.error.{key}", sizes, field=FIELD))


def check_total(conversation: Conversation, more: int | str) -> None:
    """InvalidInput where the conversation would have more than can be kept with so many characters, or that text."""
    count = conversation.characters + (len(more) if isinstance(more, str) else more)
    if count > CONVERSATION_LIMIT:
        sizes: dict[str, Value] = {"count": f"{count:,}", "limit": f"{CONVERSATION_LIMIT:,}"}
        raise InvalidInput(Message("chat.error.conversation_long", sizes, field=FIELD))
    if len(conversation.everything) >= EXCHANGES_LIMIT:
        raise InvalidInput(Message("chat.error.conversation_turns", {"limit": EXCHANGES_LIMIT}, field=FIELD))
