"""What of a form's choices can run on this machine: why one can't, and which model to begin with. Pure."""

from collections.abc import Callable, Sequence

from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.machine.machine import Machine
from backend.models.checkpoint import ModelInfo

# What a person chooses first, and what says whether that choice can run here at all. The other fields set it up.
CHOICE_FIELDS = frozenset({"model", "engine", "trust_remote_code", "environment"})


def obstacles(config: ServeConfig, model: ModelInfo | None, machine: Machine) -> tuple[Message, ...]:
    """Why the chosen model and engine can't run on this machine; () where they can."""
    engine = ENGINES.get(config.engine)
    found = engine.check(config, model, machine) if engine is not None else ()
    return tuple(message for message in found if message.level == "error" and message.field in CHOICE_FIELDS)


def first_model(
    models: Sequence[ModelInfo],
    engine: str,
    machine: Machine,
    demo: ModelInfo | None,
    fits: Callable[[ServeConfig], bool],
) -> ModelInfo | None:
    """The model to preselect: the first that runs here as the form stands; the demo model where none other does.

    ``fits`` says whether these settings' plan fits; it is asked of a model that nothing else stands against.
    """

    def runs(model: ModelInfo) -> bool:
        config = ServeConfig(engine, str(model.path))
        return not obstacles(config, model, machine) and fits(config)

    served = [model for model in models if model.problem is None]
    own = [model for model in served if demo is None or model.path != demo.path]
    if engine == "transformers":  # a CPU takes minutes for an answer of a large one
        own.sort(key=lambda model: model.parameters)
    last = [model for model in served if model not in own]
    return next((model for model in (*own, *last) if runs(model)), next(iter(own or served), None))
