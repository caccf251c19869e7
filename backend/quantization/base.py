"""What a quantization method is, and the settings a job is started with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backend.errors import Message
from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo, TensorInfo
from backend.processes.command import CommandSpec

CPU = "cpu"
GPU_PREFIX = "cuda:"
OWN_TEXT = "own"
DEMO_TEXT = "demo"
NO_DATA = "none"


@dataclass(frozen=True)
class QuantConfig:
    """What a person chose on the Quantize tab. ``seqlen`` is in tokens.

    ``model`` is a folder or a listed name, ``output`` the folder to write. ``device`` is CPU or GPU_PREFIX and a GPU's
    id. ``dataset`` is one that LMDeploy downloads, OWN_TEXT (``text`` is the id of a kept text), DEMO_TEXT or NO_DATA.
    ``mirror`` is the address that datasets come from in place of huggingface.co, or "". ``environment`` "" lets the
    console choose. ``bits``, ``group_size`` and ``symmetric`` are AWQ's, ``quant_dtype`` is SmoothQuant's.
    """

    model: str
    output: str
    method: str = "awq"
    device: str = CPU
    dataset: str = DEMO_TEXT
    text: str = ""
    samples: int = 128
    seqlen: int = 2048
    batch_size: int = 1
    bits: int = 4
    group_size: int = 128
    symmetric: bool = False
    search_scale: bool = False
    dtype: str = "auto"
    trust_remote_code: bool = False
    mirror: str = ""
    environment: str = ""
    quant_dtype: str = "int8"

    @property
    def calibrated(self) -> bool:
        """Whether the model sees a text before it is quantized."""
        return self.dataset != NO_DATA

    @property
    def gpu(self) -> str:
        """The GPU's id, or "" on the CPU."""
        return self.device.removeprefix(GPU_PREFIX) if self.device.startswith(GPU_PREFIX) else ""


@dataclass(frozen=True)
class Step:
    """One command of a job. ``stage`` is "extract", "quantize" or "merge"."""

    stage: str
    command: CommandSpec


@dataclass(frozen=True)
class Steps:
    """What a job does: its commands, the folder they write to, and what is left there when they have run.

    ``partial`` doesn't exist before, and not afterwards either: ``result`` in it (or itself) becomes the output.
    ``statistics`` are folders in which auto_awq leaves what it measured.
    """

    steps: tuple[Step, ...]
    partial: Path
    result: Path
    output: Path
    statistics: tuple[Path, ...]

    def preview(self) -> str:
        """The commands as lines for a POSIX shell; they do the same as the job, when pasted."""
        move = CommandSpec(argv=("mv", "-T", str(self.result), str(self.output)))
        lines = [step.command.preview() for step in self.steps] + [move.preview()]
        lines = [f"({line})" if " && " in line else line for line in lines]
        if self.result != self.partial:
            lines.insert(0, CommandSpec(argv=("mkdir", "-p", str(self.partial))).preview())
            lines.append(CommandSpec(argv=("rm", "-r", str(self.partial))).preview())
        return " &&\n".join(lines)


@dataclass(frozen=True)
class GpuUser:
    """A running server on the GPU of a job; ``used_bytes`` None = not known."""

    name: str
    used_bytes: int | None


@dataclass(frozen=True)
class Surroundings:
    """What the checks need to know of the machine, gathered beforehand. None = not known.

    ``output`` is what stands in the output's way: "" (nothing), "file", "not-empty", "partial" (left by another run),
    "not-writable", "no-parent". ``free_disk_bytes`` is the space where it will stand, ``free_gpu_bytes`` the chosen
    GPU's. ``tokens`` are those of the calibration text, at least. ``dataset`` is "cached", "reachable" or "neither".
    """

    output: str = ""
    free_disk_bytes: int | None = None
    free_gpu_bytes: int | None = None
    users: tuple[GpuUser, ...] = ()
    tokens: int | None = None
    dataset: str | None = None


class QuantMethod(Protocol):
    """One of LMDeploy's ways to quantize. QUANT_METHODS in __init__.py is the registry; all methods are pure."""

    @property
    def name(self) -> str:
        """Its key in QUANT_METHODS and in QuantConfig.method."""

    @property
    def model_format(self) -> str:
        """What the Deploy tab's model format must be for the result."""

    @property
    def bits(self) -> tuple[int, ...]:
        """The bits that a weight can have."""

    @property
    def suffix(self) -> str:
        """What a result's folder is called after the model's name."""

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that serve the result, the usual one first."""

    @property
    def packs(self) -> bool:
        """Whether its log has a line for every matrix."""

    def weight_bits(self, config: QuantConfig) -> float:
        """What a weight of a quantized matrix takes on disk, its share of scales and zero points included."""

    def needs_internlm2(self, model: ModelInfo) -> bool:
        """Whether it runs InternLM2's own code, which only transformers 4 does rightly."""

    def through_text_tower(self, model: ModelInfo) -> bool:
        """Whether the text model is taken out, quantized and put back."""

    def deploy_dtype(self, model: ModelInfo) -> str:
        """The dtype that a server of the result must be given; "" where it finds the right one itself."""

    def check(
        self,
        config: QuantConfig,
        model: ModelInfo,
        tensors: Sequence[TensorInfo],
        machine: Machine,
        environment: Environment | None,
        surroundings: Surroundings,
    ) -> Sequence[Message]:
        """Everything wrong (level error) or worth knowing (warning, info)."""

    def steps(self, config: QuantConfig, model: ModelInfo, environment: Environment | None, text: Path | None) -> Steps:
        """The commands. ``text`` is the folder with the kept calibration text, for OWN_TEXT and DEMO_TEXT.
        ``environment`` None means that none is there: a preview for another machine."""
