"""Follows servers and jobs and keeps their rows. It listens to the sampler, and waits for nothing."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from backend.lab.row import RunRow, Seen, of_job, of_server, still_known, with_quality
from backend.lab.runs import Runs
from backend.machine.machine import Machine
from backend.memory.readings import Reading, Sample
from backend.quantization.job import JobView
from backend.servers.server import ServerView

EVERY_S = 10.0  # between two looks at what only grows (memory held, speeds seen)


class Recorder:
    """``servers`` and ``jobs`` are the managers' snapshots, ``versions`` grows when one of them changed. ``memory``
    tells of a server's plan and measurement (reconcile.py). Safe to call from any thread."""

    def __init__(
        self,
        runs: Runs,
        servers: Callable[[], Sequence[ServerView]],
        jobs: Callable[[], Sequence[JobView]],
        versions: Callable[[], tuple[int, int]],
        machine: Callable[[], Machine],
        memory: Callable[[str], Mapping[str, Any] | None],
    ) -> None:
        self._runs = runs
        self._servers, self._jobs, self._versions = servers, jobs, versions
        self._machine, self._memory = machine, memory
        self._lock = threading.Lock()
        # What a console before this one knew: facts of a start, once known, stay.
        ids = [*(view.id for view in servers()), *(view.job.id for view in jobs())]
        self._kept = {row.id: replace(row, note="") for row in runs.several(ids)}
        self._seen = {run_id: _stored(row.detail.get("seen")) for run_id, row in self._kept.items()}
        self._quality: dict[str, Mapping[str, Any]] = {}
        self._ttft: dict[str, float] = {}
        self._looked: tuple[int, int] | None = None
        self._due = 0.0

    def answered(self, server_id: str, ttft_ms: float | None, tokens_per_s: float | None) -> None:
        """An answer of that server is whole."""
        with self._lock:
            self._seen[server_id] = self._seen.get(server_id, Seen()).with_answer(ttft_ms, tokens_per_s)

    def compared(self, server_id: str, quality: Mapping[str, Any]) -> None:
        """That server was asked a set of questions: the summary of quality/compare.py."""
        with self._lock:
            self._quality[server_id] = quality
        self._due = 0.0

    def measured(self) -> frozenset[str]:
        """The ids of the servers that got ready and whose memory was measured: on a GPU, or the machine's."""
        rows = self._kept.values()
        return frozenset(row.id for row in rows if row.load_s and (row.measured_bytes or row.host_bytes))

    def listen(self, reading: Reading, sample: Sample) -> None:
        """The sampler's listener: memory and speeds of every sample; rows when something changed, else now and then."""
        for owner in reading.owners:
            if owner.kind != "server":
                continue
            held = sum(gpu.shares.get(owner.id, 0) for gpu in sample.gpus)
            cache = sample.caches.get(owner.id)
            speed = cache.tokens_per_second if cache is not None else None
            with self._lock:
                seen = self._seen.get(owner.id, Seen())
                if cache is not None and cache.ttft_s is not None and cache.ttft_s != self._ttft.get(owner.id):
                    seen = seen.with_ttft(cache.ttft_s * 1000)  # the same figure stands in several samples
                    self._ttft[owner.id] = cache.ttft_s
                self._seen[owner.id] = seen.with_reading(held, sample.resident.get(owner.id, 0), speed)
        versions = self._versions()
        if versions != self._looked or sample.at >= self._due:
            self._looked, self._due = versions, sample.at + EVERY_S
            self.look()

    def look(self) -> None:
        """Write every row that differs from what is kept."""
        servers, jobs = self._servers(), self._jobs()
        if not servers and not jobs:
            return
        machine = self._machine()
        rows = [self._row(view, machine) for view in servers]
        rows += [of_job(view.job, machine) for view in jobs]
        rows = [still_known(row, self._kept.get(row.id)) for row in rows]
        for row in rows:
            if self._kept.get(row.id) != row:
                self._runs.keep(row)
        self._kept = {row.id: row for row in rows}

    def _row(self, view: ServerView, machine: Machine) -> RunRow:
        with self._lock:
            seen, quality = self._seen.get(view.id, Seen()), self._quality.get(view.id)
        return with_quality(of_server(view, machine, self._memory(view.id), seen), quality)


def _stored(value: Any) -> Seen:
    """What a console before this one saw, as it stands in the server's row."""
    known = value if isinstance(value, Mapping) else {}
    return Seen(**{f.name: known[f.name] for f in fields(Seen) if f.name in known})
