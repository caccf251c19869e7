"""Whether a checkpoint's files agree: config.json with the weights' shapes; and whether what lies beside is whole.

It reads the headers of the weights and the tokenizer, so it is asked of the one model that is to be started, never of a
whole list. An error ends a server as it loads; with a warning it may answer, and wrongly.
"""

import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from backend.errors import InvalidInput, Message, Value
from backend.models import spellings
from backend.models.checkpoint import ModelInfo, TensorInfo
from backend.models.listing import list_folder
from backend.models.missing_files import missing_files
from backend.models.small_files import broken_files
from backend.models.weights import check_binary, find_weights, read_headers

# The text model's layers; vision towers and layers for speculation are counted apart, and not here.
LAYER = re.compile(r"(?:^|.*\.)model\.layers\.(\d+)\.")
OTHER_TOWERS = re.compile(r"vision|visual|audio|encoder|mtp", re.IGNORECASE)
NUMBERED = re.compile(r"(?:^|\.)\d+\.")  # a part of a layer, whatever the layers are called
PEFT = "base_model.model."
WRAPPERS = ("_orig_mod.", "module.", PEFT)  # torch.compile, data parallel training, LoRA
EMPTY_SHARE = 0.25  # ZeRO-3 keeps the small tensors whole
TABLE = "model.embed_tokens.weight"
EMBEDDINGS = ("embed_tokens.weight", "tok_embeddings.weight", "wte.weight", "word_embeddings.weight")
NORMS = ("model.norm.weight", "transformer.ln_f.weight")
PLAIN_DTYPES = frozenset({"BF16", "F16", "F32"})
# Text models whose attention and MLP have exactly these shapes in every layer.
UNIFORM = frozenset({"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM"})


def disagreements(model: ModelInfo) -> tuple[Message, ...]:
    """What contradicts what; () for a model that is whole, whose files can't be read, or that has a problem anyway."""
    if model.problem is not None:
        return ()
    found: list[Message] = []
    try:
        tensors = _tensors(model.path, _stamp(model.path))
    except InvalidInput as error:
        return error.messages
    except OSError:
        return ()
    message = weights_against_config(model.name, model.text_architecture, model.text, tensors)
    if message is not None:
        found.append(message)
    return (*found, *broken_files(model), *missing_files(model))


def weights_against_config(
    name: str, architecture: str, text: Mapping[str, Any], tensors: Iterable[TensorInfo]
) -> Message | None:
    """The first thing in which the text model's config and its plain tensors differ; None for nothing."""
    tensors = tuple(tensors)
    own = [tensor for tensor in tensors if not OTHER_TOWERS.search(tensor.name)]
    if (message := _as_trained(name, own)) is not None:
        return message
    layers = {int(match[1]) for tensor in own if (match := LAYER.match(tensor.name))}
    said = text.get("num_hidden_layers")
    known = bool(layers) or (bool(own) and not any(NUMBERED.search(tensor.name) for tensor in tensors))
    if known and isinstance(said, int) and max(layers, default=-1) + 1 < said:
        params: dict[str, Value] = {"model": name, "said": said, "found": max(layers, default=-1) + 1}
        return Message("models.layers-missing", params, "model")
    if architecture in UNIFORM and text.get("tie_word_embeddings") is False:
        names = {tensor.name for tensor in own}
        if TABLE in names and not any(head.startswith("lm_head.") for head in names):
            return Message("models.head-missing", {"model": name}, "model")
    for key, size, tensor, real in _sizes(architecture, text, own):
        about: dict[str, Value] = {"model": name, "key": key, "said": size, "tensor": tensor, "found": real}
        # With another hidden size a server dies; with the others TurboMind answers, by whatever it makes of them.
        return Message("models.shape-differs", about, "model", "error" if key == "hidden_size" else "warning")
    return None


def _as_trained(name: str, own: Iterable[TensorInfo]) -> Message | None:
    """Tensors as they are while a model is trained, under a wrapper's names or on other machines, saved so."""
    own = tuple(own)
    trained = [tensor for tensor in own if tensor.name.endswith(("weight", "bias"))]  # others may be empty by design
    empty = [tensor.name for tensor in trained if 0 in tensor.shape]
    if empty and len(empty) >= len(trained) * EMPTY_SHARE:
        params: dict[str, Value] = {"model": name, "count": len(empty), "tensor": empty[0]}
        return Message("models.weights-empty", params, "model")
    prefix = next((prefix for prefix in WRAPPERS if own and all(t.name.startswith(prefix) for t in own)), "")
    if prefix:
        about: dict[str, Value] = {"model": name, "prefix": prefix, "tensor": own[0].name}
        return Message("models.weights-unmerged" if prefix == PEFT else "models.weights-wrapped", about, "model")
    return None


def _sizes(
    architecture: str, text: Mapping[str, Any], tensors: Iterable[TensorInfo]
) -> Iterable[tuple[str, int, str, int]]:
    """Key, what config.json says, a tensor that says something else, and what it says."""
    plain = {tensor.name: tensor for tensor in tensors if tensor.dtype in PLAIN_DTYPES}
    hidden = text.get("hidden_size")
    embedding = next((t for n, t in plain.items() if n.endswith(EMBEDDINGS) and len(t.shape) == 2), None)
    norm = next((t for n, t in plain.items() if n.endswith(NORMS) and len(t.shape) == 1), None)
    if isinstance(hidden, int) and embedding is not None:
        wide = embedding.shape[-1]
        own = wide in [value for key, value in text.items() if "emb" in key]  # embeddings may have a width of their own
        if wide != hidden and not own and (norm is None or norm.shape[0] == wide):
            yield "hidden_size", hidden, embedding.name, wide
            return
    if architecture not in UNIFORM or not isinstance(hidden, int):
        return
    heads, kv_heads, intermediate = (
        text.get(key) for key in ("num_attention_heads", "num_key_value_heads", "intermediate_size")
    )
    if not isinstance(heads, int) or heads < 1:
        return
    head_dim = spellings.head_dim(text)
    for part, key, number, each in (
        ("self_attn.q_proj.weight", "num_attention_heads", heads, head_dim),
        ("self_attn.k_proj.weight", "num_key_value_heads", kv_heads if kv_heads is not None else heads, head_dim),
        ("mlp.gate_proj.weight", "intermediate_size", intermediate, 1),
    ):
        tensor = next((t for n, t in plain.items() if n.endswith(f"layers.0.{part}") and len(t.shape) == 2), None)
        if tensor is not None and isinstance(number, int) and tensor.shape[0] != number * each:
            yield key, number, tensor.name, tensor.shape[0] // each
            return


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """The weights' names, times and sizes: as long as they stand, so does what was read of them."""
    with os.scandir(folder) as entries:
        found = [
            (entry.name, entry.stat().st_mtime_ns, entry.stat().st_size)
            for entry in entries
            if entry.name.endswith((".safetensors", ".json", ".bin"))
        ]
    return tuple(sorted(found))


@lru_cache(maxsize=8)
def _tensors(folder: Path, _stamp: object) -> tuple[TensorInfo, ...]:
    weights = find_weights(list_folder(folder))
    if not weights.headers:
        for file in weights.files:
            check_binary(file)
    return read_headers(weights).tensors
