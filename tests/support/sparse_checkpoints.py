"""Checkpoints of any size without their bytes: real config.json and safetensors header, and a hole for the data."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.tiny_models import fake_model

Tensor = tuple[str, str, tuple[int, ...]]

# hidden, layers, heads, kv heads, intermediate, vocabulary
INTERNLM2_5_1_8B = (2048, 24, 16, 8, 8192, 92544)
INTERNLM2_5_7B = (4096, 32, 32, 8, 14336, 92544)
# The language model as above; the vision tower's hidden, layers, heads, intermediate
INTERNVL2_8B = ((4096, 32, 32, 8, 14336, 92553), (1024, 24, 16, 4096))
INTERNVL2_26B = ((6144, 48, 48, 8, 16384, 92553), (3200, 45, 25, 12800))


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
        "model_type": "llama",
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 1e6,
        "bos_token_id": 1,
        "eos_token_id": 2,
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
        values["quantization_config"] = {
            "quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True
        }  # fmt: skip
        values["dtype"] = "float16"
    tensors = {name: (dtype, shape) for name, dtype, shape in llama_tensors(shape, awq, tied, head_dim)}
    return fake_model(folder, {**values, **config}, tensors)


def llama_tensors(
    shape: tuple[int, int, int, int, int, int],
    awq: bool = False,
    tied: bool = False,
    head_dim: int = 0,
    prefix: str = "",
) -> Iterator[Tensor]:
    """The tensors of a Llama-shaped model."""
    hidden, layers, heads, kv_heads, intermediate, vocab = shape
    head_dim = head_dim or hidden // heads
    plain = "F16" if awq else "BF16"
    yield f"{prefix}model.embed_tokens.weight", plain, (vocab, hidden)
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
                yield f"{base}.{name}.weight", plain, (size_out, size_in)
        yield f"{base}.input_layernorm.weight", plain, (hidden,)
        yield f"{base}.post_attention_layernorm.weight", plain, (hidden,)
    yield f"{prefix}model.norm.weight", plain, (hidden,)
    if not tied:
        yield f"{prefix}lm_head.weight", plain, (vocab, hidden)


def internvl(
    folder: Path, shape: tuple[tuple[int, int, int, int, int, int], tuple[int, int, int, int]], awq: bool
) -> Path:
    """An InternVL2 as its own code has it, in bfloat16, or in float16 with its language model packed by AWQ."""
    text, (width, depth, vision_heads, vision_intermediate) = shape
    hidden, layers, heads, kv_heads, intermediate, vocab = text
    plain = "F16" if awq else "BF16"
    tensors = {name: (dtype, size) for name, dtype, size in llama_tensors(text, awq, prefix="language_model.")}
    for layer in range(depth):
        for name, size in (
            ("attn.qkv", (3 * width, width)),
            ("attn.proj", (width, width)),
            ("mlp.fc1", (vision_intermediate, width)),
            ("mlp.fc2", (width, vision_intermediate)),
        ):
            tensors[f"vision_model.encoder.layers.{layer}.{name}.weight"] = (plain, size)
    tensors["vision_model.embeddings.patch_embedding.weight"] = (plain, (width, 3, 14, 14))
    tensors |= {"mlp1.1.weight": (plain, (hidden, 4 * width)), "mlp1.3.weight": (plain, (hidden, hidden))}
    config: dict[str, Any] = {
        "architectures": ["InternVLChatModel"],
        "model_type": "internvl_chat",
        "auto_map": {"AutoModel": "modeling_internvl_chat.InternVLChatModel"},
        "force_image_size": 448,
        "max_dynamic_patch": 12,
        "ps_version": "v2",
        "torch_dtype": "bfloat16",
        "llm_config": {
            "architectures": ["InternLM2ForCausalLM"],
            "model_type": "internlm2",
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "intermediate_size": intermediate,
            "vocab_size": vocab,
            "max_position_embeddings": 32768,
        },
        "vision_config": {
            "architectures": ["InternVisionModel"],
            "hidden_size": width,
            "num_hidden_layers": depth,
            "num_attention_heads": vision_heads,
            "intermediate_size": vision_intermediate,
            "image_size": 448,
            "patch_size": 14,
        },
    }
    if awq:
        config["quantization_config"] = {
            "quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True
        }  # fmt: skip
    return fake_model(folder, config, tensors)
