"""What a chosen preset makes of the form, and what the dropdown says."""

from dataclasses import replace
from pathlib import Path

from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.presets.preset import Preset
from backend.presets.shipped import SHIPPED
from tests.support.machines import model
from ui.tabs.deploy.presets import apply_preset, preset_choices

CONFIG = ServeConfig("pytorch", "/models/other", port=7, quant_policy=8)
PRESET = Preset("1", "mine", "internlm", 24.0, {"engine": "turbomind", "quant_policy": 4})
THERE = model(name="internlm", path=Path("/models/internlm"))


def test_the_model_comes_along_where_it_is_here() -> None:
    applied, said = apply_preset(PRESET, CONFIG, [model(), THERE], "mine")
    assert applied == ServeConfig("turbomind", "/models/internlm", port=7, quant_policy=4)
    assert said.key == "deploy.preset.filled-model"


def test_else_the_model_stays_and_that_is_said() -> None:
    broken = replace(THERE, problem=Message("models.lfs-pointer"))
    for models in ([], [model()], [broken]):
        applied, said = apply_preset(PRESET, CONFIG, models, "mine")
        assert applied == ServeConfig("turbomind", "/models/other", port=7, quant_policy=4)
        assert (said.key, said.level) == ("deploy.preset.no-model", "warning")
    for preset, config in ((replace(PRESET, model=""), CONFIG), (PRESET, replace(CONFIG, model="/x/internlm/"))):
        applied, said = apply_preset(preset, config, [THERE], "mine")
        assert applied.model == config.model
        assert said.key == "deploy.preset.filled"


def test_what_the_dropdown_says() -> None:
    labels = {value: label for label, value in preset_choices([PRESET, *SHIPPED], "en")}
    assert labels["1"] == "mine · internlm · 24 GiB"
    assert labels["shipped-7b-all"].startswith("internlm2_5-7b-chat-w4a16-4bit · ")
    assert "" in labels
    assert len(set(labels.values())) == len(labels)
