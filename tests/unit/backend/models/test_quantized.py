"""How weights are quantized: what config.json says, the files beside it, and the tensors themselves."""

import json
from pathlib import Path
from typing import Any

import pytest

from backend.models.checkpoint import ModelInfo, read_model
from tests.support.tiny_models import QWEN2, fake_model

LAYER = "model.layers.0.mlp.up_proj"
Tensors = dict[str, tuple[str, tuple[int, ...]]]


def packed(**tensors: tuple[str, tuple[int, ...]]) -> Tensors:
    return {f"{LAYER}.{name}": value for name, value in tensors.items()}


AWQ = packed(qweight=("I32", (512, 128)), qzeros=("I32", (4, 128)), scales=("F16", (4, 1024)))
GPTQ = packed(qweight=("I32", (64, 1024)), qzeros=("I32", (4, 128)), scales=("F16", (4, 1024)), g_idx=("I32", (512,)))
GPTQ8 = packed(qweight=("I32", (128, 1024)), qzeros=("I32", (4, 256)), scales=("F16", (4, 1024)))
COMPRESSED = packed(weight_packed=("I32", (1024, 64)), weight_scale=("BF16", (1024, 16)), weight_shape=("I32", (2,)))
NF4 = packed(weight=("U8", (262144, 1)), absmax=("U8", (8192,)), quant_map=("F32", (16,)))
NF4["x.weight.quant_state.bitsandbytes__nf4"] = ("U8", (80,))
INT8 = packed(weight=("I8", (1024, 512)), SCB=("F32", (1024,)))
FP8 = packed(weight=("F8_E4M3", (1024, 512)), weight_scale_inv=("BF16", (8, 4)))
MXFP4: Tensors = {
    "model.layers.0.mlp.experts.up_proj_blocks": ("U8", (1, 1024, 16, 16)),
    "model.layers.0.mlp.experts.up_proj_scales": ("U8", (1, 1024, 16)),
}
NVFP4 = packed(weight=("U8", (1024, 256)), weight_scale=("F8_E4M3", (1024, 32)), weight_scale_2=("F32", ()))
SMOOTH = packed(weight=("I8", (1024, 512)), scale=("F32", (1024, 1)))
PLAIN: Tensors = {"model.norm.weight": ("BF16", (256,)), f"{LAYER}.weight": ("BF16", (1024, 512))}


def model(folder: Path, tensors: Tensors, config: Any = None, files: Any = None) -> ModelInfo:
    made = fake_model(folder, QWEN2 | (config or {}), tensors)
    for name, value in (files or {}).items():
        (made / name).write_text(json.dumps(value))
    return read_model(made)


@pytest.mark.parametrize(
    ("tensors", "method", "group_size", "parameters"),
    [
        (AWQ, "awq", 128, 512 * 1024),
        (GPTQ, "gptq", 128, 512 * 1024),
        (GPTQ8, "gptq", 128, 512 * 1024),
        (COMPRESSED, "compressed-tensors", 32, 512 * 1024),
        (NF4, "bitsandbytes", 0, 512 * 1024),
        (INT8, "bitsandbytes", 0, 512 * 1024),
        (FP8, "fp8", 0, 512 * 1024),
        (MXFP4, "mxfp4", 32, 512 * 1024),
        (NVFP4, "modelopt", 16, 512 * 1024),
        (SMOOTH, "smooth_quant", 0, 512 * 1024),
        (PLAIN, "", 0, 512 * 1024 + 256),
    ],
    ids=["awq", "gptq", "gptq8", "compressed", "nf4", "int8", "fp8", "mxfp4", "nvfp4", "smooth", "plain"],
)
def test_the_tensors_tell_where_nothing_else_does(
    tmp_path: Path, tensors: Tensors, method: str, group_size: int, parameters: int
) -> None:
    found = model(tmp_path / "m", tensors)
    assert found.problem is None
    assert (found.quantization, found.group_size, found.packed_as) == (method, group_size, method)
    assert found.quantization_source == ("tensors" if method else "")
    # The scale of a layer that is counted as one (SmoothQuant's) is a thousandth of it.
    assert found.parameters == pytest.approx(parameters, rel=0.01)


