"""What became of each word of a paste. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from backend.errors import Level, Message, Value

Fate = Literal["taken", "translated", "left"]
SHOWN = 160
_SECRET = re.compile(r"(?i)(token|secret|passw|api[-_]?keys?\b|apikey)")


@dataclass(frozen=True)
class Account:
    """A stretch of the text and its fate; ``message`` says into what, or why not."""

    start: int
    end: int
    words: str
    fate: Fate
    message: Message


def account(
    text: str,
    start: int,
    end: int,
    fate: Fate,
    key: str,
    params: Mapping[str, Value] | None = None,
    field: str = "",
    level: Level = "info",
) -> Account:
    """``{word}`` of the message is the stretch itself; a secret in it isn't shown again."""
    words = shown(text[start:end])
    return Account(start, end, words, fate, Message(key, {"word": words, **(params or {})}, field, level))


def shown(text: str) -> str:
    """A stretch for a person: on one line, bounded, without a secret's value."""
    line = " ".join(text.split())
    if secret := _SECRET.search(line):
        name = re.split(r"[=\s]", line[secret.start() :], maxsplit=1)[0]
        if len(line) > secret.start() + len(name):
            line = f"{line[: secret.start()]}{name} …"
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"
