"""Both hubs' caches: where they are, old layouts and new, and what finds a model in them."""

import os
from pathlib import Path

import pytest

from backend.errors import InvalidInput
from backend.machine.flags import Capabilities
from backend.models import catalog
from backend.models.catalog import Catalog, looks_like_path
from backend.models.hubs import (
    hub_cache,
    hub_id,
    hugging_face_caches,
    modelscope_caches,
    modelscope_name,
    repository_name,
)
from tests.conftest import make_settings
from tests.support.tiny_models import fake_model

VARIABLES = (
    "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "TRANSFORMERS_CACHE", "PYTORCH_TRANSFORMERS_CACHE",
    "XDG_CACHE_HOME", "MODELSCOPE_CACHE", "MODELSCOPE_HOME",
)  # fmt: skip


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, "~/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"HF_HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/h/hub"),
        ({"HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/h"}, "/old"),
        ({"HF_HUB_CACHE": "/c", "HUGGINGFACE_HUB_CACHE": "/old"}, "/c"),
        ({"HF_HUB_CACHE": "", "HF_HOME": "$HOME/h"}, "~/h/hub"),
        ({"HF_HOME": "~/h"}, "~/h/hub"),
        ({"HF_HOME": "~nobody-of-that-name/h"}, "~nobody-of-that-name/h/hub"),
    ],
)
def test_the_hugging_face_cache(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], first: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert hub_cache() == Path(os.path.expanduser(first))


def test_all_hugging_face_caches_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES[:5]:
        monkeypatch.setenv(name, f"/{name}")
    assert {str(path) for path in hugging_face_caches()} == {
        "/HF_HUB_CACHE", "/HUGGINGFACE_HUB_CACHE", "/HF_HOME/hub", "/TRANSFORMERS_CACHE", "/PYTORCH_TRANSFORMERS_CACHE",
        str(Path("~/.cache/huggingface/hub").expanduser()),
    }  # fmt: skip


@pytest.mark.parametrize("variable", ["MODELSCOPE_CACHE", "MODELSCOPE_HOME", "XDG_CACHE_HOME", ""])
@pytest.mark.parametrize("layout", ["", "hub", "models", "hub/models"])
def test_modelscope_old_and_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, layout: str) -> None:
    base = Path("~/.cache/modelscope").expanduser()
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "c"))
        base = tmp_path / "c" / "modelscope" if variable == "XDG_CACHE_HOME" else tmp_path / "c"
    folder = fake_model(base / layout / "Qwen" / "Qwen2___5-0___5B-Instruct")
    (base / layout / "._____temp").mkdir()
    catalog = Catalog(modelscope_caches())
    assert [model.name for model in catalog.models()] == ["Qwen/Qwen2.5-0.5B-Instruct"]
    for typed in (
        "Qwen/Qwen2.5-0.5B-Instruct",
        "  qwen/qwen2.5-0.5b-instruct ",
        "Qwen/Qwen2___5-0___5B-Instruct",
        "https://modelscope.cn/models/Qwen/Qwen2.5-0.5B-Instruct/summary",
        "https://www.modelscope.cn/models/Qwen/Qwen2.5-0.5B-Instruct",
        "https://huggingface.co/Qwen/Qwen2.5-0.5B-Instruct/tree/main",
        str(folder),
    ):
        found = catalog.find_or_hub(typed)
        assert found is not None
        assert found.path == folder


def test_modelscope_links_the_true_name_to_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path))
    folder = fake_model(tmp_path / "models" / "Qwen" / "Qwen2___5-7B")
    (folder.parent / "Qwen2.5-7B").symlink_to(folder)
    assert [model.name for model in Catalog(modelscope_caches()).models()] == ["Qwen/Qwen2.5-7B"]


def test_a_copied_modelscope_folder(tmp_path: Path) -> None:
    fake_model(tmp_path / "Qwen2___5-0___5B")
    fake_model(tmp_path / "my___own")
    assert [model.name for model in Catalog([tmp_path]).models()] == ["my___own", "Qwen2.5-0.5B"]


@pytest.mark.parametrize("below", ["hub/models", "hub", "models", "modelscope/hub/models", "modelscope/models"])
def test_a_copied_cache_given_by_its_upper_folder(tmp_path: Path, below: str) -> None:
    folder = fake_model(tmp_path / below / "Qwen" / "Qwen2___5-0___5B")
    assert [(model.name, model.path) for model in Catalog([tmp_path]).models()] == [("Qwen/Qwen2.5-0.5B", folder)]


