"""How much of a class's imports is kept: whatever its token imports lies on the console's disk. The operator imports
what he likes. Safe from any thread."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from backend.chat.archive import Archive
from backend.chat.pictures import Pictures
from backend.errors import InvalidInput, Message

PER_VISITOR = 256 << 20  # bytes: a file of some 60 MiB with as much again in pictures
IN_TOTAL = 4 << 30  # of all that the console keeps: visitors are cheap to make


class Quota:
    """``exempt``: whom no limit holds for."""

    def __init__(
        self,
        archive: Archive,
        pictures: Pictures,
        exempt: Callable[[str], bool],
        per_visitor: int = PER_VISITOR,
        in_total: int = IN_TOTAL,
    ) -> None:
        self._archive = archive
        self._pictures = pictures
        self._exempt = exempt
        self._limits = per_visitor, in_total
        self._lock = threading.Lock()
        self._coming: list[tuple[str, int]] = []  # what was found to fit and is being written

    @contextmanager
    def room_for(self, visitor: str) -> Iterator[Callable[[int], None]]:
        """Tell what it gives how many bytes will be written, until the end of the block. InvalidInput where they don't
        fit; the pictures that come with them are there already."""
        held: list[tuple[str, int]] = []

        def fits(size: int) -> None:
            if self._exempt(visitor):
                return
            one = (visitor, size)
            with self._lock:  # before anything is looked up: of several at once none is overlooked
                self._coming.append(one)
                held.append(one)
                coming = list(self._coming)
            self._check(visitor, size, coming)

        try:
            yield fits
        finally:
            with self._lock:
                for one in held:
                    self._coming.remove(one)

    def _check(self, visitor: str, size: int, coming: list[tuple[str, int]]) -> None:
        most, most_in_total = self._limits
        mine = sum(bytes_ for who, bytes_ in coming if who == visitor)
        mine += self._archive.bytes_of(visitor) + self._pictures.bytes_of(visitor)
        if mine > most:
            raise InvalidInput(Message("chat.import.visitor_full", _mib(mine - size, most) | {"more": -(-size >> 20)}))
        total = sum(bytes_ for _, bytes_ in coming) + self._archive.bytes_in_total() + self._pictures.bytes_in_total()
        if total > most_in_total:
            raise InvalidInput(Message("chat.import.total_full", _mib(total - size, most_in_total)))


def _mib(used: int, limit: int) -> dict[str, int]:
    return {"used": -(-used >> 20), "limit": limit >> 20}
