"""One folder, whatever is in it, takes nothing from the others: it is listed as broken, or with what could be read."""

import json
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.errors import InvalidInput
from backend.memory_plan.model_shape import read_shape
from backend.models import weights
from backend.models.catalog import Catalog
from backend.models.checkpoint import ModelInfo, read_model, read_tensors
from backend.outside_text import is_json
from tests.support.tiny_models import QWEN2, QWEN2_TENSORS, fake_model
from ui.i18n import LANGUAGES
from ui.tabs.deploy.choices import model_choices
from ui.tabs.deploy.render import model_facts
from ui.tabs.quantize.choices import model_choices as quantize_choices

HUGE = 10**300
FEW = settings(
    deadline=None, derandomize=True, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def header(folder: Path, entries: Any, data: int = 0, raw: bytes | None = None) -> None:
    text = json.dumps(entries).encode() if raw is None else raw
    fake_model(folder)
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + data)


def config(**changes: Any) -> Callable[[Path], object]:
    return lambda folder: fake_model(folder, QWEN2 | changes)


def raw_config(data: bytes) -> Callable[[Path], object]:
    return lambda folder: (fake_model(folder) / "config.json").write_bytes(data)


def index(data: bytes) -> Callable[[Path], object]:
    return lambda folder: (fake_model(folder, shards=2) / "model.safetensors.index.json").write_bytes(data)


def special(make: Callable[[Path], object], name: str = "config.json") -> Callable[[Path], object]:
    def made(folder: Path) -> None:
        (fake_model(folder) / name).unlink()
        make(folder / name)

    return made


def many_files(folder: Path) -> None:
    fake_model(folder)
    for number in range(6000):
        (folder / f"f{number}").touch()


def entry(**changes: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]} | changes}


