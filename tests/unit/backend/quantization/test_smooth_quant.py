"""SmoothQuant: settings → command, and what is refused or pointed out before the start."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.quantization import QUANT_METHODS, sizes
from backend.quantization.base import Surroundings
from backend.quantization.log_reader import Expected, ProgressReader
from tests.support.quantization import CONSOLE, GIB, GPU, LAPTOP, config_for, model_at, native_internvl

SMOOTH = QUANT_METHODS["smooth_quant"]


def keys(
    folder: Path, model_config: dict[str, Any] | None = None, around: Surroundings | None = None, **changes: Any
) -> list[tuple[str, str]]:
    model, tensors = model_at(folder, **(model_config or {}))
    config = config_for(folder, method="smooth_quant", **changes)
    machine = replace(LAPTOP, gpus=(GPU,)) if config.gpu else LAPTOP
    return [(m.key, m.field) for m in SMOOTH.check(config, model, tensors, machine, CONSOLE, around or Surroundings())]


def test_the_command(tmp_path: Path) -> None:
    model, _ = model_at(tmp_path / "m")
    config = config_for(tmp_path / "m", method="smooth_quant", dataset="c4", quant_dtype="fp8", device="cuda:0")
    made = SMOOTH.steps(config, model, CONSOLE, None)
    assert made.steps[0].command.launch_argv() == [
        "/opt/console/bin/python", "-m", "lmdeploy", "lite", "smooth_quant", str(tmp_path / "m"),
        "--work-dir", str(tmp_path / ".out.partial-smooth_quant"), "--calib-dataset", "c4", "--calib-samples", "128",
        "--calib-seqlen", "2048", "--batch-size", "1", "--quant-dtype", "fp8", "--device", "cuda",
    ]  # fmt: skip
    assert made.result == made.partial


def test_a_supported_model_is_for_the_pytorch_engine(tmp_path: Path) -> None:
    found = keys(tmp_path / "m")
    assert ("quantize.info.smooth-engine", "method") in found
    assert all(key.startswith("quantize.info.") for key, _ in found)
    assert ("quantize.info.fp8", "quant_dtype") in keys(tmp_path / "n", quant_dtype="fp8")
    assert SMOOTH.engines == ("pytorch",)


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"dataset": "none"}, ("quantize.smooth.no-data", "dataset")),
        ({"quant_dtype": "int4"}, ("quantize.choice", "quant_dtype")),
        ({"quant_dtype": ""}, ("quantize.choice", "quant_dtype")),
        ({"dtype": "bfloat16"}, ("quantize.dtype.cpu", "dtype")),
        ({"dtype": "float64"}, ("quantize.choice", "dtype")),
        ({"output": ""}, ("quantize.output.missing", "output")),
        ({"model_config": native_internvl()}, ("quantize.model.unsupported", "model")),
        ({"model_config": {"architectures": ["GPT2LMHeadModel"]}}, ("quantize.model.unsupported", "model")),
        (
            {"model_config": {"quantization_config": {"quant_method": "awq", "bits": 4}}},
            ("quantize.model.quantized", "model"),
        ),
        ({"around": Surroundings(free_disk_bytes=GIB)}, ("quantize.output.space", "output")),
        (
            {"around": Surroundings(free_gpu_bytes=6 * GIB), "device": "cuda:0"},
            ("quantize.gpu.memory", "seqlen"),
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, changes: dict[str, Any], wrong: tuple[str, str]) -> None:
    assert wrong in keys(tmp_path / "m", **changes)


@pytest.mark.parametrize("changes", [{"bits": 3}, {"group_size": 7}, {"group_size": 0}, {"symmetric": True}])
def test_what_is_awqs_alone_is_in_nobodys_way(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert keys(tmp_path / "m", **changes) == keys(tmp_path / "n")


def test_the_result_is_about_half_of_16_bits(tmp_path: Path) -> None:
    _, tensors = model_at(tmp_path / "m")
    after = sizes.quantized_bytes(tensors, SMOOTH.weight_bits(config_for(tmp_path / "m")))
    linears = sum(t.size_bytes for t in sizes.shape(tensors).linears)
    assert after == sum(t.size_bytes for t in tensors) - linears // 2


def test_progress_without_a_line_for_each_matrix() -> None:
    """As `lmdeploy lite smooth_quant` wrote it."""
    reader = ProgressReader(Expected(2, 0, calibrated=True, on_cpu=True))
    seen = [
        reader.feed(line + "\n")
        for line in (
            ">>> quantize: lmdeploy lite smooth_quant /m",
            "Loading calibrate dataset ...",
            "model.layers.0, samples: 4, max gpu memory: 0.00 GB",
            "model.layers.1, samples: 4, max gpu memory: 0.00 GB",
            "model.layers.0 smooth weight done. max gpu memory: 0.00 GB",
            "model.layers.1 smooth weight done. max gpu memory: 0.00 GB",
            "Writing model shards: 100%",
            ">>> done: /out",
        )
    ]
    assert [p.stage for p in seen] == ["load", "calibrate", "calibrate", "smooth", "smooth", "pack", "write", "done"]
    fractions = [p.fraction for p in seen]
    assert fractions == sorted(fractions)
    assert fractions[-2] > 0.9
