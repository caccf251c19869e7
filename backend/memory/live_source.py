"""Reads everything once: NVML, the machine, the servers and jobs, their logs and metrics. For the sampler's thread."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from backend.errors import ConsoleError
from backend.machine import host
from backend.machine.nvml import GpuReading, Nvml
from backend.memory.load_log import LoadFacts, read_more
from backend.memory.metrics import MetricsReader
from backend.memory.readings import CacheUse, Event, Owner, Reading
from backend.servers.server import ServerState, ServerView

_MOST_LOG_BYTES = 1024**2  # a load's lines stand at the log's beginning; what follows are requests
_LOG_PIECE_BYTES = 128 * 1024

ALIVE = (ServerState.STARTING, ServerState.RUNNING, ServerState.STOPPING, ServerState.UNREACHABLE)
GPU_ENGINES = ("turbomind", "pytorch")


@dataclass(frozen=True)
class JobProcess:
    """A quantization job as the sampler sees it. ``stage`` is a key of ui/locales or ""; ``pid`` 0 = not started."""

    id: str
    name: str
    state: str
    pid: int
    stage: str = ""
    gpus: tuple[str, ...] = ()


class Source(Protocol):
    """What the sampler reads from: the live one below, or a recorded trace."""

    def read(self) -> Reading:
        """Everything now."""

    def facts(self, server: str) -> LoadFacts:
        """What the server's own log said of memory so far."""


Address = Callable[[str], tuple[str, str]]  # a server's id → its base URL and API key ("" for none)


def boot_seconds() -> float:
    """A clock that never jumps and runs on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass
class _Log:
    offset: int = 0
    facts: LoadFacts = field(default_factory=LoadFacts)


class LiveSource:
    """This machine. ``servers`` and ``jobs`` give those known to the console, ``address`` a running server's."""

    def __init__(
        self,
        nvml: Nvml,
        servers: Callable[[], Sequence[ServerView]],
        jobs: Callable[[], Sequence[JobProcess]] = lambda: (),
        address: Address | None = None,
        clock: Callable[[], float] = boot_seconds,
    ) -> None:
        self._nvml = nvml
        self._servers = servers
        self._jobs = jobs
        self._address = address
        self._clock = clock
        self._metrics = MetricsReader(clock)
        self._logs: dict[str, _Log] = {}
        self._states: dict[str, str] | None = None  # None until the first reading: what was there before is no event
        self._stages: dict[str, str] = {}
        self._hidden = False

    def facts(self, server: str) -> LoadFacts:
        """What the server's own log said of memory so far."""
        log = self._logs.get(server)
        return log.facts if log else LoadFacts()

    def read(self) -> Reading:
        """Everything now."""
        gpus = self._nvml.readings()
        servers, jobs = self._servers(), self._jobs()
        at = self._clock()
        events = self._events(at, servers, jobs)
        alive = [view for view in servers if view.state in ALIVE]
        owners = tuple(_server_owner(view, gpus) for view in alive) + tuple(
            Owner(job.id, job.name, "job", job.state, job.gpus) for job in jobs if job.state == "running"
        )
        roots = {view.pid: view.id for view in alive if view.pid > 0}
        roots |= {job.pid: job.id for job in jobs if job.state == "running" and job.pid > 0}
        members = host.members(roots)
        owner_of = self._owner_of(gpus, members, roots)
        self._hidden = _hidden(gpus, owners, owner_of, self._hidden)
        return Reading(
            at=at,
            host=host.read_host(),
            gpus=gpus,
            owners=owners,
            owner_of=owner_of,
            resident={owner: host.resident_bytes(pids) for owner, pids in members.items()},
            caches=self._caches(alive),
            events=events,
            hidden=self._hidden,
        )

    @staticmethod
    def _owner_of(
        gpus: Sequence[GpuReading], members: Mapping[str, Sequence[int]], roots: Mapping[int, str]
    ) -> dict[int, str]:
        owner_by_pid = {pid: owner for owner, pids in members.items() for pid in pids}
        owners = {}
        for pid in {process.pid for gpu in gpus for process in gpu.processes or ()}:
            owner = owner_by_pid.get(pid) or host.owner_by_parents(pid, roots)
            if owner is not None:
                owners[pid] = owner
        return owners

    def _caches(self, alive: Sequence[ServerView]) -> dict[str, CacheUse]:
        caches: dict[str, CacheUse] = {}
        if self._address is None:
            return caches
        asked = {view.id for view in alive if view.state == ServerState.RUNNING and view.config.engine in GPU_ENGINES}
        self._metrics.keep(asked)
        for server in asked:
            try:
                usage = self._metrics.read(server, *self._address(server))
            except ConsoleError:  # it was forgotten meanwhile
                continue
            if usage is not None:
                metrics, speed, ttft = usage
                caches[server] = CacheUse(
                    metrics.usage, metrics.running, metrics.waiting, speed, self.facts(server).budget_bytes, ttft
                )
        return caches

    def _events(self, at: float, servers: Sequence[ServerView], jobs: Sequence[JobProcess]) -> tuple[Event, ...]:
        """What changed since the last reading, in words."""
        events = []
        states: dict[str, str] = {}
        for view in servers:
            before, now = (self._states or {}).get(view.id, ""), str(view.state)
            states[view.id] = now
            events += [Event(at, key, view.id, view.name) for key in self._read_log(view)]
            new = not before and self._states is not None and now in ("starting", "running")
            if new or (before and before != now and now != "stopping" and before != "unreachable"):
                events.append(Event(at, f"vram.event.{now}", view.id, view.name))
        for job in jobs:
            before = (self._states or {}).get(job.id, "")
            states[job.id] = job.state
            if self._states is not None and before != job.state and job.state != "queued":
                events.append(Event(at, f"vram.event.job.{job.state}", job.id, job.name))
            if job.state == "running" and job.stage and job.stage != self._stages.get(job.id):
                self._stages[job.id] = job.stage
                events.append(Event(at, job.stage, job.id, job.name))
        first, self._states = self._states is None, states
        self._logs = {server: log for server, log in self._logs.items() if server in states}
        self._stages = {job: stage for job, stage in self._stages.items() if job in states}
        return () if first else tuple(events)

    def _read_log(self, view: ServerView) -> list[str]:
        """Reads what a server wrote while it loads; the events in it."""
        if view.log_path is None or view.config.engine not in GPU_ENGINES:
            return []
        log = self._logs.setdefault(view.id, _Log())
        before = log.facts
        if view.state in (ServerState.STARTING, ServerState.RUNNING) and not _complete(log, view):
            text = _read(view.log_path, log)
            log.facts = read_more(log.facts, text) if text else log.facts
        events = []
        if log.facts.loaded and not before.loaded:
            events.append("vram.event.loaded")
        if log.facts.laid_out and not before.laid_out:
            events.append("vram.event.cached")
        return events


