"""What each browser has before it: the conversation that it opened last, the servers that were picked, the settings of
the next conversation. It outlives the console, save the servers."""

import re
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from backend.chat.conversation import LANES, Sampling, sampling_from_json
from backend.errors import InvalidInput

AREA = "chat_desk"


class Documents(Protocol):
    """What is needed of the store."""

    def all(self, area: str, /) -> dict[str, Any]:
        """Every document of the area by key."""

    def keep_json(self, area: str, key: str, value: Any, /) -> None:
        """Write it as soon as that can be done."""


def new_id() -> str:
    """Of a conversation that begins."""
    return secrets.token_hex(8)


def is_id(text: str) -> bool:
    """Whether ``new_id`` can have made it."""
    return re.fullmatch("[0-9a-f]{16}", text) is not None


@dataclass
class Desk:
    """``open`` may be the id of a conversation that hasn't begun. ``picked``: servers by lane, "" = none.
    ``opened``: what was chosen from the list, too."""

    open: str = field(default_factory=new_id)
    picked: tuple[str, ...] = ("",) * LANES
    sampling: Sampling = field(default_factory=Sampling)
    opened: dict[str, None] = field(default_factory=dict)


class Desks:
    """All of them, for one event loop."""

    def __init__(self, store: Documents) -> None:
        self._store = store
        self._desks = {visitor: _from_json(value) for visitor, value in store.all(AREA).items()}
        self._kept: dict[str, Any] = {}

    def of(self, visitor: str) -> Desk:
        """That visitor's; a new one has an empty conversation open."""
        return self._desks.setdefault(visitor, Desk())

    def visitors(self) -> tuple[str, ...]:
        """All that have one."""
        return tuple(self._desks)

    def has_open(self, conversation: str) -> bool:
        """Whether anybody has that one open."""
        return any(desk.open == conversation for desk in self._desks.values())

    def keep(self, visitor: str) -> None:
        """It has changed."""
        desk = self.of(visitor)
        now = {"open": desk.open, "sampling": asdict(desk.sampling)}
        if self._kept.get(visitor) != now:
            self._kept[visitor] = now
            self._store.keep_json(AREA, visitor, now)


def _from_json(value: Any) -> Desk:
    """What can't be read begins anew: it is no more than where one was."""
    value = value if isinstance(value, dict) else {}
    desk = Desk()
    if isinstance(value.get("open"), str) and value["open"]:
        desk.open = value["open"]
    with suppress(ValueError, InvalidInput):
        desk.sampling = sampling_from_json(value.get("sampling") or {})
    return desk
