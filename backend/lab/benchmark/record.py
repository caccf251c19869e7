"""A benchmark as everyone sees it, and as it is remembered."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from backend.errors import Message
from backend.message_document import message_from_json, message_to_json
from backend.quantization.job import UNFINISHED, JobState

__all__ = ("UNFINISHED", "Benchmark", "BenchmarkConfig", "JobState", "Target", "from_json")


@dataclass(frozen=True)
class BenchmarkConfig:
    """``servers`` are ids of servers that run, ``runs`` ids of rows whose settings are started for it, one after
    another; ``table`` is the model of the tutorials' table, "" = none. ``users`` at once, level by level, () = no load;
    lengths in tokens, ``seconds`` a level. ``picture``: each request has one.

    ``questions`` names the shipped set that is asked ("" = none), ``question`` is a person's own; ``text`` their own to
    measure by, "" = the shipped one; ``reply_tokens`` is the most that a question's answer may have. ``trusted``: the
    table's model may run its own code."""

    servers: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    users: tuple[int, ...] = (1, 2, 4, 8)
    prompt_tokens: int = 128
    answer_tokens: int = 128
    seconds: int = 20
    picture: bool = False
    table: str = ""
    questions: str = ""
    question: str = ""
    text: str = ""
    reply_tokens: int = 256
    trusted: bool = False

    @property
    def has_quality(self) -> bool:
        """Whether questions are asked."""
        return bool(self.questions or self.question)


@dataclass(frozen=True)
class Target:
    """A server of it. ``run`` is the row whose settings are started, ``config`` the settings themselves (a table's
    ``line``); neither for a server that ran before. ``skipped`` says why a line isn't measured: that is no failure.
    ``child`` is the supervised run that measures. ``stage`` is "waiting", "starting", "measuring", "stopping" or
    "over".

    ``levels`` are statistics.level's figures with ``users``, ``client_…``, and what the console itself saw meanwhile:
    ``kv_usage`` 0…1, ``gpu_bytes``, ``watts``; None = not seen. ``quality`` is what children/quality.py measured.
    """

    name: str
    engine: str
    server: str = ""
    run: str = ""
    child: str = ""
    stage: str = "waiting"
    levels: tuple[Mapping[str, Any], ...] = ()
    problem: Message | None = None
    line: str = ""
    config: Mapping[str, Any] | None = None
    skipped: Message | None = None
    quality: Mapping[str, Any] | None = None

    @property
    def is_started(self) -> bool:
        """Whether its server is started for it, and stopped again."""
        return bool(self.run or self.config is not None)


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
                **asdict(replace(target, problem=None, skipped=None)),
                "problem": None if target.problem is None else message_to_json(target.problem),
                "skipped": None if target.skipped is None else message_to_json(target.skipped),
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
                "skipped": one.get("skipped") and message_from_json(one["skipped"]),
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
