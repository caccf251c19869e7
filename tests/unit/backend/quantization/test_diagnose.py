"""Why a job failed, from the end of its log."""

from typing import Any

import pytest

from backend.quantization.base import QuantConfig
from backend.quantization.diagnose import diagnose

CONFIG = QuantConfig(model="/m", output="/o")


def said(log: str, code: int | None = 1, **changes: Any) -> tuple[str, list[dict[str, Any]]]:
    from dataclasses import replace

    found = diagnose(log, code, replace(CONFIG, **changes))
    return found.reason.key, [dict(remedy.settings) for remedy in found.remedies]


@pytest.mark.parametrize(
    ("log", "key"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB", "gpu-memory"),
        ("OSError: [Errno 28] No space left on device", "disk"),
        ("safetensors_rust.SafetensorError: I/O error: No space left on device (os error 28)", "disk"),
        ("RuntimeError: [enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0", "disk"),
        ("TypeError: zeros_like(): argument 'input' (position 1) must be Tensor, not NoneType", "symmetric"),
        ("ConnectionError: Couldn't reach 'wikitext' on the Hub (LocalEntryNotFoundError)", "dataset"),
        ("ValueError: empty range for randrange() (0, -1046, -1046)", "text-short"),
        (
            "RuntimeError: Currently, quantification and calibration of MambaForCausalLM are not supported.",
            "unsupported",
        ),
        ("ValueError: … contains custom code; pass `trust_remote_code=True`", "trust"),
        ("ModuleNotFoundError: No module named 'timm'", "package"),
        ("    assert torch.isnan(p).sum() == 0\nAssertionError", "nan"),
        ("AssertionError: your device does not support bfloat16 please set --dtype float16", "bf16"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/m/config.json'", "model-gone"),
    ],
)
def test_causes(log: str, key: str) -> None:
    assert said(f"Loading\n{log}\n")[0] == f"quantize.failed.{key}"


def test_remedies_are_settings_to_start_again_with() -> None:
    assert said("CUDA out of memory")[1] == [{"seqlen": 1024, "batch_size": 1}, {"dataset": "none"}]
    assert said("CUDA out of memory", seqlen=256)[1][0] == {"seqlen": 256, "batch_size": 1, "samples": 64}
    assert said("CUDA out of memory", dataset="none")[1] == []
    wrong_group = "    assert org_w_shape[-1] % w_group_size == 0\nAssertionError"
    assert said(wrong_group, group_size=96) == ("quantize.failed.group", [{"group_size": 128}])
    assert said(wrong_group)[1] == []
    assert said("NotImplementedError: Only 2,4,8 bit are supported for now.", bits=3)[1] == [{"bits": 4}]
    assert said("MaxRetryError", dataset="c4")[1] == [{"dataset": "demo"}, {"dataset": "none"}]


def test_a_job_killed_from_outside() -> None:
    assert said("model.layers.3, samples: 128", code=137)[0] == "quantize.failed.killed"


def test_anything_else_is_shown_as_it_is() -> None:
    found = diagnose("Traceback:\n  File x\nKeyError: 'q'\n", 1, CONFIG)
    assert found.reason.key == "quantize.failed.unknown"
    assert found.reason.params == {"code": 1, "line": "KeyError: 'q'"}
    assert found.lines[-1] == "KeyError: 'q'"
    assert diagnose("", None, CONFIG).reason.params == {"code": "?", "line": ""}
