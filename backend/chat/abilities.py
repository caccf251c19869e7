"""What of the settings an engine can't take: known before anything is asked. Pure."""

from collections.abc import Mapping, Sequence

from backend.chat.conversation import Sampling
from backend.errors import InvalidInput, Message
from backend.servers.server import ServerView

# By engine. transformers serve answers 422 to a field that it doesn't know, and leaves others out without a word.
UNABLE: Mapping[str, frozenset[str]] = {"transformers": frozenset({"top_k", "answer_form"})}


def unable(server: ServerView) -> frozenset[str]:
    """The settings' fields that mean nothing to that server."""
    return UNABLE.get(server.config.engine, frozenset())


def check_able(sampling: Sampling, servers: Sequence[ServerView]) -> None:
    """InvalidInput where a setting was made that one of the servers can't take."""
    wrong = [
        Message(f"chat.error.unable.{name}", {"name": server.name, "engine": server.config.engine}, field=name)
        for server in servers
        for name in sorted(unable(server))
        if getattr(sampling, name) not in (None, (), False)
    ]
    if wrong:
        raise InvalidInput(*wrong)
