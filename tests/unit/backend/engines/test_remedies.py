"""What would help, as settings: each remedy changes something, and what it leads to can run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.engines.base import ServeConfig
from backend.engines.parsers import Told, missing_parsers, read_told
from backend.engines.remedies import Case, for_plan, remedies, restarts
from backend.engines.runnable import first_model, obstacles
from backend.errors import Message
from backend.machine.flags import check_extra, snapshot, without_flag
from backend.machine.machine import Environment, Gpu, Machine
from backend.models.checkpoint import ModelInfo, read_model
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B, llama
from tests.support.tiny_models import fake_model

GIB = 1 << 30
HERE = Environment("here", "here", Path("/opt/bin/python"), "console", "0.18.0", "5.23.0", "2.12.1", "13.0", "13")
LAPTOP = Machine((), "", "", (HERE,))
GPU = Machine((Gpu("0", "GPU-0", "NVIDIA A100", 24 * GIB, 24 * GIB),), "580.1", "13.0", (HERE,))


@pytest.fixture
def models(tmp_path: Path) -> dict[str, ModelInfo]:
    llama(tmp_path / "awq", INTERNLM2_5_1_8B, awq=True)
    fake_model(tmp_path / "demo")
    llama(tmp_path / "large", INTERNLM2_5_1_8B)
    own = {"architectures": ["OwnForCausalLM"], "model_type": "own", "auto_map": {"AutoModelForCausalLM": "m.Own"}}
    fake_model(tmp_path / "own", own)
    return {name: read_model(tmp_path / name) for name in ("awq", "demo", "large", "own")}


def test_what_is_preselected_runs(models: dict[str, ModelInfo]) -> None:
    every = [models[name] for name in ("awq", "demo", "large", "own")]

    def first(engine: str, machine: Machine, listed: list[ModelInfo], fits: bool = True) -> str:
        found = first_model(listed, engine, machine, models["demo"], lambda config: fits)
        return found.path.name if found else ""

    assert first("transformers", LAPTOP, every) == "large"
    assert first("turbomind", GPU, every) == "awq"
    assert first("transformers", LAPTOP, [models["awq"], models["own"], models["demo"]]) == "demo"
    assert first("transformers", LAPTOP, [models["awq"]]) == "awq"  # nothing runs: it can be looked at all the same
    assert first("transformers", LAPTOP, []) == ""
    assert first("turbomind", GPU, every, fits=False) == "awq"


@pytest.mark.parametrize(
    ("engine", "name", "machine"),
    [
        ("transformers", "awq", LAPTOP),
        ("turbomind", "large", LAPTOP),
        ("pytorch", "awq", LAPTOP),
        ("transformers", "own", LAPTOP),
        ("transformers", "awq", GPU),
    ],
)
def test_what_stands_against_a_choice_names_one_that_runs(
    models: dict[str, ModelInfo], engine: str, name: str, machine: Machine
) -> None:
    config = ServeConfig(engine, str(models[name].path))
    case = Case(config, models[name], machine, models["demo"])
    found = obstacles(config, models[name], machine)
    assert found
    offered = [remedy for message in found for remedy in remedies(message, case)]
    assert offered
    for remedy in offered:
        changed = replace(config, **remedy.settings)  # type: ignore[arg-type]
        model = next(model for model in models.values() if str(model.path) == changed.model)
        assert obstacles(changed, model, machine) == (), remedy


@pytest.mark.parametrize(
    "words",
    [
        ("--foo",), ("--foo", "1", "2"), ("--foo=1",), ("--enable-prefix-cachng",), ("stray",),
        ("--max-batch-size", "8", "--foo", "x", "--enable-prefix-caching"), ("--server-name", "0.0.0.0"),
    ],
)  # fmt: skip
def test_a_flag_that_is_refused_can_be_removed(words: tuple[str, ...]) -> None:
    config = ServeConfig("turbomind", "m", extra=words)
    case = Case(config, None, GPU)
    for message in check_extra(words, snapshot().serve, {"--server-name": ""}):
        last = remedies(message, case)[-1]
        left = last.settings["extra"]
        assert isinstance(left, tuple)
        assert message not in check_extra(left, snapshot().serve, {"--server-name": ""})
        assert set(left) <= set(words)


def test_what_is_nothing_like_a_flag_is_no_guess() -> None:
    for typed in ("--foo", "--bar", "--xyz", "--gpu-memory-utilization"):
        (message,) = check_extra((typed,), snapshot().serve, {})
        assert message.key == "engines.extra.unknown-alone", typed
    for typed, meant in (("--enable-prefix-cachng", "--enable-prefix-caching"), ("--sesion-len", "--session-len")):
        (message,) = check_extra((typed,), snapshot().serve, {})
        assert message.params["nearest"] == meant
    assert without_flag(("--a", "1", "--b"), "--a") == ("--b",)


@pytest.mark.parametrize("cause", ["trust", "tokenizer", "picture-dtype", "bfloat16", "memory", "port", "no-gpu"])
def test_a_server_that_died_can_be_started_with_other_settings(cause: str) -> None:
    config = ServeConfig("turbomind", "m", port=23333)
    (remedy,) = restarts(Message(f"engines.died.{cause}"), config)
    assert replace(config, **remedy.settings) != config  # type: ignore[arg-type]
    again = replace(config, **remedy.settings)  # type: ignore[arg-type]
    assert cause == "memory" or restarts(Message(f"engines.died.{cause}"), again) == ()
    assert restarts(None, config) == ()
    assert restarts(Message("engines.died.unknown"), config) == ()


@pytest.mark.parametrize(
    ("cause", "said", "changes", "corrected"),
    [
        ("kv-fp8", "", {"quant_policy": 16}, {"quant_policy": 8}),
        ("kv-misaligned", "", {"quant_policy": 4}, {"quant_policy": 8}),
        ("memory", "", {"session_len": 100_000_000}, {"session_len": None}),
        ("memory", "", {"session_len": 32_768}, {"cache_max_entry_count": 0.4}),
        ("memory-kv", "", {"cache_max_entry_count": 0.05}, {"cache_max_entry_count": 0.8}),
        ("ratio", "", {"cache_max_entry_count": 5000.0}, {"cache_max_entry_count": 0.8}),
        ("format-hf", "hf", {"engine": "pytorch", "model_format": "hf"}, {"model_format": "auto"}),
        ("fp8-gpu", "", {"engine": "pytorch", "model_format": "fp8"}, {"model_format": "auto"}),
        ("format-mismatch", "awq", {"model_format": "gptq"}, {"model_format": "awq"}),
        ("format-mismatch", "bitsandbytes", {"model_format": "gptq"}, {"model_format": "auto"}),
        ("engine-architecture", "", {}, {"engine": "pytorch"}),
        ("head-dim", "", {}, {"engine": "pytorch"}),
        ("ray", "", {"engine": "pytorch", "tp": 2}, {"engine": "turbomind"}),
        ("tp-heads", "", {"tp": 3}, {"tp": 1}),
        ("gpus-too-few", "", {"tp": 2, "gpus": ("0", "1")}, {"tp": 1, "gpus": ()}),
        ("template", "no", {"extra": ("--chat-template", "no", "--eager-mode")}, {"extra": ("--eager-mode",)}),
        ("parser-tool", "no", {"extra": ("--tool-call-parser=no",)}, {"extra": ()}),
        ("adapter", "", {"extra": ("--adapters", "a=/x", "b=/y")}, {"extra": ()}),
        ("arguments", "unrecognized arguments: --no-such 1", {"extra": ("--no-such", "1")}, {"extra": ()}),
        ("arguments", "argument --max-batch-size: invalid int value: 'x'", {"extra": ("--max-batch-size", "x")},
         {"extra": ()}),
    ],
)  # fmt: skip
def test_each_cause_has_its_corrected_settings(
    cause: str, said: str, changes: dict[str, Any], corrected: dict[str, Any]
) -> None:
    config = replace(ServeConfig("turbomind", "m"), **changes)
    first, *_ = restarts(Message(f"engines.died.{cause}", {"cause": said}), config)
    assert dict(first.settings) == corrected
    assert replace(config, **first.settings) != config  # type: ignore[arg-type]


@pytest.mark.parametrize("cause", ["template", "arguments", "speculative", "weights", "memory-host", "format-hf"])
def test_what_only_a_person_can_mend_has_no_button(cause: str) -> None:
    assert restarts(Message(f"engines.died.{cause}", {"cause": "--unknown"}), ServeConfig("turbomind", "m")) == ()


def test_a_plans_remedies_are_settings() -> None:
    (ratio,) = for_plan(Message("plan.remedy.ratio", {"ratio": 0.47}), 1)
    assert ratio.settings == {"cache_max_entry_count": 0.47}
    assert for_plan(Message("plan.remedy.tp", {"tp": 2}), 1) == ()
    (two,) = for_plan(Message("plan.remedy.tp", {"tp": 2}), 2)
    assert two.settings == {"tp": 2, "gpus": ("0", "1")}
    assert for_plan(Message("plan.remedy.smaller"), 8) == ()


def test_the_parser_of_a_models_tools_is_added_once(models: dict[str, ModelInfo]) -> None:
    config = ServeConfig("turbomind", str(models["demo"].path))
    told = read_told(models["demo"])
    (missing,) = missing_parsers(config, models["demo"], HERE, told)
    (remedy,) = remedies(missing, Case(config, models["demo"], GPU))
    added = replace(config, **remedy.settings)  # type: ignore[arg-type]
    assert added.extra == ("--tool-call-parser", "qwen2d5")
    assert check_extra(added.extra, snapshot().serve, {}) == ()
    assert missing_parsers(added, models["demo"], HERE, told) == ()
    assert missing_parsers(replace(config, engine="transformers"), models["demo"], HERE, told) == ()
    assert missing_parsers(config, models["own"], HERE, Told()) == ()
