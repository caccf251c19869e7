"""Presets: kept, given out as a file, taken in again; whatever else is in a file is refused with a clear word."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.errors import Conflict, InvalidInput, NotFound
from backend.memory_plan.model_shape import read_shape
from backend.memory_plan.plan import plan
from backend.memory_plan.values import Card
from backend.models.checkpoint import read_model, read_tensors
from backend.presets.preset import FIELDS, FORMAT, Preset, from_file, of_config, to_file
from backend.presets.shelf import Shelf
from backend.presets.shipped import SHIPPED
from backend.store import Store
from tests.support.machines import SERVER, config, model
from tests.support.sparse_checkpoints import (
    INTERNLM2_5_1_8B,
    INTERNLM2_5_7B,
    INTERNVL2_8B,
    INTERNVL2_26B,
    internvl,
    llama,
)
from ui.i18n import LANGUAGES, say, texts

CONFIG = ServeConfig(
    "pytorch", "/secret/qwen", gpus=("1",), cache_max_entry_count=0.3, quant_policy=8, port=1, api_key="sk",
    trust_remote_code=True, session_len=4096, extra=("--max-batch-size", "64"), environment="/env/bin/python",
)  # fmt: skip


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(Store(tmp_path))


def document(**preset: Any) -> dict[str, Any]:
    sound = {"name": "n", "model": "m", "card_gib": 24, "settings": {"engine": "turbomind"}}
    return {"format": FORMAT, "version": 1, "presets": [{**sound, **preset}]}


def test_what_is_kept_comes_back(shelf: Shelf, tmp_path: Path) -> None:
    kept = shelf.save("课堂 24 GiB", CONFIG, "qwen", 24.0)
    again = Shelf(Store(tmp_path)).get(kept.id)
    assert again == kept
    applied = again.applied(ServeConfig("turbomind", "/other", quant_policy=4, tp=2, port=7, dtype="float16"))
    assert applied == ServeConfig(
        "pytorch", "/other", quant_policy=8, cache_max_entry_count=0.3, session_len=4096, port=7,
        extra=("--max-batch-size", "64"),
    )  # fmt: skip
    assert shelf.save("课堂 24 GiB", replace(CONFIG, quant_policy=0), "qwen", 24.0).id == kept.id
    assert len(shelf.own()) == 1


def test_no_secret_no_path_and_no_trust_are_in_it(shelf: Shelf) -> None:
    shelf.save("x", CONFIG, "qwen", 0.0)
    text = shelf.to_file()
    for hidden in ("secret", "sk", "trust", "port", "gpus", "/env"):
        assert hidden not in text.replace("tasks", "")


def test_a_file_goes_from_one_console_to_another(shelf: Shelf, tmp_path: Path) -> None:
    shelf.save("a", CONFIG, "qwen", 24.0)
    shelf.save("b", ServeConfig("turbomind", "m"), "", 0.0)
    other = Shelf(Store(tmp_path / "other"))
    other.save("b", CONFIG, "", 0.0)
    assert [preset.name for preset in other.take(shelf.to_file())] == ["a", "b"]
    assert [replace(p, id="") for p in other.own()] == [replace(p, id="") for p in shelf.own()]
    assert from_file("\ufeff" + shelf.to_file())  # as an editor on Windows saves it


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "not-json"),
        ("{", "not-json"),
        ("[" * 100_000, "not-json"),
        ("[]", "not-presets"),
        ('{"format": "other"}', "not-presets"),
        ("x" * 600_000, "too-large"),
        (json.dumps({"format": FORMAT, "version": 9}), "version"),
        (json.dumps({"format": FORMAT, "version": 1, "presets": []}), "none"),
        (json.dumps({"format": FORMAT, "version": 1, "presets": [1]}), "no-object"),
        (json.dumps({"format": FORMAT, "version": 1, "presets": [{}] * 201}), "too-many"),
        (json.dumps(document(name="")), "name"),
        (json.dumps(document(name="a\nb")), "name"),
        (json.dumps(document(name="x" * 81)), "name"),
        (json.dumps(document(name=7)), "name"),
        (json.dumps(document(model=["m"])), "bad-value"),
        (json.dumps(document(card_gib=-1)), "bad-value"),
        (json.dumps(document(card_gib=True)), "bad-value"),
        (json.dumps(document(other=1)), "unknown-key"),
        (json.dumps(document(settings={})), "no-settings"),
        (json.dumps(document(settings={"engine": "vllm"})), "bad-setting"),
        (json.dumps(document(settings={"engine": "external"})), "bad-setting"),
        (json.dumps(document(settings={"engine": "turbomind", "api_key": "x"})), "unknown-setting"),
        (json.dumps(document(settings={"engine": "turbomind", "trust_remote_code": True})), "unknown-setting"),
        (json.dumps(document(settings={"engine": "turbomind", "cache_max_entry_count": 5})), "bad-setting"),
        (json.dumps(document(settings={"engine": "turbomind", "quant_policy": "4"})), "bad-setting"),
        (json.dumps(document(settings={"engine": "turbomind", "tp": 0})), "bad-setting"),
        (json.dumps(document(settings={"engine": "turbomind", "dtype": "a b"})), "bad-setting"),
        (json.dumps(document(settings={"engine": "turbomind", "session_len": 1.5})), "bad-setting"),
        (json.dumps(document(settings={"engine": "turbomind", "extra": "--x"})), "bad-setting"),
        (json.dumps(document(settings={"engine": "turbomind", "extra": ["--trust-remote-code"]})), "forbidden-flag"),
        (json.dumps(document(settings={"engine": "turbomind", "extra": ["--trust_remote_code"]})), "forbidden-flag"),
        (json.dumps(document(settings={"engine": "turbomind", "extra": ["--trust"]})), "forbidden-flag"),
        (json.dumps(document(settings={"engine": "turbomind", "extra": ["--api-keys=x"]})), "forbidden-flag"),
    ],
)
def test_a_bad_file_is_refused_and_nothing_taken(shelf: Shelf, text: str, key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        shelf.take(text)
    (message,) = refused.value.messages
    assert message.key == f"presets.{key}"
    for language in LANGUAGES:
        assert "{" not in say(message, language).replace(str(message.params.get("value", "")), "")
    assert shelf.own() == ()


def test_all_or_none(shelf: Shelf) -> None:
    mixed = document()
    mixed["presets"].append({"name": "bad"})
    with pytest.raises(InvalidInput):
        shelf.take(json.dumps(mixed))
    assert shelf.own() == ()


def test_deleted(shelf: Shelf) -> None:
    kept = shelf.save("a", CONFIG, "", 0.0)
    assert shelf.delete(kept.id) == kept
    for missing in (kept.id, "", "nosuch"):
        with pytest.raises(NotFound):
            shelf.delete(missing)
    with pytest.raises(Conflict):
        shelf.delete(SHIPPED[0].id)


def test_a_store_that_holds_something_else_hides_no_other(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_json("preset", "broken", {"name": 1})
    shelf = Shelf(store)
    shelf.save("a", CONFIG, "", 0.0)
    assert [preset.name for preset in shelf.own()] == ["a"]


def test_those_that_come_with_the_console_are_sound() -> None:
    assert len({preset.id for preset in SHIPPED}) == len(SHIPPED) == 12
    for preset in SHIPPED:
        assert preset.name in texts()
        assert from_file(to_file([preset]))[0].settings == preset.settings
        settings = preset.applied(config(trust_remote_code=True))
        packed = settings.model_format == "awq"
        chosen = model("InternLM2ForCausalLM", quantization="awq" if packed else "", group_size=128 if packed else 0)
        assert [m for m in ENGINES[settings.engine].check(settings, chosen, SERVER) if m.level == "error"] == []


# What such cards have free: the whole, and what is left by a 24 GB L4 (22.5) or a 40 GB A100 under a driver (39.4).
FREE = {24.0: (24.0, 22.5), 40.0: (40.0, 39.4)}


@pytest.mark.parametrize("preset", SHIPPED, ids=lambda preset: preset.id)
def test_each_fits_the_card_that_it_names(tmp_path: Path, preset: Preset) -> None:
    packed = preset.model.endswith("-w4a16-4bit")
    folder = tmp_path / preset.model
    if "InternVL" in preset.model:
        internvl(folder, INTERNVL2_26B if "26B" in preset.model else INTERNVL2_8B, packed)
    else:
        llama(folder, INTERNLM2_5_1_8B if "1_8b" in preset.model else INTERNLM2_5_7B, packed)
    found = read_model(folder)
    assert found.takes_images == ("InternVL" in preset.model)
    shape = read_shape(found, read_tensors(folder))
    settings = preset.applied(ServeConfig("turbomind", str(folder), trust_remote_code=True))
    for gib in FREE[preset.card_gib]:
        free = round(gib * 2**30)
        made = plan(shape, settings, Card("", free, free))
        assert made.verdict == "fits"
        assert made.chats() >= 1 or preset.name == "presets.shipped.less-cache"  # the tutorials' own: 0.4 of a 7B
        assert (made.picture_bytes > 0) == found.takes_images  # a picture's work is in the sum
    warned = [m.key for m in ENGINES[settings.engine].check(settings, found, SERVER) if m.level != "info"]
    assert warned == []


def test_only_what_differs_is_kept() -> None:
    preset = of_config("", "n", ServeConfig("turbomind", "m"), "", 0.0)
    assert dict(preset.settings) == {"engine": "turbomind"}
    assert set(FIELDS) <= set(ServeConfig.__dataclass_fields__)
