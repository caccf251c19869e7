"""The plan held against what was measured, once a server is ready; and what that teaches later plans."""

import statistics
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from backend.errors import InvalidInput
from backend.memory.live_source import GPU_ENGINES
from backend.memory.load_log import LoadFacts
from backend.memory.readings import Owner, Reading, Sample
from backend.memory_plan.plan import plan
from backend.memory_plan.planner import Planned, Planner
from backend.memory_plan.values import Card, Learned, Plan
from backend.servers.server import ServerView
from backend.store import Store

AREA = "memory"
SETTLE_SECONDS = 2.0
_KEPT = 5  # starts that a residual is the median of
_MOST_RECORDS = 200
_MOST_PLANS = 200


@dataclass(frozen=True)
class Measured:
    """What a server takes once it is ready, in bytes on its fullest GPU. Weights are known from their files.

    ``from_log``: the engine itself said what it gave the KV cache; otherwise the cache is taken as planned and the rest
    worked out from NVML. ``tokens`` is what the cache holds by the log, else None.
    """

    weights_bytes: int
    context_bytes: int
    kv_bytes: int
    work_bytes: int
    tokens: int | None
    from_log: bool

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.context_bytes + self.kv_bytes + self.work_bytes


def measure(planned: Plan, facts: LoadFacts, used_bytes: int) -> Measured:
    """Splits what NVML says a server uses into the plan's parts.

    With the log: before the cache = free at the start − free when the cache was made; KV cache = its budget; work
    space = the rest. Without: total = B + ratio × (free − reserve − B) + work, solved for B, what was taken before it.
    """
    weights = planned.weights_bytes + planned.vision_bytes
    if facts.budget_bytes is not None and facts.free_bytes is not None:
        before = planned.free_bytes - facts.free_bytes
        if not weights <= before <= used_bytes - facts.budget_bytes:
            # CUDA sees another size of card than NVML (a slice), or others came and went meanwhile.
            before = max(weights, used_bytes - facts.budget_bytes - planned.work_bytes)
        work = max(0, used_bytes - before - facts.budget_bytes)
        return Measured(weights, before - weights, facts.budget_bytes, work, facts.tokens(), True)
    ratio = min(planned.ratio, 0.99)
    room = planned.free_bytes - planned.reserve_bytes
    before = max(weights, round((used_bytes - ratio * room - planned.work_bytes) / (1 - ratio)))
    kv = max(0, used_bytes - before - planned.work_bytes)
    return Measured(weights, before - weights, kv, used_bytes - before - kv, None, False)


def learn(records: Iterable[Mapping[str, Any]], engine: str, gpu: str, packed: bool) -> Learned:
    """The median residuals of the newest starts of that engine on that GPU."""
    key = learned_key(engine, gpu, packed)
    fitting = sorted((r for r in records if r.get("key") == key), key=lambda r: float(r["at"]))[-_KEPT:]
    if not fitting:
        return Learned()
    return Learned(
        context_bytes=round(statistics.median(r["context_residual"] for r in fitting)),
        work_bytes=round(statistics.median(r["work_residual"] for r in fitting)),
        count=len(fitting),
    )


def learned_key(engine: str, gpu: str, packed: bool) -> str:
    """What theory doesn't give differs by engine, GPU, and whether the weights are packed."""
    return f"{engine}|{gpu}|{'packed' if packed else 'plain'}"


