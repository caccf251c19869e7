"""What every test has: folders of its own, no network by accident, and settings and requests to hand to the parts."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# Where the environment says that no bytecode be written, each of the hundreds of processes that tests start would
# compile all that it imports anew: a console's start takes twice the time so. The tests keep it in a folder of their
# own.
if sys.dont_write_bytecode and sys.pycache_prefix is None:
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    sys.dont_write_bytecode = False
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Before anything imports Gradio or a Hugging Face library: they read these at import.
os.environ.update(
    GRADIO_ANALYTICS_ENABLED="False",
    GRADIO_ANALYTICS_CACHE_FREQUENCY="1000000000",
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    NO_PROXY="localhost,127.0.0.1,::1",
    no_proxy="localhost,127.0.0.1,::1",
)

from backend.settings import Settings
from tests.support.flag_cache import collect, lend
from tests.support.order import place, processes
from tests.support.tiny_models import make_model
from ui.i18n import Language
from ui.web.visitor import STATE_KEY, Role, Visitor

if TYPE_CHECKING:
    import gradio as gr


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Part by part, long files first."""
    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """What ``-n auto`` means."""
    return processes()


def user_folders(home: Path) -> dict[str, str]:
    """The environment of a user whose folders are all under ``home``."""
    return {
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "XDG_DATA_HOME": str(home / ".local" / "share"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "HF_HOME": str(home / ".cache" / "huggingface"),
        "GRADIO_TEMP_DIR": str(home / "gradio"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture(scope="session", autouse=True)
def session_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's folders, for session and module fixtures: none of the real user's is ever read or written."""
    home = tmp_path_factory.mktemp("home")
    before = dict(os.environ)
    os.environ.update(user_folders(home))
    yield home
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folders, fresh for every test."""
    home = tmp_path / "home"
    home.mkdir()
    for name, value in user_folders(home).items():
        monkeypatch.setenv(name, value)
    return home


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """Settings on a state folder of the test's own."""
    yield make_settings(tmp_path / "state")
    collect(tmp_path / "state")


def make_settings(state_dir: Path, **changes: object) -> Settings:
    """Settings as the command line makes them, its folders made."""
    values: dict[str, object] = {
        "host": "127.0.0.1", "port": 0, "port_asked": True, "state_dir": state_dir, "models": (), "lmdeploy": (),
        "language": "en", "root_path": "", "open_browser": False,
    }  # fmt: skip
    made = Settings(**(values | changes))  # type: ignore[arg-type]
    lend(state_dir)
    for folder in (made.state_dir, made.runs_dir, made.keys_dir, made.uploads_dir):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return made


@pytest.fixture
def ask() -> "Callable[..., gr.Request]":
    """A factory of gr.Requests as handlers get them: ``ask()``, ``ask(Role.CLASS)``, ``ask(language="zh")``."""
    import gradio as gr
    from starlette.requests import Request

    def make(
        role: Role = Role.OPERATOR, language: Language = "en", visitor: str = "0" * 32, session_hash: str = "session"
    ) -> gr.Request:
        scope = {
            "type": "http", "method": "POST", "path": "/gradio_api/queue/join", "query_string": b"", "headers": [],
            "client": ("127.0.0.1", 50000), "state": {STATE_KEY: Visitor(role, language, visitor)},
        }  # fmt: skip
        return gr.Request(Request(scope), session_hash=session_hash)

    return make


@pytest.fixture(scope="session")
def tiny_qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real Qwen2 with random weights (tests/support/tiny_models.py), made once."""
    return make_model("qwen2", tmp_path_factory.getbasetemp() / "tiny" / "qwen2")


@pytest.fixture(scope="session")
def tiny_internvl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real InternVL in transformers' own layout with random weights (tests/support/tiny_models.py), made once."""
    return make_model("internvl", tmp_path_factory.getbasetemp() / "tiny" / "internvl")
