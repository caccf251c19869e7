"""Which servers the tutorials' table starts on this machine, for which models, and which of its lines can't be."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from backend.engines.base import ServeConfig
from backend.errors import InvalidInput, Message
from backend.lab.benchmark.record import BenchmarkConfig, Target
from backend.lab.tutorials import LINES, Line, Weights, find_weights, settings
from backend.memory_plan.planner import Planner
from backend.models.catalog import Catalog
from backend.models.checkpoint import ModelInfo
from backend.quantization.job import Job, JobState


class Tables:
    """``jobs`` gives the quantizations. Safe to call from any thread."""

    def __init__(self, catalog: Catalog, planner: Planner, jobs: Callable[[], Sequence[Job]]) -> None:
        self._catalog, self._planner, self._jobs = catalog, planner, jobs

    def has_gpu(self) -> bool:
        """Whether LMDeploy can run here; without a GPU the CPU engine serves the 16-bit line alone."""
        return bool(self._planner.gpus())

    def offers(self) -> list[dict[str, Any]]:
        """The 16-bit models that a table can be made of: ``path``, ``name``, ``weights`` (the folder of their 4-bit
        weights, "" = none yet), ``own_code`` (it has to run code of its own)."""
        models = self._catalog.models()
        plain = [one for one in models if one.problem is None and not one.quantization]
        if not self.has_gpu():
            plain = [one for one in plain if not one.needs_remote_code]
        found = []
        for one in plain:
            weights = find_weights(one, models, self._made(one))
            packed = "" if weights is None else weights.path
            offer = {"path": str(one.path), "name": one.name, "weights": packed, "own_code": one.needs_remote_code}
            found.append(offer)
        return found

    def targets(self, config: BenchmarkConfig) -> tuple[Target, ...]:
        """A target a line; one that can't be started says why in ``skipped``. Raises InvalidInput for the model."""
        model = self._catalog.find(config.table)
        if model.problem is not None:
            raise InvalidInput(model.problem)
        if model.quantization:
            raise InvalidInput(Message("lab.table.not_plain", {"name": model.name}, "table"))
        weights = find_weights(model, self._catalog.models(), self._made(model))
        return tuple(self._target(line, model, weights, config) for line in LINES)

    def _target(self, line: Line, model: ModelInfo, weights: Weights | None, config: BenchmarkConfig) -> Target:
        gpus = self._planner.gpus()
        name = {"name": model.name}
        if not gpus and line.id != "plain":
            return Target(line.id, "", line=line.id, stage="over", skipped=Message("lab.table.needs_gpu", name))
        if line.packed and weights is None:
            return Target(line.id, "", line=line.id, stage="over", skipped=Message("lab.table.no_weights", name))
        if gpus:
            made = settings(line, str(model.path), weights, (gpus[0].id,), config.trusted)
        else:
            made = ServeConfig("transformers", str(model.path), trust_remote_code=config.trusted)
        return Target(model.name, made.engine, line=line.id, config=asdict(made))

    def _made(self, model: ModelInfo) -> list[Weights]:
        """What was made of the model here, the newest first."""
        done = [one for one in self._jobs() if one.state is JobState.SUCCEEDED and one.config.method == "awq"]
        mine = [one for one in done if one.model_path == str(model.path)]
        return [Weights(one.output, one.deploy_dtype or "auto") for one in sorted(mine, key=lambda one: -one.ended_at)]
