"""From settings to what a job would do: the model, the environment that runs it, the commands, everything to say."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.engines.base import Environment, Machine
from backend.engines.choice import gpu_problem
from backend.errors import ConsoleError, InvalidInput, Message, NotFound
from backend.models.catalog import Catalog
from backend.models.checkpoint import ModelInfo, TensorInfo, read_tensors
from backend.quantization import QUANT_METHODS
from backend.quantization.base import DEMO_TEXT, OWN_TEXT, QuantConfig, QuantMethod, Steps
from backend.quantization.texts import KeptText, KeptTexts, demo_text

KINDS = ("console", "found", "internlm2")


@dataclass(frozen=True)
class Subject:
    """What a configuration names, found: the method, the model with its headers, the text, the environment."""

    method: QuantMethod
    model: ModelInfo
    tensors: tuple[TensorInfo, ...]
    text: KeptText | None
    environment: Environment | None


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
    """Everything that the configuration names. Raises InvalidInput or NotFound, about this form's fields."""
    method = QUANT_METHODS.get(config.method)
    if method is None:
        params = {"value": config.method, "choices": ", ".join(QUANT_METHODS)}
        raise InvalidInput(Message("quantize.choice", params, "quantize-method"))
    try:
        model = catalog.find(config.model)
        tensors = read_tensors(model.path)
    except ConsoleError as error:
        raise InvalidInput(*(Message(m.key, m.params, "quantize-model") for m in error.messages)) from error
    environment = choose(config, machine, method.needs_internlm2(model))
    return Subject(method, model, tensors, text_of(config, texts), environment)


def text_of(config: QuantConfig, texts: KeptTexts) -> KeptText | None:
    """The kept text that a job calibrates with; None where it uses a dataset, none, or where none is given yet."""
    if config.dataset == DEMO_TEXT:
        return demo_text()
    if config.dataset == OWN_TEXT and config.text:
        return texts.get(config.text)
    return None


def choose(config: QuantConfig, machine: Machine, internlm2: bool) -> Environment | None:
    """The environment that runs the job: the chosen one, else the console's; for InternLM2's own code one with
    transformers 4. None where nothing has LMDeploy. Raises NotFound for a chosen one that isn't there."""
    if config.environment:
        found = next((e for e in machine.environments if e.id == config.environment), None)
        if found is None:
            raise NotFound(Message("environments.unknown", {"environment": config.environment}, "quantize-environment"))
        return found
    candidates = [e for e in machine.environments if e.lmdeploy]
    return min(candidates, key=lambda e: _rank(e, config, machine, internlm2), default=None)


def steps(config: QuantConfig, subject: Subject) -> Steps:
    """The commands of the job."""
    folder = None if subject.text is None else subject.text.folder
    return subject.method.steps(config, subject.model, subject.environment, folder)


def errors_of(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Those that keep a job from starting."""
    return tuple(message for message in messages if message.level == "error")


def _rank(
    environment: Environment, config: QuantConfig, machine: Machine, internlm2: bool
) -> tuple[bool, bool, bool, int]:
    """The smallest is best: the right transformers, usable, fits the GPU, the console's before others."""
    wrong = internlm2 and not environment.transformers.startswith("4.")
    unfit = bool(config.gpu) and gpu_problem(environment, machine) is not None
    kind = KINDS.index(environment.kind) if environment.kind in KINDS else len(KINDS)
    return (wrong, environment.problem is not None, unfit, kind)
