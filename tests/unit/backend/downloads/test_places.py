"""Where a model goes, which of its files are loaded, and whether it is on this machine already."""

import hashlib
import os
from pathlib import Path

import pytest

from backend.downloads import places
from backend.downloads.places import HUB, Place
from backend.downloads.values import RemoteFile
from backend.models.catalog import Catalog
from backend.models.checkpoint import read_model
from tests.support.tiny_models import fake_model

WEIGHTS = frozenset({"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"})
BIG = 5_000_000_000


@pytest.mark.parametrize(
    ("path", "size", "loaded"),
    [
        ("config.json", 300, True),
        ("model-00001-of-00002.safetensors", BIG, True),
        ("pytorch_model-00001-of-00002.bin", BIG, False),
        ("consolidated.safetensors", BIG, False),
        ("model.gguf", BIG, False),
        ("tf_model.h5", BIG, False),
        ("tokenizer.bin", 400, True),
        ("tokenizer.model", 4_000_000, True),
        ("original/consolidated.00.pth", BIG, False),
        ("original/params.json", 80, False),
        ("onnx/model.onnx", BIG, False),
        ("speech-lora/adapter_model.safetensors", BIG, True),
        ("figures/cat.png", 2_000_000, True),
        ("modeling_internlm2.py", 60_000, True),
        (".gitattributes", 1500, True),
    ],
)
def test_what_is_loaded(path: str, size: int, loaded: bool) -> None:
    assert places.is_loaded(path, size, WEIGHTS) is loaded


def test_without_knowing_its_weights_all_is_loaded() -> None:
    assert places.is_loaded("pytorch_model.bin", BIG, frozenset())


def test_targets(tmp_path: Path) -> None:
    cache = Place(HUB, tmp_path, None)
    folder = Place(str(tmp_path), tmp_path, None)
    assert places.target_in(cache, "huggingface", "Org/A.5-B") == (tmp_path / "models--Org--A.5-B", "hub")
    assert places.target_in(cache, "modelscope", "Org/A.5-B") == (tmp_path / "Org" / "A___5-B", "folder")
    assert places.target_in(folder, "modelscope", "Org/A.5-B") == (tmp_path / "A.5-B", "folder")
    files = [RemoteFile("a", 1, "x")]
    stage = places.stage_of(tmp_path / "A", "folder", "r", files)
    assert stage.parent == tmp_path
    assert stage.name.startswith(".A.")
    assert stage != places.stage_of(tmp_path / "A", "folder", "r", [RemoteFile("a", 1, "y")])


def test_places_that_can_be_written(tmp_path: Path, own_folders: Path) -> None:
    demo, shut = tmp_path / "demo", Path("/proc/1")
    found = places.places("huggingface", [tmp_path, own_folders / "models", shut, demo], demo)
    assert [place.id for place in found] == [HUB, str(tmp_path), str(own_folders / "models")]
    assert all(place.free_bytes for place in found)
    assert not (own_folders / "models").exists()


def offered(folder: Path) -> list[RemoteFile]:
    files = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        large = path.suffix == ".safetensors"
        sha1 = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        digest = hashlib.sha256(data).hexdigest()
        files.append(RemoteFile(path.name, len(data), digest if large else "", "" if large else sha1))
    return files


def test_what_is_here_already(tmp_path: Path) -> None:
    """By name, sizes and config: a link in a course's folder, ModelScope's spelling; another model isn't it."""
    files = offered(fake_model(tmp_path / "hub", shards=2))
    share = fake_model(tmp_path / "share" / "new_models" / "Org" / "Tiny-1___5B", shards=2)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "Tiny-1.5B").symlink_to(share)
    models = {model.name: model for model in Catalog([tmp_path / "models", share.parent.parent]).models()}
    linked = models["Tiny-1.5B"]
    assert places.same_model(linked, "Org/Tiny-1.5B", files, WEIGHTS)
    (tmp_path / "models" / "mine").symlink_to(share)
    assert places.same_model(read_model(tmp_path / "models" / "mine"), "Org/Tiny-1.5B", files, WEIGHTS)
    assert not places.same_model(linked, "Org/Tiny-3B", files, WEIGHTS)
    assert not places.same_model(linked, "Org/Tiny-1.5B", files, frozenset())
    (share / "config.json").write_text((share / "config.json").read_text() + " ", encoding="utf-8")
    assert not places.same_model(linked, "Org/Tiny-1.5B", files, WEIGHTS)


def test_a_cached_revision_with_other_weights_is_another(tmp_path: Path) -> None:
    """Hugging Face's cache names files by their hash: as long is not yet the same."""
    source = fake_model(tmp_path / "hub", shards=2)
    files = offered(source)
    snapshot = tmp_path / "models--Org--Tiny" / "snapshots" / "1111"
    snapshot.mkdir(parents=True)
    for file in files:
        blob = tmp_path / (file.sha256 or file.sha1)
        blob.write_bytes((source / file.path).read_bytes())
        (snapshot / file.path).symlink_to(blob)
    model = read_model(snapshot, "Org/Tiny")
    assert places.same_model(model, "Org/Tiny", files, WEIGHTS)
    first = next(file for file in files if file.path in WEIGHTS)
    os.rename(tmp_path / first.sha256, tmp_path / ("0" * 64))
    (snapshot / first.path).unlink()
    (snapshot / first.path).symlink_to(tmp_path / ("0" * 64))
    assert not places.same_model(read_model(snapshot, "Org/Tiny"), "Org/Tiny", files, WEIGHTS)
