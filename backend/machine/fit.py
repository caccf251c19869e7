"""Which environment and engine to use, and whether an environment fits the GPUs' driver. Pure.

backend/machine/environments.py finds the environments and repeats these names.
"""

from dataclasses import dataclass

from backend.errors import Message, Value
from backend.machine.flags import SNAPSHOT_LMDEPLOY, Capabilities, snapshot
from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo

FIELD = "environment"
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


def lmdeploy_unavailable(machine: Machine) -> Message | None:
    """Why no environment of this machine can serve with LMDeploy, with the remedy; None where one can."""
    if not machine.gpus:
        return Message("environments.no-gpu" if machine.driver else "environments.no-driver", field="engine")
    holders = [environment for environment in machine.environments if environment.lmdeploy]
    problems = [environment.problem or gpu_problem(environment, machine) for environment in holders]
    if not problems:
        return Message("environments.no-lmdeploy", field="engine")
    return None if None in problems else problems[0]


def gpu_problem(environment: Environment, machine: Machine) -> Message | None:
    """Why LMDeploy of this environment can't use this machine's GPUs, with the remedy; None where it can."""
    if not environment.lmdeploy:
        return Message("environments.lacks-lmdeploy", {"environment": environment.label}, FIELD)
    if not machine.gpus:
        return Message("environments.no-gpu" if machine.driver else "environments.no-driver", field="engine")
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


def capabilities_of(environment: Environment | None) -> Capabilities:
    """What the environment's command lines take; the built-in answer of 0.18.0 until they have been asked."""
    if environment is not None and environment.capabilities.source:
        return environment.capabilities
    return snapshot()


def model_capabilities(machine: Machine) -> Capabilities:
    """Whose word counts for a model's facts: the console's own LMDeploy, else the first that was asked."""
    holders = [environment for environment in machine.environments if environment.lmdeploy]
    holders.sort(key=lambda environment: (environment.kind != "console", not environment.capabilities.source))
    return capabilities_of(holders[0] if holders else None)


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
