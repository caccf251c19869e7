"""What a plan needs to know of a model: exact bytes by part from the headers, shapes from config.json. Pure.

What config.json leaves out (families have defaults in code) is taken from the tensors' own shapes.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.errors import InvalidInput, Message
from backend.models.checkpoint import ModelInfo, TensorInfo
from backend.models.spellings import vision_part
from backend.outside_text import whole

_EMBEDDING = (
    "embed_tokens.weight", "tok_embeddings.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight",
    "token_embedding.weight", "embedding.weight",
)  # fmt: skip
_HEAD = ("lm_head.weight", "output_layer.weight", "embed_out.weight")
_INTERNLM2_HEAD = ("output.weight", "language_model.output.weight")
_VISION = (
    "vision_model.", "vision_tower.", "visual.", "mlp1.", "multi_modal_projector.", "vision_embedding.",
    "vision_encoder.", "vision_embed_tokens.", "mm_projector.", "vision.", "vit.", "vpm.", "resampler.",
    "image_newline", "audio_tower.", "vision_backbone.", "vision_resampler.", "aligner.",
)  # fmt: skip
# What stands before a tensor's name in wrapped models.
_WRAPPED = re.compile(r"^(?:model\.|thinker\.|base_model\.|transformer\.(?=vision\.|visual\.|vision_))+")
_PACKED = (
    ".qweight", ".qzeros", ".scales", ".g_idx", ".weight_packed", ".weight_scale", ".weight_zero_point", "_blocks",
    "_scales", ".weight_scale_inv",
)  # fmt: skip
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block|decoder_layers)\.(\d{1,4})\.")
_KEY = re.compile(r"\.(?:k_proj|wk|key)\.weight$")
_KEY_WIDTH = "key_width"
_PLAIN = frozenset({"BF16", "F16", "F32"})
_LINEAR = frozenset({"linear_attention", "mamba", "recurrent"})


@dataclass(frozen=True)
class Vision:
    """A vision tower: its width, and the most tokens that one picture becomes inside it."""

    hidden: int
    intermediate: int
    tokens: int
    pixels: int


@dataclass(frozen=True)
class ModelShape:
    """Bytes as they lie on disk; ``*_half_bytes`` as an engine loads them (what is stored in 32 bits becomes 16).

    ``packed_bytes`` is the quantized part of the decoder. ``kv_layers`` counts the layers that have a KV cache (linear
    attention has none); ``kv_width`` is keys and values of one token in one layer, in elements; ``kv_heads`` what
    carries a scale when quantized. ``tied``: the file holds no output head, the embedding serves as it.
    """

    name: str
    parameters: int
    quantization: str
    dtype: str
    embedding_bytes: int
    head_bytes: int
    decoder_bytes: int
    packed_bytes: int
    vision_bytes: int
    stored_bytes: int
    tied: bool
    layers: int
    kv_layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    kv_width: int
    intermediate: int
    vocab: int
    context_length: int
    vision: Vision | None

    @property
    def text_bytes(self) -> int:
        """The text model as loaded, a tied head not counted twice."""
        return self.embedding_bytes + self.head_bytes + self.decoder_bytes


def read_shape(model: ModelInfo, tensors: Sequence[TensorInfo]) -> ModelShape:
    """The model's shape. Raises InvalidInput naming the missing keys of config.json, or the folder's problem."""
    if model.problem is not None and not model.config:
        raise InvalidInput(model.problem)
    shown = _from_tensors(tensors)
    text = {**shown, **model.text}
    needed = ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")
    missing = [key for key in needed if not _number(text, key)]
    if missing:
        raise InvalidInput(
            Message("plan.missing-keys", {"model": model.name, "keys": ", ".join(missing)}, field="model")
        )
    layers, hidden, heads, vocab = (_number(text, key) for key in needed)
    head_dim = model.head_dim or hidden // heads or 1
    kv_heads = _number(text, "num_key_value_heads") or shown.get(_KEY_WIDTH, 0) // head_dim or heads
    kv_width = 2 * kv_heads * head_dim
    if _number(text, "kv_lora_rank"):  # multi-head latent attention keeps one latent and its rotary part, for all heads
        kv_width = _number(text, "kv_lora_rank") + _number(text, "qk_rope_head_dim")
        kv_heads = 1
    parts = _parts(tensors)
    if not tensors:  # weights in another format than safetensors: all of them, split by the config's shapes
        stored = model.weight_bytes or model.size_bytes
        table = vocab * hidden * 2
        tied = bool(text.get("tie_word_embeddings"))
        parts = {"embedding": table, "head": 0 if tied else table, "packed": 0, "vision": 0, "stored": stored}
        parts["decoder"] = max(0, stored - parts["embedding"] - parts["head"])
    return ModelShape(
        name=model.name,
        parameters=model.parameters or parts["stored"] // 2,
        quantization=model.quantization,
        dtype=model.dtype,
        embedding_bytes=parts["embedding"],
        head_bytes=parts["head"],
        decoder_bytes=parts["decoder"],
        packed_bytes=parts["packed"],
        vision_bytes=parts["vision"],
        stored_bytes=parts["stored"],
        tied=parts["head"] == 0,
        layers=layers,
        kv_layers=_kv_layers(text, layers),
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        kv_width=kv_width,
        intermediate=_intermediate(text, hidden),
        vocab=vocab,
        context_length=model.context_length,
        vision=_vision(model.config) if model.takes_images else None,
    )


def _kv_layers(text: Mapping[str, Any], layers: int) -> int:
    """The layers that aren't linear attention: named one by one, or every so many (Qwen3-Next's own form)."""
    kinds = text.get("layer_types")
    if isinstance(kinds, list) and kinds:
        return sum(str(kind) not in _LINEAR for kind in kinds)
    return layers // (_number(text, "full_attention_interval") or 1)


def _parts(tensors: Iterable[TensorInfo]) -> dict[str, int]:
    parts = dict.fromkeys(("embedding", "head", "decoder", "packed", "vision", "stored"), 0)
    for tensor in tensors:
        name = _WRAPPED.sub("", tensor.name)
        size = math.prod(tensor.shape) * 2 if tensor.dtype in ("F32", "F64") else tensor.size_bytes
        parts["stored"] += tensor.size_bytes
        if name.startswith(_VISION):
            parts["vision"] += size
        elif name.endswith(_EMBEDDING):
            parts["embedding"] += size
        elif name.endswith(_HEAD) or name in _INTERNLM2_HEAD:
            parts["head"] += size
        else:
            parts["decoder"] += size
            parts["packed"] += size if name.endswith(_PACKED) else 0
    return parts


def _from_tensors(tensors: Iterable[TensorInfo]) -> dict[str, int]:
    """The sizes that the tensors show: how many layers, how wide, how many words, how wide a key is.

    The heads are guessed where nothing else says: 128 numbers each, as nearly all have.
    """
    bytes_by_part: dict[str, int] = {}
    layers: set[int] = set()
    for tensor in tensors:
        name = _WRAPPED.sub("", tensor.name)
        if name.startswith(_VISION):
            continue
        if layer := _LAYER.search(name):
            layers.add(int(layer[1]))
        if len(tensor.shape) == 2 and tensor.dtype in _PLAIN:
            if name.endswith(_EMBEDDING) and "hidden_size" not in bytes_by_part:
                bytes_by_part["vocab_size"], bytes_by_part["hidden_size"] = tensor.shape
            elif _KEY.search(name):
                bytes_by_part.setdefault(_KEY_WIDTH, tensor.shape[0])
    if layers:
        bytes_by_part["num_hidden_layers"] = max(layers) + 1
    if bytes_by_part.get("hidden_size", 0) >= 128 and bytes_by_part["hidden_size"] % 128 == 0:
        bytes_by_part["num_attention_heads"] = bytes_by_part["hidden_size"] // 128
    return bytes_by_part


def _intermediate(text: Mapping[str, Any], hidden: int) -> int:
    """The width of the feed-forward activations of one token: that of all its experts together in a mixture."""
    dense = _number(text, "intermediate_size") or 4 * hidden
    experts = _number(text, "num_experts_per_tok") * (_number(text, "moe_intermediate_size") or dense)
    return max(dense, experts)


def _vision(config: Mapping[str, Any]) -> Vision | None:
    """InternVL cuts a picture into at most ``max_dynamic_patch`` tiles and a thumbnail, each a picture of its own."""
    vision = vision_part(config)
    if vision is None:
        return None
    hidden = next((n for key in ("hidden_size", "embed_dim", "width") if (n := _number(vision, key))), 0)
    if not hidden:
        return None
    size = _side(vision.get("image_size")) or _side(config.get("force_image_size")) or 448
    patch = _side(vision.get("patch_size")) or 14
    tiles = _number(config, "max_dynamic_patch") or 12
    if tiles > 1:
        tiles += 1
    return Vision(
        hidden=hidden,
        intermediate=_number(vision, "intermediate_size") or 4 * hidden,
        tokens=tiles * ((size // patch) ** 2 + 1),
        pixels=tiles * size * size,
    )


def _side(value: object) -> int:
    """A picture's side, given as a number or as a pair."""
    if isinstance(value, list | tuple) and value:
        value = value[0]
    return whole(value, 1 << 40)


def _number(values: Mapping[str, Any], key: str) -> int:
    """A positive whole number of a config, or 0."""
    return whole(values.get(key), 1 << 40)
