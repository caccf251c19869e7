"""Checkpoints of any size without their bytes: real config.json and safetensors header, and a hole for the data."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BYTES = {"BF16": 2, "F16": 2, "F32": 4, "I32": 4, "U8": 1}
Tensor = tuple[str, str, tuple[int, ...]]

# hidden, layers, heads, kv heads, intermediate, vocabulary
INTERNLM2_5_1_8B = (2048, 24, 16, 8, 8192, 92544)
INTERNLM2_5_7B = (4096, 32, 32, 8, 14336, 92544)


def write_checkpoint(folder: Path, config: dict[str, Any], tensors: list[Tensor]) -> Path:
    """The folder with one safetensors file of those tensors, sparse on disk."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    header: dict[str, Any] = {}
    offset = 0
    for name, dtype, shape in tensors:
        size = math.prod(shape) * BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    raw = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        file.truncate(8 + len(raw) + offset)
    return folder


def llama(
    folder: Path,
    shape: tuple[int, int, int, int, int, int],
    awq: bool = False,
    tied: bool = False,
    head_dim: int = 0,
    **config: Any,
) -> Path:
    """A Llama-shaped text model, in bfloat16 or with AWQ's packed decoder (4 bits, groups of 128)."""
    hidden, layers, heads, kv_heads, intermediate, vocab = shape
    values: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": intermediate,
        "vocab_size": vocab,
        "max_position_embeddings": 32768,
        "dtype": "bfloat16",
        "tie_word_embeddings": tied,
    }
    if head_dim:
        values["head_dim"] = head_dim
    if awq:
        values["quantization_config"] = {"quant_method": "awq", "bits": 4, "group_size": 128}
    return write_checkpoint(folder, {**values, **config}, list(llama_tensors(shape, awq, tied, head_dim)))


def llama_tensors(
    shape: tuple[int, int, int, int, int, int], awq: bool = False, tied: bool = False, head_dim: int = 0, prefix: str = ""
) -> Iterator[Tensor]:
    """The tensors of a Llama-shaped model."""
    hidden, layers, heads, kv_heads, intermediate, vocab = shape
    head_dim = head_dim or hidden // heads
    yield f"{prefix}model.embed_tokens.weight", "BF16", (vocab, hidden)
    for layer in range(layers):
        base = f"{prefix}model.layers.{layer}"
        for name, size_in, size_out in (
            ("self_attn.q_proj", hidden, heads * head_dim),
            ("self_attn.k_proj", hidden, kv_heads * head_dim),
            ("self_attn.v_proj", hidden, kv_heads * head_dim),
            ("self_attn.o_proj", heads * head_dim, hidden),
            ("mlp.gate_proj", hidden, intermediate),
            ("mlp.up_proj", hidden, intermediate),
            ("mlp.down_proj", intermediate, hidden),
        ):
            if awq:
                yield f"{base}.{name}.qweight", "I32", (size_in, size_out // 8)
                yield f"{base}.{name}.qzeros", "I32", (size_in // 128, size_out // 8)
                yield f"{base}.{name}.scales", "F16", (size_in // 128, size_out)
            else:
                yield f"{base}.{name}.weight", "BF16", (size_out, size_in)
        yield f"{base}.input_layernorm.weight", "BF16", (hidden,)
        yield f"{base}.post_attention_layernorm.weight", "BF16", (hidden,)
    yield f"{prefix}model.norm.weight", "BF16", (hidden,)
    if not tied:
        yield f"{prefix}lm_head.weight", "BF16", (vocab, hidden)
