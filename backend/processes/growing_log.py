"""Reads a log while it grows: each time what has come since, a bounded piece of it."""

import codecs
from pathlib import Path

PIECE_BYTES = 1024 * 1024


class GrowingLog:
    """One log, read from its beginning. A character that was only half written comes whole the next time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.behind = False  # whether more was there than the last piece

    def read(self, most_bytes: int = PIECE_BYTES) -> str:
        """The next piece, "" where nothing has come (or there is no log)."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, 2)
                if size < self._offset:  # somebody emptied it; what is written goes on at its new end
                    self._offset = size
                    self._decoder.reset()
                file.seek(self._offset)
                piece = file.read(min(most_bytes, size - self._offset))
        except OSError:
            self.behind = False
            return ""
        self._offset += len(piece)
        self.behind = self._offset < size
        return self._decoder.decode(piece)
