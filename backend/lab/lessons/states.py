"""What a lesson may check: named states of the console, worked out from what is known of it at one moment. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.machine.machine import Environment
from backend.models.checkpoint import ModelInfo
from backend.quantization.job import Job, JobState
from backend.servers.server import ServerState, ServerView

# ServeConfig's fields that a state can ask for; "_below": a number must be lower.
SETTINGS = frozenset(
    {"engine", "model_format", "quant_policy", "cache_max_entry_count", "tp", "session_len", "dtype"}
)  # fmt: skip
CONDITIONS = SETTINGS | {"cache_max_entry_count_below", "model"}
JOBS = frozenset({"method", "bits"})


@dataclass(frozen=True)
class Facts:
    """What is known at one moment, for one visitor. ``did``: what the visitor did since the lesson began: "chat",
    "tool", "picture", "api". ``begun_at`` is in seconds since the epoch."""

    servers: Sequence[ServerView] = ()
    jobs: Sequence[Job] = ()
    environments: Sequence[Environment] = ()
    models: Sequence[ModelInfo] = ()
    measured: frozenset[str] = frozenset()
    did: frozenset[str] = frozenset()
    begun_at: float = 0.0


@dataclass(frozen=True)
class State:
    """``holds(facts, conditions)`` says whether it is so; ``takes`` are the conditions that it knows."""

    holds: Callable[[Facts, Mapping[str, Any]], bool]
    takes: frozenset[str] = field(default=frozenset())


def _has_environment(facts: Facts, given: Mapping[str, Any]) -> bool:
    package = str(given.get("package", ""))
    if package not in ("", "lmdeploy", "transformers", "torch"):
        return False
    return any(
        one.problem is None and (getattr(one, package) if package else one.lmdeploy or one.transformers)
        for one in facts.environments
    )


def _has_model(facts: Facts, given: Mapping[str, Any]) -> bool:
    wanted = str(given.get("model", "")).lower()
    return any(one.problem is None and wanted in one.name.lower() for one in facts.models)


def _fits(view: ServerView, given: Mapping[str, Any]) -> bool:
    """Whether a server was started with these settings."""
    for name, wanted in given.items():
        if name == "cache_max_entry_count_below":
            if not view.config.cache_max_entry_count < wanted:
                return False
        elif name == "model":
            if str(wanted).lower() not in view.model_name.lower():
                return False
        elif getattr(view.config, name) != wanted:
            return False
    return True


def _runs(facts: Facts, given: Mapping[str, Any]) -> bool:
    return any(view.state is ServerState.RUNNING and _fits(view, given) for view in facts.servers)


def _started(facts: Facts, given: Mapping[str, Any]) -> bool:
    return any(view.ready_at >= facts.begun_at > 0 and _fits(view, given) for view in facts.servers)


def _is_measured(facts: Facts, given: Mapping[str, Any]) -> bool:
    return any(view.id in facts.measured and _fits(view, given) for view in facts.servers)


def _stopped(facts: Facts, given: Mapping[str, Any]) -> bool:
    ended = (ServerState.STOPPED, ServerState.FAILED)
    return any(view.state in ended and view.ended_at >= facts.begun_at and _fits(view, given) for view in facts.servers)


def _is_quantized(facts: Facts, given: Mapping[str, Any]) -> bool:
    return any(
        job.state is JobState.SUCCEEDED and all(getattr(job.config, name) == value for name, value in given.items())
        for job in facts.jobs
    )


def _did(what: str) -> State:
    return State(lambda facts, given: what in facts.did)


STATES: Mapping[str, State] = {
    "environment.found": State(_has_environment, frozenset({"package"})),
    "model.found": State(_has_model, frozenset({"model"})),
    "server.running": State(_runs, CONDITIONS),
    "server.started": State(_started, CONDITIONS),
    "server.measured": State(_is_measured, CONDITIONS),
    "server.stopped": State(_stopped, CONDITIONS),
    "quantization.succeeded": State(_is_quantized, JOBS),
    "chat.answered": _did("chat"),
    "chat.tool": _did("tool"),
    "chat.picture": _did("picture"),
    "api.answered": _did("api"),
}
