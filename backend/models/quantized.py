"""How a checkpoint is quantized: by its config.json, by the files that tools leave beside it, by its tensors. Pure.

The tensors decide where the config is silent: what is packed is packed, whoever forgot to say so.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.models.spellings import TEXT_PARTS, Config, text_part
from backend.models.weights import Headers, TensorInfo
from backend.outside_text import clean, whole

# The keys of a config.json that hold a quantization, and the files beside it, in the order in which they count.
CONFIG_KEYS = ("quantization_config", "compression_config", "quant_config", "quantize_config", "quantization")
FILES = ("quantization_config.json", "quantize_config.json", "quant_config.json", "hf_quant_config.json")
LARGEST_GROUP = 1 << 20
# Beside a quantized layer's packed weights: how to unpack them. They are no parameters of the model.
UNPACKING = (
    ".qzeros", ".scales", ".g_idx", ".weight_scale", ".weight_scale_inv", ".weight_scale_2", ".weight_zero_point",
    ".weight_shape", ".weight_g_idx", ".input_scale", ".input_global_scale", ".weight_global_scale", ".k_scale",
    ".v_scale", ".absmax", ".nested_absmax", ".quant_map", ".nested_quant_map", ".SCB", ".weight_format",
    ".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4", "_scales",
)  # fmt: skip
PLAIN = frozenset({"BF16", "F16", "F32", "F64", "I64", "BOOL"})


@dataclass(frozen=True)
class Quantization:
    """``method`` is "" or the method's name as LMDeploy's model format has it. ``source``: "config", "file", "tensors".

    ``bits`` and ``group_size`` are 0 where nothing says. ``packed`` is what the tensors themselves are ("" for plain
    ones): they may be something else than what the config says.
    """

    method: str = ""
    bits: int = 0
    group_size: int = 0
    source: str = ""
    packed: str = ""

    def __bool__(self) -> bool:
        return bool(self.method)


def read_quantization(config: Config, beside: Mapping[str, Any], headers: Headers) -> Quantization:
    """What config.json says, then the files beside it (name → content), then the tensors, which fill gaps too."""
    seen = from_tensors(headers)
    # A file that a tool left beside weights which it never packed says nothing of them.
    files = _beside(beside) if seen or not headers.sizes else ()
    for source, values in (("config", _declared(config)), ("file", files)):
        for value in values:
            if method := method_of(value):
                return Quantization(
                    method,
                    bits_of(value) or seen.bits,
                    group_size_of(value) or (seen.group_size if seen.method == method else 0),
                    source,
                    seen.method,
                )
    return seen


def method_of(value: Mapping[str, Any]) -> str:
    """The method's name, by its own key or by what only that method has; "" where it is no quantization."""
    named = value.get("quant_method") or value.get("quantization_method") or value.get("method")
    if isinstance(named, str) and named:
        return clean(named.strip().lower(), 40)
    if (
        value.get("load_in_4bit")
        or value.get("load_in_8bit")
        or value.get("_load_in_4bit")
        or value.get("_load_in_8bit")
    ):
        return "bitsandbytes"
    if isinstance(value.get("config_groups"), Mapping):
        return "compressed-tensors"
    if isinstance(value.get("quant_algo"), str):
        return "modelopt"
    if "w_bit" in value or "q_group_size" in value or str(value.get("version", "")).lower() in {"gemm", "gemv"}:
        return "awq"
    if "desc_act" in value or "damp_percent" in value:
        return "gptq"
    if "activation_scheme" in value or "weight_block_size" in value:
        return "fp8"
    return ""


def bits_of(value: Mapping[str, Any]) -> int:
    """Bits of a packed weight; 0 where it doesn't say."""
    if value.get("load_in_8bit") or value.get("_load_in_8bit"):
        return 8
    if value.get("load_in_4bit") or value.get("_load_in_4bit"):
        return 4
    weights = _first_group(value).get("weights")
    named = weights.get("num_bits") if isinstance(weights, Mapping) else None
    return next(
        (n for bits in (value.get("bits"), value.get("w_bit"), value.get("wbits"), named) if (n := whole(bits, 32))), 0
    )


def group_size_of(value: Mapping[str, Any]) -> int:
    """How many weights share a scale; 0 where it doesn't say, or each row has one (-1)."""
    weights = _first_group(value).get("weights")
    named = weights.get("group_size") if isinstance(weights, Mapping) else None
    sizes = (value.get("group_size"), value.get("q_group_size"), value.get("groupsize"), named)
    return next((n for size in sizes if (n := whole(size, LARGEST_GROUP))), 0)


