"""A benchmark as everyone sees it, and as it is remembered."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from backend.errors import Message
from backend.quantization.job import UNFINISHED, JobState
from backend.store import message_from_json, message_to_json

__all__ = ("UNFINISHED", "Benchmark", "BenchmarkConfig", "JobState", "Target", "from_json")


@dataclass(frozen=True)
class BenchmarkConfig:
    """``servers`` are ids of servers that run, ``runs`` ids of rows whose settings are started for it, one after
    another. ``users`` at once, level by level; lengths in tokens, ``seconds`` a level. ``picture``: each request has
    one."""

    servers: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    users: tuple[int, ...] = (1, 2, 4, 8)
    prompt_tokens: int = 128
    answer_tokens: int = 128
    seconds: int = 20
    picture: bool = False


@dataclass(frozen=True)
class Target:
    """A server of it. ``run`` is the row whose settings are started, "" for a server that ran before. ``child`` is the
    supervised run that measures. ``stage`` is "waiting", "starting", "measuring", "stopping" or "over".

    ``levels`` are statistics.level's figures with ``users``, ``client_…``, and what the console itself saw meanwhile:
    ``kv_usage`` 0…1, ``gpu_bytes``, ``watts``; None = not seen.
    """

    name: str
    engine: str
    server: str = ""
    run: str = ""
    child: str = ""
    stage: str = "waiting"
    levels: tuple[Mapping[str, Any], ...] = ()
    problem: Message | None = None


@dataclass(frozen=True)
class Benchmark:
    """Times are seconds since the epoch, 0 = not yet."""

    id: str
    name: str
    config: BenchmarkConfig
    state: JobState
    created_at: float
    targets: tuple[Target, ...]
    started_at: float = 0.0
    ended_at: float = 0.0
    cancelled: bool = False
    estimate_s: float = field(default=0.0)

    def to_json(self) -> dict[str, Any]:
        """The document that is stored."""
        value = asdict(replace(self, targets=()))
        value["targets"] = [
            {
                **asdict(replace(target, problem=None)),
                "problem": None if target.problem is None else message_to_json(target.problem),
            }
            for target in self.targets
        ]
        return value


def from_json(value: Mapping[str, Any]) -> Benchmark:
    """The inverse of Benchmark.to_json. Raises KeyError, TypeError or ValueError where it is no such document."""
    targets = tuple(
        Target(
            **{
                **_known(Target, one),
                "levels": tuple(one["levels"]),
                "problem": one["problem"] and message_from_json(one["problem"]),
            }
        )
        for one in value["targets"]
    )
    config: dict[str, Any] = {
        name: tuple(v) if isinstance(v, list) else v for name, v in _known(BenchmarkConfig, value["config"]).items()
    }
    return Benchmark(
        **{
            **_known(Benchmark, value),
            "config": BenchmarkConfig(**config),
            "state": JobState(value["state"]),
            "targets": targets,
        }
    )


def _known(kind: type[Any], value: Mapping[str, Any]) -> dict[str, Any]:
    return {f.name: value[f.name] for f in fields(kind) if f.name in value}
