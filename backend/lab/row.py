"""One start of a server, or one quantization, as a row that stays. Pure: what is known of it in, the row out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from backend.engines.base import ServeConfig
from backend.machine.machine import Machine
from backend.message_document import message_to_json
from backend.quantization.base import QuantConfig
from backend.quantization.job import Job
from backend.servers.server import ServerView

T = TypeVar("T")
SERVER, QUANTIZATION = "server", "quantization"
_PARTS = ("weights_bytes", "context_bytes", "kv_bytes", "work_bytes")
_SHOWN = {  # settings that a person compares by, and their usual value
    "model_format": "auto", "quant_policy": 0, "cache_max_entry_count": 0.8, "tp": 1, "session_len": None,
    "dtype": "auto",
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What was seen of a server while it ran. ``fastest`` is the best decoding speed of one answer in tokens/s,
    ``total`` the most that it generated for everyone at once; bytes are the most that it held."""

    answers: int = 0
    timed: int = 0  # answers of which the time to the first token is known
    ttft_ms: float = 0.0  # their sum
    fastest: float | None = None
    total: float | None = None
    gpu_bytes: int = 0
    host_bytes: int = 0

    def with_answer(self, ttft_ms: float | None, tokens_per_s: float | None) -> "Seen":
        """One more answer."""
        return replace(
            self,
            answers=self.answers + 1,
            timed=self.timed + (ttft_ms is not None),
            ttft_ms=self.ttft_ms + (ttft_ms or 0.0),
            fastest=_most(self.fastest, tokens_per_s),
        )

    def with_ttft(self, ttft_ms: float) -> "Seen":
        """One more time to the first token, as the server itself tells it."""
        return replace(self, timed=self.timed + 1, ttft_ms=self.ttft_ms + ttft_ms)

    def with_reading(self, gpu_bytes: int, host_bytes: int, total: float | None) -> "Seen":
        """One more look at it."""
        gpu_bytes, host_bytes = max(gpu_bytes, self.gpu_bytes), max(host_bytes, self.host_bytes)
        return replace(self, gpu_bytes=gpu_bytes, host_bytes=host_bytes, total=_most(self.total, total))


@dataclass(frozen=True)
class RunRow:
    """A row of the list. Times are seconds since the epoch, sizes bytes, None = not known.

    ``engine`` is a quantization's method. ``load_s``: until a server was ready; a quantization's own seconds.
    ``measured_bytes`` is the sum of its parts; where these couldn't be told apart, the most that it held on a GPU.
    ``detail`` is the rest as JSON: "config", "versions", "command", "planned", "measured", "seen", "reason" …
    """

    id: str
    kind: str
    state: str
    name: str
    model: str
    engine: str
    settings: str
    gpu: str
    environment: str
    started_at: float
    ended_at: float | None = None
    load_s: float | None = None
    planned_bytes: int | None = None
    measured_bytes: int | None = None
    weights_bytes: int | None = None
    context_bytes: int | None = None
    kv_bytes: int | None = None
    work_bytes: int | None = None
    host_bytes: int | None = None
    tokens: int | None = None
    tokens_per_s: float | None = None
    ttft_ms: float | None = None
    perplexity: float | None = None
    note: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def of_server(view: ServerView, machine: Machine, memory: Mapping[str, Any] | None, seen: Seen) -> RunRow:
    """``memory`` is what the reconciler kept of it (reconcile.py): "planned", "measured" … ; of one that isn't
    measured yet, "planned" and "planned_tokens" alone; None = nothing."""
    memory = memory or {}
    planned, measured = memory.get("planned") or {}, memory.get("measured") or {}
    parts: dict[str, Any] = {name: measured.get(name) for name in _PARTS}
    held = sum(measured[name] for name in _PARTS) if measured else seen.gpu_bytes or None
    config = replace(view.config, api_key="")
    return RunRow(
        id=view.id,
        kind=SERVER,
        state=view.state.value,
        name=view.name,
        model=view.model_name.rstrip("/").rpartition("/")[2],
        engine=config.engine,
        settings=settings_text(config),
        gpu=_gpus(config.gpus, machine) if config.engine not in ("transformers", "external", "proxy") else "",
        environment=view.environment,
        started_at=view.created_at,
        ended_at=view.ended_at or None,
        load_s=max(0.0, view.ready_at - view.created_at) if view.ready_at and config.engine != "external" else None,
        planned_bytes=sum(planned.values()) if planned else None,
        measured_bytes=held,
        **parts,
        host_bytes=seen.host_bytes or None,
        tokens=measured.get("tokens"),
        tokens_per_s=_most(seen.fastest, seen.total),
        ttft_ms=seen.ttft_ms / seen.timed if seen.timed else None,
        detail={
            "config": asdict(config),
            "versions": _versions(view.environment, machine),
            "command": view.command,
            "planned": dict(planned),
            "planned_tokens": memory.get("planned_tokens"),
            "measured": dict(measured),
            "free_bytes": memory.get("free_bytes"),
            "seen": asdict(seen),
            "exit_code": view.exit_code,
            "stop_signal": view.stop_signal,
            "reason": None if view.reason is None else message_to_json(view.reason),
        },
    )


