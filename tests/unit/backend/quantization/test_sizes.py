"""Sizes before, after and on the way, against what was measured with LMDeploy 0.18.0."""

from dataclasses import replace
from pathlib import Path

import pytest

from backend.quantization import sizes
from tests.support.quantization import GIB, config_for, model_at


def test_a_model_of_1_9_billion_parameters(tmp_path: Path) -> None:
    _, tensors = model_at(tmp_path / "m")
    assert sizes.shape(tensors).layers == 24
    assert len(sizes.shape(tensors).linears) == 168
    assert sum(sizes.sizes(tensors).values()) / GIB == pytest.approx(3.52, abs=0.01)  # measured: 3.52 GiB
    assert sizes.quantized_bytes(tensors, 4 + 20 / 128) / GIB == pytest.approx(1.44, abs=0.02)  # measured: 1.44 GiB


def test_peak_memory(tmp_path: Path) -> None:
    _, tensors = model_at(tmp_path / "m")
    config = config_for(tmp_path / "m", device="cuda:0")
    # PyTorch held 7.89 GiB, the log of that job says; the CUDA context comes on top.
    assert sizes.gpu_bytes(tensors, config, 2048) / GIB == pytest.approx(7.89 + 0.6, rel=0.1)
    assert sizes.gpu_bytes(tensors, replace(config, dataset="none"), 2048) < 1.5 * GIB


def test_settings_that_fit(tmp_path: Path) -> None:
    _, tensors = model_at(tmp_path / "m")
    config = config_for(tmp_path / "m", device="cuda:0", batch_size=8)
    seqlen, samples = sizes.fitting(tensors, config, 2048, 5 * GIB) or (0, 0)
    assert (seqlen, samples) == (1024, 128)
    smaller = replace(config, seqlen=seqlen, samples=samples, batch_size=1)
    assert sizes.gpu_bytes(tensors, smaller, 2048) <= 5 * GIB
    assert sizes.fitting(tensors, config, 2048, GIB // 4) is None


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("model.embed_tokens.weight", "embeddings"),
        ("language_model.model.tok_embeddings.weight", "embeddings"),
        ("output.weight", "embeddings"),
        ("language_model.lm_head.weight", "embeddings"),
        ("model.layers.3.mlp.up_proj.qweight", "decoder"),
        ("model.norm.weight", "decoder"),
        ("vision_tower.encoder.layer.0.mlp.fc1.weight", "vision"),
        ("vision_model.encoder.layers.0.attn.qkv.weight", "vision"),
        ("mlp1.1.weight", "vision"),
        ("multi_modal_projector.linear_1.weight", "vision"),
    ],
)
def test_parts(name: str, part: str) -> None:
    assert sizes.part_of(name) == part


def test_vision_layers_are_no_decoder_layers(tmp_path: Path) -> None:
    _, tensors = model_at(tmp_path / "m")
    tower = replace(tensors[-1], name="vision_model.encoder.layers.0.mlp.fc1.weight", shape=(10, 10))
    assert sizes.shape((*tensors, tower)) == sizes.shape(tensors)
