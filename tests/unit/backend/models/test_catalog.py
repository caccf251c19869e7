"""Which folders are listed, under which names, and what a typed model names."""

import errno
import json
import os
from pathlib import Path

import pytest

from backend.errors import InvalidInput
from backend.machine.flags import Capabilities
from backend.models import catalog, checkpoint
from backend.models.catalog import Catalog, default_roots, hub_cache
from backend.outside_text import clean
from tests.conftest import make_settings
from tests.support.tiny_models import QWEN2, fake_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def hub_model(cache: Path, repository: str, commit: str = COMMIT, main: bool = True) -> Path:
    """A model as huggingface_hub stores it: files are symlinks to blobs."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = fake_model(folder / "snapshots" / commit)
    blobs = folder / "blobs"
    blobs.mkdir(exist_ok=True)
    for file in list(snapshot.iterdir()):
        blob = blobs / f"{commit[:4]}-{file.name}"
        file.rename(blob)
        file.symlink_to(blob)
    if main:
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / "main").write_text(commit)
    return snapshot


def test_one_and_two_levels_the_root_itself_and_no_deeper(tmp_path: Path) -> None:
    root = tmp_path / "models"
    fake_model(root / "one")
    fake_model(root / "org" / "two")
    fake_model(root / "a" / "b" / "three")
    fake_model(tmp_path / "alone")
    (root / "empty").mkdir()
    (root / ".hidden").mkdir()
    fake_model(root / ".hidden" / "four")
    names = [model.name for model in Catalog([root, tmp_path / "alone", tmp_path / "nowhere"]).models()]
    assert names == ["alone", "one", "org/two"]


@pytest.mark.parametrize("stray", ["config.json", "model.safetensors"])
def test_a_stray_file_hides_no_model(tmp_path: Path, stray: str) -> None:
    """One level down as well; the folder that has it is listed, with its problem."""
    root = tmp_path / "models"
    fake_model(root / "a")
    fake_model(root / "group" / "m")
    (root / "group" / "onnx").mkdir()
    (root / "group" / "onnx" / "model.onnx").touch()
    for folder in (root, root / "group"):
        (folder / stray).write_text("{}")
    models = Catalog([root]).models()
    assert [model.name for model in models] == ["a", "group", "group/m", "models"]
    assert [model.problem is None for model in models] == [True, False, True, False]


def test_what_lies_below_a_whole_model_is_a_part_of_it(tmp_path: Path) -> None:
    fake_model(tmp_path / "m")
    fake_model(tmp_path / "m" / "checkpoint-500")
    fake_model(tmp_path / "group" / "n")
    fake_model(tmp_path / "group" / "n" / "checkpoint-500")
    assert [model.name for model in Catalog([tmp_path, tmp_path / "group" / "n"]).models()] == ["group/n", "m"]


def test_symlinks_are_followed_and_a_model_is_listed_once(tmp_path: Path) -> None:
    stored = fake_model(tmp_path / "stored" / "internlm2_5-7b-chat")
    first, second = tmp_path / "first", tmp_path / "second"
    for root in (first, second):
        root.mkdir()
        (root / "link").symlink_to(stored)
    (first / "loop").symlink_to(first)
    (first / "dangling").symlink_to(tmp_path / "nowhere")
    models = Catalog([first, second, tmp_path / "stored"]).models()
    assert [(model.name, model.path) for model in models] == [("link", first / "link")]


def test_the_hub_cache(tmp_path: Path) -> None:
    cache = tmp_path / "hub"
    hub_model(cache, "internlm/internlm2_5-1_8b-chat", commit="a" * 40, main=False)
    main = hub_model(cache, "internlm/internlm2_5-1_8b-chat")
    hub_model(cache, "gpt2")
    (cache / "models--org--half" / "snapshots" / "b").mkdir(parents=True)
    (cache / "datasets--org--data").mkdir()
    listed = Catalog([cache])
    assert [model.name for model in listed.models()] == ["gpt2", "internlm/internlm2_5-1_8b-chat"]
    found = listed.find("internlm/internlm2_5-1_8b-chat")
    assert (found.path, found.problem) == (main, None)
    assert found.size_bytes > 1_000_000  # the blobs, not the links


def test_where_models_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings(tmp_path / "state", models=(tmp_path / "given",))
    roots = default_roots(settings)
    assert roots[0] == tmp_path / "given"
    assert Path(os.environ["HOME"]) / "models" in roots
    assert catalog.DEMO_MODEL in roots
    assert hub_cache() == Path(os.environ["HF_HOME"]) / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", "~/elsewhere")
    assert hub_cache() == Path(os.environ["HOME"]) / "elsewhere"
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.delenv("HF_HOME")
    assert hub_cache() == Path(os.environ["XDG_CACHE_HOME"]) / "huggingface" / "hub"


def test_a_broken_folder_is_listed_with_its_problem(tmp_path: Path) -> None:
    (fake_model(tmp_path / "broken") / "config.json").write_text("{")
    fake_model(tmp_path / "whole")
    broken, whole = Catalog([tmp_path]).models()
    assert broken.problem is not None
    assert broken.problem.key == "models.bad-json"
    assert whole.problem is None


@pytest.mark.parametrize("name", ["a b", "it's", '"', "--model", "two\nlines", "通义千问", "$(touch x)", "a@b", "ü"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    folder = fake_model(tmp_path / "models" / name)
    listed = Catalog([tmp_path / "models"])
    assert [model.name for model in listed.models()] == [clean(name)]
    for typed in (clean(name), str(folder), f"  {folder}\n"):
        assert listed.find(typed).path == folder


def test_a_folder_outside_the_roots_and_a_home_folder(tmp_path: Path) -> None:
    fake_model(tmp_path / "elsewhere")
    fake_model(Path(os.environ["HOME"]) / "mine")
    assert Catalog([]).find(str(tmp_path / "elsewhere")).name == "elsewhere"
    assert Catalog([]).find("~/mine").path == Path(os.environ["HOME"]) / "mine"


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("", "models.nothing-chosen"),
        ("   ", "models.nothing-chosen"),
        ("/nowhere/at/all", "models.missing-folder"),
        ("~nobody-of-this-name/x", "models.missing-folder"),
        ("/" + "x" * 5000, "models.unreadable"),
        ("no such model", "models.not-found"),
        ("a\0b", "models.not-found"),
        ("x\ud800", "models.not-found"),
        ("~\ud800/x", "models.not-found"),
        ("/\udc80/\ud800", "models.not-found"),
        ("a/\udcff", "models.not-found"),
        ("--help", "models.not-found"),
        ("org/never-downloaded", "models.not-here"),
    ],
)
def test_what_can_not_be_found(tmp_path: Path, typed: str, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Catalog([tmp_path]).find(typed)
    (message,) = caught.value.messages
    assert (message.key, message.field) == (key, "model")


def test_a_file_and_a_broken_folder_typed(tmp_path: Path) -> None:
    file = fake_model(tmp_path / "m") / "config.json"
    with pytest.raises(InvalidInput) as caught:
        Catalog([]).find(str(file))
    assert caught.value.messages[0].key == "models.not-a-folder"
    file.unlink()
    with pytest.raises(InvalidInput) as caught:
        Catalog([]).find(str(tmp_path / "m"))
    assert (caught.value.messages[0].key, caught.value.messages[0].field) == ("models.no-config", "model")


def test_a_hub_id_that_is_not_here_is_left_to_the_engine(tmp_path: Path) -> None:
    assert Catalog([tmp_path]).find_or_hub("internlm/internlm2_5-7b-chat") is None


def test_a_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the refusal is the test's own."""
    folder = fake_model(tmp_path / "models" / "locked")
    fake_model(tmp_path / "models" / "open")
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if Path(path) == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    listed = Catalog([tmp_path / "models", folder])
    locked, readable = listed.models()
    assert (locked.name, readable.name, readable.problem) == ("locked", "open", None)
    assert locked.problem is not None
    assert (locked.problem.key, locked.problem.params["cause"]) == ("models.unreadable", "Permission denied")
    with pytest.raises(InvalidInput) as caught:
        listed.find(str(folder))
    (message,) = caught.value.messages
    assert (message.key, message.params["cause"]) == ("models.unreadable", "Permission denied")


def test_a_folder_is_read_again_only_when_its_files_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path, name: str, known: Capabilities) -> checkpoint.ModelInfo:
        read.append(path)
        return checkpoint.read_model(path, name, known)

    monkeypatch.setattr(catalog, "read_model", counted)
    folder = fake_model(tmp_path / "m")
    listed = Catalog([tmp_path])
    listed.models()
    listed.models()
    assert read == [folder]
    (folder / "config.json").write_text(json.dumps(QWEN2 | {"max_position_embeddings": 77777}))
    assert listed.models()[0].context_length == 77777
    assert read == [folder, folder]


def test_a_model_that_disappears_is_listed_no_more(tmp_path: Path) -> None:
    folder = fake_model(tmp_path / "m")
    listed = Catalog([tmp_path])
    assert len(listed.models()) == 1
    folder.rename(tmp_path / ".away")
    assert listed.models() == ()


def test_a_model_among_thousands_of_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.models.listing.MOST_ENTRIES", 3)
    folder = tmp_path / "m"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.png").touch()
    fake_model(folder)
    for number in range(20, 40):
        (folder / f"{number}.png").touch()
    (model,) = Catalog([tmp_path]).models()
    assert model.problem is None
