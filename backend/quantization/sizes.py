"""What quantizing takes and gives, estimated from the headers. Pure; sizes are bytes."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from backend.models.checkpoint import TensorInfo
from backend.quantization.base import QuantConfig
from backend.units import GIB

LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")
_VISION = re.compile(r"(?:^|\.)(?:vision\w*|visual|mlp1|multi_modal_projector|mm_projector|vit|audio\w*)\.")
_EMBEDDING = re.compile(
    r"(?:^|\.)(?:embed_tokens|tok_embeddings|word_embeddings|wte|lm_head|output|output_layer)\.weight$"
)
_OTHER_NORMS = ("norm", "rotary")
PARTS = ("embeddings", "decoder", "vision")
_CUDA_CONTEXT_BYTES = int(0.6 * GIB)
# Measured: 128 x 2048 tokens of a 1.9 B model keep 7.5 copies of the hidden states on the GPU, at the final norm, which
# works in float32; packing without data took 20 bytes for each weight of the largest matrix (7.7 B model, 1.7 GiB).
_HIDDEN_COPIES = 7.5
_PACKING_BYTES = 20
SHORTEST_SEQLEN = 256


@dataclass(frozen=True)
class Shape:
    """What of a model gets quantized. ``linears`` are all matrices of the decoder layers."""

    layers: int
    linears: tuple[TensorInfo, ...]


def part_of(name: str) -> str:
    """ "embeddings", "decoder" or "vision": where a tensor belongs."""
    if _VISION.search(name):
        return "vision"
    return "embeddings" if _EMBEDDING.search(name) else "decoder"


def sizes(tensors: Iterable[TensorInfo]) -> dict[str, int]:
    """Bytes by part."""
    sizes = dict.fromkeys(PARTS, 0)
    for tensor in tensors:
        sizes[part_of(tensor.name)] += tensor.size_bytes
    return sizes


def shape(tensors: Iterable[TensorInfo]) -> Shape:
    """The decoder's layers and matrices."""
    linears = tuple(
        t
        for t in tensors
        if len(t.shape) == 2
        and t.name.endswith(".weight")
        and LAYER.search(t.name)
        and part_of(t.name) == "decoder"
        and not t.name.split(".")[-2].endswith(_OTHER_NORMS)
    )
    layers = {match[1] for t in linears if (match := LAYER.search(t.name))}
    return Shape(len(layers), linears)


def quantized_bytes(tensors: Sequence[TensorInfo], weight_bits: float) -> int:
    """The result's size: the decoder's matrices with so many bits a weight, the rest in 16 bits."""
    packed = {t.name for t in shape(tensors).linears}
    total = 0.0
    for tensor in tensors:
        weights = math.prod(tensor.shape)
        if tensor.name in packed:
            total += weights * weight_bits / 8
        else:
            total += min(tensor.size_bytes, weights * 2)
    return int(total)


def disk_bytes(tensors: Sequence[TensorInfo], weight_bits: float, text_tower: bool) -> int:
    """The space that a job needs beside what is there, the temporary copies of a vision model included."""
    result = quantized_bytes(tensors, weight_bits)
    if not text_tower:
        return result
    text = [t for t in tensors if part_of(t.name) != "vision"]
    return result + sum(t.size_bytes for t in text) + quantized_bytes(text, weight_bits)


def gpu_bytes(tensors: Sequence[TensorInfo], config: QuantConfig, hidden_size: int) -> int:
    """The GPU memory at the peak, roughly (measured on two sizes; see the constants)."""
    model = shape(tensors)
    largest = max((math.prod(t.shape) for t in model.linears), default=0)
    packing = _CUDA_CONTEXT_BYTES + _PACKING_BYTES * largest
    if not config.calibrated:
        return packing
    layer = sum(math.prod(t.shape) for t in model.linears) * 2 // max(model.layers, 1)
    embeddings = max((math.prod(t.shape) * 2 for t in tensors if part_of(t.name) == "embeddings"), default=0)
    hidden = config.samples * config.seqlen * hidden_size * 2
    widest = max((t.shape[0] for t in model.linears), default=0)
    activations = config.batch_size * config.seqlen * widest * 2 * 4
    return max(packing, int(_CUDA_CONTEXT_BYTES + embeddings + layer + _HIDDEN_COPIES * hidden + activations))


def fitting(
    tensors: Sequence[TensorInfo], config: QuantConfig, hidden_size: int, free_bytes: int
) -> tuple[int, int] | None:
    """The largest (seqlen, samples), halving first the one, then the other, whose estimate fits with batch 1."""
    smaller = replace(config, batch_size=1)
    while gpu_bytes(tensors, smaller, hidden_size) > free_bytes:
        if smaller.seqlen // 2 >= SHORTEST_SEQLEN:
            smaller = replace(smaller, seqlen=smaller.seqlen // 2)
        elif smaller.samples > 1:
            smaller = replace(smaller, samples=smaller.samples // 2)
        else:
            return None
    return smaller.seqlen, smaller.samples
