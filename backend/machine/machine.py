"""What the console runs on, as values: GPUs, the driver, and the Pythons that have LMDeploy or transformers."""

from dataclasses import dataclass, field
from pathlib import Path

from backend.errors import Message
from backend.machine.flags import Capabilities


@dataclass(frozen=True)
class Gpu:
    """One GPU (or MIG device), as NVML names it. ``id`` is what CUDA_VISIBLE_DEVICES takes: index, or a MIG's UUID.

    ``compute`` is its compute capability, 9.0 for Hopper; 0 = not known.
    """

    id: str
    uuid: str
    name: str
    total_bytes: int
    free_bytes: int | None
    compute: float = 0.0


@dataclass(frozen=True)
class Environment:
    """A Python that has LMDeploy or transformers. ``id`` is the path of its python, ``label`` what a person reads.

    Versions are "" where the package is absent. ``torch_cuda`` and ``turbomind_cuda`` are the CUDA versions ("13.0",
    "12") they were built for. ``capabilities`` are empty until its command lines have been asked. ``problem`` says why
    it can't be used at all, with the remedy; whether it fits the GPUs' driver is environments.gpu_problem's answer.
    ``lacking`` names the optional packages (ray, peft) that aren't there.
    """

    id: str
    label: str
    python: Path
    kind: str  # "console", "internlm2", "found"
    lmdeploy: str = ""
    transformers: str = ""
    torch: str = ""
    torch_cuda: str = ""
    turbomind_cuda: str = ""
    capabilities: Capabilities = field(default=Capabilities(), repr=False)
    problem: Message | None = None
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """What the console runs on: GPUs, driver and the CUDA it supports ("" without one), and the Pythons found."""

    gpus: tuple[Gpu, ...]
    driver: str
    driver_cuda: str
    environments: tuple[Environment, ...]
