"""A job as everyone sees it, and as it is remembered."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from backend.errors import Message
from backend.quantization.base import Diagnosis, QuantConfig, Remedy
from backend.quantization.progress import Expected, Progress
from backend.store import message_from_json, message_to_json


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
    """The relative error of one decoder layer's 4-bit weights, and of each matrix in it (children/weight_errors.py)."""

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

    ``order`` sorts the queue of a slot. ``python`` runs it, of the environment whose label is ``environment``.
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
    progress: Progress = field(default_factory=Progress)
    result: JobResult | None = None
    diagnosis: Diagnosis | None = None

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
    """The inverse of Job.to_json."""
    diagnosis = value["diagnosis"]
    return Job(
        **{
            **value,
            "config": QuantConfig(**value["config"]),
            "state": JobState(value["state"]),
            "expected": Expected(**value["expected"]),
            "progress": Progress(**value["progress"]),
            "result": None if value["result"] is None else _result_from_json(value["result"]),
            "diagnosis": None if diagnosis is None else _diagnosis_from_json(diagnosis),
        }
    )


def _result_from_json(value: Mapping[str, Any]) -> JobResult:
    errors = tuple(LayerError(**layer) for layer in value["errors"])
    perplexity = None if value["perplexity"] is None else Perplexity(**value["perplexity"])
    problem = value["perplexity_problem"] and message_from_json(value["perplexity_problem"])
    return JobResult(**{**value, "errors": errors, "perplexity": perplexity, "perplexity_problem": problem})


def _diagnosis_to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "reason": message_to_json(diagnosis.reason),
        "lines": list(diagnosis.lines),
        "remedies": [{"key": remedy.key, "settings": dict(remedy.settings)} for remedy in diagnosis.remedies],
    }


def _diagnosis_from_json(value: Mapping[str, Any]) -> Diagnosis:
    remedies = tuple(Remedy(remedy["key"], remedy["settings"]) for remedy in value["remedies"])
    return Diagnosis(message_from_json(value["reason"]), tuple(value["lines"]), remedies)
