"""From settings to what a job would do: the model, the environment that runs it, the commands, everything to say."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from backend import disk
from backend.errors import ConsoleError, InvalidInput, Message
from backend.machine.choice import choose
from backend.machine.machine import Environment, Machine
from backend.models.catalog import Catalog
from backend.models.checkpoint import ModelInfo, TensorInfo, read_tensors
from backend.private_folders import make_private
from backend.quantization import QUANT_METHODS
from backend.quantization.base import DEMO_TEXT, OWN_TEXT, QuantConfig, QuantMethod, Steps
from backend.quantization.job import Job
from backend.quantization.texts import KeptText, KeptTexts, demo_text

WORKER = Path(__file__).parent / "children" / "worker.py"
PLAN = "plan.json"  # in the job's folder: what its worker is told


@dataclass(frozen=True)
class Subject:
    """What a configuration names: the method, the model with its headers, the text, the environment.

    ``tokens`` are the text's, None where they weren't counted.
    """

    method: QuantMethod
    model: ModelInfo
    tensors: tuple[TensorInfo, ...]
    text: KeptText | None
    environment: Environment | None
    tokens: int | None = None


@dataclass(frozen=True)
class JobPreview:
    """What the form shows: the command as lines for a shell ("" while no model is chosen), everything wrong or worth
    knowing, the environment that would run it, what the result would take on disk (None = not known)."""

    command: str
    messages: tuple[Message, ...]
    environment: Environment | None = None
    before_bytes: int | None = None
    after_bytes: int | None = None

    @property
    def errors(self) -> tuple[Message, ...]:
        """What keeps it from starting."""
        return tuple(message for message in self.messages if message.level == "error")


def find_subject(config: QuantConfig, catalog: Catalog, texts: KeptTexts, machine: Machine) -> Subject:
    """Everything that the configuration names. Raises InvalidInput, about this form's fields."""
    method = QUANT_METHODS.get(config.method)
    if method is None:
        params = {"value": config.method, "choices": ", ".join(QUANT_METHODS)}
        raise InvalidInput(Message("quantize.choice", params, "method"))
    try:
        model = catalog.find(config.model)
        tensors = read_tensors(model.path)
    except ConsoleError as error:
        raise InvalidInput(*(Message(m.key, m.params, "model") for m in error.messages)) from error
    transformers4 = method.needs_internlm2(model)
    environment = choose(machine, config.environment, on_gpu=bool(config.gpu), transformers4=transformers4)
    return Subject(method, model, tensors, text_of(config, texts), environment)


def text_of(config: QuantConfig, texts: KeptTexts) -> KeptText | None:
    """The kept text that a job calibrates with; None where it uses a dataset, none, or where none is given yet."""
    if config.dataset == DEMO_TEXT:
        return demo_text()
    if config.dataset == OWN_TEXT and config.text:
        return texts.get(config.text)
    return None


def steps(config: QuantConfig, subject: Subject) -> Steps:
    """The commands of the job."""
    folder = None if subject.text is None else subject.text.folder
    return subject.method.steps(config, subject.model, subject.environment, folder)


def write_plan(job: Job, steps: Steps, folder: Path) -> None:
    """Write what children/worker.py reads. ``folder`` is the job's own; AWQ's statistics are kept there too.

    Raises Unavailable where it can't be written.
    """
    settings = {key: value for key, value in job.to_json()["config"].items() if key != "text"}
    plan = {
        "steps": [
            {
                "stage": step.stage,
                "argv": step.command.launch_argv(),
                "env": dict(step.command.env),
                "cwd": None if step.command.cwd is None else str(step.command.cwd),
            }
            for step in steps.steps
        ],
        "partial": str(steps.partial),
        "result": str(steps.result),
        "output": str(steps.output),
        "statistics": [str(statistics) for statistics in steps.statistics],
        "kept": str(folder),
        "record": {
            "made_by": "LMDeploy Console",
            "job": job.id,
            "model": job.model_path,
            "settings": settings,
            "environment": job.environment,
            "commands": [step.command.preview() for step in steps.steps],
        },
    }
    try:
        make_private(folder, must_be_new=True)
        (folder / PLAN).write_text(json.dumps(plan), encoding="utf-8")
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise disk.cannot_write(folder, error) from error
