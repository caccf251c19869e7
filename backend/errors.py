"""What went wrong, in no particular language: a key of ui/locales, and the values to fill in.

ConsoleError
├── InvalidInput   a value that a person gave can't be used; nothing was started or changed
├── NotFound       a server, job, model or file that isn't there (any more)
├── Conflict       it can't be done in the present state (already running, port taken, folder in use)
├── Unavailable    this machine lacks what it takes (no GPU, no environment, no permission, no space)
└── Forbidden      this visitor may not do it (a class token)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["info", "warning", "error"]
Value = str | int | float


@dataclass(frozen=True)
class Message:
    """One sentence for a person. ``key`` stands in ui/locales/*.json with an English and a Chinese text.

    ``params`` fill the text's ``{placeholders}``. ``field`` is the settings' field that it is about ("tp" of a
    ServeConfig) or ""; each tab knows which control shows it. A text names the field, the value and the remedy.
    """

    key: str
    params: Mapping[str, Value] = field(default_factory=dict)
    field: str = ""
    level: Level = "error"


class ConsoleError(Exception):
    """An error to show to a person: one Message or several (a form with several wrong fields)."""

    def __init__(self, *messages: Message) -> None:
        if not messages:
            raise ValueError("a ConsoleError needs at least one Message")
        super().__init__("; ".join(f"{m.key} {dict(m.params)}" for m in messages))
        self.messages = messages


class InvalidInput(ConsoleError):
    """A value that a person gave can't be used."""


class NotFound(ConsoleError):
    """What was asked for isn't there."""


class Conflict(ConsoleError):
    """It can't be done in the present state."""


class Unavailable(ConsoleError):
    """This machine lacks what it takes."""


class Forbidden(ConsoleError):
    """This visitor may not do it."""
