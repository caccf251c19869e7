"""A recording of the sampler's readings as a file, and a source that replays it in LiveSource's place.

One JSON line a reading, after a first line that says where it comes from. Recorded by tests/gpu/record_trace.py.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from backend.machine.host import HostReading
from backend.machine.nvml import GpuReading, ProcessMemory
from backend.memory.live_source import boot_seconds
from backend.memory.load_log import LoadFacts
from backend.memory.readings import CacheUse, Event, Owner, Reading


def write_trace(
    path: Path, about: Mapping[str, Any], readings: Iterable[Reading], facts: Mapping[str, LoadFacts]
) -> None:
    """Writes the recording; times begin at 0."""
    kept = list(readings)
    start = kept[0].at
    head = {**about, "facts": {server: asdict(value) for server, value in facts.items()}}
    lines = [json.dumps(head), *(json.dumps(_short(_shifted(reading, -start))) for reading in kept)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_trace(path: Path) -> tuple[dict[str, Any], list[Reading]]:
    """What it says of itself, and the readings."""
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    return json.loads(head), [_reading(json.loads(line)) for line in lines]


class TraceSource:
    """Gives one recorded reading after the other, as if it were taken now; at the end the last one again, eventless."""

    def __init__(self, path: Path, clock: Callable[[], float] = boot_seconds) -> None:
        self._head, self._readings = read_trace(path)
        self._clock = clock
        self._next = 0

    def read(self) -> Reading:
        """The next reading."""
        reading = self._readings[min(self._next, len(self._readings) - 1)]
        ended = self._next >= len(self._readings)
        self._next += 1
        now = _shifted(reading, self._clock() - reading.at)
        return replace(now, events=()) if ended else now

    def facts(self, server: str) -> LoadFacts:
        """What the server's log said, as recorded."""
        return LoadFacts(**self._head["facts"].get(server, {}))


def _shifted(reading: Reading, seconds: float) -> Reading:
    events = tuple(replace(event, at=event.at + seconds) for event in reading.events)
    return replace(reading, at=reading.at + seconds, events=events)


def _short(reading: Reading) -> dict[str, Any]:
    value = asdict(reading)
    value["at"] = round(reading.at, 3)
    return {name: part for name, part in value.items() if part is not False and part not in ((), [], {})}


def _reading(value: Mapping[str, Any]) -> Reading:
    return Reading(
        at=value["at"],
        host=HostReading(**value["host"]),
        gpus=tuple(_gpu(gpu) for gpu in value.get("gpus", ())),
        owners=tuple(Owner(**{**owner, "gpus": tuple(owner["gpus"])}) for owner in value.get("owners", ())),
        owner_of={int(pid): owner for pid, owner in value.get("owner_of", {}).items()},
        resident=value.get("resident", {}),
        caches={server: CacheUse(**use) for server, use in value.get("caches", {}).items()},
        events=tuple(Event(**event) for event in value.get("events", ())),
        hidden=value.get("hidden", False),
    )


def _gpu(value: Mapping[str, Any]) -> GpuReading:
    processes = value.get("processes")
    listed = None if processes is None else tuple(ProcessMemory(**process) for process in processes)
    return GpuReading(**{**value, "processes": listed})