def from_tensors(headers: Headers) -> Quantization:
    """What the tensors are, by their names, dtypes and shapes. Plain ones, the most, aren't looked at one by one."""
    if not headers.sizes or all_plain(headers):
        return Quantization()
    names = {tensor.name: tensor for tensor in headers.tensors}
    for tensor in headers.tensors:
        base, _, end = tensor.name.rpartition(".")
        if end == "qweight" and tensor.dtype in {"I32", "U32"} and len(tensor.shape) == 2:
            return _awq_or_gptq(tensor, base, names)
        if end == "weight_packed":
            return _compressed(tensor, names.get(f"{base}.weight_scale"))
        if end.startswith("quant_state.bitsandbytes") or tensor.name.endswith((".quant_map", ".nested_quant_map")):
            return Quantization("bitsandbytes", 4, 0, "tensors", "bitsandbytes")
        if end == "SCB":
            return Quantization("bitsandbytes", 8, 0, "tensors", "bitsandbytes")
        if tensor.name.endswith("_blocks") and tensor.dtype == "U8" and f"{tensor.name[:-7]}_scales" in names:
            return Quantization("mxfp4", 4, 32, "tensors", "mxfp4")
        if end == "weight_scale_2":
            return Quantization("modelopt", 4, 16, "tensors", "modelopt")
        if end == "W_q":
            return Quantization("hqq", 0, 0, "tensors", "hqq")
        if end == "codebooks":
            return Quantization("aqlm", 0, 0, "tensors", "aqlm")
        if end == "weight" and tensor.dtype == "U32" and f"{base}.scales" in names:
            return Quantization("mlx", 0, 0, "tensors", "mlx")
        if end == "weight" and tensor.dtype.startswith("F8_E") and f"{base}.weight_scale_2" not in names:
            return Quantization("fp8", 8, 0, "tensors", "fp8")
        if end == "weight" and tensor.dtype == "I8" and {f"{base}.scale", f"{base}.weight_scale"} & names.keys():
            return Quantization("smooth_quant", 8, 0, "tensors", "smooth_quant")
    return Quantization()


def all_plain(headers: Headers) -> bool:
    """Whether there are tensors, and none of them is packed."""
    return bool(headers.sizes) and not set(headers.sizes) - PLAIN


def count_parameters(tensors: Iterable[TensorInfo], quantization: Quantization | Mapping[str, Any]) -> int:
    """How many weights the tensors stand for: packed ones as many as they unpack to, scales and zero points none.

    AWQ, GPTQ and compressed-tensors pack 32 ÷ bits weights into an int32, bitsandbytes and MXFP4 two into a byte.
    """
    quantized = bool(quantization)
    bits = (quantization.bits if isinstance(quantization, Quantization) else bits_of(quantization)) or 4
    total = 0
    for tensor in tensors:
        if quantized and tensor.name.endswith(UNPACKING):
            continue
        count = math.prod(tensor.shape)
        if tensor.name.endswith((".qweight", ".weight_packed")) and tensor.dtype in {"I32", "U32"}:
            count = count * 32 // bits
        elif tensor.dtype == "U8" and bits == 4:
            count *= 2
        total += count
    return total


def _declared(config: Config) -> Sequence[Mapping[str, Any]]:
    parts = [config, *(config[key] for key in TEXT_PARTS if isinstance(config.get(key), Mapping)), text_part(config)]
    return [part[key] for part in parts for key in CONFIG_KEYS if isinstance(part.get(key), Mapping)]


def _beside(files: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Their contents in FILES' order; hf_quant_config.json has them one level down."""
    configs = []
    for name in FILES:
        value = files.get(name)
        inner = value.get("quantization") if isinstance(value, Mapping) else None
        configs += [part for part in (inner, value) if isinstance(part, Mapping)]
    return configs


def _first_group(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """compressed-tensors' first group of layers, {} for the other methods."""
    groups = value.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, Mapping) else None
    return first if isinstance(first, Mapping) else {}


def _awq_or_gptq(weight: TensorInfo, base: str, names: Mapping[str, TensorInfo]) -> Quantization:
    """AWQ packs along a layer's outputs, GPTQ along its inputs; the scales have a row for each group of inputs."""
    scales = names.get(f"{base}.scales")
    zeros = names.get(f"{base}.qzeros")
    rows, columns = weight.shape
    if scales is None or len(scales.shape) != 2 or not all(scales.shape):
        method = "gptq" if f"{base}.g_idx" in names else "awq"
        return Quantization(method, 4, 0, "tensors", method)
    groups, out = scales.shape
    if columns == out:
        bits = zeros.shape[1] * 32 // out if zeros is not None and len(zeros.shape) == 2 and zeros.shape[1] else 4
        return Quantization("gptq", _bits(bits), _group(rows * 32 // _bits(bits), groups), "tensors", "gptq")
    return Quantization("awq", _bits(columns * 32 // out), _group(rows, groups), "tensors", "awq")


def _compressed(weight: TensorInfo, scale: TensorInfo | None) -> Quantization:
    """compressed-tensors: eight 4-bit numbers in an int32 along the inputs; in bytes it is NVFP4."""
    if weight.dtype == "U8":
        return Quantization("compressed-tensors", 4, 16, "tensors", "compressed-tensors")
    size = 0
    if scale is not None and len(scale.shape) == 2 and len(weight.shape) == 2 and scale.shape[1] > 1:
        size = _group(weight.shape[1] * 8, scale.shape[1])
    return Quantization("compressed-tensors", 4, size, "tensors", "compressed-tensors")


def _bits(found: int) -> int:
    return found if found in {2, 3, 4, 8} else 4


def _group(inputs: int, groups: int) -> int:
    return inputs // groups if groups > 1 else 0
