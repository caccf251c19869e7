"""The same facts, whatever the author of a config.json called them."""

from pathlib import Path
from typing import Any

import pytest

from backend.machine.flags import snapshot
from backend.memory_plan.model_shape import read_shape
from backend.models.checkpoint import read_model, read_tensors
from backend.models.spellings import architecture, context_length, dtype, has_vision_part, head_dim, text_config
from tests.support.tiny_models import QWEN2_TENSORS, fake_model

LLAMA = {"hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32, "vocab_size": 32000}
GLM4 = {
    "architectures": ["ChatGLMForConditionalGeneration"], "hidden_size": 4096, "ffn_hidden_size": 13696,
    "kv_channels": 128, "num_attention_heads": 32, "num_layers": 40, "multi_query_attention": True,
    "multi_query_group_num": 2, "seq_length": 131072, "padded_vocab_size": 151552, "torch_dtype": "bfloat16",
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "layers", "hidden", "heads", "kv_heads", "vocab", "context"),
    [
        (LLAMA | {"num_key_value_heads": 8, "max_position_embeddings": 8192}, 32, 4096, 32, 8, 32000, 8192),
        (GLM4, 40, 4096, 32, 2, 151552, 131072),
        (GLM4 | {"multi_query_attention": False}, 40, 4096, 32, 0, 151552, 131072),
        (
            {"n_layer": 12, "n_embd": 768, "n_head": 12, "vocab_size": 50257, "n_positions": 1024},
            12, 768, 12, 0, 50257, 1024,
        ),
        (
            {"n_layers": 32, "d_model": 4096, "n_heads": 32, "vocab_size": 50432, "max_seq_len": 2048,
             "attn_config": {"kv_n_heads": 8}},
            32, 4096, 32, 8, 50432, 2048,
        ),
        (
            {"num_hidden_layers": 32, "hidden_size": 4544, "num_attention_heads": 71, "multi_query": True,
             "new_decoder_architecture": False, "vocab_size": 65024},
            32, 4544, 71, 1, 65024, 0,
        ),
        (
            {"num_hidden_layers": 60, "hidden_size": 8192, "num_attention_heads": 128, "num_kv_heads": 8,
             "multi_query": True, "new_decoder_architecture": True, "vocab_size": 65024, "n_ctx": 2048},
            60, 8192, 128, 8, 65024, 2048,
        ),
        (
            {"thinker_config": {"text_config": LLAMA | {"num_key_value_heads": 4}}, "talker_config": {"x": 1}},
            32, 4096, 32, 4, 32000, 0,
        ),
        ({"llm_config": LLAMA, "hidden_size": 1024}, 32, 4096, 32, 0, 32000, 0),
        ({"language_config": LLAMA | {"seq_len": 4096}}, 32, 4096, 32, 0, 32000, 4096),
        ({"text_config": {}, **LLAMA}, 32, 4096, 32, 0, 32000, 0),
        (LLAMA | {"max_position_embeddings": 32768, "seq_length": 8192}, 32, 4096, 32, 0, 32000, 8192),
        ({key: float(value) for key, value in LLAMA.items()}, 32, 4096, 32, 0, 32000, 0),
        (
            {"num_hidden_layers": "32", "hidden_size": -1, "num_attention_heads": True, "vocab_size": 10**300},
            0, 0, 0, 0, 0, 0,
        ),
    ],
    ids=[
        "llama", "glm4", "glm-all-heads", "gpt2", "mpt", "falcon-7b", "falcon-40b", "qwen3-omni", "internvl",
        "deepseek-vl",
        "empty-part", "smallest-context", "floats", "nonsense",
    ],
)  # fmt: skip
def test_sizes(
    config: dict[str, Any], layers: int, hidden: int, heads: int, kv_heads: int, vocab: int, context: int
) -> None:
    text = text_config(config)
    found = [
        text.get(name, 0)
        for name in ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "vocab_size")
    ]
    assert found == [layers, hidden, heads, kv_heads, vocab]
    assert context_length(text) == context


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"torch_dtype": "bfloat16"}, "bfloat16"),
        ({"dtype": "torch.float16"}, "float16"),
        ({"dtype": "bf16", "torch_dtype": "float32"}, "bfloat16"),
        ({"torch_dtype": "auto"}, ""),
        ({"torch_dtype": 7, "dtype": None}, ""),
        ({"bf16": True, "fp16": False}, "bfloat16"),
        ({"torch_dtype": "float32", "text_config": {"dtype": "bfloat16"}}, "bfloat16"),
        ({"torch_dtype": "float32", "text_config": {"a": 1}}, "float32"),
        ({"thinker_config": {"dtype": "float16", "text_config": {"a": 1}}, "dtype": "bfloat16"}, "bfloat16"),
        ({"thinker_config": {"dtype": "float16", "text_config": {"a": 1}}}, "float16"),
    ],
)
def test_dtypes(config: dict[str, Any], expected: str) -> None:
    assert dtype(config) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"architectures": ["A"]}, "A"),
        ({"architectures": "A"}, "A"),
        ({"architectures": [], "auto_map": {"AutoModelForCausalLM": "modeling.B"}}, "B"),
        ({"language_config": {"auto_map": {"AutoModelForCausalLM": "m.C"}}}, "C"),
        ({"architectures": [None], "auto_map": [1]}, ""),
        ({}, ""),
    ],
)
def test_architectures(config: dict[str, Any], expected: str) -> None:
    assert architecture(config) == expected


