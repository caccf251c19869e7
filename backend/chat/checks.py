"""What a question must be to be asked: pure."""

from collections.abc import Sequence

from backend.chat.conversation import CONVERSATION_LIMIT, EXCHANGES_LIMIT, QUESTION_LIMIT, Conversation
from backend.errors import InvalidInput, Message, Value
from backend.servers.server import ServerView

FIELD = "question"
ONE_AT_A_TIME = frozenset({"transformers"})  # engines that answer one request after another


def at_once(server: ServerView) -> int | None:
    """How many requests the server works on at the same time; None = as many as come."""
    alone = server.config.engine in ONE_AT_A_TIME and "--continuous-batching" not in server.config.extra
    return 1 if alone else None


def check_fits(text: str, pictures: bool, servers: Sequence[ServerView]) -> None:
    """InvalidInput where a server takes no pictures, or the text alone is far beyond its context."""
    if len(text) > QUESTION_LIMIT:
        raise InvalidInput(Message("chat.error.too_long", {"count": len(text), "limit": QUESTION_LIMIT}, field=FIELD))
    for server in servers:
        if pictures and not server.takes_images:
            raise InvalidInput(Message("chat.error.no_pictures", {"name": server.name}, field=FIELD))
        tokens = rough_tokens(text)
        if 0 < server.context_length < tokens // 2:
            sizes: dict[str, Value] = {"tokens": tokens, "context": server.context_length, "name": server.name}
            raise InvalidInput(Message("chat.error.context_sure", sizes, field=FIELD))


def check_total(conversation: Conversation, text: str) -> None:
    """InvalidInput where the conversation would have more than can be kept."""
    count = conversation.characters + len(text)
    if count > CONVERSATION_LIMIT:
        sizes: dict[str, Value] = {"count": f"{count:,}", "limit": f"{CONVERSATION_LIMIT:,}"}
        raise InvalidInput(Message("chat.error.conversation_long", sizes, field=FIELD))
    if len(conversation.everything) >= EXCHANGES_LIMIT:
        raise InvalidInput(Message("chat.error.conversation_turns", {"limit": EXCHANGES_LIMIT}, field=FIELD))


def rough_tokens(text: str) -> int:
    """About how many tokens a text has: four ASCII characters a token, or one and a half of any other script.

    Off by up to a factor of two either way; the server counts exactly, and refuses what is too long by itself.
    """
    ascii_count = sum(character.isascii() for character in text)
    return round(ascii_count / 4 + (len(text) - ascii_count) / 1.5)