def _complete(log: _Log, view: ServerView) -> bool:
    return view.state == ServerState.RUNNING and (log.facts.laid_out or log.offset >= _MOST_LOG_BYTES)


def _read(path: Path, log: _Log) -> str:
    """The next piece, up to its last line end or carriage return, so that no line is seen in two halves."""
    try:
        if path.stat().st_size == log.offset or log.offset >= _MOST_LOG_BYTES:
            return ""
        with path.open("rb") as file:
            file.seek(log.offset)
            piece = file.read(_LOG_PIECE_BYTES)
    except OSError:
        return ""
    end = max(piece.rfind(b"\n"), piece.rfind(b"\r")) + 1
    if end == 0 and len(piece) == _LOG_PIECE_BYTES:
        end = len(piece)
    log.offset += end
    return piece[:end].decode("utf-8", "replace")


def _server_owner(view: ServerView, gpus: Sequence[GpuReading]) -> Owner:
    ids: tuple[str, ...] = ()
    if view.config.engine in GPU_ENGINES:
        ids = view.config.gpus or tuple(gpu.id for gpu in gpus[: max(1, view.config.tp)])
    return Owner(view.id, view.name, "server", str(view.state), ids)


def _hidden(gpus: Sequence[GpuReading], owners: Sequence[Owner], owner_of: Mapping[int, str], before: bool) -> bool:
    """Whether NVML's processes can't be matched with ours: it names the host's pids, or none, inside a container.

    A running server on a GPU must be among them; if it isn't, they can't be.
    """
    if owner_of:
        return False
    running = {gpu for owner in owners if owner.state == "running" for gpu in owner.gpus}
    if any(gpu.id in running for gpu in gpus):
        return True
    pids = [process.pid for gpu in gpus for process in gpu.processes or ()]
    if pids and not any(host.exists(pid) for pid in pids):
        return True
    return before
