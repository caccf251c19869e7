"""Visitor ids from before the secret path: each is taken over by one browser, once.

Such a cookie held for every port of the host, so others may have seen it; whoever comes second gets an id of his own.
"""

import hashlib
import logging
import os
import threading
from pathlib import Path

log = logging.getLogger(__name__)


class OldVisitors:
    """Remembers in a file (mode 0600) which were taken over; their digests, not the ids. Safe from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._taken = self._read()

    def take(self, visitor_id: str) -> bool:
        """Whether the id is this browser's from now on; False where it was taken over before."""
        digest = hashlib.sha256(visitor_id.encode()).hexdigest()
        with self._lock:
            if digest in self._taken:
                return False
            self._taken.add(digest)
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{digest}\n")
        except OSError as error:
            log.warning("%s can't be written: %s", self._path, error)
        return True

    def _read(self) -> set[str]:
        try:
            return set(self._path.read_text(encoding="ascii", errors="replace").split())
        except OSError:
            return set()
