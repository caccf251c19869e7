"""What is read from config.json and the safetensors headers, and what is said of broken folders."""

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from backend.errors import InvalidInput
from backend.models.checkpoint import count_parameters, read_model, read_tensors
from tests.support.tiny_models import QWEN2, QWEN2_TENSORS, fake_model, write_safetensors

AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True}
PARAMETERS = 1024 * 256 * 2 + 256 * 256 * 2 + 128 * 256 * 2 + 512 * 256 * 3


def test_a_text_model(tmp_path: Path) -> None:
    model = read_model(fake_model(tmp_path / "qwen"))
    assert model.problem is None
    assert (model.name, model.architecture, model.text_architecture) == ("qwen", "Qwen2ForCausalLM", "Qwen2ForCausalLM")
    assert (model.parameters, model.dtype, model.quantization) == (PARAMETERS, "bfloat16", "")
    assert (model.context_length, model.head_dim, model.takes_images) == (4096, 128, False)
    assert model.size_bytes == sum(file.stat().st_size for file in model.path.iterdir())
    assert not model.needs_remote_code


def test_tensor_sizes_are_exact(tmp_path: Path) -> None:
    tensors = {tensor.name: tensor for tensor in read_tensors(fake_model(tmp_path / "m"))}
    assert tensors.keys() == QWEN2_TENSORS.keys()
    key = tensors["model.layers.0.self_attn.k_proj.weight"]
    assert (key.dtype, key.shape, key.size_bytes) == ("BF16", (128, 256), 128 * 256 * 2)


def test_shards_are_read_like_one_file(tmp_path: Path) -> None:
    one, many = fake_model(tmp_path / "one"), fake_model(tmp_path / "many", shards=3)
    assert set(read_tensors(one)) == set(read_tensors(many))


def test_packed_weights_count_as_what_they_stand_for(tmp_path: Path) -> None:
    layer = "model.layers.0.mlp.down_proj"
    tensors = {
        f"{layer}.qweight": ("I32", (512, 32)),  # 512 x 256 weights of 4 bits, eight to a number
        f"{layer}.qzeros": ("I32", (4, 32)),
        f"{layer}.scales": ("F16", (4, 256)),
        "model.norm.weight": ("F16", (256,)),
    }
    model = read_model(fake_model(tmp_path / "awq", QWEN2 | {"quantization_config": AWQ}, tensors))
    assert (model.quantization, model.group_size) == ("awq", 128)
    assert model.parameters == 512 * 256 + 256


def test_a_name_like_scales_counts_where_nothing_is_quantized(tmp_path: Path) -> None:
    tensors = read_tensors(fake_model(tmp_path / "m", tensors={"vision.scales": ("F32", (7,))}))
    assert count_parameters(tensors, {}) == 7


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            {"architectures": ["InternVLChatModel"], "llm_config": QWEN2, "vision_config": {}, "auto_map": {}},
            ("InternVLChatModel", "Qwen2ForCausalLM", True, True),
        ),
        (
            {"architectures": ["InternVLForConditionalGeneration"], "text_config": QWEN2, "vision_config": {}},
            ("InternVLForConditionalGeneration", "Qwen2ForCausalLM", True, False),
        ),
        (
            QWEN2 | {"architectures": ["InternLM2ForCausalLM"], "auto_map": {"AutoModelForCausalLM": "m.InternLM2"}},
            ("InternLM2ForCausalLM", "InternLM2ForCausalLM", False, True),
        ),
        (
            QWEN2 | {"architectures": ["Phi3ForCausalLM"], "auto_map": {"AutoModelForCausalLM": "m.Phi3"}},
            ("Phi3ForCausalLM", "Phi3ForCausalLM", False, False),
        ),
        (
            QWEN2 | {"architectures": ["Qwen3MoeForCausalLM"], "num_experts": 8},
            ("Qwen3MoeForCausalLM", "Qwen3MoeForCausalLM", False, False),
        ),
        (
            {"architectures": None, "auto_map": {"AutoModelForCausalLM": "modeling_x.XForCausalLM"}},
            ("XForCausalLM", "XForCausalLM", False, True),
        ),
    ],
    ids=["internvl2", "internvl-hf", "internlm2", "native-with-auto-map", "moe", "auto-map-only"],
)
def test_architectures(tmp_path: Path, config: dict[str, Any], expected: tuple[str, str, bool, bool]) -> None:
    model = read_model(fake_model(tmp_path / "m", config))
    found = (model.architecture, model.text_architecture, model.takes_images, model.needs_remote_code)
    assert model.problem is None
    assert found == expected


def test_a_tokenizer_of_its_own(tmp_path: Path) -> None:
    own = QWEN2 | {"architectures": ["InternLM2ForCausalLM"], "auto_map": {"AutoModelForCausalLM": "m.InternLM2"}}
    folder = fake_model(tmp_path / "m", own)
    assert not read_model(folder).own_tokenizer
    (folder / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["t.Own", null]}}')
    assert read_model(folder).own_tokenizer
    (folder / "tokenizer.json").write_text("{}")
    assert not read_model(folder).own_tokenizer


