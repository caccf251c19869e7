"""A watch over a list: a thread that looks at all of it, pauses, and looks again, as long as the console runs."""

import logging
import threading

log = logging.getLogger(__name__)


class StandingWatch(threading.Thread):
    """``step`` is one look at everything; after a fault the next comes in ``fault_s`` seconds."""

    def __init__(self, name: str, fault_s: float) -> None:
        super().__init__(name=name, daemon=True)
        self._fault_s = fault_s
        self._wake = threading.Event()
        self._closed = False

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def close(self) -> None:
        """End the thread; what it watches goes on."""
        self._closed = True
        self._wake.set()
        if self.ident is not None:
            self.join(timeout=10)

    def run(self) -> None:
        """Look, pause, look again."""
        while not self._closed:
            pause: float | None = self._fault_s
            try:
                pause = self.step()
            except Exception:  # one's trouble must not end the watch over all
                log.exception("%s", self.name)
            self._wake.wait(pause)
            self._wake.clear()

    def step(self) -> float | None:
        """One look at everything, and what follows from it; the seconds until the next, None where nothing runs."""
        raise NotImplementedError
