"""What visitors call themselves. Each gives their own name; the operator alone is shown it. Safe from any thread."""

import threading
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from backend.errors import InvalidInput, Message

AREA = "lesson_name"  # lessons were the first to ask for one
LONGEST = 60  # characters


class Documents(Protocol):
    """What is needed of the store."""

    def all(self, area: str, /) -> dict[str, Any]:
        """Every document of the area by key."""

    def keep_json(self, area: str, key: str, value: Any, /) -> None:
        """Write it as soon as that can be done."""


class Names:
    """``circle`` names the one person that a visitor is: an operator's browsers have one name. It outlives the
    console."""

    def __init__(self, store: Documents, circle: Callable[[str], str]) -> None:
        self._store = store
        self._circle = circle
        self._lock = threading.Lock()
        self._names = {who: str(name) for who, name in store.all(AREA).items()}

    def of(self, visitor: str) -> str:
        """The name that they gave; "" without one."""
        with self._lock:
            return self._names.get(self._circle(visitor), "")

    def give(self, visitor: str, name: str) -> str:
        """They are called that from now on, "" takes it back; the name as it is kept. Raises InvalidInput."""
        name = tidy(name)
        who = self._circle(visitor)
        with self._lock:
            self._names[who] = name
        self._store.keep_json(AREA, who, name)
        return name

    def by_person(self) -> Mapping[str, str]:
        """Every name given, by circle."""
        with self._lock:
            return {who: name for who, name in self._names.items() if name}


def tidy(name: str) -> str:
    """One line, with single blanks, composed. InvalidInput where it is too long, or holds what nobody can see: such
    signs could turn a list's writing direction, or make two names look alike."""
    name = unicodedata.normalize("NFC", " ".join(name.encode("utf-8", "replace").decode().split()))
    if len(name) > LONGEST:
        raise InvalidInput(Message("classroom.name.long", {"count": len(name), "limit": LONGEST}, "name"))
    unseen = next((sign for sign in name if not sign.isprintable()), "")
    if unseen:
        raise InvalidInput(Message("classroom.name.unseen", {"sign": f"U+{ord(unseen):04X}"}, "name"))
    return name
