"""What each visitor of a class may use: the operator's word, and what they have used of it.

The one place that counts, whether a question comes from the page or from a program with a page's key. Both outlive the
console. Safe from any thread.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

from backend.errors import Conflict, Message, Value

AREA, KEY = "setting", "class_limits"
USED_AREA = "class_used"
MINUTE_S, HOUR_S = 60.0, 3600.0
TOGETHER_S = 15.0  # what is used within that time counts as used at its beginning
MOST = 10**12  # a limit that is larger is a slip
FORGET_ABOVE = 2000  # visitors in memory


class Documents(Protocol):
    """What is needed of the store."""

    def all(self, area: str, /) -> dict[str, Any]:
        """Every document of the area by key."""

    def get_json(self, area: str, key: str, /) -> Any | None:
        """The document, or None."""

    def put_json(self, area: str, key: str, value: Any, /) -> None:
        """Write it now. Raises Unavailable."""

    def keep_json(self, area: str, key: str, value: Any, /) -> None:
        """Write it as soon as that can be done."""

    def drop_json(self, area: str, key: str, /) -> None:
        """Remove it as soon as that can be done."""


@dataclass(frozen=True)
class ClassLimits:
    """For each visitor; None = no limit. Tokens are those of question and answer together."""

    requests_a_minute: int | None = 60
    tokens_an_hour: int | None = None
    pictures_a_question: int | None = None
    pictures_an_hour: int | None = None


@dataclass(frozen=True)
class Used:
    """What a visitor has used: requests in the last minute, tokens and pictures in the last hour."""

    requests: int = 0
    tokens: int = 0
    pictures: int = 0

    @property
    def anything(self) -> bool:
        """Whether they have asked of late."""
        return bool(self.requests or self.tokens or self.pictures)


class LimitReached(Conflict):
    """A limit of the class's is reached; in ``wait_s`` seconds one can go on, infinity = not by waiting."""

    def __init__(self, wait_s: float, *messages: Message) -> None:
        super().__init__(*messages)
        self.wait_s = wait_s


@dataclass
class _Window:
    """What was used within the last ``seconds``: (when, how much), oldest first."""

    seconds: float
    together_s: float = 0.0
    entries: list[tuple[float, int]] = field(default_factory=list)

    def total(self, now: float) -> int:
        # What lies in the future was noted before the clock was set back.
        self.entries = [(at, count) for at, count in self.entries if now - self.seconds < at <= now + 1]
        return sum(count for _, count in self.entries)

    def add(self, now: float, count: int) -> None:
        if self.entries and now - self.entries[-1][0] < self.together_s:
            at, before = self.entries[-1]
            self.entries[-1] = (at, before + count)
        elif count:
            self.entries.append((now, count))

    def wait_s(self, now: float, room: int) -> float:
        """In how many seconds the total has fallen to ``room`` or less."""
        total = self.total(now)
        for at, count in self.entries:
            if total <= room:
                break
            total -= count
            wait = at + self.seconds - now
            if total <= room:
                return max(wait, 0.0)
        return 0.0 if total <= room else math.inf


class _Person:
    """One visitor's windows."""

    def __init__(self, stored: Any = None) -> None:
        self.requests = _Window(MINUTE_S)
        self.tokens, self.pictures = _Window(HOUR_S, TOGETHER_S), _Window(HOUR_S, TOGETHER_S)
        if isinstance(stored, Mapping):
            for name in ("requests", "tokens", "pictures"):
                getattr(self, name).entries = [(float(at), int(count)) for at, count in stored.get(name, ())]

    def used(self, now: float) -> Used:
        return Used(self.requests.total(now), self.tokens.total(now), self.pictures.total(now))

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name).entries for name in ("requests", "tokens", "pictures")}


