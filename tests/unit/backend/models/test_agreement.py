"""A checkpoint whose files contradict each other is named before a server dies of it."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.models.agreement import disagreements, weights_against_config
from backend.models.checkpoint import TensorInfo, read_model
from tests.support.sparse_checkpoints import llama, llama_tensors

SHAPE = (512, 2, 4, 2, 1024, 2048)  # head_dim 128
TOKENIZER = '{"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = llama(tmp_path / "model", SHAPE)
    (made / "tokenizer.json").write_text(TOKENIZER, encoding="utf-8")
    return made


def change(folder: Path, **values: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_bytes()), **values}), encoding="utf-8")


def told(folder: Path) -> list[tuple[str, Any, Any]]:
    """Key, what config.json says, what the files say."""
    return [
        (message.key.removeprefix("models."), message.params.get("said"), message.params.get("found"))
        for message in disagreements(read_model(folder))
    ]


def test_a_whole_model_has_none(folder: Path) -> None:
    assert told(folder) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"num_hidden_layers": 4}, ("layers-missing", 4, 2)),
        ({"num_hidden_layers": 1}, None),  # layers that aren't used: for speculation, say
        ({"hidden_size": 1024}, ("shape-differs", 1024, 512)),
        ({"intermediate_size": 2048}, ("shape-differs", 2048, 1024)),
        ({"num_key_value_heads": 4}, ("shape-differs", 4, 2)),
        ({"num_attention_heads": 8, "head_dim": 128}, ("shape-differs", 8, 4)),
        ({"head_dim": 128}, None),
        ({"head_dim": None}, None),
        ({"vocab_size": 4096}, None),  # starts and answers
        ({"architectures": ["GemmaForCausalLM"], "intermediate_size": 2048}, None),  # not known to be uniform
        ({"architectures": ["OPTForCausalLM"], "hidden_size": 1024, "word_embed_proj_dim": 512}, None),
        ({"num_hidden_layers": "four"}, None),
    ],
)
def test_config_against_weights(folder: Path, values: dict[str, Any], expected: tuple[str, int, int] | None) -> None:
    change(folder, **values)
    assert told(folder) == ([expected] if expected else [])


def test_what_a_server_may_answer_with_is_a_warning(folder: Path) -> None:
    change(folder, intermediate_size=2048)
    assert [message.level for message in disagreements(read_model(folder))] == ["warning"]
    change(folder, hidden_size=1024)
    assert [message.level for message in disagreements(read_model(folder))] == ["error"]


def test_packed_weights_are_asked_for_their_layers_alone(tmp_path: Path) -> None:
    folder = llama(tmp_path / "model", SHAPE, awq=True, intermediate_size=4096)
    assert told(folder) == []
    change(folder, num_hidden_layers=3)
    assert told(folder) == [("layers-missing", 3, 2)]


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        (TOKENIZER, False),
        (TOKENIZER[:-1], True),
        ("", True),
        ("[]", True),
        ('{"version": "1.0"}', True),
        ("version 1.0 of something else", True),  # a Git LFS pointer is the folder's own problem: test_kinds.py
        ('{"model": ' + "[" * 100_000, True),
    ],
)
def test_the_tokenizer(folder: Path, text: str, broken: bool) -> None:
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    assert told(folder) == ([("tokenizer-broken", None, None)] if broken else [])


def test_what_is_mended_is_seen(folder: Path) -> None:
    file = folder / "tokenizer.json"
    file.write_text("{", encoding="utf-8")
    assert told(folder)
    file.write_text(TOKENIZER, encoding="utf-8")
    assert told(folder) == []


def zipped(*, cut: int = 0) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as made:
        made.writestr("archive/data.pkl", b"x" * 100_000)
    return archive.getvalue()[: -cut or None]


@pytest.mark.parametrize(
    ("data", "broken"),
    [
        (b"", True),
        (b"\0" * 5000, True),
        (zipped(cut=30_000), True),
        (zipped(cut=22), True),  # the end record alone
        (zipped(), False),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", False),  # torch before 1.6
    ],
)
@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00001.bin"])
def test_binary_weights(folder: Path, name: str, data: bytes, broken: bool) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(data)
    assert told(folder) == ([("bin-broken", None, None)] if broken else [])


def test_other_towers_dont_count() -> None:
    text = {"num_hidden_layers": 2, "hidden_size": 512}
    tensors = [
        TensorInfo(name, dtype, shape, 0) for name, dtype, shape in llama_tensors(SHAPE, prefix="language_model.")
    ]
    vision = TensorInfo("vision_model.model.layers.40.norm.weight", "BF16", (64,), 0)
    draft = TensorInfo("mtp.model.layers.7.norm.weight", "BF16", (64,), 0)
    assert weights_against_config("m", "Qwen2ForCausalLM", text, [vision, draft]) is None
    assert weights_against_config("m", "Qwen2ForCausalLM", text, [*tensors, vision, draft]) is None
    short = weights_against_config("m", "Qwen2ForCausalLM", {**text, "num_hidden_layers": 8}, [*tensors, vision, draft])
    assert short is not None
    assert short.key == "models.layers-missing"


def plain() -> list[TensorInfo]:
    return [TensorInfo(name, dtype, shape, 0) for name, dtype, shape in llama_tensors(SHAPE)]


def renamed(prefix: str) -> list[TensorInfo]:
    return [replace(tensor, name=prefix + tensor.name) for tensor in plain()]


def without(part: str) -> list[TensorInfo]:
    return [tensor for tensor in plain() if part not in tensor.name]


@pytest.mark.parametrize(
    ("tensors", "key"),
    [
        (plain(), ""),
        ([replace(tensor, shape=(0,)) for tensor in plain()], "weights-empty"),
        ([replace(t, shape=(0,)) if len(t.shape) == 2 else t for t in plain()], "weights-empty"),
        ([*plain(), TensorInfo("model.rotary.none", "BF16", (0,), 0)], ""),
        ([*plain(), *(TensorInfo(f"model.layers.0.cache.{n}", "BF16", (0,), 0) for n in range(99))], ""),
        (renamed("_orig_mod."), "weights-wrapped"),
        (renamed("module."), "weights-wrapped"),
        (renamed("base_model.model."), "weights-unmerged"),
        (without("layers"), "layers-missing"),
        (without("lm_head"), "head-missing"),
        (renamed("language_model."), ""),
    ],
)
def test_weights_that_are_another_models(tensors: list[TensorInfo], key: str) -> None:
    text = {"num_hidden_layers": 2, "hidden_size": 512, "tie_word_embeddings": False}
    found = weights_against_config("m", "LlamaForCausalLM", text, tensors)
    assert (found.key.removeprefix("models.") if found else "") == key


def test_a_head_that_is_packed_or_tied() -> None:
    text = {"num_hidden_layers": 2, "hidden_size": 512, "tie_word_embeddings": False}
    packed = [*without("lm_head"), TensorInfo("lm_head.qweight", "I32", (512, 256), 0)]
    assert weights_against_config("m", "LlamaForCausalLM", text, packed) is None
    for tied in (True, None):
        said = {**text, "tie_word_embeddings": tied}
        assert weights_against_config("m", "LlamaForCausalLM", said, without("lm_head")) is None
