"""What LMDeploy's ways to quantize have in common: `lmdeploy lite METHOD MODEL …`. Pure."""

from pathlib import Path

from backend.errors import Message
from backend.machine import programs
from backend.machine.machine import Environment
from backend.models.checkpoint import ModelInfo
from backend.processes.command import CommandSpec
from backend.quantization import checks
from backend.quantization.base import DEMO_TEXT, NO_DATA, OWN_TEXT, QuantConfig

# LMDeploy's LAYER_TYPE_MAP (lite/apis/calibrate.py), as config.json names them.
ARCHITECTURES = frozenset({
    "InternLM2ForCausalLM", "InternLM3ForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM", "Qwen3MoeForCausalLM",
    "Qwen3_5ForConditionalGeneration", "Qwen3_5MoeForConditionalGeneration", "LlamaForCausalLM",
    "LlavaLlamaForCausalLM", "MGMLlamaForCausalLM", "InternS2PreviewForConditionalGeneration", "Phi3ForCausalLM",
    "ChatGLMForConditionalGeneration", "MixtralForCausalLM", "Qwen2VLForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration", "MistralForCausalLM",
})  # fmt: skip
ORIGINAL_INTERNVL = "InternVLChatModel"  # its text model decides


def command(
    config: QuantConfig,
    program: str,
    source: Path,
    work_dir: Path,
    weights: list[str],
    model: ModelInfo,
    environment: Environment | None,
    text: Path | None,
) -> CommandSpec:
    """`lmdeploy lite PROGRAM SOURCE …`; ``weights`` are the method's own flags. What a person may have chosen stands on
    it, defaults too: the tutorials write them out, and a reader learns them here."""
    lmdeploy = programs.lmdeploy(environment) if environment is not None else ("lmdeploy",)
    argv = [*lmdeploy, "lite", program, str(source), "--work-dir", str(work_dir)]
    if config.dataset not in (OWN_TEXT, DEMO_TEXT, NO_DATA):
        argv += ["--calib-dataset", config.dataset]
    if config.calibrated:
        argv += ["--calib-samples", str(config.samples), "--calib-seqlen", str(config.seqlen)]
        argv += ["--batch-size", str(config.batch_size)]
    else:
        argv += ["--calib-samples", "0"]
    argv += weights
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
        # With a GPU in sight it asks that one for its memory and dies with --device cpu.
        device, env = "cpu", [("CUDA_VISIBLE_DEVICES", "")]
    argv += ["--device", device]
    env += checks.hub_variables(config)
    return CommandSpec(tuple(argv), tuple(env), cwd=text)


def check_architecture(model: ModelInfo, method: str) -> list[Message]:
    """A model whose layers LMDeploy doesn't know, or that is quantized already."""
    if model.quantization:
        params = {"model": model.name, "quantization": model.quantization}
        return [Message("quantize.model.quantized", params, "model")]
    inside = model.text_architecture if model.architecture == ORIGINAL_INTERNVL else model.architecture
    if inside in ARCHITECTURES:
        return []
    params = {"architecture": inside, "supported": ", ".join(sorted(ARCHITECTURES)), "method": method}
    return [Message("quantize.model.unsupported", params, "model")]


def check_dtype(config: QuantConfig) -> list[Message]:
    """A dtype that the commands don't have, or not on the CPU."""
    if config.dtype not in ("auto", "float16", "bfloat16"):
        params = {"value": config.dtype, "choices": "auto, float16, bfloat16"}
        return [Message("quantize.choice", params, "dtype")]
    if config.gpu == "" and config.dtype == "bfloat16":
        return [Message("quantize.dtype.cpu", field="dtype")]
    return []


def deploy_dtype(model: ModelInfo) -> str:
    """A vision tower is left in float16 beside a bfloat16 text model; a server that isn't told one dtype aborts at the
    first picture."""
    return "float16" if model.takes_images else ""


def worst_first(messages: list[Message]) -> tuple[Message, ...]:
    """Errors, then warnings, then what is worth knowing."""
    order = {"error": 0, "warning": 1, "info": 2}
    return tuple(sorted(messages, key=lambda message: order[message.level]))


def effective_dtype(config: QuantConfig) -> str:
    """On the CPU LMDeploy stops at a bfloat16 checkpoint, so auto means float16 there."""
    return "float16" if config.dtype == "auto" and not config.gpu else config.dtype
