"""Which engine to preselect and which environment a server runs in. Pure."""

from backend.engines.base import ServeConfig
from backend.errors import Message, Unavailable
from backend.machine.choice import choose
from backend.machine.fit import FIELD, lmdeploy_unavailable
from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo

WITHOUT_GPU = frozenset({"transformers", "proxy"})


def default_engine(machine: Machine) -> str:
    """The engine to preselect: TurboMind where some environment can run it, else transformers on the CPU."""
    return "turbomind" if lmdeploy_unavailable(machine) is None else "transformers"


def choose_environment(config: ServeConfig, model: ModelInfo | None, machine: Machine) -> Environment:
    """The environment that a server of this configuration runs in: the chosen one, else the console's where it can run
    the engine, else the first that can, else the console's (so that its command can be seen).

    Raises InvalidInput for a chosen one that isn't there, Unavailable where none has what the engine needs.
    """
    needs = "transformers" if config.engine == "transformers" else "lmdeploy"
    on_gpu = config.engine not in WITHOUT_GPU
    environment = choose(machine, config.environment, needs=needs, on_gpu=on_gpu)
    if environment is None:
        raise Unavailable(Message(f"environments.no-{needs}", field=FIELD))
    return environment
