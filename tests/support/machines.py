"""Machines, environments and models as values, for the tests of the engines."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.engines.base import ServeConfig
from backend.machine.flags import from_json
from backend.machine.machine import Environment, Gpu, Machine
from backend.models.checkpoint import ModelInfo
from tests.support.tiny_models import QWEN2

DATA = Path(__file__).parents[1] / "data"
GPUS = tuple(Gpu(str(n), f"GPU-{n}", "NVIDIA A100", 40 << 30, 39 << 30) for n in range(2))
CONSOLE = Environment(
    "/env/bin/python", "env", Path("/env/bin/python"), "console", "0.18.0", "5.23.0", "2.12.1", "13.0", "12"
)
COURSE = Environment(
    "/conda/bin/python", "conda", Path("/conda/bin/python"), "found", "0.5.3", "4.42.0", "2.1.2", "12.1", "12"
)
# The course's environment once its parser has answered: what LMDeploy 0.5.3 really said.
ASKED_COURSE = replace(
    COURSE,
    capabilities=from_json(json.loads((DATA / "flags-lmdeploy-0.5.3.json").read_text(encoding="utf-8")), "parser"),
)
LAPTOP = Machine((), "", "", (CONSOLE,))
SERVER = Machine(GPUS, "580.95.05", "13.0", (CONSOLE,))
COURSE_MACHINE = Machine(GPUS[:1], "535.54.03", "12.2", (CONSOLE, COURSE))
KEY = Path("/state/keys/k")


def model(architecture: str = "Qwen2ForCausalLM", **changes: Any) -> ModelInfo:
    """A sound Qwen2 of head_dim 128 at /models/qwen, with changes."""
    sound = ModelInfo(
        path=Path("/models/qwen"),
        name="qwen",
        architecture=architecture,
        text_architecture=changes.pop("text_architecture", architecture),
        parameters=1_000_000,
        dtype="bfloat16",
        quantization="",
        group_size=0,
        size_bytes=2_000_000,
        context_length=4096,
        takes_images=False,
        needs_remote_code=False,
        head_dim=128,
        config=QWEN2,
        text=QWEN2,
    )
    return replace(sound, **changes)


def config(engine: str = "turbomind", **changes: Any) -> ServeConfig:
    """The default settings for that model."""
    return ServeConfig(engine=engine, model="/models/qwen", **changes)


INTERNVL_AWQ = model(
    "InternVLChatModel",
    text_architecture="Qwen2ForCausalLM",
    quantization="awq",
    group_size=128,
    takes_images=True,
    needs_remote_code=True,
)
INTERNVL_HF = model("InternVLForConditionalGeneration", text_architecture="Qwen2ForCausalLM", takes_images=True)
INTERNLM2 = model("InternLM2ForCausalLM", needs_remote_code=True)