def test_head_dims() -> None:
    assert head_dim(text_config(GLM4)) == 128
    assert head_dim(text_config(LLAMA)) == 128
    assert head_dim(text_config(LLAMA | {"head_dim": 256})) == 256
    assert head_dim(text_config({})) == 0


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, 576),  # GLM-4.7-Flash
        ({"head_dim": 64}, 576),  # DeepSeek's head_dim is the rotary part alone
        ({"kv_lora_rank": 192}, 256),
        ({"kv_lora_rank": None}, 256),
        ({"qk_nope_head_dim": None}, 102),
    ],
)
def test_the_head_of_latent_attention(changes: dict[str, Any], size: int) -> None:
    latent = {
        "hidden_size": 2048, "num_attention_heads": 20, "qk_nope_head_dim": 192, "qk_rope_head_dim": 64,
        "kv_lora_rank": 512, "v_head_dim": 256,
    }  # fmt: skip
    assert head_dim(text_config(latent | changes)) == size


@pytest.mark.parametrize(
    ("config", "sees"),
    [
        ({"vision_config": {}}, True),
        ({"vision_config": None}, False),
        ({"visual": {"width": 1}}, True),
        ({"mm_vision_tower": "openai/clip"}, True),
        ({"mm_vision_tower": ""}, False),
        ({"img_processor": {"name": "clip"}}, True),
        ({"thinker_config": {"vision_config": {"depth": 1}}}, True),
        ({"audio_config": {}}, False),
    ],
)
def test_vision_parts(config: dict[str, Any], sees: bool) -> None:
    assert has_vision_part(config) is sees


@pytest.mark.parametrize(
    ("config", "tensors", "sees"),
    [
        ({"architectures": ["Phi3VForCausalLM"]}, {}, True),
        ({"architectures": ["MolmoForCausalLM"]}, {}, True),
        (
            {"architectures": ["Qwen3OmniMoeForConditionalGeneration"], "thinker_config": {"text_config": LLAMA}},
            {},
            True,
        ),
        ({"architectures": ["ChatGLMForConditionalGeneration"]}, {}, False),
        ({"architectures": ["ChatGLMForConditionalGeneration"], "vision_config": {}}, {}, True),
        ({"architectures": ["MultiModalityCausalLM"], "language_config": LLAMA}, {}, True),
        ({"architectures": ["DeepseekVLV2ForCausalLM"], "language_config": LLAMA, "vision_config": {}}, {}, True),
        ({"architectures": ["Qwen2ForCausalLM"]}, {}, False),
        (
            {"architectures": ["Qwen2ForCausalLM"]},
            {"visual.blocks.0.x": ("F16", (2, 2))},
            False,
        ),  # LMDeploy's word counts
        ({"architectures": ["SomethingNewForCausalLM"]}, {}, False),
        ({"architectures": ["SomethingNewForCausalLM"]}, {"model.vision_tower.x": ("F16", (2, 2))}, True),
        ({"architectures": ["SomethingNewForCausalLM"]}, {"visual.x": ("F16", (2, 2))}, True),
    ],
)
def test_who_takes_pictures(tmp_path: Path, config: dict[str, Any], tensors: dict[str, Any], sees: bool) -> None:
    model = read_model(fake_model(tmp_path / "m", config, {**QWEN2_TENSORS, **tensors}))
    assert model.problem is None
    assert model.takes_images is sees


def test_the_built_in_lists_say_what_lmdeploy_018_says() -> None:
    known = snapshot()
    vision = dict(known.vision)
    assert vision["Phi3VForCausalLM"] == vision["Qwen3OmniMoeForConditionalGeneration"] == ()
    assert vision["ChatGLMForConditionalGeneration"] == ("vision_config",)
    assert known.turbomind_quantizations == ("awq", "gptq", "fp8", "mxfp4", "compressed-tensors")
    assert dict(known.turbomind_group_sizes)["compressed-tensors"] == (32, 128)
    assert known.pytorch_quantizations == ("awq", "fp8", "smooth_quant", "compressed-tensors")
    assert "Qwen2ForCausalLM" in known.lite_architectures


def test_what_the_config_leaves_out_is_taken_from_the_tensors(tmp_path: Path) -> None:
    """As LLaVA's does, whose text_config names a model type alone."""
    tensors = {
        "language_model.model.embed_tokens.weight": ("F16", (32064, 4096)),
        "language_model.model.layers.0.self_attn.k_proj.weight": ("F16", (1024, 4096)),
        "language_model.model.layers.1.self_attn.k_proj.weight": ("F16", (1024, 4096)),
        "language_model.lm_head.weight": ("F16", (32064, 4096)),
        "vision_tower.vision_model.encoder.layers.23.self_attn.k_proj.weight": ("F16", (1024, 1024)),
    }
    config = {
        "architectures": ["LlavaForConditionalGeneration"],
        "text_config": {"model_type": "llama"},
        "vision_config": {},
    }
    folder = fake_model(tmp_path / "m", config, tensors)
    shape = read_shape(read_model(folder), read_tensors(folder))
    assert (shape.layers, shape.hidden, shape.vocab, shape.heads, shape.kv_heads) == (2, 4096, 32064, 32, 8)
    assert shape.vision_bytes == 1024 * 1024 * 2
    assert not shape.tied


def test_glm4_has_a_plan(tmp_path: Path) -> None:
    tensors = {
        "transformer.embedding.word_embeddings.weight": ("BF16", (151552, 4096)),
        "transformer.encoder.layers.0.self_attention.query_key_value.weight": ("BF16", (4608, 4096)),
        "transformer.output_layer.weight": ("BF16", (151552, 4096)),
    }
    folder = fake_model(tmp_path / "m", GLM4, tensors)
    shape = read_shape(read_model(folder), read_tensors(folder))
    assert shape.kv_layers * shape.kv_width * 2 == 40_960  # bytes a token
    assert shape.embedding_bytes == shape.head_bytes == 151552 * 4096 * 2
