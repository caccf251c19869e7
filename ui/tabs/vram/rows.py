"""Samples as they go to the page: short rows of numbers, since thirty pages ask for one every second.

A row: [t, machine, gpus, resident, caches]. t is seconds with a tenth; memory is in MiB.
gpus: [used, utilization %, watts, °C, [owner, share, owner, share, …]] each, null where a figure can't be read.
resident: [owner, RSS, …]. caches: [[owner, KV cache used in ‰, running, waiting, tokens/s, KV cache's size], …].
Owners are numbers; the figure's answer says whose.
"""

import threading
from collections.abc import Mapping
from typing import Any

from backend.memory.readings import CacheUse, GpuSample, Sample

MIB = 1024**2
_KEPT = 4096

Json = Any


class Wire:
    """Rows by sample, made once for all pages. Safe to call from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._rows: dict[int, Json] = {}

    def number(self, owner: str) -> int:
        """The owner's number, the same for as long as the console runs."""
        with self._lock:
            return self._numbers.setdefault(owner, len(self._numbers))

    def numbers(self) -> dict[str, int]:
        """Every owner seen, in order."""
        with self._lock:
            return dict(self._numbers)

    def row(self, sample: Sample) -> Json:
        """The sample's row."""
        with self._lock:
            row = self._rows.get(sample.number)
        if row is None:
            row = [
                round(sample.at, 1),
                _mib(sample.host.used_bytes),
                [self._gpu(gpu) for gpu in sample.gpus],
                self._flat(sample.resident),
                [self._cache(server, use) for server, use in sample.caches.items()],
            ]
            with self._lock:
                self._rows[sample.number] = row
                if len(self._rows) > _KEPT:
                    del self._rows[next(iter(self._rows))]
        return row

    def _gpu(self, sample: GpuSample) -> Json:
        reading = sample.reading
        watts = None if reading.power_watts is None else round(reading.power_watts)
        return [
            None if reading.used_bytes is None else _mib(reading.used_bytes),
            reading.utilization_percent,
            watts,
            reading.temperature_celsius,
            self._flat(sample.shares),
        ]

    def _flat(self, sizes: Mapping[str, int]) -> list[int]:
        return [figure for owner, size in sizes.items() for figure in (self.number(owner), _mib(size))]

    def _cache(self, server: str, use: CacheUse) -> Json:
        speed = use.tokens_per_second
        return [
            self.number(server),
            round(use.usage * 1000),
            use.running,
            use.waiting,
            None if speed is None else round(speed, 1 if speed < 10 else None),
            None if use.cache_bytes is None else _mib(use.cache_bytes),
        ]


def _mib(size: int) -> int:
    return round(size / MIB)
