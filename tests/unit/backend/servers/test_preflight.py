"""The list before the start: every subject has a row, and each danger turns its own red or yellow."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.engines import ENGINES
from backend.engines.remedies import Case, remedies
from backend.errors import Message
from backend.machine.machine import Environment
from backend.memory_plan.values import Plan
from backend.models.checkpoint import ModelInfo, read_model
from backend.servers.leftovers import Leftover
from backend.servers.preflight import SUBJECTS, Row, Surroundings, preflight, to_mend
from backend.servers.surroundings import files_of, look
from tests.support.machines import CONSOLE, SERVER, config, model
from tests.support.tiny_models import fake_model
from ui.tabs.deploy.preflight_html import preflight_html

GIB = 1 << 30
PLAN = Plan("turbomind", 24 * GIB, 4 * GIB, 0, GIB, 15 * GIB, GIB, 0, 100_000, 160_000.0, 32_768, 0.8, "fits", (), ())
FINE = Surroundings(PLAN, 100 * GIB, 0, (), True, True)


LEFTOVER = Leftover(4711, 99, "lmdeploy serve qwen", 3 * GIB, True, "me")


def rows(
    settings: Any = None,
    chosen: ModelInfo | None = None,
    around: Surroundings = FINE,
    environment: Environment = CONSOLE,
) -> dict[str, Row]:
    settings, chosen = settings or config(), chosen or model()
    messages = ENGINES[settings.engine].check(settings, chosen, replace(SERVER, environments=(environment,)))
    return {row.subject: row for row in preflight(settings, chosen, messages, around)}


def test_all_is_well() -> None:
    found = rows()
    assert list(found) == list(SUBJECTS)
    assert to_mend(found.values()) == (0, 0)
    assert 'data-state="green"' in preflight_html(tuple(found.values()), "en", lambda message: "")


@pytest.mark.parametrize(
    ("subject", "state", "settings", "chosen", "around"),
    [
        ("model", "red", {}, {"problem": Message("models.lfs-pointer", {"file": "x", "size": 1})}, {}),
        ("model", "red", {}, {}, {"tokenizer": False}),
        ("model", "red", {}, {"needs_remote_code": True, "own_tokenizer": True}, {}),
        ("model", "red", {}, {"architecture": "NovaForCausalLM"}, {}),
        ("engine", "red", {}, {"head_dim": 100}, {}),
        ("gpus", "red", {"tp": 4}, {}, {}),
        ("gpus", "yellow", {}, {}, {"others_bytes": 3 * GIB}),
        ("format", "red", {"model_format": "awq"}, {}, {}),
        ("format", "red", {"dtype": "float8"}, {}, {}),
        ("memory", "red", {"cache_max_entry_count": 5000.0}, {}, {}),
        ("memory", "red", {"quant_policy": 4}, {"head_dim": 64}, {}),
        ("memory", "red", {}, {}, {"plan": replace(PLAN, verdict="over")}),
        ("memory", "red", {}, {}, {"plan": replace(PLAN, kv_bytes=1 << 20)}),
        ("memory", "yellow", {}, {}, {"plan": replace(PLAN, verdict="tight")}),
        ("context", "yellow", {}, {}, {"plan": replace(PLAN, tokens=4096)}),
        ("context", "yellow", {"session_len": 100_000}, {}, {}),
        ("address", "red", {"port": 70_000}, {}, {}),
        ("flags", "red", {"extra": ("--no-such",)}, {}, {}),
        ("flags", "red", {"extra": ("--tool-call-parser", "nosuch")}, {}, {}),
        ("flags", "yellow", {}, {}, {"template": False}),
        ("flags", "yellow", {}, {"takes_images": True}, {"template": False}),
        ("flags", "red", {"model_name": "base"}, {"takes_images": True}, {}),
        ("flags", "green", {"model_name": "base"}, {}, {}),
        ("flags", "red", {"extra": ("--chat-template", "nosuch")}, {}, {}),
        ("flags", "red", {"extra": ("--chat-template=/no/file.json",)}, {}, {}),
        ("flags", "green", {"extra": ("--chat-template", "hf")}, {}, {}),
        ("flags", "green", {"extra": ("--chat-template", __file__)}, {}, {}),
        (
            "model",
            "red",
            {},
            {},
            {"disagreements": (Message("models.layers-missing", {"model": "m", "said": 4, "found": 2}, "model"),)},
        ),
        ("gpus", "yellow", {}, {}, {"leftovers": (LEFTOVER,)}),
        ("gpus", "yellow", {}, {}, {"leftovers": (replace(LEFTOVER, own=False, user="li"),)}),
        ("gpus", "red", {"engine": "pytorch", "tp": 2, "gpus": ("0", "1")}, {}, {"lacking": ("ray",)}),
        ("gpus", "green", {"engine": "turbomind", "tp": 2, "gpus": ("0", "1")}, {}, {"lacking": ("ray",)}),
        ("format", "yellow", {"dtype": "bfloat16"}, {"quantization": "awq", "group_size": 128}, {}),
        ("flags", "yellow", {}, {"path": Path("/m/Vicuna-like/qwen")}, {"environment": CONSOLE}),
        ("flags", "green", {}, {"path": Path("/m/vicuna-7b")}, {"environment": CONSOLE, "template": False}),
        ("engine", "red", {"extra": ("--adapters", "/none")}, {}, {}),
        ("flags", "red", {"engine": "pytorch", "extra": ("--adapters", "/none")}, {}, {}),
        ("engine", "red", {"engine": "pytorch", "extra": ("--adapters", "org/lora")}, {}, {"lacking": ("peft",)}),
        ("disk", "yellow", {}, {}, {"free_disk_bytes": GIB}),
        ("proxy", "green", {}, {}, {"proxies": ("http_proxy",)}),
    ],
)
def test_each_danger_has_its_row(
    subject: str, state: str, settings: dict[str, Any], chosen: dict[str, Any], around: dict[str, Any]
) -> None:
    around = dict(around)
    environment = replace(CONSOLE, lacking=around.pop("lacking", ()))
    found = rows(config(**settings), model(**chosen), replace(FINE, **around), environment)
    assert found[subject].state == state
    assert found[subject].messages or state == "green"
    for language in ("en", "zh"):
        html = preflight_html(tuple(found.values()), language, lambda message: "")
        assert "{" not in html


def test_what_can_be_mended_is() -> None:
    for around, field in (({"kv_bytes": 1 << 20}, "cache_max_entry_count"), ({"tokens": 4096}, "session_len")):
        settings = config(cache_max_entry_count=0.001, session_len=32_768)
        found = rows(settings, around=replace(FINE, plan=replace(PLAN, **around)))  # type: ignore[arg-type]
        said = [m for row in found.values() for m in row.messages if m.key.startswith("preflight.")]
        offered = [remedy for m in said for remedy in remedies(m, Case(settings, model(), SERVER))]
        assert [name for remedy in offered for name in remedy.settings] == [field]


def test_other_engines_have_the_rows_that_they_need() -> None:
    assert set(rows(config("transformers"))) == {"model", "engine", "address", "flags", "disk", "proxy"}
    assert set(rows(config("external", address="http://127.0.0.1:1"))) == {"address", "proxy"}


@pytest.mark.parametrize(
    ("files", "tokenizer", "template"),
    [
        ({}, False, False),
        ({"tokenizer.json": "{}"}, True, False),
        ({"tokenizer.model": "", "tokenizer_config.json": {"chat_template": "{{ x }}"}}, True, True),
        ({"tokenizer.json": "{}", "tokenizer_config.json": {}}, True, False),
        ({"tokenizer.json": "{}", "chat_template.jinja": "x"}, True, True),
        ({"qwen.tiktoken": "", "tokenization_qwen.py": ""}, True, None),
        ({"tokenizer.json": "{}", "tokenizer_config.json": "{broken"}, True, None),
    ],
)
def test_the_files_beside_the_weights(
    tmp_path: Path, files: dict[str, Any], tokenizer: bool, template: bool | None
) -> None:
    fake_model(tmp_path / "m")
    for name, text in files.items():
        (tmp_path / "m" / name).write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    assert files_of(read_model(tmp_path / "m")) == (tokenizer, template)


def test_what_is_looked_at(tmp_path: Path) -> None:
    around = look(config(), None, None, None, tmp_path, {"HTTP_PROXY": "http://p:1", "no_proxy": "x", "ALL_PROXY": ""})
    assert around.proxies == ("HTTP_PROXY",)
    assert around.free_disk_bytes is not None
    assert (around.tokenizer, around.template, around.others_bytes) == (None, None, None)
