from pathlib import Path
from typing import Any

import pytest

from backend.errors import Message
from backend.machine.fit import check_report
from backend.machine.machine import Environment, Gpu, Machine
from backend.models.checkpoint import ModelInfo
from ui.i18n import LANGUAGES, Language
from ui.page.units import gib, parameters, tokens
from ui.tabs.deploy.choices import environment_choices, gpu_choices, model_choices, setting_choices
from ui.tabs.deploy.render import machine_check, model_facts

GPU = Gpu("0", "GPU-1", "NVIDIA H200", 150 << 30, 149 << 30)
EVIL = "<img src=x onerror=alert(1)>"


def model(**changes: object) -> ModelInfo:
    values: dict[str, object] = {
        "path": Path("/models/tiny"), "name": "tiny", "architecture": "InternVLChatModel",
        "text_architecture": "InternLM2ForCausalLM", "parameters": 1_890_000_000, "dtype": "bfloat16",
        "quantization": "awq", "group_size": 128, "size_bytes": 3 << 29, "context_length": 32768, "takes_images": True,
        "needs_remote_code": True, "head_dim": 128, "config": {}, "text": {},
    }  # fmt: skip
    return ModelInfo(**(values | changes))  # type: ignore[arg-type]


def test_a_model_shows_what_tells_it_apart() -> None:
    html = model_facts(model(), "en")
    for fact in ("InternVLChatModel (InternLM2ForCausalLM)", "1.89 B", "bfloat16", "awq (group size 128)", "1.50 GiB",
                 "32,768 tokens", "yes", "/models/tiny"):  # fmt: skip
        assert fact in html


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_broken_model_says_what_is_wrong(language: Language) -> None:
    broken = model(problem=Message("models.not-found", {"model": EVIL}))
    html = model_facts(broken, language)
    assert "<img" not in html
    assert "&lt;img" in html
    assert model_choices([broken], language)[0][0].startswith("tiny · ")


def test_names_are_escaped() -> None:
    html = model_facts(model(architecture=EVIL, path=Path(f"/models/{EVIL}")), "en")
    assert "<img" not in html


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_label_begins_with_its_raw_value(language: Language) -> None:
    for name, values in {"quant_policy": ("0", "4", "8", "99"), "model_format": ("auto", "awq", "new")}.items():
        assert [value for _, value in setting_choices(name, values, language)] == list(values)
        assert all(label.split(" · ")[0] == value for label, value in setting_choices(name, values, language))
    assert gpu_choices([GPU], language)[0][0].startswith("0 · NVIDIA H200 · ")
    environment = Environment("/opt/bin/python", "course", Path("/opt/bin/python"), "found", "0.5.3", "4.40")
    assert environment_choices([environment], language)[1] == (
        "course · LMDeploy 0.5.3 · transformers 4.40",
        environment.id,
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_check_names_machine_environments_and_verdicts(language: Language) -> None:
    python = Path("/opt/bin/python")
    fits = Environment("a", "console", python, "console", "0.18.0", "5.23.0", "2.12.1", "13.0", "12.8")
    broken = Environment("b", EVIL, python, "found", problem=Message("environments.no-lmdeploy"))
    html = machine_check(check_report(Machine((GPU,), "580.10", "13.0", (fits, broken))), language)
    assert html.count("<section") == 3
    for text in ("NVIDIA H200", "580.10", "0.18.0", "2.12.1", 'data-level="info"', 'data-level="error"'):
        assert text in html
    assert "<img" not in html


def test_units() -> None:
    assert [gib(n) for n in (0, 5 << 20, 1 << 29, 20 << 30)] == ["0.000 GiB", "0.005 GiB", "0.50 GiB", "20.0 GiB"]
    assert [parameters(n) for n in (0, 999, 14_900_000, 7_736_000_000)] == ["", "999", "14.9 M", "7.74 B"]


@pytest.mark.parametrize("figure", [10**300, -(10**300), float("nan"), float("inf"), None, "x", True, [1]])
def test_what_is_no_figure_takes_no_page_away(figure: Any) -> None:
    assert (gib(figure), parameters(figure), tokens(figure)) == ("? GiB", "?", "?")


def test_large_and_negative_figures() -> None:
    assert gib(-(3 << 30)) == "-3.00 GiB"
    assert gib(1 << 60) == "1073741824.0 GiB"
    assert parameters(10**12) == "1,000 B"
    assert parameters(999_600_000) == "1,000 M"
    assert tokens(10**12) == "1,000,000,000,000"
