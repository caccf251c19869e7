"""What other programs make of a path or a name is understood."""

import os
from pathlib import Path

import pytest

from backend.errors import InvalidInput
from backend.models.catalog import Catalog
from backend.models.typed import meant
from tests.support.tiny_models import fake_model


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"/root/a b"', "/root/a b"),
        (" '/root/m' ", "/root/m"),
        ("\u201corg/name\u201d", "org/name"),
        ("`org/name`", "org/name"),
        ("file:///root/a%20b", "/root/a b"),
        ("'file://localhost/root/m'", "/root/m"),
        ("file://server/share", "file://server/share"),
        ("/root/a\\ b\\ \\(1\\)", "/root/a b (1)"),
        ("$NOTHING_OF_THAT_NAME/m", "$NOTHING_OF_THAT_NAME/m"),
        ("C:\\models\\q", "C:\\models\\q"),
        ("it's", "it's"),
        ('"', '"'),
        ("org/name", "org/name"),
    ],
)
def test_what_is_meant(text: str, expected: str) -> None:
    assert meant(text) == expected


def test_a_variable_in_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELS", "/data")
    assert meant("$MODELS/m") == meant('"${MODELS}/m"') == "/data/m"


def test_a_folder_in_every_form(tmp_path: Path) -> None:
    folder = fake_model(tmp_path / "a b")
    mine = fake_model(Path(os.environ["HOME"]) / "mine")
    for typed in (f'"{folder}"', f"'{folder}'", f"file://{tmp_path}/a%20b", f"{tmp_path}/a\\ b"):
        assert Catalog([]).find(typed).path == folder
    assert Catalog([]).find("$HOME/mine").path == mine
    assert Catalog([tmp_path]).find("'a b'").path == folder
    quoted = fake_model(tmp_path / '"x"')
    assert Catalog([tmp_path]).find('"x"').path == quoted


@pytest.mark.parametrize("typed", ["hf://org/name", '"https://huggingface.co/org/name"', "https://hf.co/org/name.git"])
def test_a_name_in_every_form(tmp_path: Path, typed: str) -> None:
    folder = fake_model(tmp_path / "org" / "name")
    assert Catalog([]).find_or_hub(typed) is None
    assert Catalog([tmp_path]).find(typed).path == folder


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("https://github.com/a/b", "models.no-page"),
        ("github.com/a/b", "models.no-page"),
        ("https://huggingface.co/Qwen", "models.no-page"),
        ("https://huggingface.co/datasets/a/b", "models.no-page"),
        ("huggingface.co/spaces/a/b", "models.no-page"),
        ("https://huggingface.co/docs/transformers/index", "models.no-page"),
        ("hf://datasets/a/b", "models.no-page"),
        ("file://server/share/m", "models.no-page"),
        ("$NOTHING_OF_THAT_NAME/a/b", "models.not-found"),
    ],
)
def test_what_names_no_model(typed: str, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Catalog([]).find_or_hub(typed)
    (message,) = caught.value.messages
    assert (message.key, message.field) == (key, "model")
    assert typed in message.params.values()


@pytest.mark.parametrize(("name", "key"), [("q4.gguf", "models.gguf"), ("m.tar.gz", "models.archive")])
def test_a_file_of_another_kind(tmp_path: Path, name: str, key: str) -> None:
    file = tmp_path / name
    file.touch()
    with pytest.raises(InvalidInput) as caught:
        Catalog([]).find(str(file))
    (message,) = caught.value.messages
    assert (message.key, message.params) == (key, {"path": str(tmp_path), "file": name})