class Measurements:
    """What was measured, by server id: kept in the store and in memory. Safe to call from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._records: dict[str, Mapping[str, Any]] = dict(store.all(AREA))

    def all(self) -> Mapping[str, Mapping[str, Any]]:
        """Every record."""
        with self._lock:
            return dict(self._records)

    def get(self, server: str) -> Mapping[str, Any] | None:
        """A server's record, or None where it wasn't measured."""
        with self._lock:
            return self._records.get(server)

    def put(self, server: str, record: Mapping[str, Any]) -> None:
        """Stores it; the oldest give way."""
        with self._lock:
            self._records[server] = record
            self._store.keep_json(AREA, server, record)
            for oldest in sorted(self._records, key=lambda name: float(self._records[name]["at"]))[:-_MOST_RECORDS]:
                del self._records[oldest]
                self._store.drop_json(AREA, oldest)
        self._store.settle()

    def learned(self, engine: str, gpu: str, packed: bool) -> Learned:
        """What earlier starts taught, for the planner."""
        return learn(self.all().values(), engine, gpu, packed)


@dataclass
class _Start:
    planned: Planned
    ready_at: float | None = None


class Reconciler:
    """Listens to the sampler: plans when a server starts, measures when it is ready, stores both."""

    def __init__(
        self,
        measurements: Measurements,
        planner: Planner,
        servers: Callable[[], Sequence[ServerView]],
        facts: Callable[[str], LoadFacts],
    ) -> None:
        self._measurements = measurements
        self._planner = planner
        self._servers = servers
        self._facts = facts
        self._starts: dict[str, _Start] = {}
        self._plans: dict[str, Mapping[str, Any]] = {}
        self._free: dict[str, int] = {}  # by GPU id, as of the reading before

    def memory(self, server: str) -> Mapping[str, Any] | None:
        """What is known of a server's memory: its measurement's record; before that "planned", "planned_tokens" and
        "free_bytes" alone; None where it wasn't planned."""
        return self._measurements.get(server) or self._plans.get(server)

    def listen(self, reading: Reading, sample: Sample) -> None:
        """The sampler's listener."""
        owners = {owner.id: owner for owner in reading.owners if owner.kind == "server" and owner.gpus}
        for owner in owners.values():
            if owner.state == "starting":
                self._begin(owner, reading, sample)
            start = self._starts.get(owner.id)
            if start is None or owner.state != "running":
                continue
            if start.ready_at is None:
                start.ready_at = reading.at
            elif reading.at - start.ready_at >= SETTLE_SECONDS:
                del self._starts[owner.id]
                self._finish(owner, start.planned, sample)
        self._starts = {server: start for server, start in self._starts.items() if server in owners}
        self._free = {gpu.id: gpu.free_bytes for gpu in reading.gpus if gpu.free_bytes is not None}

    def _begin(self, owner: Owner, reading: Reading, sample: Sample) -> None:
        """Plans the start on what was free before it; again where more turns out to have been free: a server that was
        stopped a moment before gives its memory back while this one begins."""
        view = self._view(owner.id)
        gpu = next((gpu for gpu in reading.gpus if gpu.id in owner.gpus), None)
        if view is None or gpu is None or gpu.total_bytes is None or view.config.engine not in GPU_ENGINES:
            return
        own = next((seen.shares.get(owner.id, 0) for seen in sample.gpus if seen.reading.id == gpu.id), 0)
        free = None if gpu.free_bytes is None else gpu.free_bytes + own
        start = self._starts.get(owner.id)
        if start is None:
            free = max((size for size in (self._free.get(gpu.id), free) if size is not None), default=None)
        elif free is None or free <= start.planned.card.free_bytes or own >= start.planned.plan.weights_bytes:
            return  # what others give back after the weights is none of its cache's
        if free is None:
            return
        try:
            shape = self._planner.shape(view.config.model)
            planned = self._planner.plan_on(shape, view.config, Card(gpu.name, gpu.total_bytes, free))
        except InvalidInput:  # a model that can't be planned can still run
            return
        self._starts[owner.id] = _Start(planned)
        if len(self._plans) >= _MOST_PLANS:
            del self._plans[next(iter(self._plans))]
        self._plans[owner.id] = {
            "planned": _parts(planned.plan),
            "planned_tokens": planned.plan.tokens,
            "free_bytes": planned.card.free_bytes,
        }

    def _finish(self, owner: Owner, planned: Planned, sample: Sample) -> None:
        view = self._view(owner.id)
        used = max((gpu.shares.get(owner.id, 0) for gpu in sample.gpus), default=0)
        if view is None or used <= 0:
            return
        measured = measure(planned.plan, self._facts(owner.id), used)
        base = plan(planned.shape, planned.config, planned.card)  # by theory alone: residuals don't pile up
        key = learned_key(planned.config.engine, planned.card.name, planned.shape.packed_bytes > 0)
        record = {
            "at": time.time(),
            "model": planned.shape.name,
            "gpu": planned.card.name,
            "engine": planned.config.engine,
            "environment": view.environment,
            "settings": {
                "quant_policy": planned.config.quant_policy,
                "model_format": planned.config.model_format,
                "cache_max_entry_count": planned.config.cache_max_entry_count,
                "tp": planned.config.tp,
                "session_len": planned.config.session_len,
                "dtype": planned.config.dtype,
            },
            "free_bytes": planned.card.free_bytes,
            "planned": _parts(planned.plan),
            "planned_tokens": planned.plan.tokens,
            "measured": asdict(measured),
            "key": key,
            "context_residual": measured.context_bytes - base.context_bytes,
            "work_residual": measured.work_bytes - base.work_bytes,
        }
        self._measurements.put(owner.id, record)

    def _view(self, server: str) -> ServerView | None:
        return next((view for view in self._servers() if view.id == server), None)


def _parts(made: Plan) -> dict[str, int]:
    return {
        "weights_bytes": made.weights_bytes + made.vision_bytes,
        "context_bytes": made.context_bytes,
        "kv_bytes": made.kv_bytes,
        "work_bytes": made.work_bytes,
    }
