"""What a watch is: a thread that looks, pauses, and looks again."""

import logging
import threading

from backend.errors import NotFound

AFTER_FAULT_S = 1.0

log = logging.getLogger(__name__)


class Watch(threading.Thread):
    """Watches one thing of a server's. NotFound (it is forgotten) ends it, as does a look that says None."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._wake = threading.Event()
        self._closed = False

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def close(self) -> None:
        """End the thread; what it watches goes on."""
        self._closed = True
        self._wake.set()

    def run(self) -> None:
        """Look, pause, look again."""
        while not self._closed:
            pause: float | None
            try:
                pause = self._look()
            except NotFound:
                return
            except Exception:  # a fault here must not leave a server unwatched
                log.exception("%s", self.name)
                pause = AFTER_FAULT_S
            if pause is None:
                return
            self._wake.wait(pause)
            self._wake.clear()

    def _look(self) -> float | None:
        """One look; the seconds until the next, None when it has ended."""
        raise NotImplementedError
