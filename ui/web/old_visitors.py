"""Visitor ids from before the secret path: each is taken over by one browser, once.

Such a cookie held for every port of the host, so others may have seen it; whoever comes second gets an id of his own.
Which ids are of that time is settled when the secret path is first made: every later one stands in the code that pages
show, for all to read, and the class can compute its own old cookie.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from backend import disk
from backend.whole_file import write_whole

log = logging.getLogger(__name__)


class OldVisitors:
    """A file (mode 0600) has a line for each id of that time, ``digest role``, and one more, ``digest``, once it was
    taken over; digests, not the ids. Safe from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._roles: dict[str, str] = {}  # of those that nobody has taken over, by digest; "-" where it isn't known
        for line in self._lines():
            digest, _, role = line.partition(" ")
            if role:
                self._roles[digest] = role
            else:
                self._roles.pop(digest, None)

    def settle(self, known: Mapping[str, str]) -> None:
        """The path is being made: these visitors, by their role ("" = it isn't known), are the old ones, for good.
        Raises Unavailable where they can't be written."""
        try:
            if self._path.exists():
                return
            self._roles = {_digest(visitor): role or "-" for visitor, role in known.items()}
            write_whole(self._path, "".join(f"{digest} {role}\n" for digest, role in self._roles.items()))
        except OSError as error:
            raise disk.cannot_use(self._path, error) from error

    def take(self, visitor_id: str, role: str) -> bool:
        """Whether the id is this browser's from now on, which asks in that role; False where it was taken over before,
        is not of that time, or another role's."""
        digest = _digest(visitor_id)
        with self._lock:
            if self._roles.get(digest) not in (role, "-"):
                return False
            del self._roles[digest]
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{digest}\n")
        except OSError as error:
            log.warning("%s can't be written: %s", self._path, error)
        return True

    def _lines(self) -> list[str]:
        try:
            return self._path.read_text(encoding="ascii", errors="replace").splitlines()
        except OSError:
            return []


def _digest(visitor_id: str) -> str:
    return hashlib.sha256(visitor_id.encode()).hexdigest()
