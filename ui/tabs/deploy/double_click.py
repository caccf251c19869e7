"""A double click is one click: the same request from the same browser within moments starts one server."""

import threading
import time
from collections.abc import Callable, Hashable

WINDOW_S = 2.0


class Once:
    """Remembers the last results for ``WINDOW_S`` seconds. Requests wait for each other, so none slips between."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._done: dict[Hashable, tuple[float, str]] = {}

    def run(self, key: Hashable, action: Callable[[], str]) -> str:
        """``action()``, or what it gave for the same key a moment ago. Errors aren't remembered."""
        with self._lock:
            now = self._clock()
            self._done = {known: made for known, made in self._done.items() if now - made[0] < WINDOW_S}
            if key in self._done:
                return self._done[key][1]
            result = action()
            self._done[key] = (self._clock(), result)
            return result