@pytest.mark.parametrize(
    ("config", "method", "group_size"),
    [
        ({"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 64}}, "awq", 64),
        ({"quantization_config": {"quant_method": "GPTQ", "bits": 4, "group_size": -1}}, "gptq", 0),
        ({"text_config": {**QWEN2, "quantization_config": {"quant_method": "awq", "group_size": 128}}}, "awq", 128),
        ({"compression_config": {"quant_method": "compressed-tensors", "config_groups": {"group_0": {
            "weights": {"num_bits": 4, "group_size": 32}}}}}, "compressed-tensors", 32),
        ({"quantization_config": {"config_groups": {"g": {"weights": {"num_bits": 8}}}}}, "compressed-tensors", 0),
        ({"quantization_config": {"load_in_4bit": True}}, "bitsandbytes", 0),
        ({"quantization_config": {"quant_method": "fp8", "activation_scheme": "dynamic"}}, "fp8", 0),
        ({"quantization_config": {"activation_scheme": "dynamic", "weight_block_size": [128, 128]}}, "fp8", 0),
        ({"quantization_config": {"quant_algo": "FP8", "producer": {"name": "modelopt"}}}, "modelopt", 0),
        ({"quantization_config": {"bits": 4, "desc_act": False, "group_size": 32}}, "gptq", 32),
        ({"quant_config": {"w_bit": 4, "q_group_size": 128, "zero_point": True}}, "awq", 128),
        ({"quantization_config": {"quant_method": "mxfp4"}}, "mxfp4", 0),
        ({"quantization_config": {}}, "", 0),
        ({"quantization_config": None}, "", 0),
        ({"quantization_config": {"quant_method": ["awq"], "group_size": "x"}}, "", 0),
        ({"quantization_config": {"quant_method": "awq", "group_size": 10**300, "bits": 10**9}}, "awq", 0),
    ],
)  # fmt: skip
def test_what_a_config_says(tmp_path: Path, config: dict[str, Any], method: str, group_size: int) -> None:
    found = model(tmp_path / "m", PLAIN, config)
    assert (found.quantization, found.group_size) == (method, group_size)
    assert found.quantization_source == ("config" if method else "")
    assert found.packed_as == ""  # it says so, and the weights are plain


@pytest.mark.parametrize(
    ("file", "content", "tensors", "method", "group_size"),
    [
        (
            "quant_config.json",
            {"zero_point": True, "q_group_size": 128, "w_bit": 4, "version": "GEMM"},
            AWQ,
            "awq",
            128,
        ),
        (
            "quantize_config.json",
            {"bits": 4, "group_size": 128, "desc_act": False, "damp_percent": 0.1},
            GPTQ,
            "gptq",
            128,
        ),
        ("quantize_config.json", {"bits": 4, "group_size": 128}, GPTQ, "gptq", 128),
        ("hf_quant_config.json", {"producer": {}, "quantization": {"quant_algo": "FP8"}}, FP8, "modelopt", 0),
        ("quant_config.json", {"w_bit": 4, "q_group_size": 128}, PLAIN, "", 0),  # left over
    ],
)
def test_what_the_files_beside_it_say(
    tmp_path: Path, file: str, content: Any, tensors: Tensors, method: str, group_size: int
) -> None:
    found = model(tmp_path / "m", tensors, files={file: content})
    assert (found.quantization, found.group_size) == (method, group_size)
    assert found.quantization_source in {"file", "tensors", ""}


def test_a_config_that_says_one_thing_and_tensors_that_are_another(tmp_path: Path) -> None:
    found = model(tmp_path / "m", AWQ, {"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}})
    assert (found.quantization, found.packed_as) == ("gptq", "awq")


@pytest.mark.parametrize(("tensors", "plain"), [(PLAIN, True), (AWQ, False), ({}, False)])
def test_whether_any_is_packed(tmp_path: Path, tensors: Tensors, plain: bool) -> None:
    said = {"quantization_config": {"quant_method": "awq", "bits": 8, "group_size": 128}}
    found = model(tmp_path / "m", tensors, said)
    assert (found.all_plain, found.bits) == (plain, 8)
