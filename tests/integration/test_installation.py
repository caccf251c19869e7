"""An engine that is installed from the page, with the real installer: into an environment of the test's own, from a
folder of made packages or a server that never answers."""

import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.errors import Conflict, NotFound, Unavailable
from backend.machine.installation import Installation, Installer
from backend.processes.supervisor import Supervisor
from backend.settings import Settings
from backend.store import Store
from tests.conftest import make_settings
from tests.support.waiting import wait_for

UV = Path(sys.executable).parent / "uv"


class World:
    """A console's installer without its page; ``close`` leaves the processes running."""

    def __init__(self, settings: Settings, folder: Path, needed_bytes: int = 0) -> None:
        self.store = Store(settings.state_dir)
        self.supervisor = Supervisor(settings, self.store, poll_s=0.02)
        self.looks = 0
        self.installer = Installer(
            self.supervisor,
            self._installed,
            python=folder / "environment" / "bin" / "python",
            requirements=folder / "requirements.txt",
            constraints=folder / "constraints.txt",
            needed_bytes=needed_bytes,
            own_environment=True,
        )

    def _installed(self) -> None:
        self.looks += 1

    def until(self, state: str) -> Installation:
        def reached() -> Installation | None:
            newest = self.installer.newest()
            return newest if newest is not None and newest.state == state else None

        return wait_for(state, reached, 60)

    def problem(self) -> str:
        told = self.installer.progress()["problem"]
        return str(told.key)

    def close(self) -> None:
        self.supervisor.close()
        self.store.close()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty environment, a shelf with one package, and what is asked for."""
    environment = tmp_path / "environment"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, environment], check=True, timeout=120)
    (environment / "bin" / "uv").symlink_to(UV)
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    info = "engine-1.0.dist-info"
    with zipfile.ZipFile(shelf / "engine-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("engine.py", "SPEED = 1\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: engine\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"engine.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    (tmp_path / "requirements.txt").write_text("engine\n")
    (tmp_path / "constraints.txt").write_text("engine==1.0\n")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(shelf))
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    return tmp_path


@pytest.fixture
def settings(folder: Path) -> Settings:
    return make_settings(folder / "state")


@pytest.fixture
def world(settings: Settings, folder: Path) -> Iterator[World]:
    world = World(settings, folder)
    yield world
    world.installer.cancel()
    wait_for("its end", lambda: all(run.ended for run in world.supervisor.all()))
    world.close()


def test_an_engine_is_installed(world: World, folder: Path) -> None:
    assert world.installer.newest() is None
    with pytest.raises(NotFound):
        world.installer.progress()
    world.installer.start()
    done = world.until("succeeded")
    assert done.ended_at >= done.started_at
    python = folder / "environment" / "bin" / "python"
    said = subprocess.run([python, "-c", "import engine; print(engine.SPEED)"], capture_output=True, timeout=60)
    assert said.stdout == b"1\n"
    wait_for("the machine being looked at again", lambda: world.looks == 1)
    assert any("engine" in line for line in world.installer.progress()["lines"])
    assert world.installer.progress()["problem"] is None
    world.installer.forget()
    assert world.installer.newest() is None


def test_a_failure_says_why_and_the_next_try_takes_its_place(world: World, folder: Path) -> None:
    (folder / "requirements.txt").write_text("nobody-has-this\n")
    world.installer.start()
    first = world.until("failed")
    assert world.problem() == "installation.failed.platform"
    assert world.looks == 0
    (folder / "requirements.txt").write_text("engine\n")
    world.installer.start()
    assert world.until("succeeded").id != first.id
    assert len(world.supervisor.all()) == 1


def test_one_that_waits_for_the_network_is_broken_off_and_found_again(
    folder: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(settings, folder)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        monkeypatch.setenv("UV_FIND_LINKS", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        world.installer.start()
        asking, _ = silent.accept()
        with pytest.raises(Conflict) as refused:
            world.installer.start()
        assert refused.value.messages[0].key == "installation.running"
        with pytest.raises(Conflict):
            world.installer.forget()
        world.close()  # the console ends; the installation doesn't
        again = World(settings, folder)
        try:
            assert again.until("running").ended_at == 0
            again.installer.cancel()
            again.until("cancelled")
            assert again.looks == 0
        finally:
            again.close()
            asking.close()


def test_what_cant_be(settings: Settings, folder: Path) -> None:
    world = World(settings, folder, needed_bytes=1 << 60)
    try:
        with pytest.raises(Unavailable) as refused:
            world.installer.start()
        assert refused.value.messages[0].key == "installation.no-room"
        machines = Installer(world.supervisor, lambda: None, own_environment=False)
        assert not machines.offered
        with pytest.raises(Unavailable) as refused:
            machines.start()
        assert "requirements.txt" in str(refused.value.messages[0].params["command"])
        assert world.supervisor.all() == ()
    finally:
        world.close()
