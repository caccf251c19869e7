"""Which environment and engine to use, and whether an environment fits the GPUs' driver. Pure.

backend/engines/environments.py finds the environments and repeats these names.
"""

from dataclasses import dataclass

from backend.engines.base import Environment, Machine, ServeConfig
from backend.engines.flags import SNAPSHOT_LMDEPLOY, Capabilities, snapshot
from backend.errors import InvalidInput, Message, Unavailable, Value
from backend.models.checkpoint import ModelInfo

FIELD = "deploy-lmdeploy"
# The oldest driver for each CUDA major version (CUDA Toolkit release notes, "CUDA Toolkit and Corresponding Driver
# Versions"). Within one major version an older driver runs newer minor ones; a newer driver runs all older majors.
OLDEST_DRIVER = {11: "450", 12: "525", 13: "580"}
INTERNLM2 = frozenset({"InternLM2ForCausalLM", "InternLM2ForRewardModel", "InternLM2VEForCausalLM"})


@dataclass(frozen=True)
class CheckRow:
    """One part of the environment check: the machine ("" as ``label``) or one environment.

    ``values`` are pairs of a text's key ("environments.torch") and what was found; ``verdict`` says whether it fits,
    and the remedy where it doesn't.
    """

    label: str
    values: tuple[tuple[str, str], ...]
    verdict: Message


def needs_transformers4(model: ModelInfo) -> bool:
    """Whether a job that runs the model's own code needs transformers 4: InternLM2's, also as InternVL2's text model.

    transformers 5 computes its rotary frequencies wrongly. Serving doesn't run that code.
    """
    return model.text_architecture in INTERNLM2


def default_engine(machine: Machine) -> str:
    """The engine to preselect: TurboMind where some environment can run it, else transformers on the CPU."""
    return "turbomind" if lmdeploy_unavailable(machine) is None else "transformers"


def lmdeploy_unavailable(machine: Machine) -> Message | None:
    """Why no environment of this machine can serve with LMDeploy, with the remedy; None where one can."""
    if not machine.gpus:
        return Message("environments.no-gpu" if machine.driver else "environments.no-driver", field="deploy-engine")
    holders = [environment for environment in machine.environments if environment.lmdeploy]
    problems = [environment.problem or gpu_problem(environment, machine) for environment in holders]
    if not problems:
        return Message("environments.no-lmdeploy", field="deploy-engine")
    return None if None in problems else problems[0]


def gpu_problem(environment: Environment, machine: Machine) -> Message | None:
    """Why LMDeploy of this environment can't use this machine's GPUs, with the remedy; None where it can."""
    if not environment.lmdeploy:
        return Message("environments.lacks-lmdeploy", {"environment": environment.label}, FIELD)
    if not machine.gpus:
        return Message("environments.no-gpu" if machine.driver else "environments.no-driver", field="deploy-engine")
    if not environment.torch:
        return Message("environments.lacks-torch", {"environment": environment.label}, FIELD)
    if not environment.torch_cuda:
        return Message("environments.torch-without-cuda", {"environment": environment.label}, FIELD)
    builds = {"PyTorch": environment.torch_cuda, "TurboMind": environment.turbomind_cuda}
    for part, cuda in builds.items():
        if cuda and machine.driver_cuda and _major(cuda) > _major(machine.driver_cuda):
            params: dict[str, Value] = {
                "environment": environment.label,
                "part": part,
                "cuda": cuda,
                "driver": machine.driver,
                "driver_cuda": machine.driver_cuda,
                "major": _major(machine.driver_cuda),
                "needed": OLDEST_DRIVER.get(_major(cuda), f"CUDA {_major(cuda)}"),
            }
            return Message("environments.driver-too-old", params, FIELD)
    return None


def choose_environment(config: ServeConfig, model: ModelInfo | None, machine: Machine) -> Environment:
    """The environment that a server of this configuration runs in: the chosen one, else the console's where it can run
    the engine, else the first that can, else the console's (so that its command can be seen).

    Raises InvalidInput for a chosen one that isn't there, Unavailable where none has what the engine needs.
    """
    if config.environment:
        for environment in machine.environments:
            if environment.id == config.environment:
                return environment
        raise InvalidInput(Message("environments.unknown", {"environment": config.environment}, FIELD))
    candidates = [
        e for e in machine.environments if (e.transformers if config.engine == "transformers" else e.lmdeploy)
    ]
    candidates.sort(key=lambda e: ("console", "found", "internlm2").index(e.kind))
    if not candidates:
        key = "environments.no-transformers" if config.engine == "transformers" else "environments.no-lmdeploy"
        raise Unavailable(Message(key, field=FIELD))

    def usable(environment: Environment) -> bool:
        if environment.problem is not None:
            return False
        return config.engine == "transformers" or gpu_problem(environment, machine) is None

    return next((environment for environment in candidates if usable(environment)), candidates[0])


def capabilities_of(environment: Environment | None) -> Capabilities:
    """What the environment's command lines take; the built-in answer of 0.18.0 until they have been asked."""
    if environment is not None and environment.capabilities.source:
        return environment.capabilities
    return snapshot()


def capabilities_known(environment: Environment) -> bool:
    """Whether capabilities_of speaks for this environment: asked, or of the version that is built in."""
    return bool(environment.capabilities.source) or environment.lmdeploy in {"", SNAPSHOT_LMDEPLOY}


def check_report(machine: Machine) -> tuple[CheckRow, ...]:
    """The tutorials' environment check: the machine's driver and GPUs, then each environment, with what doesn't fit."""
    gpus = ", ".join(f"{gpu.id}: {gpu.name}, {gpu.total_bytes / 2**30:.1f} GiB" for gpu in machine.gpus)
    values = (
        ("environments.driver", machine.driver),
        ("environments.driver-cuda", machine.driver_cuda),
        ("environments.gpus", gpus),
    )
    verdict = Message("environments.gpus-found", {"count": len(machine.gpus)}, level="info")
    if not machine.gpus:
        verdict = Message("environments.no-gpu" if machine.driver else "environments.no-driver", level="warning")
    rows = [CheckRow("", values, verdict)]
    for environment in machine.environments:
        rows.append(CheckRow(environment.label, _versions(environment), _verdict(environment, machine)))
    return tuple(rows)


def _versions(environment: Environment) -> tuple[tuple[str, str], ...]:
    return (
        ("environments.python", str(environment.python)),
        ("environments.lmdeploy", environment.lmdeploy),
        ("environments.transformers", environment.transformers),
        ("environments.torch", environment.torch),
        ("environments.torch-cuda", environment.torch_cuda),
        ("environments.turbomind-cuda", environment.turbomind_cuda),
    )


def _verdict(environment: Environment, machine: Machine) -> Message:
    if environment.problem is not None:
        return environment.problem
    problem = gpu_problem(environment, machine)
    if problem is None:
        return Message("environments.fits", level="info")
    if environment.kind == "internlm2" and not machine.gpus:
        return Message("environments.jobs-only", level="info")
    if environment.transformers and not machine.gpus:
        return Message("environments.cpu-only", level="info")
    return Message(problem.key, problem.params, problem.field, "warning")


def _major(version: str) -> int:
    """The major number of "13.0"; 0 where there is none."""
    digits = version.split(".")[0]
    return int(digits) if digits.isdigit() else 0