class Allowances:
    """``limits`` are those in force; they don't hold for visitors who are ``exempt``."""

    def __init__(self, store: Documents, exempt: Callable[[str], bool], clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._exempt = exempt
        self._clock = clock
        self._lock = threading.Lock()
        self.limits = _limits_from(store.get_json(AREA, KEY))
        self._people: dict[str, _Person] = {}
        for visitor, value in store.all(USED_AREA).items():
            try:
                person = _Person(value)
            except (TypeError, ValueError):
                person = _Person()
            if person.used(clock()).anything:
                self._people[visitor] = person
            else:
                store.drop_json(USED_AREA, visitor)

    def set_limits(self, limits: ClassLimits) -> None:
        """In force from now on. Raises Unavailable where they can't be kept."""
        self._store.put_json(AREA, KEY, asdict(limits))
        self.limits = limits

    def check(self, visitor: str, requests: int = 1, pictures: int = 0) -> None:
        """Raises LimitReached where that visitor may not ask so much now."""
        if self._exempt(visitor):
            return
        with self._lock:
            self._check(self._person(visitor), requests, pictures)

    def begin(self, visitor: str, requests: int = 1, pictures: int = 0) -> None:
        """They ask it: checked and counted at once. Raises LimitReached, and nothing is counted."""
        if self._exempt(visitor):
            return
        with self._lock:
            person, now = self._person(visitor), self._clock()
            self._check(person, requests, pictures)
            person.requests.add(now, requests)
            person.pictures.add(now, pictures)
        self._keep(visitor)

    def spent(self, visitor: str, tokens: int) -> None:
        """An answer to them has ended; it took so many tokens with its question."""
        if tokens > 0 and not self._exempt(visitor):
            with self._lock:
                self._person(visitor).tokens.add(self._clock(), tokens)
            self._keep(visitor)

    def used(self) -> Mapping[str, Used]:
        """By visitor, of those who have asked of late."""
        now = self._clock()
        with self._lock:
            found = {visitor: person.used(now) for visitor, person in self._people.items()}
        return {visitor: used for visitor, used in found.items() if used.anything}

    def _person(self, visitor: str) -> _Person:
        if visitor not in self._people and len(self._people) >= FORGET_ABOVE:
            now = self._clock()
            for other in [other for other, person in self._people.items() if not person.used(now).anything]:
                del self._people[other]
                self._store.drop_json(USED_AREA, other)
        return self._people.setdefault(visitor, _Person())

    def _check(self, person: _Person, requests: int, pictures: int) -> None:
        limits, now = self.limits, self._clock()
        most = limits.pictures_a_question
        if most is not None and pictures > most:
            params = {"most": most, "count": pictures}
            raise LimitReached(math.inf, Message("classroom.limit.pictures_a_question", params, "question"))
        self._room("requests_a_minute", person.requests, now, limits.requests_a_minute, requests)
        self._room("tokens_an_hour", person.tokens, now, limits.tokens_an_hour, 1)
        if pictures:
            self._room("pictures_an_hour", person.pictures, now, limits.pictures_an_hour, pictures)

    def _room(self, name: str, window: _Window, now: float, most: int | None, wanted: int) -> None:
        used = window.total(now)
        if most is None or not wanted or used + wanted <= most:
            return
        wait = window.wait_s(now, most - wanted)
        counts: dict[str, Value] = {"most": f"{most:,}", "used": f"{used:,}", "count": wanted}
        if math.isinf(wait):
            raise LimitReached(wait, Message(f"classroom.limit.{name}.never", counts))
        times: dict[str, Value] = {"seconds": max(1, math.ceil(wait)), "minutes": max(1, math.ceil(wait / 60))}
        raise LimitReached(wait, Message(f"classroom.limit.{name}", {**counts, **times}))

    def _keep(self, visitor: str) -> None:
        with self._lock:
            person = self._people.get(visitor)
            value = None if person is None else person.to_json()
        if value is not None:
            self._store.keep_json(USED_AREA, visitor, value)


def _limits_from(stored: Any) -> ClassLimits:
    """What can't be read is as it begins."""
    values = stored if isinstance(stored, Mapping) else {}
    found = {one.name: values[one.name] for one in fields(ClassLimits) if one.name in values}
    sound = {name: value for name, value in found.items() if value is None or (type(value) is int and value >= 1)}
    return ClassLimits(**sound)
