"""One thread samples memory for the whole console, into one ring buffer that every page reads."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from backend.memory.live_source import Source, boot_seconds
from backend.memory.load_log import LoadFacts
from backend.memory.readings import Event, GpuSample, Owner, Reading, Sample
from backend.memory.shares import Ledger, by_process

MIN_INTERVAL, MAX_INTERVAL, DEFAULT_INTERVAL = 0.2, 5.0, 1.0
HOUR, DAY, MINUTE = 3600.0, 86400.0, 60.0
_MOST_EVENTS = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """Samples for a page; it asks for those after ``upto`` next."""

    samples: tuple[Sample, ...]
    upto: int


class Sampler:
    """An hour at full rate and a day at one a minute. ``start`` it once; everything else is safe from any thread.

    Times (``at``) are seconds of ``clock``, which never jumps; ``epoch_offset()`` added to one gives the wall clock's.
    """

    def __init__(
        self,
        source: Source,
        interval: float = DEFAULT_INTERVAL,
        clock: Callable[[], float] = boot_seconds,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._clock = clock
        self._wall = wall
        self._interval = interval
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._hour: deque[Sample] = deque()
        self._day: deque[Sample] = deque()
        self._events: deque[Event] = deque(maxlen=_MOST_EVENTS)
        self._event_count = 0
        self._marks: list[Event] = []
        self._pictured: set[str] = set()
        self._owners: dict[str, Owner] = {}
        self._ledgers: dict[str, Ledger] = {}
        self._hidden = False
        self._number = 0
        self._listeners: list[Callable[[Reading, Sample], None]] = []

    def start(self) -> None:
        """Starts the thread; the first sample is there soon after."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="memory-sampler", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    @property
    def interval(self) -> float:
        """Seconds between samples."""
        return self._interval

    def set_interval(self, seconds: float) -> float:
        """Takes effect at once; kept within MIN_INTERVAL and MAX_INTERVAL. Returns what is in effect."""
        self._interval = min(MAX_INTERVAL, max(MIN_INTERVAL, seconds))
        self._wake.set()
        return self._interval

    def add_listener(self, listener: Callable[[Reading, Sample], None]) -> None:
        """Called with every reading and its sample, on the sampler's thread."""
        self._listeners.append(listener)

    def mark_picture(self, server: str) -> None:
        """A picture is on its way to that server; the first one gets a marker, since its work space is taken then."""
        with self._lock:
            if server in self._pictured:
                return
            self._pictured.add(server)
            owner = self._owners.get(server)
            name = owner.name if owner else server
            self._marks.append(Event(self._clock(), "vram.event.picture", server, name))

    def facts(self, server: str) -> LoadFacts:
        """What the server's own log said of memory so far."""
        return self._source.facts(server)

    def latest(self) -> Sample | None:
        """The newest sample, or None before the first."""
        with self._lock:
            return self._hour[-1] if self._hour else None

    def since(self, number: int, window: float, step: float = 0.0) -> Batch:
        """Samples after that number and at most ``window`` seconds old, oldest first.

        With a ``step``, one of every step seconds: the one with most memory used, once its time is over.
        """
        now = self._clock()
        with self._lock:
            ring = self._hour if window <= HOUR else self._day
            newer = ring[-1].number - number if ring else 0
            # The hour's numbers have no gaps, so that a page that is up to date costs next to nothing.
            skip = max(0, len(ring) - newer) if ring is self._hour else 0
            samples = [s for s in islice(ring, skip, None) if s.number > number and s.at >= now - window]
        if step > self._interval:
            samples = [sample for sample in samples if sample.at // step < now // step]
        upto = samples[-1].number if samples else number
        return Batch(thin(samples, step) if step > self._interval else tuple(samples), upto)

    def events(self, window: float = HOUR) -> tuple[Event, ...]:
        """What happened in the last ``window`` seconds, oldest first."""
        with self._lock:
            return tuple(event for event in self._events if event.at >= self._clock() - window)

    @property
    def event_count(self) -> int:
        """Grows with every event."""
        return self._event_count

    def owner(self, owner: str) -> Owner | None:
        """A server or job that was seen, ended ones included."""
        with self._lock:
            return self._owners.get(owner)

    @property
    def hidden(self) -> bool:
        """Shares are inferred: NVML's processes can't be matched with ours (inside a container)."""
        return self._hidden

    def epoch_offset(self) -> float:
        """Seconds to add to an ``at`` for the time of day, as the wall clock goes now."""
        return self._wall() - self._clock()

    def sample_once(self) -> Sample:
        """One reading into the buffer. The thread's step; also for tests and the trace recorder."""
        reading = self._source.read()
        self._hidden = reading.hidden
        gpus = tuple(self._gpu(reading, index) for index in range(len(reading.gpus)))
        with self._lock:
            self._number += 1
            sample = Sample(self._number, reading.at, reading.host, gpus, reading.resident, reading.caches)
            self._hour.append(sample)
            if not self._day or sample.at - self._day[-1].at >= MINUTE:
                self._day.append(sample)
            _drop(self._hour, sample.at - HOUR)
            _drop(self._day, sample.at - DAY)
            for owner in reading.owners:
                self._owners[owner.id] = owner
            events = sorted([*reading.events, *self._marks], key=lambda event: event.at)
            self._marks.clear()
            self._events.extend(events)
            self._event_count += len(events)
        for listener in self._listeners:
            listener(reading, sample)
        return sample

    def _gpu(self, reading: Reading, index: int) -> GpuSample:
        gpu = reading.gpus[index]
        inferred = self._ledgers.setdefault(gpu.uuid, Ledger()).account(gpu, reading.owners)
        return inferred if reading.hidden else by_process(gpu, reading.owner_of)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._closed:
            try:
                self.sample_once()
            except Exception:  # one bad reading must not end the chart for good
                _log.exception("a memory reading failed")
            now = time.monotonic()
            due = max(due + self._interval, now)
            if self._wake.wait(due - now):
                self._wake.clear()
                due = time.monotonic()


def thin(samples: Sequence[Sample], step: float) -> tuple[Sample, ...]:
    """One sample of every ``step`` seconds: the one with most memory used, so that no peak is lost."""
    best: dict[int, Sample] = {}
    for sample in samples:
        bucket = int(sample.at // step)
        if bucket not in best or _used(sample) > _used(best[bucket]):
            best[bucket] = sample
    return tuple(best.values())


def _used(sample: Sample) -> int:
    return sum(gpu.reading.used_bytes or 0 for gpu in sample.gpus) or sample.host.used_bytes


def _drop(ring: deque[Sample], before: float) -> None:
    while ring and ring[0].at < before:
        ring.popleft()
