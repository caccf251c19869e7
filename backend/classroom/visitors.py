"""Who is here: the visitors whose pages have asked for something lately. Safe from any thread."""

import threading
import time
from collections.abc import Callable

HERE_S = 20.0  # a page that is seen asks every 3 s at the latest


class Visitors:
    """Remembers when each visitor's page last asked, by role."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, str], float] = {}  # who was seen last comes last

    def note(self, role: str, visitor: str) -> None:
        """That visitor's page asks."""
        now = self._clock()
        with self._lock:
            self._seen.pop((role, visitor), None)
            self._seen[role, visitor] = now
            while self._seen[first := next(iter(self._seen))] < now - HERE_S:
                del self._seen[first]

    def here(self, role: str) -> int:
        """How many visitors of that role are here."""
        since = self._clock() - HERE_S
        with self._lock:
            return sum(known == role and seen >= since for (known, _), seen in self._seen.items())

    def who(self, role: str) -> frozenset[str]:
        """The visitors of that role who are here."""
        since = self._clock() - HERE_S
        with self._lock:
            return frozenset(who for (known, who), seen in self._seen.items() if known == role and seen >= since)

    def is_here(self, visitor: str) -> bool:
        """Whether a page of that visitor is open."""
        since = self._clock() - HERE_S
        with self._lock:
            return any(who == visitor and seen >= since for (_, who), seen in self._seen.items())
