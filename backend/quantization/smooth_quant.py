"""SmoothQuant: `lmdeploy lite smooth_quant` (W8A8, weights and activations of 8 bits). Pure.

Its result is for the PyTorch engine alone. Weights get a scale a row; activations are quantized as they come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.errors import Message
from backend.machine.fit import needs_transformers4
from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo, TensorInfo
from backend.quantization import checks, lite
from backend.quantization.base import NO_DATA, QuantConfig, Step, Steps, Surroundings

QUANT_DTYPES = ("int8", "fp8")


@dataclass(frozen=True)
class SmoothQuant:
    """The method "smooth_quant"."""

    name: str = "smooth_quant"
    model_format: str = "auto"  # the PyTorch engine reads it from config.json
    bits: tuple[int, ...] = (8,)
    suffix: str = "-w8a8"
    engines: tuple[str, ...] = ("pytorch",)
    packs: bool = False

    def needs_internlm2(self, model: ModelInfo) -> bool:
        """InternLM2 itself, and the original InternVL2 with it inside."""
        return needs_transformers4(model)

    def through_text_tower(self, model: ModelInfo) -> bool:
        """No: the transformers-native InternVL is refused."""
        return False

    def deploy_dtype(self, model: ModelInfo) -> str:
        """One dtype for a vision model's two parts."""
        return lite.deploy_dtype(model)

    def weight_bits(self, config: QuantConfig) -> float:
        """The scales, one a row, don't count."""
        return 8.0

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
        return lite.worst_first(
            [
                *lite.check_architecture(model, self.name),
                *self._check_settings(config),
                *lite.check_dtype(config),
                *checks.check_calibration(config, model, surroundings),
                *checks.check_environment(config, model, machine, environment, self.needs_internlm2(model)),
                *checks.check_trust(config, model),
                *checks.check_device(config, machine),
                *checks.check_gpu_memory(config, model, tensors, surroundings),
                *checks.check_output(config, model, tensors, surroundings, self.weight_bits(config), text_tower=False),
            ]
        )

    def steps(self, config: QuantConfig, model: ModelInfo, environment: Environment | None, text: Path | None) -> Steps:
        """smooth_quant alone."""
        output = checks.output_path(config)
        partial = checks.partial_folder(output, self.name)
        weights = ["--quant-dtype", config.quant_dtype]
        command = lite.command(config, "smooth_quant", model.path, partial, weights, model, environment, text)
        return Steps((Step("quantize", command),), partial, partial, output, (partial,))

    def _check_settings(self, config: QuantConfig) -> list[Message]:
        messages = [Message("quantize.info.smooth-engine", field="method", level="info")]
        if config.quant_dtype not in QUANT_DTYPES:
            params = {"value": config.quant_dtype, "choices": ", ".join(QUANT_DTYPES)}
            messages.append(Message("quantize.choice", params, "quant_dtype"))
        elif config.quant_dtype == "fp8":
            messages.append(Message("quantize.info.fp8", field="quant_dtype", level="info"))
        if config.dataset == NO_DATA:
            messages.append(Message("quantize.smooth.no-data", field="dataset"))
        return messages
