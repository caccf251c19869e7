"""How far a download is, by what its child writes. Pure, but for the clock that is handed in."""

import re
from collections import deque

WINDOW_S = 12.0
LEAST_S = 1.0
_LINE = re.compile(r"^(\d{1,18}) of (\d{1,18}) bytes$", re.MULTILINE)
_OVERLAP = 64


class ByteReader:
    """Follows a log that comes in pieces, cut anywhere; knows the bytes that are there, and how fast they come."""

    def __init__(self, done: int = 0) -> None:
        self.done = done
        self._before = ""
        self._seen: deque[tuple[float, int]] = deque()

    def feed(self, piece: str, now: float) -> int:
        """The bytes after that piece, read at ``now`` (a clock that nobody sets)."""
        text = self._before + piece
        whole, _, self._before = text.rpartition("\n")
        self._before = self._before[-_OVERLAP:]
        if lines := _LINE.findall(whole + "\n"):
            self.done = int(lines[-1][0])
            if self._seen and self.done < self._seen[-1][1]:  # a file comes anew
                self._seen.clear()
            self._seen.append((now, self.done))
        while len(self._seen) > 2 and now - self._seen[0][0] > WINDOW_S:
            self._seen.popleft()
        return self.done

    def speed(self, now: float) -> float | None:
        """Bytes a second over the last seconds; None while too little has been seen. A line that gives nothing gets
        slower with every second."""
        if len(self._seen) < 2:
            return None
        since, first = self._seen[0]
        if now - since < LEAST_S:
            return None
        return (self.done - first) / (now - since)
