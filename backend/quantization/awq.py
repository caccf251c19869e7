"""AWQ: `lmdeploy lite auto_awq` (W4A16, weights of 4 bits in groups with a scale and a zero point). Pure.

What LMDeploy 0.18.0 can't do, met by running it, is refused before the start.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.errors import Message
from backend.machine.fit import needs_transformers4
from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo, TensorInfo
from backend.processes.command import CommandSpec
from backend.quantization import checks, lite
from backend.quantization.base import QuantConfig, Step, Steps, Surroundings

TEXT_TOWER = Path(__file__).parent / "children" / "text_tower.py"
NATIVE_INTERNVL = "InternVLForConditionalGeneration"
TOWER_TYPES = frozenset({"qwen2", "qwen3", "llama"})  # text models that children/text_tower.py can take out
GROUP_SIZES = (128, 64, 32)
SERVED_GROUP_SIZE = 128  # the only one that TurboMind serves (turbomind/converter.py)
PACKED_COLUMNS = 8  # eight 4-bit weights in an int32


@dataclass(frozen=True)
class Awq:
    """The method "awq"."""

    name: str = "awq"
    model_format: str = "awq"
    bits: tuple[int, ...] = (4,)
    suffix: str = "-w4a16-4bit"
    engines: tuple[str, ...] = ("turbomind", "pytorch")
    packs: bool = True

    def needs_internlm2(self, model: ModelInfo) -> bool:
        """InternLM2 itself, and the original InternVL2 with it inside."""
        return needs_transformers4(model)

    def through_text_tower(self, model: ModelInfo) -> bool:
        """The transformers-native InternVL, which auto_awq refuses."""
        return model.architecture == NATIVE_INTERNVL

    def deploy_dtype(self, model: ModelInfo) -> str:
        """One dtype for a vision model's two parts."""
        return lite.deploy_dtype(model)

    def weight_bits(self, config: QuantConfig) -> float:
        """The bits and, for each group, a scale of 16 bits and a zero point."""
        return config.bits + (16 + config.bits) / max(config.group_size, 1)

    def check(
        self,
        config: QuantConfig,
        model: ModelInfo,
        tensors: Sequence[TensorInfo],
        machine: Machine,
        environment: Environment | None,
        surroundings: Surroundings,
    ) -> tuple[Message, ...]:
        """Everything wrong or worth knowing, the worst first."""
        messages = [
            *self._check_model(model),
            *self._check_settings(config, environment),
            *checks.check_groups(config, tensors, PACKED_COLUMNS),
            *checks.check_calibration(config, model, surroundings),
            *checks.check_environment(config, model, machine, environment, self.needs_internlm2(model)),
            *checks.check_trust(config, model),
            *checks.check_device(config, machine),
            *checks.check_gpu_memory(config, model, tensors, surroundings),
            *checks.check_output(
                config, model, tensors, surroundings, self.weight_bits(config), self.through_text_tower(model)
            ),
        ]
        if self.through_text_tower(model):
            messages.append(Message("quantize.info.text-tower", {"model": model.name}, "model", "info"))
        return lite.worst_first(messages)

    def steps(self, config: QuantConfig, model: ModelInfo, environment: Environment | None, text: Path | None) -> Steps:
        """auto_awq alone, or between taking a vision model's text model out and putting it back."""
        output = checks.output_path(config)
        partial = checks.partial_folder(output, self.name)
        if not self.through_text_tower(model):
            command = self._auto_awq(config, model.path, partial, model, environment, text)
            return Steps((Step("quantize", command),), partial, partial, output, (partial,))
        tower, quantized, result = partial / "text-model", partial / "quantized", partial / "result"
        python = str(environment.python if environment else sys.executable)
        steps = (
            Step("extract", CommandSpec((python, str(TEXT_TOWER), "extract", str(model.path), str(tower)))),
            Step("quantize", self._auto_awq(config, tower, quantized, model, environment, text)),
            Step(
                "merge", CommandSpec((python, str(TEXT_TOWER), "merge", str(model.path), str(quantized), str(result)))
            ),
        )
        return Steps(steps, partial, result, output, (quantized,))

    def _auto_awq(
        self,
        config: QuantConfig,
        source: Path,
        work_dir: Path,
        model: ModelInfo,
        environment: Environment | None,
        text: Path | None,
    ) -> CommandSpec:
        weights = ["--w-bits", str(config.bits), "--w-group-size", str(config.group_size)]
        weights += ["--w-sym"] if config.symmetric else []
        return lite.command(config, "auto_awq", source, work_dir, weights, model, environment, text)

    def _check_model(self, model: ModelInfo) -> list[Message]:
        inner = str(model.text.get("model_type", ""))
        if model.quantization or not self.through_text_tower(model):
            return lite.check_architecture(model, self.name)
        if inner in TOWER_TYPES:
            return []
        params = {"architecture": f"{model.architecture} ({inner})", "supported": ", ".join(sorted(TOWER_TYPES))}
        return [Message("quantize.model.tower-unsupported", params, "model")]

    def _check_settings(self, config: QuantConfig, environment: Environment | None) -> list[Message]:
        messages = []
        if config.bits not in self.bits:
            # WeightOnlyQLinear.from_linear asserts it.
            messages.append(Message("quantize.bits", {"value": config.bits, "choices": "4"}, "bits"))
        if config.symmetric:
            # It packs zero points that a symmetric layer doesn't have: TypeError after the calibration.
            version = environment.lmdeploy if environment else ""
            messages.append(Message("quantize.symmetric", {"version": version or "0.18.0"}, "symmetric"))
        if config.group_size in GROUP_SIZES and config.group_size != SERVED_GROUP_SIZE:
            served = {"value": config.group_size, "served": SERVED_GROUP_SIZE}
            messages.append(Message("quantize.group-served", served, "group_size", "warning"))
        return [*messages, *lite.check_dtype(config)]