HOSTILE: dict[str, Callable[[Path], object]] = {
    "surrogates": raw_config(json.dumps(QWEN2 | {"architectures": ["A\ud800"], "model_type": "\udfff"}).encode()),
    "surrogate-keys": raw_config(json.dumps(QWEN2 | {"\ud800": {"\udc00": ["\ud801"]}}).encode()),
    "controls": config(architectures=["A\x00\x1b[31m\u202e"]),
    "huge-everything": config(**{name: HUGE for name in QWEN2 if isinstance(QWEN2[name], int)}),
    "huge-group": config(quantization_config={"quant_method": "awq", "bits": HUGE, "group_size": HUGE}),
    "negative": config(**{name: -7 for name in QWEN2 if isinstance(QWEN2[name], int)}),
    "zero-heads": config(num_attention_heads=0, num_key_value_heads=0, hidden_size=1),
    "floats": config(hidden_size=1e308, num_hidden_layers=0.5, vocab_size=float("nan")),
    "lists": config(hidden_size=[1], num_hidden_layers={}, architectures=[["x"]], torch_dtype=[], layer_types=[{}]),
    "strings": config(hidden_size="x" * 10_000, torch_dtype="y" * 10_000, quantization_config="awq", auto_map="z"),
    "long-architecture": config(architectures=["A" * 100_000]),
    "deep": raw_config(b'{"architectures": ["A"], "x": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}"),
    "deep-text-config": raw_config(b'{"architectures": ["A"], "text_config": ' * 200 + b"{}" + b"}" * 200),
    "large": raw_config(b'{"architectures": ["A"], "x": "' + b"y" * 60_000_000 + b'"}'),
    "digits": raw_config(b'{"architectures": ["A"], "hidden_size": ' + b"9" * 100_000 + b"}"),
    "constants": raw_config(b'{"architectures": ["A"], "x": [NaN, Infinity, -Infinity, 1e999]}'),
    "binary": raw_config(bytes(range(256)) * 20),
    "pipe": special(os.mkfifo),
    "device": special(lambda path: path.symlink_to("/dev/zero")),
    "folder": special(lambda path: path.mkdir()),
    "dangling": special(lambda path: path.symlink_to("/nowhere")),
    "circle": special(lambda path: path.symlink_to(path)),
    "weights-pipe": special(os.mkfifo, "model.safetensors"),
    "weights-device": special(lambda path: path.symlink_to("/dev/zero"), "model.safetensors"),
    "shape": lambda folder: header(folder, entry(shape=[HUGE, 2]), 16),
    "shape-of-nothing": lambda folder: header(folder, entry(shape=[HUGE, 0], data_offsets=[0, 0])),
    "shape-unknown-dtype": lambda folder: header(folder, entry(shape=[HUGE], dtype="Z9"), 16),
    "shape-negative": lambda folder: header(folder, entry(shape=[-2, -2]), 16),
    "shape-text": lambda folder: header(folder, entry(shape="xx"), 16),
    "shape-deep": lambda folder: header(folder, entry(shape=[1] * 100_000), 16),
    "offsets": lambda folder: header(folder, entry(data_offsets=[0, HUGE]), 16),
    "offsets-back": lambda folder: header(folder, entry(data_offsets=[16, 0]), 16),
    "offsets-float": lambda folder: header(folder, entry(data_offsets=[0, 16.0]), 16),
    "dtype": lambda folder: header(folder, entry(dtype=["F32"]), 16),
    "dtype-number": lambda folder: header(folder, entry(dtype=7), 16),
    "tensor-name": lambda folder: header(folder, {"\ud800\x00": entry()["a"]}, 16),
    "header-list": lambda folder: header(folder, [1, 2]),
    "header-deep": lambda folder: header(folder, None, raw=b"[" * 200_000),
    "index-large": index(b" " * 65_000_000),
    "index-list": index(b"[]"),
    "index-out": index(json.dumps({"weight_map": {"a": "../../etc/passwd", "b": "\ud800", "c": 7}}).encode()),
    "adapter": lambda folder: (fake_model(folder) / "model.safetensors").rename(folder / "adapter_model.safetensors"),
    "many-files": many_files,
    "loop": lambda folder: (fake_model(folder) / "again").symlink_to(folder),
    "tokenizer-config": lambda folder: (
        fake_model(folder, QWEN2 | {"auto_map": {"AutoModel": "x"}}) / "tokenizer_config.json"
    ).write_bytes(b"\xff\xfe["),
    "quant-files": lambda folder: (fake_model(folder) / "quant_config.json").write_bytes(b"[" * 10_000),
}  # fmt: skip


def shown(models: tuple[ModelInfo, ...]) -> None:
    """Everything that the page makes of the catalogue can be made, and sent."""
    for language in LANGUAGES:
        assert is_json(model_choices(models, language))
        assert all(is_json(model_facts(model, language)) for model in models)
    assert is_json(quantize_choices(models))
    refusals: list[InvalidInput] = []
    for model in models:
        assert is_json([model.name, str(model.path), dict(model.config), dict(model.text)])
        assert is_json({} if model.problem is None else dict(model.problem.params))
        if model.problem is None:
            try:
                read_shape(model, read_tensors(model.path))
            except InvalidInput as error:
                refusals.append(error)
    assert all(is_json(dict(message.params)) for error in refusals for message in error.messages)


@pytest.mark.parametrize("kind", HOSTILE)
def test_it_takes_nothing_from_the_others(tmp_path: Path, kind: str) -> None:
    fake_model(tmp_path / "good")
    HOSTILE[kind](tmp_path / "m")
    began = time.monotonic()
    models = {model.name: model for model in Catalog([tmp_path]).models()}
    assert models["good"].problem is None
    assert "m" in models
    shown(tuple(models.values()))
    assert time.monotonic() - began < 20


def test_all_of_them_together(tmp_path: Path) -> None:
    for kind, make in HOSTILE.items():
        if kind not in {"large", "index-large"}:
            make(tmp_path / kind)
    fake_model(tmp_path / "good")
    models = Catalog([tmp_path]).models()
    assert "good" in {model.name for model in models}
    assert len(models) == len(HOSTILE) - 1
    shown(models)


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    fake_model(tmp_path / "good")
    name = os.fsencode(tmp_path) + b"/m\xff\xfe"
    os.rename(fake_model(tmp_path / "x"), name)
    catalog = Catalog([tmp_path])
    good, odd = catalog.models()
    assert (good.name, good.problem) == ("good", None)
    assert odd.name == "m\\xff\\xfe"
    assert odd.problem is not None
    assert odd.problem.key == "models.path-encoding"
    shown((good, odd))
    for typed in (odd.name, str(odd.path)):
        with pytest.raises(InvalidInput) as caught:
            catalog.find(typed)
        assert caught.value.messages[0].key == "models.path-encoding"


def test_more_tensors_than_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lower limit, so that it is cheap; tests/integration/test_hostile_models.py has 1.2 million."""
    monkeypatch.setattr(weights, "MOST_TENSORS", 1000)
    fake_model(tmp_path / "good")
    entries = ",".join(f'"t{n}":{{"dtype":"F16","shape":[0],"data_offsets":[0,0]}}' for n in range(1001))
    header(tmp_path / "many", None, raw=("{" + entries + "}").encode())
    good, many = Catalog([tmp_path]).models()
    assert good.problem is None
    assert many.problem is not None
    assert many.problem.key == "models.too-many-tensors"


def test_a_fault_of_our_own_is_one_broken_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_model(tmp_path / "good")
    fake_model(tmp_path / "m")
    real = weights.find_weights

    def failing(listing: Any) -> Any:
        if listing.path.name == "m":
            raise MemoryError("no\ud800 memory")
        return real(listing)

    monkeypatch.setattr("backend.models.checkpoint.find_weights", failing)
    good, broken = Catalog([tmp_path]).models()
    assert good.problem is None
    assert broken.problem is not None
    assert broken.problem.key == "models.unexpected"
    shown((good, broken))


ODD = st.sampled_from(["awq", "bfloat16", "LlamaForCausalLM", 10**300, 2, 64, 4096])
TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | ODD,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(QWEN2)) | TEXT, inner, max_size=3)
    ),
    max_leaves=12,
)
KEYS = (
    *QWEN2, "text_config", "llm_config", "thinker_config", "vision_config", "quantization_config", "quant_config",
    "auto_map", "head_dim", "layer_types", "kv_lora_rank", "multi_query", "attn_config", "dtype", "num_kv_heads",
)  # fmt: skip


@FEW
@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8))
def test_any_config_is_read(tmp_path: Path, values: dict[str, Any]) -> None:
    folder = fake_model(tmp_path / "m")
    (folder / "config.json").write_text(json.dumps(QWEN2 | values))
    shown((read_model(folder),))


NAMES = st.sampled_from([*QWEN2_TENSORS, "a.qweight", "a.scales", "a.weight_packed", "x_blocks"])
ENTRY = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["BF16", "I32", "U8", "F8_E4M3", "X", 7]),
        "shape": JSON | st.lists(st.integers(0, 64), max_size=3),
        "data_offsets": JSON | st.just([0, 64]),
    }
)


@FEW
@given(st.dictionaries(NAMES, ENTRY | JSON, max_size=5))
def test_any_header_is_read(tmp_path: Path, entries: Any) -> None:
    header(tmp_path / "m", entries, 64)
    shown((read_model(tmp_path / "m"),))


@FEW
@given(st.binary(max_size=300))
def test_any_bytes_are_read(tmp_path: Path, data: bytes) -> None:
    folder = fake_model(tmp_path / "m")
    for name in ("config.json", "model.safetensors"):
        fake_model(folder)
        (folder / name).write_bytes(data)
        shown((read_model(folder),))
