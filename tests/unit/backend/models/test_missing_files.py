"""Files that config.json speaks of and that aren't there are named before a server looks for them."""

from pathlib import Path
from typing import Any

import pytest

from backend.models.agreement import disagreements
from backend.models.checkpoint import read_model
from backend.models.hubs import hub_cache
from tests.support.tiny_models import QWEN2, fake_model

OWN = {
    "architectures": ["FooForCausalLM"],
    "auto_map": {"AutoModelForCausalLM": "modeling_foo.FooForCausalLM", "AutoConfig": "configuration_foo.FooConfig"},
}
THEIRS = {
    "architectures": ["InternLM2ForCausalLM"],
    "auto_map": {
        "AutoConfig": "internlm/internlm2-chat-7b--configuration_internlm2.InternLM2Config",
        "AutoModelForCausalLM": "internlm/internlm2-chat-7b--modeling_internlm2.InternLM2ForCausalLM",
    },
}
SEES = {"architectures": ["Qwen2VLForConditionalGeneration"], "vision_config": {"hidden_size": 64}}


def told(folder: Path) -> list[tuple[str, Any, str]]:
    """Key, the file, level."""
    model = read_model(folder)
    assert model.problem is None
    return [(m.key.removeprefix("models."), m.params["file"], m.level) for m in disagreements(model)]


def test_code_of_its_own(tmp_path: Path) -> None:
    folder = fake_model(tmp_path / "m", QWEN2 | OWN)
    missing = [("code-missing", "configuration_foo.py", "error"), ("code-missing", "modeling_foo.py", "warning")]
    assert told(folder) == missing
    (folder / "configuration_foo.py").touch()
    assert told(folder) == missing[1:]
    (folder / "modeling_foo.py").touch()
    assert told(folder) == []


def test_code_in_another_repository(tmp_path: Path) -> None:
    folder = fake_model(tmp_path / "m", QWEN2 | THEIRS)
    files = {"configuration_internlm2.py": "error", "modeling_internlm2.py": "warning"}
    assert told(folder) == [("code-elsewhere", file, level) for file, level in files.items()]
    snapshot = hub_cache() / "models--internlm--internlm2-chat-7b" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for file in files:
        (snapshot / file).touch()
    assert told(folder) == []


@pytest.mark.parametrize("auto_map", [{"AutoModel": 7}, {"AutoModel": "x"}, {"AutoModel": "../../x.Y"}, []])
def test_an_auto_map_that_names_no_file(tmp_path: Path, auto_map: Any) -> None:
    assert told(fake_model(tmp_path / "m", QWEN2 | {"auto_map": auto_map})) == []


@pytest.mark.parametrize("name", ["preprocessor_config.json", "processor_config.json"])
def test_what_prepares_pictures(tmp_path: Path, name: str) -> None:
    folder = fake_model(tmp_path / "m", QWEN2 | SEES)
    assert told(folder) == [("no-processor", "preprocessor_config.json", "error")]
    (folder / name).write_text("{}")
    assert told(folder) == []
