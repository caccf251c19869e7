"""Why a server or a job ended as nobody wanted."""

from collections.abc import Mapping
from dataclasses import dataclass

from backend.errors import Message

Setting = str | int | float | bool | tuple[str, ...] | None


@dataclass(frozen=True)
class Remedy:
    """Settings to start again with, and what the button says (a key of ui/locales, which they may fill)."""

    key: str
    settings: Mapping[str, "Setting"]


@dataclass(frozen=True)
class Diagnosis:
    """The reason, with what to do about it; the log lines that say so (at most a few, as shown on a terminal); settings
    that would help; what was left behind and has to be removed by hand."""

    reason: Message
    lines: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    left: Message | None = None

    @property
    def message(self) -> Message:
        """The reason, as the outside asks for it."""
        return self.reason