@pytest.mark.parametrize("below", ["hub", "huggingface/hub"])
def test_a_hugging_face_home_given_by_its_upper_folder(tmp_path: Path, below: str) -> None:
    fake_model(tmp_path / below / "models--org--name" / "snapshots" / "abc")
    assert [model.name for model in Catalog([tmp_path]).models()] == ["org/name"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("org/name", "org/name"),
        ("https://huggingface.co/org/name", "org/name"),
        ("hf.co/org/name?x=1", "org/name"),
        ("https://hf-mirror.com/org/name/blob/main/config.json", "org/name"),
        ("https://www.modelscope.cn/models/org/name/files", "org/name"),
        ("https://example.com/org/name", ""),
        ("https://huggingface.co/org", ""),
        ("name", ""),
        ("a/b/c", ""),
        ("/a/b", ""),
    ],
)
def test_hub_ids(text: str, name: str) -> None:
    assert hub_id(text) == name
    assert looks_like_path(text) is (
        text in {"https://example.com/org/name", "https://huggingface.co/org", "a/b/c", "/a/b"}
    )


def test_names() -> None:
    assert modelscope_name("Qwen2___5-0___5B") == "Qwen2.5-0.5B"
    assert repository_name("models--org--a--b") == "org/a/b"


def test_the_page_of_a_model_that_is_not_here(tmp_path: Path) -> None:
    catalog = Catalog([tmp_path])
    assert catalog.find_or_hub("https://huggingface.co/org/name") is None
    with pytest.raises(InvalidInput) as caught:
        catalog.find("https://huggingface.co/org/name")
    assert caught.value.messages[0].params["model"] == "org/name"


def test_a_repository_copied_whole_is_given_by_its_own_name(tmp_path: Path) -> None:
    repository = tmp_path / "models--org--name"
    snapshot = fake_model(repository / "snapshots" / "abc")
    assert Catalog([]).find(str(repository)).path == snapshot
    assert Catalog([tmp_path]).find("org/name").path == snapshot


def test_a_download_that_began(tmp_path: Path) -> None:
    blobs = tmp_path / "models--org--name" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "0123.incomplete").write_bytes(b"x")
    (model,) = Catalog([tmp_path]).models()
    assert model.name == "org/name"
    assert model.problem is not None
    assert model.problem.key == "models.half-download"


def test_a_snapshot_without_its_blobs_is_named_as_such(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--org--name" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        os.symlink(f"../../blobs/{name}", snapshot / name)
    (model,) = Catalog([tmp_path]).models()
    assert model.problem is not None
    assert model.problem.key == "models.snapshot-without-blobs"


def test_another_lmdeploy_is_asked_anew(tmp_path: Path) -> None:
    """Its word on an architecture counts as soon as it has answered."""
    fake_model(tmp_path / "m", {"architectures": ["NewVisionForCausalLM"]})
    known = Capabilities(vision=(("OtherForCausalLM", ()),))
    catalog = Catalog([tmp_path], lambda: known)
    assert not catalog.models()[0].takes_images
    known = Capabilities(vision=(("NewVisionForCausalLM", ()),))
    assert catalog.models()[0].takes_images


def test_modelscopes_newest_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since 1.38 it is laid out as Hugging Face's: the dots of the name stay, a branch is the snapshot."""
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path))
    folder = fake_model(tmp_path / "models" / "Qwen--Qwen2.5--0.5B" / "snapshots" / "master")
    models = Catalog(modelscope_caches()).models()
    assert [(model.name, model.path) for model in models] == [("Qwen/Qwen2.5--0.5B", folder)]


def test_course_folders_are_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """InternLM's camps share models three levels below /root/share; links to them from ~/models are the same model."""
    monkeypatch.setattr(catalog, "COURSE_BASES", (str(tmp_path / "share"),))
    shared = fake_model(tmp_path / "share" / "new_models" / "Shanghai_AI_Laboratory" / "internlm2_5-1_8b-chat")
    other = fake_model(tmp_path / "share" / "model_repos" / "internlm-chat-7b")
    (tmp_path / "models").mkdir()
    link = tmp_path / "models" / "mine"
    link.symlink_to(shared)
    roots = catalog.default_roots(make_settings(tmp_path / "state", models=(tmp_path / "models",)))
    own = [model for model in Catalog(roots[:-1]).models() if str(model.path).startswith(str(tmp_path))]
    assert [model.path for model in own] == [other, link]
    assert tmp_path / "models" in catalog.own_roots(make_settings(tmp_path / "state", models=(tmp_path / "models",)))


def test_a_repository_folder_that_holds_the_files_themselves(tmp_path: Path) -> None:
    folder = fake_model(tmp_path / "models--org--name")
    assert [(model.name, model.path) for model in Catalog([tmp_path]).models()] == [("org/name", folder)]
    assert Catalog([]).find(str(folder)).path == folder


def test_a_snapshot_without_weights_hides_no_whole_one(tmp_path: Path) -> None:
    """A look at the hub brings a new config.json, and main names it."""
    repository = tmp_path / "models--org--name"
    whole = fake_model(repository / "snapshots" / "abc")
    half = fake_model(repository / "snapshots" / "new")
    (half / "model.safetensors").unlink()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("new")
    for found in (Catalog([tmp_path]).find("org/name"), Catalog([]).find(str(repository))):
        assert found.path == whole
    (whole / "model.safetensors").unlink()
    (model,) = Catalog([tmp_path]).models()
    assert model.path == half
