"""Who is the operator, and who is of the class: what belongs to whom.

The operator may use several browsers, each a visitor of its own; what one of them has, all of them have. A guest of the
class has only what is their own. Safe from any thread.
"""

import threading
from typing import Any, Protocol

AREA = "visitor_role"
OPERATOR = "operator"
CLASS = "class"


class Documents(Protocol):
    """What is needed of the store."""

    def all(self, area: str, /) -> dict[str, Any]:
        """Every document of the area by key."""

    def keep_json(self, area: str, key: str, value: Any, /) -> None:
        """Write it as soon as that can be done."""


class People:
    """Each visitor's role, from when they were first seen on; it outlives the console."""

    def __init__(self, store: Documents) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._roles = {visitor: str(role) for visitor, role in store.all(AREA).items()}

    def note(self, visitor: str, role: str) -> bool:
        """That visitor asks, in that role; whether they are new."""
        with self._lock:
            if self._roles.get(visitor) == role:
                return False
            self._roles[visitor] = role
        self._store.keep_json(AREA, visitor, role)
        return True

    def role_of(self, visitor: str) -> str:
        """Their role; "" where nobody knows yet."""
        with self._lock:
            return self._roles.get(visitor, "")

    def roles(self) -> dict[str, str]:
        """Every visitor's role."""
        with self._lock:
            return dict(self._roles)

    def circle(self, visitor: str) -> tuple[str, ...]:
        """The visitors whose conversations are theirs, too: the operator's browsers, or a guest alone."""
        with self._lock:
            if self._roles.get(visitor) != OPERATOR:
                return (visitor,)
            return tuple(other for other, role in self._roles.items() if role == OPERATOR)

    def name(self, visitor: str) -> str:
        """One name for all of a circle."""
        with self._lock:
            return OPERATOR if self._roles.get(visitor) == OPERATOR else visitor

    def is_operator(self, visitor: str) -> bool:
        """Whether they are known to be the operator."""
        with self._lock:
            return self._roles.get(visitor) == OPERATOR

    def guests(self) -> tuple[str, ...]:
        """All that are known to be of the class."""
        with self._lock:
            return tuple(visitor for visitor, role in self._roles.items() if role == CLASS)
