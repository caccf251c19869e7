"""A small file that isn't what its name says is named before a server dies of it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from backend.models.agreement import disagreements
from backend.models.checkpoint import read_model
from tests.support.sparse_checkpoints import llama

SHAPE = (512, 2, 4, 2, 1024, 2048)
STRANGE = "You have to sign in."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return llama(tmp_path / "model", SHAPE)


def told(folder: Path) -> list[tuple[str, str, str]]:
    """Key, the file's name, level."""
    model = read_model(folder)
    assert model.problem is None
    return [
        (message.key.removeprefix("models."), Path(str(message.params["file"])).name, message.level)
        for message in disagreements(model)
    ]


@pytest.mark.parametrize("text", ["", '{"chat_template": "x",}', "not found", "[]"])
@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("tokenizer_config.json", "error"),
        ("special_tokens_map.json", "error"),
        ("added_tokens.json", "error"),
        ("preprocessor_config.json", "warning"),  # of a text model
        ("generation_config.json", "warning"),
    ],
)
def test_settings(folder: Path, name: str, level: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    assert told(folder) == [("bad-json", name, level)]
    (folder / name).write_text("{}", encoding="utf-8")
    assert told(folder) == []


def test_a_processor_of_a_model_that_sees(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | {"vision_config": {"hidden_size": 64}}))
    (folder / "preprocessor_config.json").touch()
    assert told(folder) == [("bad-json", "preprocessor_config.json", "error")]


def test_tokens_that_the_settings_have_are_read_nowhere_else(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"added_tokens_decoder": {}}', encoding="utf-8")
    (folder / "special_tokens_map.json").touch()
    assert told(folder) == [("bad-json", "special_tokens_map.json", "warning")]


@pytest.mark.parametrize(
    ("data", "broken"),
    [
        (b"", True),
        (STRANGE.encode(), True),
        (b"\0" * 500, True),
        (b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02", False),  # SentencePiece
        (b"IQ== 0\nIg== 1\n", False),  # tiktoken
    ],
)
def test_a_vocabulary(folder: Path, data: bytes, broken: bool) -> None:
    (folder / "tokenizer.model").write_bytes(data)
    assert told(folder) == ([("tokenizer-broken", "tokenizer.model", "error")] if broken else [])
    (folder / "tokenizer.json").write_text('{"model": {}}', encoding="utf-8")  # it is read in the other's place
    assert told(folder) == []


def test_what_stands_there_is_shown(folder: Path) -> None:
    (folder / "tokenizer.model").write_text(STRANGE, encoding="utf-8")
    causes: list[Any] = [message.params["cause"] for message in disagreements(read_model(folder))]
    assert causes == [STRANGE]


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer.model"])
def test_what_is_no_file_is_never_waited_for(folder: Path, name: str) -> None:
    os.mkfifo(folder / name)
    assert told(folder) == [("tokenizer-broken", name, "error")]
