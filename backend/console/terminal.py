"""Living on without a terminal: streams that tolerate its end, and a log file in the state directory."""

import io
import logging
import logging.handlers
import sys
from pathlib import Path
from typing import TextIO

from backend import disk

LOG_BYTES = 4 << 20


class TolerantStream:
    """A text stream whose reader may go away (a closed SSH session): what can't be written is dropped, not raised."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def outlive_terminal() -> None:
    """From now on nothing that writes to the terminal stops when it is gone.

    A terminal that lacks a letter is shown the letter's number.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = TolerantStream(sys.stdout)
    sys.stderr = TolerantStream(sys.stderr)


def log_to(path: Path) -> None:
    """Warnings and errors of every part go to that file (at most 4 MiB, one older kept), mode 0600.

    Raises Unavailable where it can't be written.
    """
    try:
        path.touch(mode=0o600)
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    except OSError as error:
        raise disk.cannot_use(path, error) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
