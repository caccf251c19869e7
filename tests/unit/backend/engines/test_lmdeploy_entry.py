"""What is done to LMDeploy's command line before it runs: the keys are read, and the garbage collector is eased."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from backend.engines.children.lmdeploy_entry import read_secrets, spare_what_stays


@pytest.fixture
def _nothing_stays_frozen() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_a_key_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n", encoding="utf-8")
    given = ["serve", "api_server", "@model", "--api-keys", f"@{tmp_path / 'key'}", "--tp", "1"]
    assert read_secrets(given) == ["serve", "api_server", "@model", "--api-keys", "secret", "--tp", "1"]
    assert read_secrets(["serve", "api_server", "m", "--api-keys", "plain"])[-1] == "plain"


def test_an_empty_key_ends_it(tmp_path: Path) -> None:
    (tmp_path / "key").touch()
    with pytest.raises(SystemExit, match="is empty"):
        read_secrets(["--api-keys", f"@{tmp_path / 'key'}"])


@pytest.mark.usefixtures("_nothing_stays_frozen")
def test_what_is_there_as_the_server_begins_is_collected_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def run(app: str, *, port: int) -> str:
        seen.extend((app, port, gc.get_freeze_count()))
        return "ended"

    uvicorn = SimpleNamespace(run=run)
    monkeypatch.setitem(sys.modules, "uvicorn", uvicorn)
    before = gc.get_freeze_count()
    spare_what_stays()
    assert gc.get_freeze_count() == before
    assert uvicorn.run("app", port=1) == "ended"
    assert seen[:2] == ["app", 1]
    assert int(str(seen[2])) > before + 1000


def test_without_uvicorn_lmdeploy_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    spare_what_stays()
