"""What a manager knows of its servers or jobs: in memory for everyone who asks, in the store for the next start."""

import logging
import threading
from collections.abc import Callable, Container, Iterable, Mapping
from itertools import chain, count
from typing import Any, Generic, TypeVar

from backend.store import Store

T = TypeVar("T")
# What reading a document raises where it isn't what was written.
UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
log = logging.getLogger(__name__)


def unique_name(name: str, taken: Container[str]) -> str:
    """The name, or the first of "name (2)", "name (3)" … that isn't taken."""
    return next(n for n in chain([name], (f"{name} ({number})" for number in count(2))) if n not in taken)


def readable(documents: Iterable[Any], from_json: Callable[[Any], Any]) -> dict[str, Any]:
    """Those that can be read, by their id. What is wrong with others is logged."""
    found = {}
    for document in documents:
        try:
            from_json(document)
            found[document["id"]] = document
        except UNREADABLE as error:
            log.error("what a run keeps can't be read: %r", error)
    return found


class Records(Generic[T]):
    """Records by id, in the order they came. Every method is safe to call from any thread.

    A change holds at once, whether or not it can be written: the store writes it as soon as it can, and says meanwhile
    that it can't. ``lock`` may be held for a decision that takes several steps, but never while something waits: for
    the disk, a process, a network. ``version`` grows with every change that a page would show.
    """

    def __init__(self, store: Store, area: str, to_json: Callable[[T], Any]) -> None:
        self.lock = threading.RLock()
        self._store = store
        self._area = area
        self._to_json = to_json
        self._records: dict[str, T] = {}
        self._version = 1

    @property
    def version(self) -> int:
        """Grows with every change."""
        with self.lock:
            return self._version

    def load(self, from_json: Callable[[Any], T], spare: Mapping[str, Any]) -> None:
        """Read what the store has. ``spare`` are documents that stand elsewhere too, by id: for what it lost.

        One that can't be read is left out and left alone. Raises Unavailable where the store can't be read.
        """
        documents = self._store.all(self._area)
        for record_id in (*documents, *(key for key in spare if key not in documents)):
            for document in (documents.get(record_id), spare.get(record_id)):
                try:
                    if document is not None:
                        self._records[record_id] = from_json(document)
                        break
                except UNREADABLE as error:
                    log.error("what is stored of %s %s can't be read: %r", self._area, record_id, error)

    def get(self, record_id: str) -> T | None:
        """The record, or None where there is none."""
        with self.lock:
            return self._records.get(record_id)

    def all(self) -> tuple[T, ...]:
        """Every record, oldest first."""
        with self.lock:
            return tuple(self._records.values())

    def put(self, record_id: str, record: T, *, stored: bool = True) -> None:
        """Add the record or replace it; ``stored`` false where what changed isn't worth writing (progress)."""
        with self.lock:
            self._records[record_id] = record
            self._version += 1
            if stored:
                self._store.keep_json(self._area, record_id, self._to_json(record))

    def change(
        self, record_id: str, change: Callable[[T], T], worth_storing: Callable[[T, T], bool] = lambda old, new: True
    ) -> T | None:
        """Replace the record by what ``change`` makes of it, which must not wait; the new one, None for an unknown id.

        ``worth_storing(old, new)`` says whether it must be written.
        """
        with self.lock:
            old = self._records.get(record_id)
            if old is None:
                return None
            new = change(old)
            if new != old:
                self.put(record_id, new, stored=worth_storing(old, new))
            return new

    def remove(self, record_id: str) -> T | None:
        """Forget the record; what it was, None where there was none."""
        with self.lock:
            record = self._records.pop(record_id, None)
            self._version += 1
            self._store.drop_json(self._area, record_id)
            return record
