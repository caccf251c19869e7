"""What of the settings an engine can't take: known before anything is asked. Pure."""

from collections.abc import Mapping, Sequence

from backend.chat.conversation import Sampling
from backend.engines.parsers import ENGINES as PARSING
from backend.errors import InvalidInput, Message
from backend.servers.server import ServerView

# By engine. transformers serve answers 422 to a field that it doesn't know, and leaves others out without a word.
UNABLE: Mapping[str, frozenset[str]] = {"transformers": frozenset({"top_k", "answer_form"})}

LOGPROBS_MODE = "--logprobs-mode"  # without it LMDeploy's PyTorch engine refuses to tell


def no_logprobs(server: ServerView) -> Message | None:
    """Why that server gives no log-probabilities; None where it does, or where only asking it can tell."""
    engine, mode = server.config.engine, logprobs_mode(server.config.extra)
    if engine == "pytorch" and mode != "raw_logprobs":
        told = {"name": server.name, "flag": f"{LOGPROBS_MODE} raw_logprobs"}
        return Message("chat.logprobs.mode", told, level="info")
    if engine == "transformers":
        return Message("chat.logprobs.engine", {"name": server.name, "engine": engine}, level="info")
    return None


def calls_as_text(server: ServerView) -> Message | None:
    """What to say where that server gives calls of tools as plain text; None where nothing could change it."""
    return (
        Message("chat.tools.as_text", {"name": server.name}, level="info") if server.config.engine in PARSING else None
    )


def logprobs_mode(extra: Sequence[str]) -> str:
    """The mode that LMDeploy was started with, "" = none."""
    mode = ""
    for place, word in enumerate(extra):
        name, joined, value = word.partition("=")
        if name == LOGPROBS_MODE:
            mode = value if joined else " ".join(extra[place + 1 : place + 2])
    return mode


def unable(server: ServerView) -> frozenset[str]:
    """The settings' fields that mean nothing to that server."""
    known = UNABLE.get(server.config.engine, frozenset())
    return known | {"answer_form"} if server.takes_forms is False else known


def check_able(sampling: Sampling, servers: Sequence[ServerView]) -> None:
    """InvalidInput where a setting was made that one of the servers can't take."""
    wrong = [
        Message(_key(name, server), {"name": server.name, "engine": server.config.engine}, field=name)
        for server in servers
        for name in sorted(unable(server))
        if getattr(sampling, name) not in (None, (), False)
    ]
    if wrong:
        raise InvalidInput(*wrong)


def _key(name: str, server: ServerView) -> str:
    """A server that was asked isn't what its engine's name says."""
    asked = name == "answer_form" and server.takes_forms is False
    return f"chat.error.unable.{name}_asked" if asked else f"chat.error.unable.{name}"
