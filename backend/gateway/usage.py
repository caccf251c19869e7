"""How much each key was used, and whether it may be used once more: by the minute, by the day, and at once."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from backend.errors import Message
from backend.gateway.errors import Refusal
from backend.gateway.keys import Grant
from backend.store import Store

AREA = "gateway_usage"
MINUTE_S = 60.0
SAVE_EVERY_S = 10.0
AT_ONCE = 256  # requests in all
AT_ONCE_OPERATOR = 32  # more, for the operator alone, whom a class never shuts out
AT_ONCE_EACH = 64  # of one key
AGAIN_S = 1.0
BODIES = 512 << 20  # bytes of the requests under way, in all; each takes several times as much while it is read
BODIES_EACH = 128 << 20  # of one key


@dataclass
class Usage:
    """One key's use. ``day`` is the date (in this machine's time zone) that ``requests_today`` and ``tokens_today``
    are of; ``last_at`` is in seconds since the epoch, 0 = never."""

    day: str = ""
    requests_today: int = 0
    tokens_today: int = 0
    requests: int = 0
    tokens: int = 0
    last_at: float = 0.0


class Bodies:
    """How much of requests lies here at once, by key. For one event loop."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    @contextmanager
    def of(self, grant: Grant) -> Iterator[Callable[[int], None]]:
        """For the time of one request: what to call with the bytes of each piece that has come. That raises Refusal
        (429) where it is too much."""
        own = 0

        def more(count: int) -> None:
            nonlocal own
            if self._held[grant.id] + count > BODIES_EACH or self._held.total() + count > BODIES:
                raise _too_many("gateway.limit-bodies", {"most": BODIES_EACH >> 20}, AGAIN_S)
            self._held[grant.id] += count
            own += count

        try:
            yield more
        finally:
            self._held[grant.id] -= own
            if not self._held[grant.id]:
                del self._held[grant.id]


class Meter:
    """Counts, limits, and stores what was used, a moment later. Safe from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._usage = {key: _from_json(value) for key, value in store.all(AREA).items()}
        self._recent: dict[str, deque[float]] = {}
        self._open: dict[str, int] = {}
        self._unsaved: set[str] = set()
        self._saved_at = time.monotonic()

    def begin(self, grant: Grant) -> None:
        """One request more. Raises Refusal (429) where that is too many; call ``end`` otherwise."""
        limits, now = grant.limits, time.monotonic()
        with self._lock:
            usage = self._today(grant.id)
            recent = self._recent_of(grant, now)
            most = limits.requests_a_minute
            if most is not None and len(recent) >= most:
                wait = MINUTE_S - (now - recent[0])
                raise _too_many("gateway.limit-minute", {"most": most, "seconds": max(1, round(wait))}, wait)
            if limits.tokens_a_day is not None and usage.tokens_today >= limits.tokens_a_day:
                params = {"most": f"{limits.tokens_a_day:,}", "used": f"{usage.tokens_today:,}"}
                raise _too_many("gateway.limit-day", params, _until_midnight())
            if self._open.get(grant.id, 0) >= AT_ONCE_EACH:
                raise _too_many("gateway.limit-at-once", {"most": AT_ONCE_EACH}, AGAIN_S)
            places = AT_ONCE + (AT_ONCE_OPERATOR if grant.holder == "operator" else 0)
            if sum(self._open.values()) >= places:
                raise _too_many("gateway.limit-all", {"most": places}, AGAIN_S)
            recent.append(now)
            self._open[grant.id] = self._open.get(grant.id, 0) + 1
            usage.requests_today += 1
            usage.requests += 1
            self._used(grant.id, usage)

    def end(self, grant: Grant, tokens: int) -> None:
        """The request has ended; it took so many tokens, question and answer together."""
        with self._lock:
            left = self._open.get(grant.id, 1) - 1
            if left:
                self._open[grant.id] = left
            else:
                self._open.pop(grant.id, None)
            usage = self._today(grant.id)
            usage.tokens_today += tokens
            usage.tokens += tokens
            self._used(grant.id, usage)
            due = time.monotonic() - self._saved_at >= SAVE_EVERY_S
        if due:
            self.save()

    def of(self, grant_id: str) -> Usage:
        """What that key has used."""
        with self._lock:
            return replace(self._today(grant_id))

    def open_requests(self) -> int:
        """How many requests are under way."""
        with self._lock:
            return sum(self._open.values())

    def save(self) -> None:
        """Hands over to the store what it hasn't got yet; the store writes it when it can."""
        with self._lock:
            waiting = {key: asdict(self._usage[key]) for key in self._unsaved if key in self._usage}
            self._unsaved.clear()
            self._saved_at = time.monotonic()
        for key, usage in waiting.items():
            self._store.keep_json(AREA, key, usage)

    def forget(self, grant_id: str) -> None:
        """The key is gone."""
        with self._lock:
            self._usage.pop(grant_id, None)
            self._recent.pop(grant_id, None)
            self._unsaved.discard(grant_id)
        self._store.drop_json(AREA, grant_id)

    def _recent_of(self, grant: Grant, now: float) -> deque[float]:
        """When it asked within the last minute; kept of those alone that this limits: pages' keys are many."""
        if grant.limits.requests_a_minute is None:
            return deque()
        recent = self._recent.setdefault(grant.id, deque())
        while recent and now - recent[0] >= MINUTE_S:
            recent.popleft()
        return recent

    def _today(self, grant_id: str) -> Usage:
        """What is counted for that key now; kept by ``_used`` alone."""
        usage, day = self._usage.get(grant_id) or Usage(), time.strftime("%Y-%m-%d")
        if usage.day != day:
            usage.day, usage.requests_today, usage.tokens_today = day, 0, 0
        return usage

    def _used(self, grant_id: str, usage: Usage) -> None:
        usage.last_at = time.time()
        self._usage[grant_id] = usage
        self._unsaved.add(grant_id)


def _too_many(key: str, params: Mapping[str, Any], wait_s: float) -> Refusal:
    return Refusal(429, "rate_limit_exceeded", Message(key, params), retry_after_s=max(1.0, wait_s))


def _until_midnight() -> float:
    now = time.localtime()
    return 86400.0 - (now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec)


def _from_json(value: Mapping[str, Any]) -> Usage:
    return Usage(**{f.name: value[f.name] for f in fields(Usage) if f.name in value})
