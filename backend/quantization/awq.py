"""AWQ: `lmdeploy lite auto_awq` (W4A16, weights of 4 bits in groups with a scale and a zero point). Pure.

What LMDeploy 0.18.0 can't do, met by running it, is refused before the start.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.engines.base import Environment, Machine
from backend.engines.choice import needs_transformers4
from backend.errors import Message
from backend.models.checkpoint import ModelInfo, TensorInfo
from backend.processes.command import CommandSpec
from backend.quantization import checks
from backend.quantization.base import DEMO_TEXT, NO_DATA, OWN_TEXT, QuantConfig, Step, Steps, Surroundings

TEXT_TOWER = Path(__file__).parent / "children" / "text_tower.py"
# LMDeploy's LAYER_TYPE_MAP (lite/apis/calibrate.py), as config.json names them.
ARCHITECTURES = frozenset({
    "InternLM2ForCausalLM", "InternLM3ForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "Qwen3MoeForCausalLM",
    "Qwen3_5ForConditionalGeneration", "Qwen3_5MoeForConditionalGeneration", "LlamaForCausalLM",
    "LlavaLlamaForCausalLM", "MGMLlamaForCausalLM", "InternS2PreviewForConditionalGeneration", "Phi3ForCausalLM",
    "ChatGLMForConditionalGeneration", "MixtralForCausalLM", "Qwen2VLForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration", "MistralForCausalLM",
})  # fmt: skip
ORIGINAL_INTERNVL = "InternVLChatModel"  # its text model decides
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

    def needs_internlm2(self, model: ModelInfo) -> bool:
        """InternLM2 itself, and the original InternVL2 with it inside."""
        return needs_transformers4(model)

    def through_text_tower(self, model: ModelInfo) -> bool:
        """The transformers-native InternVL, which auto_awq refuses."""
        return model.architecture == NATIVE_INTERNVL

    def deploy_dtype(self, model: ModelInfo) -> str:
        """auto_awq leaves a vision tower in float16 beside a bfloat16 text model; a server that isn't told one dtype
        aborts at the first picture."""
        return "float16" if model.takes_images else ""

    def check(
        self,
        config: QuantConfig,
        model: ModelInfo,
        tensors: Sequence[TensorInfo],
        machine: Machine,
        environment: Environment | None,
        around: Surroundings,
    ) -> tuple[Message, ...]:
        """Everything wrong or worth knowing, the worst first."""
        found = [
            *self._check_model(model),
            *self._check_settings(config, environment),
            *checks.check_groups(config, tensors, PACKED_COLUMNS),
            *checks.check_calibration(config, model, around),
            *checks.check_environment(config, model, machine, environment, self.needs_internlm2(model)),
            *checks.check_trust(config, model),
            *checks.check_device(config, machine),
            *checks.check_gpu_memory(config, model, tensors, around),
            *checks.check_output(config, model, tensors, around, self.through_text_tower(model)),
        ]
        if self.through_text_tower(model):
            found.append(Message("quantize.info.text-tower", {"model": model.name}, "quantize-model", "info"))
        order = {"error": 0, "warning": 1, "info": 2}
        return tuple(sorted(found, key=lambda message: order[message.level]))

    def steps(self, config: QuantConfig, model: ModelInfo, environment: Environment | None, text: Path | None) -> Steps:
        """auto_awq alone, or between taking a vision model's text model out and putting it back."""
        output = checks.output_path(config)
        partial = output.with_name(f".{output.name}.partial-{self.name}")
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
        """`lmdeploy lite auto_awq SOURCE …`. What a person may have chosen stands on it, defaults too: the tutorials
        write them out, and a reader learns them here."""
        argv = [*checks.lmdeploy_program(environment), "lite", "auto_awq", str(source), "--work-dir", str(work_dir)]
        if config.dataset not in (OWN_TEXT, DEMO_TEXT, NO_DATA):
            argv += ["--calib-dataset", config.dataset]
        if config.calibrated:
            argv += ["--calib-samples", str(config.samples), "--calib-seqlen", str(config.seqlen)]
            argv += ["--batch-size", str(config.batch_size)]
        else:
            argv += ["--calib-samples", "0"]
        argv += ["--w-bits", str(config.bits), "--w-group-size", str(config.group_size)]
        argv += ["--w-sym"] if config.symmetric else []
        argv += ["--search-scale"] if config.search_scale and config.calibrated else []
        dtype = effective_dtype(config)
        argv += ["--dtype", dtype] if dtype != "auto" else []
        argv += ["--trust-remote-code"] if config.trust_remote_code and model.needs_remote_code else []
        if config.gpu:
            device = "cuda"
            env: list[tuple[str, str | None]] = [
                ("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),
                ("CUDA_VISIBLE_DEVICES", config.gpu),
            ]
        else:
            # With a GPU in sight auto_awq asks it for its memory and dies with --device cpu.
            device, env = "cpu", [("CUDA_VISIBLE_DEVICES", "")]
        argv += ["--device", device]
        env += checks.hub_variables(config)
        return CommandSpec(tuple(argv), tuple(env), cwd=text)

    def _check_model(self, model: ModelInfo) -> list[Message]:
        if model.quantization:
            params = {"model": model.name, "quantization": model.quantization}
            return [Message("quantize.model.quantized", params, "quantize-model")]
        if self.through_text_tower(model):
            inner = str(model.text.get("model_type", ""))
            if inner in TOWER_TYPES:
                return []
            params = {"architecture": f"{model.architecture} ({inner})", "supported": ", ".join(sorted(TOWER_TYPES))}
            return [Message("quantize.model.tower-unsupported", params, "quantize-model")]
        inside = model.text_architecture if model.architecture == ORIGINAL_INTERNVL else model.architecture
        if inside in ARCHITECTURES:
            return []
        params = {"architecture": inside, "supported": ", ".join(sorted(ARCHITECTURES)), "method": self.name}
        return [Message("quantize.model.unsupported", params, "quantize-model")]

    def _check_settings(self, config: QuantConfig, environment: Environment | None) -> list[Message]:
        found = []
        if config.bits not in self.bits:
            # WeightOnlyQLinear.from_linear asserts it.
            found.append(Message("quantize.bits", {"value": config.bits, "choices": "4"}, "quantize-bits"))
        if config.symmetric:
            # It packs zero points that a symmetric layer doesn't have: TypeError after the calibration.
            version = environment.lmdeploy if environment else ""
            found.append(Message("quantize.symmetric", {"version": version or "0.18.0"}, "quantize-symmetric"))
        if config.group_size in GROUP_SIZES and config.group_size != SERVED_GROUP_SIZE:
            served = {"value": config.group_size, "served": SERVED_GROUP_SIZE}
            found.append(Message("quantize.group-served", served, "quantize-group-size", "warning"))
        if config.gpu == "" and config.dtype == "bfloat16":
            found.append(Message("quantize.dtype.cpu", field="quantize-dtype"))
        if config.dtype not in ("auto", "float16", "bfloat16"):
            params = {"value": config.dtype, "choices": "auto, float16, bfloat16"}
            found.append(Message("quantize.choice", params, "quantize-dtype"))
        return found


def effective_dtype(config: QuantConfig) -> str:
    """On the CPU auto_awq stops at a bfloat16 checkpoint, so auto means float16 there."""
    return "float16" if config.dtype == "auto" and not config.gpu else config.dtype
