"""What a server ran with, as figures beside an answer: for those who compare. Pure."""

from dataclasses import dataclass

from backend.engines.base import ServeConfig
from backend.models.checkpoint import ModelInfo
from backend.models.quantized import CONFIG_KEYS, bits_of

LMDEPLOY = ("turbomind", "pytorch")
HALF = 16
KV_BITS = {0: HALF, 4: 4, 8: 8, 16: 8, 17: 8, 42: 3}  # by quant_policy: 16 and 17 are fp8, 42 has 4 for K and 2 for V
METHOD_BITS = {"awq": 4, "gptq": 4, "fp8": 8, "mxfp4": 4, "smooth_quant": 8}
PLAIN_BITS = {"float32": 32, "float16": HALF, "bfloat16": HALF}


@dataclass(frozen=True)
class Setup:
    """``bits`` of most weights, ``kv_bits`` of a number in the KV cache, ``gpu_bytes`` that the server held on all
    GPUs. None = not known."""

    bits: int | None = None
    kv_bits: int | None = None
    gpu_bytes: int | None = None


def setup_of(config: ServeConfig, model: ModelInfo | None, gpu_bytes: int) -> Setup:
    """``model`` is the checkpoint that it serves, None where that isn't on this machine; ``gpu_bytes`` 0 = not seen."""
    if config.engine not in (*LMDEPLOY, "transformers"):
        return Setup()  # somebody else's
    kv_bits = KV_BITS.get(config.quant_policy) if config.engine in LMDEPLOY else None
    return Setup(None if model is None else _bits(config, model), kv_bits, gpu_bytes or None)


def _bits(config: ServeConfig, model: ModelInfo) -> int | None:
    if model.quantization:
        said = (value for name in CONFIG_KEYS if isinstance(value := model.config.get(name), dict))
        found = next((bits for value in said if (bits := bits_of(value))), 0)
        return found or METHOD_BITS.get(model.quantization)
    if config.engine in LMDEPLOY:  # it loads what is plain in 16 bits, unless a format makes fewer of it
        return METHOD_BITS.get(config.model_format, HALF)
    return PLAIN_BITS.get(model.dtype if config.dtype == "auto" else config.dtype)
