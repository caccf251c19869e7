"""Memory and servers over weeks, in the store: by tens of seconds for a day, by minutes for a week, by ten minutes for
a month, by the hour for a season. Older ones are gone, so that it never takes more than some MiB. It listens to the
sampler and waits for nothing.

A row: {"host": bytes, "gpus": {id: [used, watts]}, "shares": {owner: bytes}, "servers": {id: [KV ‰, running, waiting,
tokens/s, TTFT ms]}, "names": {owner: name}}: of memory, KV cache and requests the most of its time, of watts, speed and
TTFT the mean. None = not known.
"""

import json
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.memory.readings import Owner, Reading, Sample
from backend.store import Store

DAY = 86400.0
SPANS: Mapping[int, float] = {
    10: DAY,
    60: 7 * DAY,
    600: 30 * DAY,
    3600: 90 * DAY,
}  # seconds of a row → seconds that it is kept
MOST_ROWS = 2200  # of an answer
KIND = "lab_history"
_PRUNED_EVERY = 60  # rows


@dataclass
class _Bucket:
    """What one row is made of."""

    at: int
    host: int = 0
    gpus: dict[str, tuple[int, list[float]]] = field(default_factory=dict)
    shares: dict[str, int] = field(default_factory=dict)
    servers: dict[str, tuple[float, int, int, list[float], list[float]]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def add(self, sample: Sample, owners: Sequence[Owner]) -> None:
        self.host = max(self.host, sample.host.used_bytes)
        held = dict(sample.resident) if not sample.gpus else {}
        for gpu in sample.gpus:
            used, watts = self.gpus.setdefault(gpu.reading.id, (0, []))
            if gpu.reading.power_watts is not None:
                watts.append(gpu.reading.power_watts)
            self.gpus[gpu.reading.id] = (max(used, gpu.reading.used_bytes or 0), watts)
            for owner, size in gpu.shares.items():
                held[owner] = held.get(owner, 0) + size
        for owner, size in held.items():
            self.shares[owner] = max(size, self.shares.get(owner, 0))
        for server, use in sample.caches.items():
            usage, running, waiting, speeds, firsts = self.servers.get(server, (0.0, 0, 0, [], []))
            if use.tokens_per_second is not None:
                speeds.append(use.tokens_per_second)
            if use.ttft_s is not None:
                firsts.append(use.ttft_s * 1000)
            most = max(usage, use.usage), max(running, use.running), max(waiting, use.waiting)
            self.servers[server] = (*most, speeds, firsts)
        self.names |= {owner.id: owner.name for owner in owners if owner.id in self.shares or owner.id in self.servers}

    def value(self) -> dict[str, Any]:
        return {
            "host": self.host,
            "gpus": {name: [used, _mean(watts)] for name, (used, watts) in self.gpus.items()},
            "shares": self.shares,
            "servers": {
                name: [round(usage * 1000), running, waiting, _mean(speeds), _mean(firsts)]
                for name, (usage, running, waiting, speeds, firsts) in self.servers.items()
            },
            "names": self.names,
        }


class History:
    """``listen`` is the sampler's; ``since`` is safe from any thread."""

    def __init__(self, store: Store, wall: Callable[[], float] = time.time, spans: Mapping[int, float] = SPANS) -> None:
        self._store = store
        self._spans = spans
        self._wall = wall
        self._lock = threading.Lock()
        self._buckets: dict[int, _Bucket] = {}
        self._written = 0

    def listen(self, reading: Reading, sample: Sample) -> None:
        """Adds the sample to the row of its time, in each width; a row whose time is over is written."""
        now = self._wall()
        for step in self._spans:
            at = int(now // step) * step
            with self._lock:
                bucket = self._buckets.get(step)
                if bucket is None or bucket.at != at:  # over, or the clock was set
                    done, self._buckets[step] = bucket, _Bucket(at)
                else:
                    done = None
                self._buckets[step].add(sample, reading.owners)
            if done is not None:
                self._write(step, done)

    def close(self) -> None:
        """Writes what isn't over yet: a restart of the console leaves no hole."""
        with self._lock:
            rest, self._buckets = self._buckets, {}
        for step, bucket in rest.items():
            self._write(step, bucket)

    def since(self, window: float) -> tuple[int, list[tuple[int, dict[str, Any]]]]:
        """The seconds of a row, and (its time, its value) of those of the last ``window`` seconds, oldest first.

        The narrowest rows that reach back so far, and no more than MOST_ROWS of them: else the next wider ones.
        """
        steps = [step for step, span in self._spans.items() if window <= span and window / step <= MOST_ROWS]
        step = steps[0] if steps else max(self._spans)
        now = self._wall()
        sql = "SELECT at, value FROM lab_history WHERE step = ? AND at >= ? AND at <= ? ORDER BY at"
        rows = self._store.rows(sql, (step, now - window, now))
        return step, [(int(at), json.loads(value)) for at, value in rows]

    def _write(self, step: int, bucket: _Bucket) -> None:
        text = json.dumps(bucket.value(), separators=(",", ":"))
        steps: list[tuple[str, Sequence[Any]]] = [
            ("INSERT OR REPLACE INTO lab_history VALUES (?, ?, ?)", (step, bucket.at, text))
        ]
        self._written += 1
        if self._written % _PRUNED_EVERY == 1:
            # By number, not by date: a clock that was wrong for a moment must not empty it.
            old = """DELETE FROM lab_history WHERE step = ? AND at <
                (SELECT at FROM lab_history WHERE step = ? ORDER BY at DESC LIMIT 1 OFFSET ?)"""
            steps += [(old, (width, width, int(span // width) - 1)) for width, span in self._spans.items()]
        self._store.write_soon((KIND, f"{step}-{bucket.at}", ""), steps, None)


def _mean(values: Sequence[float]) -> float | None:
    return round(statistics.fmean(values), 1) if values else None