def of_job(job: Job, machine: Machine) -> RunRow:
    """A quantization. Its measured memory is the most that it held on its GPU."""
    result = job.result
    perplexity = result.perplexity if result else None
    reason = job.diagnosis.reason if job.diagnosis else None
    return RunRow(
        id=job.id,
        kind=QUANTIZATION,
        state=job.state.value,
        name=job.title,
        model=job.model_name.rstrip("/").rpartition("/")[2],
        engine=job.config.method,
        settings=" · ".join(filter(None, (job.config.dataset, f"{job.config.samples} × {job.config.seqlen}"))),
        gpu=_gpus((job.config.gpu,), machine) if job.config.gpu else "",
        environment=job.environment,
        started_at=job.started_at or job.created_at,
        ended_at=job.ended_at or None,
        load_s=result.seconds if result else None,
        measured_bytes=(result.peak_gpu_bytes or None) if result else None,
        perplexity=perplexity.after if perplexity else None,
        detail={
            "config": asdict(job.config),
            "versions": _versions(job.environment, machine),
            "command": job.command,
            "output": job.output,
            "before": dict(job.before),
            "after": dict(result.after) if result else {},
            "perplexity": asdict(perplexity) if perplexity else None,
            "reason": None if reason is None else message_to_json(reason),
        },
    )


def still_known(row: RunRow, before: RunRow | None) -> RunRow:
    """The row with what was known of the start before, and can't be found out any more: the machine as it was, the
    plan."""
    if before is None:
        return row
    versions = before.detail.get("versions") or row.detail.get("versions")
    detail = {**row.detail, "versions": versions}
    if not detail.get("planned") and before.detail.get("planned"):
        detail |= {name: before.detail.get(name) for name in ("planned", "planned_tokens", "free_bytes")}
    if before.detail.get("quality") and not row.detail.get("quality"):
        row = with_quality(row, before.detail["quality"])
        detail["quality"] = before.detail["quality"]
    planned = row.planned_bytes if row.planned_bytes is not None else before.planned_bytes
    return replace(row, gpu=before.gpu or row.gpu, planned_bytes=planned, detail=detail)


def with_quality(row: RunRow, quality: Mapping[str, Any] | None) -> RunRow:
    """The row with what its server was measured to answer (quality/compare.py's summary)."""
    if quality is None:
        return row
    return replace(row, perplexity=quality.get("perplexity"), detail={**row.detail, "quality": dict(quality)})


def settings_text(config: ServeConfig) -> str:
    """What differs from the usual, as a person compares it: "kv int4 · awq · cache 0.4"."""
    said = []
    for name, usual in _SHOWN.items():
        value = getattr(config, name)
        if value == usual:
            continue
        if name == "quant_policy":
            said.append(f"kv int{value}")
        elif name == "cache_max_entry_count":
            said.append(f"cache {value:g}")
        else:
            said.append(str(value) if name in ("model_format", "dtype") else f"{name} {value}")
    return " · ".join([*said, *([" ".join(config.extra)] if config.extra else [])])


def _gpus(ids: tuple[str, ...], machine: Machine) -> str:
    chosen = [gpu.name for gpu in machine.gpus if gpu.id in ids] or [gpu.name for gpu in machine.gpus[:1]]
    names = dict.fromkeys(chosen)
    return " + ".join(f"{chosen.count(name)} × {name}" if chosen.count(name) > 1 else name for name in names)


def _versions(environment: str, machine: Machine) -> dict[str, str]:
    found = next((one for one in machine.environments if one.label == environment), None)
    versions = {"driver": machine.driver, "driver_cuda": machine.driver_cuda}
    if found is not None:
        versions |= {name: getattr(found, name) for name in ("lmdeploy", "transformers", "torch", "torch_cuda")}
    return {name: version for name, version in versions.items() if version}


def _most(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else max(one, other)


def serve_config(row: RunRow) -> ServeConfig:
    """The settings that a server was started with. Raises KeyError, TypeError or ValueError where there are none."""
    return config_of(row.detail["config"])


def config_of(stored: Mapping[str, Any]) -> ServeConfig:
    """The settings of a server as they are stored. Raises TypeError or ValueError where they are none."""
    return _config(ServeConfig, stored)


def quant_config(row: RunRow) -> QuantConfig:
    """The settings of a quantization. Raises as ``serve_config``."""
    return _config(QuantConfig, row.detail["config"])


def _config(kind: type[T], stored: Mapping[str, Any]) -> T:
    known = {f.name: stored[f.name] for f in fields(kind) if f.name in stored}  # type: ignore[arg-type]  # dataclasses
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in known.items()})
