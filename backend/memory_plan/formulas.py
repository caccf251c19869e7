"""The formulas and measured constants behind a memory plan. Pure; each names its source.

Sources: [T] measured with lmdeploy 0.18.0 on an H200, tests/data/vram/measured.csv and measured-shapes.csv;
[P] lmdeploy 0.18.0, pytorch/engine/executor/base.py and pytorch/engine/cache_engine/schema.py;
[W] lmdeploy 0.18.0, turbomind/builders.
"""

from collections.abc import Mapping

from backend.engines.base import ServeConfig
from backend.memory_plan.model_shape import ModelShape
from backend.memory_plan.values import Card
from backend.units import GIB, MIB

BLOCK_TOKENS = 64

# [T] Before the cache, beyond the weights: the CUDA context, the kernels and the engine's own buffers. The same for any
# model: 0.935 to 0.957 GiB in eight runs of six 16-bit models from 0.5B to 7B (free before the start, minus free at the
# cache in the log, minus the weights).
TURBOMIND_CONTEXT = 0.945 * GIB
# [T] The PyTorch engine's log doesn't tell its two parts, but a GiB before the cache counts (1 - ratio) times in the
# total and one after it (CUDA graphs, what the warm-up leaves) wholly: both are the least-squares solution for the
# relative errors of its three runs. The one with KV cache at 8 bits (qwen2_5-1_5b) took 0.75 GiB more than this, 1% of
# its total; one run can't say why, so no constant was made for it.
PYTORCH_CONTEXT = 0.82 * GIB
PYTORCH_WORK = 0.25 * GIB
# [T] TurboMind keeps a row of the session's length for each request of a full batch: 4.26 bytes a token (4,360.6 with
# 1,024 requests, between sessions of 262,144 and 4,194,304 tokens on an H100). It counts beyond SESSION_TOKENS, which
# the other constants were measured with.
SESSION_TOKEN_BYTES = 4.26
SESSION_TOKENS = 32768
# [T] What tensor parallel adds on each GPU (measured-two-gpus.csv). TurboMind: NCCL's buffers, after the cache: 0.32 to
# 0.39 GiB more than one GPU's plan in four runs. PyTorch: a Ray worker's context and NCCL, before the cache: 1.41 to
# 1.55 GiB in three.
TURBOMIND_TP_WORK = 0.35 * GIB
PYTORCH_TP_CONTEXT = 1.47 * GIB
# [T] What 4-bit weights take beyond themselves and the context, from their repacking on: a + b × packed bytes. The
# least-squares line through 0.36, 1.23 and 2.78 GiB at 0.73, 3.38 and 9.06 GiB packed (1.8B, 7B and 20B) meets each
# within 0.07 GiB. Of b, 0.02 are the zero points, which linear.py widens from 4 to 16 bits [W].
AWQ_EXTRA, AWQ_EXTRA_SHARE = 0.19 * GIB, 0.288
# [T] A decoder at 4 bits with its scales, as a share of its 16-bit bytes: (0.5 + 2.5 / 128) / 2.
PACKED_SHARE = 0.26
# A Python with torch in it, before any model: what `transformers serve` takes of the machine's memory.
TRANSFORMERS_CONTEXT = 0.9 * GIB

# lmdeploy/utils.py, get_max_batch_size: by a part of the GPU's name, else 128.
MAX_BATCH = {"a100": 384, "a800": 384, "h100": 1024, "h800": 1024, "l20y": 1024, "h200": 1024}
DEFAULT_MAX_BATCH = 128
PREFILL_TOKENS = 8192  # --max-prefill-token-num

# Less free memory than this is called tight: another program's few hundred MiB would end the server.
MARGIN_BYTES = 512 * MIB
# --quant-policy → bits of an element in the cache, and whether each head and token has a scale and a zero point.
KV_BITS: Mapping[int, tuple[float, bool]] = {
    0: (16, False),
    4: (4, True),
    8: (8, True),
    16: (8, False),
    17: (8, False),
    42: (3, True),
}


def block_bytes(shape: ModelShape, quant_policy: int, tp: int = 1) -> int:
    """64 tokens of KV cache on each GPU: layers × KV heads × 2 × 64 × (head_dim × bits/8, + 4 with scales) [T, P]."""
    bits, scales = KV_BITS.get(quant_policy, KV_BITS[0])
    split = min(tp, shape.kv_heads)
    width = shape.kv_width / split
    scale_bytes = 4 * width / shape.head_dim if scales and shape.head_dim else 0.0
    return round(shape.kv_layers * BLOCK_TOKENS * (width * bits / 8 + scale_bytes))


def slab(block: int) -> tuple[int, int]:
    """How TurboMind packs blocks: (slab bytes, blocks in a slab). The smallest power of two from 32 MiB on of which the
    blocks fill more than 95%; it agrees with every `slab_size …, object_count …` line seen [T]."""
    size = 32 * MIB
    while size < 4 * GIB and (size // block) * block <= 0.95 * size:
        size *= 2
    return size, max(1, size // block)


def max_batch(config: ServeConfig, card: Card) -> int:
    """Requests at once: --max-batch-size, or what lmdeploy chooses by the GPU's name."""
    given = option(config, "--max-batch-size")
    if given:
        return given
    return next((size for part, size in MAX_BATCH.items() if part in card.name.lower()), DEFAULT_MAX_BATCH)


def picture_bytes(shape: ModelShape) -> int:
    """The most that one picture's way through the vision tower takes: 16-bit activations of one layer for all its tiles
    (queries, keys and values; the feed-forward width; the residual twice), and the pixels in 32 bits."""
    vision = shape.vision
    if vision is None:
        return 0
    return 2 * vision.tokens * (3 * vision.hidden + vision.intermediate + 2 * vision.hidden) + 12 * vision.pixels


def option(config: ServeConfig, flag: str) -> int:
    """A whole number among the further flags (`--flag 64` or `--flag=64`), or 0."""
    for index, word in enumerate(config.extra):
        name, equals, value = word.partition("=")
        if name == flag:
            value = value if equals else (config.extra[index + 1] if index + 1 < len(config.extra) else "")
            return int(value) if value.isdigit() else 0
    return 0