@pytest.mark.parametrize(
    ("change", "head_dim"),
    [({"head_dim": 64}, 64), ({"head_dim": None}, 128), ({"num_attention_heads": None}, 0)],
)
def test_head_dim(tmp_path: Path, change: dict[str, Any], head_dim: int) -> None:
    assert read_model(fake_model(tmp_path / "m", QWEN2 | change)).head_dim == head_dim


def test_dtype_is_the_text_models_then_what_the_file_holds(tmp_path: Path) -> None:
    vision = {"architectures": ["X"], "torch_dtype": "float32", "vision_config": {}}
    both = vision | {"text_config": {"dtype": "bfloat16"}}
    assert read_model(fake_model(tmp_path / "a", both)).dtype == "bfloat16"
    assert read_model(fake_model(tmp_path / "b", vision | {"text_config": {}})).dtype == "float32"
    silent = {key: value for key, value in QWEN2.items() if key != "torch_dtype"}
    assert read_model(fake_model(tmp_path / "c", silent, {"a": ("F16", (8,)), "b": ("F32", (2,))})).dtype == "float16"


def problem_of(folder: Path) -> str:
    problem = read_model(folder).problem
    assert problem is not None
    return problem.key


def test_no_config(tmp_path: Path) -> None:
    (fake_model(tmp_path / "m") / "config.json").unlink()
    assert problem_of(tmp_path / "m") == "models.no-config"


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, '{"a": \ud800}'.encode("utf-8", "surrogatepass"), "\0"])
def test_a_config_that_is_no_json(tmp_path: Path, text: str | bytes) -> None:
    config = fake_model(tmp_path / "m") / "config.json"
    config.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert problem_of(tmp_path / "m") == "models.bad-json"


@pytest.mark.parametrize("config", [{}, {"architectures": []}, {"architectures": [7], "auto_map": []}])
def test_a_config_without_architecture(tmp_path: Path, config: dict[str, Any]) -> None:
    assert problem_of(fake_model(tmp_path / "m", config)) == "models.no-architecture"


def test_no_weights(tmp_path: Path) -> None:
    (fake_model(tmp_path / "m") / "model.safetensors").unlink()
    assert problem_of(tmp_path / "m") == "models.no-weights"


def test_bin_weights_are_no_problem_but_uncounted(tmp_path: Path) -> None:
    folder = fake_model(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    model = read_model(folder)
    assert (model.problem, model.parameters, model.dtype) == (None, 0, "bfloat16")


@pytest.mark.parametrize("left", [0, 4, 8, 60, -1])
def test_a_truncated_file(tmp_path: Path, left: int) -> None:
    file = fake_model(tmp_path / "m") / "model.safetensors"
    size = file.stat().st_size
    os.truncate(file, left if left >= 0 else size + left)
    model = read_model(tmp_path / "m")
    assert model.problem is not None
    assert model.problem.key == "models.truncated"
    assert model.architecture == "Qwen2ForCausalLM"  # what could be read is still there


@pytest.mark.parametrize(
    "header", [b"no json", b'{"a": 1}', b'{"a": {"dtype": "F32"}}', b"[]", b'{"a": {"data_offsets": [0], "shape": []}}']
)
def test_a_header_that_is_none(tmp_path: Path, header: bytes) -> None:
    file = fake_model(tmp_path / "m") / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header)
    assert problem_of(tmp_path / "m") == "models.bad-header"


def test_an_absurd_header_length_is_not_allocated(tmp_path: Path) -> None:
    file = fake_model(tmp_path / "m") / "model.safetensors"
    file.write_bytes(struct.pack("<Q", 1 << 40))
    assert problem_of(tmp_path / "m") == "models.truncated"
    os.truncate(file, (1 << 40) + 8)
    assert problem_of(tmp_path / "m") == "models.bad-header"


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = fake_model(tmp_path / "m", shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    problem = read_model(folder).problem
    assert problem is not None
    assert problem.key == "models.missing-shards"
    assert problem.params["files"] == "model-00002-of-00003.safetensors"


def test_an_index_leads_nowhere_else(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "outside.safetensors", QWEN2_TENSORS)
    folder = fake_model(tmp_path / "m")
    index = {"weight_map": {"a": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert problem_of(folder) == "models.missing-shards"


def test_a_pipe_for_a_config_does_not_block(tmp_path: Path) -> None:
    config = fake_model(tmp_path / "m") / "config.json"
    config.unlink()
    os.mkfifo(config)
    assert problem_of(tmp_path / "m") == "models.unreadable"


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    assert problem_of(tmp_path / "nowhere") == "models.unreadable"
    with pytest.raises(InvalidInput):
        read_tensors(tmp_path / "nowhere")
