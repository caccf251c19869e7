"""What visitors uploaded: whose each file is, and how much there may be.

Gradio keeps an upload under a path made of its content's digest and removes it after a day. What counts is what lies
on the disk, so that its removals free the room, and what is on its way: room is taken before the first byte comes.
No lock is held while the disk is asked.
"""

import itertools
import os
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from backend.errors import InvalidInput, Message

PER_VISITOR = 256 << 20
IN_TOTAL = 2 << 30
LEAST = 64 << 10  # what any file counts: a thousand empty ones are no gift either
KEPT_S = 25 * 3600.0  # Gradio removes what it knows of after a day; what an ended console left goes then, too
UNFINISHED = "tmp"  # Gradio's files that are being written lie at the top, named by tempfile


@dataclass(eq=False)
class UnderWay:
    """An upload that is coming in, and the room that is kept for it."""

    visitor: str
    number: int  # each counts those before it, so that of many at once the first ones fit
    room: int = LEAST
    complete: bool = False  # its last byte came


class Shelf:
    """Safe to call from any thread."""

    def __init__(
        self, folder: Path, per_visitor: int = PER_VISITOR, in_total: int = IN_TOTAL, kept_s: float = KEPT_S
    ) -> None:
        self._folder = folder
        self._limits = per_visitor, in_total
        self._kept_s = kept_s
        self._lock = threading.Lock()
        self._owners: dict[str, set[str]] = {}
        self._spent: set[tuple[str, str]] = set()  # path, visitor
        self._under_way: set[UnderWay] = set()
        self._numbers = itertools.count()
        self._began = time.time()

    # -- whose -----------------------------------------------------------------------------------------------------

    def note(self, visitor: str, paths: Sequence[str]) -> None:
        """The visitor uploaded these files."""
        with self._lock:
            for path in paths:
                self._owners.setdefault(path, set()).add(visitor)
                self._spent.discard((path, visitor))

    def owns(self, visitor: str, path: str) -> bool:
        """Whether the visitor uploaded the file. Only the very path that Gradio gave them counts."""
        with self._lock:
            return visitor in self._owners.get(path, ())

    def check(self, visitor: str, path: str) -> None:
        """InvalidInput unless it is a file that the visitor uploaded and that is still there."""
        name = _shown(path)
        if not self.owns(visitor, path):
            raise InvalidInput(Message("uploads.not_yours", {"name": name}))
        if _size(path) is None:
            raise InvalidInput(Message("uploads.gone", {"name": name}))

    def spent(self, visitor: str, paths: Sequence[str]) -> None:
        """The visitor handed these files to a handler, which keeps its own copy: they go first where room is short."""
        with self._lock:
            self._spent.update((path, visitor) for path in paths if visitor in self._owners.get(path, ()))

    def forget(self, visitors: Iterable[str]) -> None:
        """Removes what those visitors are done with, and what an ended console left: nobody can use that any more."""
        self._free(set(visitors))
        with self._lock:
            owned = set(self._owners)
        for folder, _, names in os.walk(self._folder):
            for path in (os.path.join(folder, name) for name in names):
                with suppress(OSError):
                    if path not in owned and os.lstat(path).st_ctime < self._began:
                        os.unlink(path)

    # -- how much --------------------------------------------------------------------------------------------------

    @contextmanager
    def upload(self, visitor: str) -> Iterator[UnderWay]:
        """An upload from its first byte to its end, however it ends."""
        with self._lock:
            coming = UnderWay(visitor, next(self._numbers))
            self._under_way.add(coming)
        try:
            yield coming
        finally:
            with self._lock:
                self._under_way.discard(coming)
                alone = not self._under_way
            if alone:
                self._sweep()

    def refusal(self, coming: UnderWay, room: int) -> Message | None:
        """Takes so much room for an upload that is under way; why there is none, or None. Reads the disk."""
        most, most_in_total = self._limits
        with self._lock:  # what grows comes after all others: none of them has counted it
            coming.number, coming.room = next(self._numbers), max(coming.room, room)
        mine, total = self._taken(coming)
        if mine > most and self._free({coming.visitor}):
            mine, total = self._taken(coming)
        if mine > most:
            return Message("uploads.visitor_full", _mib(mine - coming.room, most))
        if total > most_in_total and self._free(None):
            mine, total = self._taken(coming)
        if total > most_in_total:
            return Message("uploads.total_full", _mib(total - coming.room, most_in_total))
        return None

    def _taken(self, upload: UnderWay) -> tuple[int, int]:
        """Bytes of the upload's visitor and of all, what is under way up to it included.

        That is counted first: an upload that ends meanwhile is counted twice, never not at all.
        """
        with self._lock:
            before = [coming for coming in self._under_way if coming.number <= upload.number]
            mine = sum(coming.room for coming in before if coming.visitor == upload.visitor)
            total = sum(coming.room for coming in before)
            owned = [path for path, owners in self._owners.items() if upload.visitor in owners]
        mine += sum(size for path in owned if (size := _size(path)) is not None)
        return mine, total + self._on_disk()

    def _on_disk(self) -> int:
        """Bytes in the whole folder. What is older than Gradio keeps anything is removed."""
        total, oldest = 0, time.time() - self._kept_s
        for folder, _, names in os.walk(self._folder):
            for name in names:
                path = os.path.join(folder, name)
                with suppress(OSError):
                    status = os.lstat(path)
                    if status.st_ctime < oldest:
                        os.unlink(path)
                    else:
                        total += max(status.st_size, LEAST)
            with suppress(OSError):  # an empty one of an earlier day
                if folder != str(self._folder) and os.lstat(folder).st_ctime < oldest:
                    os.rmdir(folder)
        self._forget_gone()
        return total

    def _forget_gone(self) -> None:
        with self._lock:
            paths = list(self._owners)
        gone = [path for path in paths if _size(path) is None]
        with self._lock:
            for path in gone:
                for visitor in self._owners.pop(path, ()):
                    self._spent.discard((path, visitor))

    def _free(self, visitors: set[str] | None) -> bool:
        """Removes what those visitors (None: all) are done with, and nobody else needs; whether anything was."""
        with self._lock:
            done = [entry for entry in self._spent if visitors is None or entry[1] in visitors]
            unneeded = []
            for path, visitor in done:
                self._spent.discard((path, visitor))
                owners = self._owners.get(path, set())
                owners.discard(visitor)
                if not owners:
                    self._owners.pop(path, None)
                    unneeded.append(path)
        for path in unneeded:
            with suppress(OSError):
                os.unlink(path)
        return bool(done)

    def _sweep(self) -> None:
        """Removes what broken uploads left: nothing is under way now, so nothing unfinished is anybody's."""
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.startswith(UNFINISHED) and entry.is_file(follow_symlinks=False):
                    os.unlink(entry.path)


def _size(path: str) -> int | None:
    """What a file counts; None where there is no regular file (any more)."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return None
    return max(status.st_size, LEAST) if stat.S_ISREG(status.st_mode) else None


def _shown(path: str) -> str:
    """A path's last part for a sentence: of another's path, no more than its asker wrote."""
    name = path.rstrip("/").rpartition("/")[2] or path
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)[:80]


def _mib(used: int, limit: int) -> dict[str, int]:
    return {"used": -(-used >> 20), "limit": limit >> 20}
