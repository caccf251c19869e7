"""A job as everyone sees it, and as it is remembered."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from backend.diagnosis import Diagnosis, Remedy
from backend.errors import Message
from backend.message_document import message_from_json, message_to_json
from backend.quantization.base import QuantConfig
from backend.quantization.log_reader import Expected, Progress


class JobState(StrEnum):
    """``interrupted``: the machine was restarted while it ran."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class LayerError:
    """The relative error of a decoder layer's quantized weights, and of each of its matrices (weight_errors.py)."""

    layer: int
    error: float
    matrices: Mapping[str, float]


@dataclass(frozen=True)
class Perplexity:
    """Perplexity of a text kept out of the calibration, by the model before and after."""

    before: float
    after: float
    tokens: int


@dataclass(frozen=True)
class JobResult:
    """What a finished job gave. Sizes are bytes by part ("embeddings", "decoder", "vision"), ``seconds`` the job's own.

    ``errors`` is empty until the comparison is done. ``errors_state`` and ``perplexity_state`` are "", "queued",
    "running", "done" or "failed"; ``perplexity_problem`` says why in the last case.
    """

    before: Mapping[str, int]
    after: Mapping[str, int]
    seconds: float
    peak_gpu_bytes: int = 0
    deploy_dtype: str = ""
    model_format: str = "awq"
    errors: tuple[LayerError, ...] = ()
    errors_state: str = ""
    perplexity: Perplexity | None = None
    perplexity_state: str = ""
    perplexity_problem: Message | None = None


@dataclass(frozen=True)
class Job:
    """One quantization. Times are seconds since the epoch, 0 = not yet. ``slot`` is the GPU's id or "cpu".

    ``name`` is the job's own: "quantize demo_model". ``order`` sorts the queue of a slot. ``python`` runs it, of the
    environment whose label is ``environment``.
    ``command`` is what the page shows, ``partial`` the folder that is written until it is whole. ``run_id`` names the
    supervised run and its log ("" before the start), ``follow_up`` the run that compares the result with the original,
    ``perplexity_run`` the one that measures both by their servers.
    """

    id: str
    config: QuantConfig
    state: JobState
    slot: str
    order: float
    created_at: float
    model_name: str
    model_path: str
    output: str
    partial: str
    command: str
    environment: str
    python: str
    deploy_dtype: str
    model_format: str
    expected: Expected
    before: Mapping[str, int] = field(default_factory=dict)
    started_at: float = 0.0
    ended_at: float = 0.0
    run_id: str = ""
    follow_up: str = ""
    perplexity_run: str = ""
    name: str = ""
    progress: Progress = field(default_factory=Progress)
    result: JobResult | None = None
    diagnosis: Diagnosis | None = None

    @property
    def title(self) -> str:
        """Its name; one that an older version started has none."""
        return self.name or f"quantize {self.model_name}"

    def to_json(self) -> dict[str, Any]:
        """The document that is stored."""
        problem = self.result.perplexity_problem if self.result else None
        result = None if self.result is None else replace(self.result, perplexity_problem=None)
        value = asdict(replace(self, diagnosis=None, result=result))
        if problem is not None:
            value["result"]["perplexity_problem"] = message_to_json(problem)
        value["diagnosis"] = None if self.diagnosis is None else _diagnosis_to_json(self.diagnosis)
        return value


@dataclass(frozen=True)
class JobView:
    """A job with what is known at this moment. ``position`` counts from 1 in the queue of its slot, 0 = not queued."""

    job: Job
    position: int = 0
    remaining_s: float | None = None


def job_from_json(value: Mapping[str, Any]) -> Job:
    """The inverse of Job.to_json; fields that this version doesn't know are left out.

    Raises KeyError, TypeError or ValueError where it is no such document.
    """
    diagnosis, result = value["diagnosis"], value["result"]
    return Job(
        **{
            **_known(Job, value),
            "config": QuantConfig(**_known(QuantConfig, value["config"])),
            "state": JobState(value["state"]),
            "expected": Expected(**_known(Expected, value["expected"])),
            "progress": Progress(**_known(Progress, value["progress"])),
            "result": None if result is None else _result_from_json(result),
            "diagnosis": None if diagnosis is None else _diagnosis_from_json(diagnosis),
        }
    )


def _known(kind: type[Any], value: Mapping[str, Any]) -> dict[str, Any]:
    return {f.name: value[f.name] for f in fields(kind) if f.name in value}


def _result_from_json(value: Mapping[str, Any]) -> JobResult:
    errors = tuple(LayerError(**layer) for layer in value["errors"])
    perplexity = None if value["perplexity"] is None else Perplexity(**value["perplexity"])
    problem = value["perplexity_problem"] and message_from_json(value["perplexity_problem"])
    known = _known(JobResult, value)
    return JobResult(**{**known, "errors": errors, "perplexity": perplexity, "perplexity_problem": problem})


def _diagnosis_to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "reason": message_to_json(diagnosis.reason),
        "lines": list(diagnosis.lines),
        "remedies": [{"key": remedy.key, "settings": dict(remedy.settings)} for remedy in diagnosis.remedies],
        "left": None if diagnosis.left is None else message_to_json(diagnosis.left),
    }


def _diagnosis_from_json(value: Mapping[str, Any]) -> Diagnosis:
    remedies = tuple(Remedy(remedy["key"], remedy["settings"]) for remedy in value["remedies"])
    left = value.get("left")
    return Diagnosis(
        message_from_json(value["reason"]),
        tuple(value["lines"]),
        remedies,
        None if left is None else message_from_json(left),
    )
