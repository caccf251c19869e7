"""The server manager with real processes: a scriptable HTTP server at the engine's seam."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.engines.base import ServeConfig
from backend.engines.external import External
from backend.errors import Conflict, ConsoleError, InvalidInput, Message, NotFound, Unavailable
from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo
from backend.processes import ports
from backend.processes.command import CommandSpec, SecretFile
from backend.processes.supervisor import LEFTOVERS_GRACE_S, Supervisor
from backend.servers.log_reader import load_progress
from backend.servers.manager import ServerManager
from backend.servers.server import ServerState, ServerView
from backend.settings import Settings
from backend.store import FILE_NAME, Store
from tests.support.raw_server import dribble, raw_server
from tests.support.waiting import wait_for

FAKE_SERVER = str(Path(__file__).parents[1] / "children" / "fake_server.py")
HERE = Environment("here", "Here", Path(sys.executable), "console")
MACHINE = Machine((), "", "", (HERE,))


class FakeEngine:
    """Starts fake_server.py; ``config.extra`` is what the server is told."""

    name = "fake"
    fields = frozenset({"model", "port", "extra"})

    def choices(self, environment: Environment | None) -> dict[str, tuple[str, ...]]:
        return {}

    def unavailable(self, machine: Machine) -> Message | None:
        return None if machine.environments else Message("environments.no-gpu", field="engine")

    def refuses(self, model: ModelInfo) -> Message | None:
        return None

    def check(self, config: ServeConfig, model: ModelInfo | None, machine: Machine) -> Sequence[Message]:
        messages = [Message("engines.open-server", level="info")]
        if unavailable := self.unavailable(machine):
            messages.append(unavailable)
        if config.tp != 1:
            messages.append(Message("engines.tp", {"value": config.tp}, "tp"))
        return messages

    def command(
        self, config: ServeConfig, model: ModelInfo | None, environment: Environment, port: int, key_file: Path
    ) -> CommandSpec:
        argv: tuple[str | SecretFile, ...] = (sys.executable, str(port), "--key", SecretFile(key_file), *config.extra)
        return CommandSpec(argv, secret_entry=(sys.executable, FAKE_SERVER))

    def model_id(self, config: ServeConfig, model: ModelInfo | None) -> str:
        return config.model_name or config.model


class FakeModels:
    def find_or_hub(self, text: str) -> ModelInfo | None:
        if text == "missing":
            raise InvalidInput(Message("models.not-found", {"model": text}, "model"))
        return None


class World:
    """A state directory with its manager, and the means to replace it as a restart of the console does."""

    def __init__(self, settings: Settings, **changes: Any) -> None:
        self.settings = settings
        self.changes = changes
        self.machine = MACHINE
        self.open()

    def open(self) -> None:
        self.store = Store(self.settings.state_dir)
        self.supervisor = Supervisor(self.settings, self.store, poll_s=0.02)
        options: dict[str, Any] = {
            "engines": {"fake": FakeEngine(), "external": External()},
            "choose": lambda config, model, machine: HERE,
            "load_progress": lambda engine, text: load_progress("turbomind", text),
        }
        self.manager = ServerManager(
            self.settings, self.store, self.supervisor, FakeModels(), lambda: self.machine, **(options | self.changes)
        )

    def close(self) -> None:
        self.manager.close()
        self.supervisor.close()
        self.store.close()

    def reopen(self) -> None:
        self.close()
        self.open()

    def until(self, server_id: str, state: ServerState, deadline_s: float = 60) -> ServerView:
        def probe() -> ServerView | None:
            view = self.manager.get(server_id)
            return view if view.state == state else None

        view = wait_for(f"{server_id} is {state}", probe, deadline_s)
        assert view is not None
        return view


def config(*extra: str | Path, **changes: Any) -> ServeConfig:
    return ServeConfig(engine="fake", model="org/name", extra=tuple(map(str, extra)), **changes)


def all_ended(world: World) -> bool:
    return all(run.ended for run in world.supervisor.all())


@pytest.fixture
def make_world(settings: Settings) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(**changes: Any) -> World:
        made.append(World(**{"settings": settings, **changes}))
        return made[-1]

    yield make
    for world in made:
        for run in world.supervisor.all():
            world.supervisor.stop(run.id, grace_s=0)
        wait_for("all runs have ended", partial(all_ended, world))
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


def errors(call: Callable[[], object]) -> tuple[type[ConsoleError], list[str]]:
    with pytest.raises(ConsoleError) as caught:
        call()
    return type(caught.value), [message.key for message in caught.value.messages]


def test_a_server_from_start_to_stop(world: World, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    before = world.manager.version
    server_id = world.manager.start(config("--gate", gate, "--model", "fake-model"))
    assert world.manager.get(server_id).state == ServerState.STARTING
    assert errors(lambda: world.manager.endpoint(server_id)) == (Conflict, ["servers.not-running"])
    assert errors(lambda: world.manager.forget(server_id)) == (Conflict, ["servers.still-running"])
    assert errors(lambda: world.manager.restart(server_id)) == (Conflict, ["servers.still-running"])
    gate.write_text("200")
    view = world.until(server_id, ServerState.RUNNING)
    assert view.ready_at >= view.created_at > 0
    assert (view.model_id, view.context_length, view.environment) == ("fake-model", 4096, "Here")
    assert view.address == f"http://127.0.0.1:{view.port}"
    endpoint = world.manager.endpoint(server_id)
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    assert httpx.get(f"{endpoint.base_url}/models", headers=headers, trust_env=False).status_code == 200
    assert httpx.get(f"{endpoint.base_url}/models", trust_env=False).status_code == 401
    world.manager.stop(server_id)
    assert world.manager.get(server_id).state in (ServerState.STOPPING, ServerState.STOPPED)
    view = world.until(server_id, ServerState.STOPPED)
    assert (view.stop_signal, view.exit_code, view.reason) == ("SIGTERM", -signal.SIGTERM, None)
    assert view.ended_at >= view.ready_at
    assert world.manager.version > before
    world.manager.stop(server_id)  # a second click
    world.manager.forget(server_id)
    assert world.manager.snapshot() == ()
    assert list(world.settings.keys_dir.iterdir()) == []
    assert errors(lambda: world.manager.get(server_id)) == (NotFound, ["servers.not-found"])


def test_the_key_is_in_its_file_alone(world: World) -> None:
    preview = world.manager.preview(config())
    assert preview.command is not None
    server_id = world.manager.start(config())
    view = world.until(server_id, ServerState.RUNNING)
    key = world.manager.endpoint(server_id).api_key
    assert len(key) == 48
    key_file = world.settings.keys_dir / f"{server_id}.key"
    assert (key_file.read_text(), key_file.stat().st_mode & 0o777) == (key, 0o600)
    assert view.command == preview.command.preview()
    assert f'"$(cat {key_file})"' in view.command
    assert key not in repr(world.manager.endpoint(server_id))
    assert key.encode() not in Path(f"/proc/{view.pid}/cmdline").read_bytes()
    everything = [p for p in world.settings.state_dir.rglob("*") if p.is_file() and p != key_file]
    assert everything
    assert not [path for path in everything if key.encode() in path.read_bytes()]


def test_the_shown_command_works_in_a_shell(world: World) -> None:
    preview = world.manager.preview(config("--die", "9"))
    assert preview.command is not None
    # In a shell the key is read by the shell, and the program is the one shown, here with fake_server.py before it.
    shown = preview.command.preview().replace(sys.executable, f"{sys.executable} {FAKE_SERVER}", 1)
    assert subprocess.run(["sh", "-c", shown], capture_output=True, check=False).returncode == 9


def test_progress_is_read_from_the_log(world: World, tmp_path: Path) -> None:
    server_id = world.manager.start(config("--gate", tmp_path / "gate", "--loading"))
    view = wait_for("progress", lambda: (v := world.manager.get(server_id)).progress and v)
    assert isinstance(view, ServerView)
    assert view.state == ServerState.STARTING
    assert view.progress == 0.29
    assert view.stage
    version = world.manager.version
    (tmp_path / "gate").write_text("200")
    view = world.until(server_id, ServerState.RUNNING)
    assert (view.progress, view.stage) == (None, "")
    assert world.manager.version > version


def test_a_server_that_dies_while_loading(world: World) -> None:
    server_id = world.manager.start(config("--die", "3"))
    view = world.until(server_id, ServerState.FAILED)
    assert (view.exit_code, view.stop_signal) == (3, "")
    assert view.reason is not None
    assert any("told to die" in line for line in view.reason_lines)
    wait_for("nobody watches it", lambda: f"server-{server_id}" not in {t.name for t in threading.enumerate()})


def test_a_server_that_dies_later(world: World, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.write_text("200")
    server_id = world.manager.start(config("--gate", gate))
    world.until(server_id, ServerState.RUNNING)
    gate.write_text("exit 4")
    view = world.until(server_id, ServerState.FAILED)
    assert view.exit_code == 4
    assert view.ready_at
    assert view.reason is not None


def test_a_server_whose_process_is_gone_is_not_running_while_the_rest_of_it_ends(world: World) -> None:
    server_id = world.manager.start(config("--leaves"))
    pid = world.until(server_id, ServerState.RUNNING).pid
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    view = world.until(server_id, ServerState.STOPPING, 3)
    assert not view.reason
    world.manager.stop(server_id)  # too late: it wasn't this that ended it
    view = world.until(server_id, ServerState.FAILED)
    assert time.monotonic() - began > LEFTOVERS_GRACE_S / 2  # something was left, and was waited for
    assert (view.exit_code, view.stop_signal) == (-signal.SIGKILL, "")
    assert all_ended(world)


def test_a_server_that_never_gets_ready_is_stopped(make_world: Callable[..., World], tmp_path: Path) -> None:
    world = make_world(ready_timeout_s=0.5)
    server_id = world.manager.start(config("--gate", tmp_path / "gate"))
    view = world.until(server_id, ServerState.FAILED)
    assert view.reason is not None
    assert view.reason.key == "servers.not-ready-in-time"
    assert view.stop_signal == "SIGTERM"


def test_the_deadline_can_be_set_and_is_remembered(world: World) -> None:
    assert world.manager.ready_timeout_s == 1800
    world.manager.set_ready_timeout(90)
    assert errors(lambda: world.manager.set_ready_timeout(0)) == (InvalidInput, ["servers.ready-timeout-range"])
    world.reopen()
    assert world.manager.ready_timeout_s == 90


def test_a_server_that_stops_answering_and_comes_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.servers.watcher.RUNNING_POLL_S", 0.05)
    gate = tmp_path / "gate"
    gate.write_text("200")
    server_id = world.manager.start(config("--gate", gate))
    ready_at = world.until(server_id, ServerState.RUNNING).ready_at
    gate.write_text("500")
    world.until(server_id, ServerState.UNREACHABLE)
    gate.write_text("200")
    assert world.until(server_id, ServerState.RUNNING).ready_at == ready_at


def test_a_server_on_a_port_that_another_one_took_is_never_ready(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the port and the server's own listening, another program may take it, and answer."""
    squatter_port = ports.free_port()
    squatter = subprocess.Popen([sys.executable, FAKE_SERVER, str(squatter_port)])
    try:
        wait_for("squatter", lambda: not ports.is_free("127.0.0.1", squatter_port))
        monkeypatch.setattr(ports, "is_free", lambda host, port: True)
        server_id = world.manager.start(config(port=squatter_port))
        view = world.until(server_id, ServerState.FAILED)
        assert not view.ready_at
        assert view.reason is not None
    finally:
        squatter.kill()
        squatter.wait(30)


def test_several_servers_at_once_get_ports_and_keys_of_their_own(world: World) -> None:
    ids = [world.manager.start(config()) for _ in range(3)]
    views = [world.until(server_id, ServerState.RUNNING) for server_id in ids]
    assert len({view.port for view in views}) == 3
    assert len({world.manager.endpoint(server_id).api_key for server_id in ids}) == 3
    assert [view.id for view in world.manager.snapshot()] == ids[::-1]


def test_restart_uses_the_same_settings_and_port(world: World) -> None:
    first = world.manager.start(config("--model", "again", port=None))
    port = world.until(first, ServerState.RUNNING).port
    world.manager.stop(first)
    world.until(first, ServerState.STOPPED)
    second = world.manager.restart(first)
    view = world.until(second, ServerState.RUNNING)
    assert second != first
    assert (view.port, view.config) == (port, config("--model", "again"))
    assert [view.id for view in world.manager.snapshot()] == [second]
    assert not (world.settings.runs_dir / first).exists()


def test_a_failed_restart_keeps_what_was(world: World) -> None:
    server_id = world.manager.start(config("--die", "3"))
    world.until(server_id, ServerState.FAILED)
    world.machine = replace(MACHINE, environments=())
    assert errors(lambda: world.manager.restart(server_id)) == (Unavailable, ["environments.no-gpu"])
    assert world.manager.get(server_id).exit_code == 3


def test_bad_settings_start_and_store_nothing(world: World) -> None:
    start = world.manager.start
    assert errors(lambda: start(config(tp=2))) == (InvalidInput, ["engines.tp"])
    assert errors(lambda: start(replace(config(), engine="nothing"))) == (InvalidInput, ["servers.unknown-engine"])
    both = replace(config(tp=2), model="missing")
    assert errors(lambda: start(both)) == (InvalidInput, ["models.not-found", "engines.tp"])
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        assert errors(lambda: start(config(port=port))) == (Conflict, ["servers.port-in-use"])
    world.machine = replace(MACHINE, environments=())
    assert errors(lambda: start(config())) == (Unavailable, ["environments.no-gpu"])
    preview = world.manager.preview(config())
    assert [message.key for message in preview.errors] == ["environments.no-gpu"]
    assert preview.command is not None
    assert world.manager.snapshot() == ()
    assert world.store.all("server") == {}
    assert list(world.settings.runs_dir.iterdir()) == []


def test_a_full_disk_is_named_as_the_reason(
    tiny_disk: Path, make_world: Callable[..., World], settings: Settings
) -> None:
    world = make_world(settings=replace(settings, state_dir=tiny_disk))
    server_id = world.manager.start(config("--flood", "4000000"))
    view = world.until(server_id, ServerState.FAILED)
    assert view.reason is not None
    assert view.reason.key == "servers.disk-full"
    assert errors(lambda: world.manager.start(config()))[0] is Unavailable
    assert [view.id for view in world.manager.snapshot()] == [server_id]


def test_previews_leave_one_key_and_a_restart_removes_it(world: World) -> None:
    for _ in range(3):
        world.manager.preview(config())
    assert len(list(world.settings.keys_dir.iterdir())) == 1
    world.reopen()
    assert list(world.settings.keys_dir.iterdir()) == []


def test_a_port_is_promised_once(world: World, tmp_path: Path) -> None:
    """A server that is still loading doesn't listen yet; its port is taken all the same."""
    server_id = world.manager.start(config("--gate", tmp_path / "gate"))
    port = world.manager.get(server_id).port
    assert errors(lambda: world.manager.start(config(port=port))) == (Conflict, ["servers.port-in-use"])
    assert world.manager.preview(config()).port != port


def test_servers_are_found_again(world: World, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.write_text("200")
    lives = world.manager.start(config("--model", "lives"))
    loads = world.manager.start(config("--gate", tmp_path / "later"))
    dies = world.manager.start(config("--gate", gate))
    dead = world.manager.start(config("--die", "3"))
    before = world.until(lives, ServerState.RUNNING)
    pid = world.until(dies, ServerState.RUNNING).pid
    world.until(dead, ServerState.FAILED)
    world.close()
    os.kill(pid, signal.SIGKILL)
    world.open()
    assert [view.id for view in world.manager.snapshot()] == [dead, dies, loads, lives]
    view = world.until(dies, ServerState.FAILED)
    assert view.exit_code == -signal.SIGKILL
    assert world.until(lives, ServerState.RUNNING) == before
    assert world.manager.endpoint(lives).api_key
    assert world.manager.get(loads).state == ServerState.STARTING
    (tmp_path / "later").write_text("200")
    world.until(loads, ServerState.RUNNING)


def test_a_corrupted_database_loses_no_server(world: World) -> None:
    server_id = world.manager.start(config("--model", "lives"))
    view = world.until(server_id, ServerState.RUNNING)
    world.close()
    (world.settings.state_dir / FILE_NAME).write_bytes(b"garbage" * 500)
    world.open()
    assert world.store.problem is not None
    again = world.until(server_id, ServerState.RUNNING)
    assert (again.pid, again.command, again.config) == (view.pid, view.command, view.config)
    assert world.manager.endpoint(server_id).model_id == "lives"


def test_one_unreadable_document_hides_no_other_server(world: World) -> None:
    good = world.manager.start(config())
    bad = world.manager.start(config())
    world.until(good, ServerState.RUNNING)
    world.until(bad, ServerState.RUNNING)
    world.close()
    with sqlite3.connect(world.settings.state_dir / FILE_NAME) as db:
        db.execute("UPDATE document SET value = ? WHERE key = ?", (json.dumps({"view": 1}), bad))
    db.close()
    world.open()
    assert {view.id for view in world.manager.snapshot()} == {good, bad}


@pytest.fixture
def outside() -> Iterator[Callable[..., int]]:
    """Starts servers that aren't the console's; gives their ports."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str | Path) -> int:
        port = ports.free_port()
        started.append(subprocess.Popen([sys.executable, FAKE_SERVER, str(port), *map(str, arguments)]))
        wait_for("listening", lambda: not ports.is_free("127.0.0.1", port))
        return port

    yield start
    for process in started:
        process.kill()
        process.wait(30)


def external(address: str, **changes: Any) -> ServeConfig:
    return ServeConfig(engine="external", model="", address=address, **changes)


def test_an_external_server(
    world: World, outside: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.servers.watcher.RUNNING_POLL_S", 0.05)
    port = outside("--key", "sesame", "--model", "theirs")
    server_id = world.manager.start(external(f"127.0.0.1:{port}/v1/", api_key="sesame"))
    view = world.until(server_id, ServerState.RUNNING)
    assert (view.base_url, view.model_id, view.port) == (f"http://127.0.0.1:{port}/v1", "theirs", port)
    assert world.manager.endpoint(server_id).api_key == "sesame"
    world.reopen()
    assert world.until(server_id, ServerState.RUNNING) == view
    assert world.manager.endpoint(server_id).api_key == "sesame"
    files = [p for p in world.settings.state_dir.rglob("*") if p.is_file() and b"sesame" in p.read_bytes()]
    assert [(path.parent.name, path.stat().st_mode & 0o777) for path in files] == [("keys", 0o600)]
    for action in (world.manager.stop, world.manager.restart):
        assert errors(partial(action, server_id)) == (Conflict, ["servers.external-not-stopped"])
    world.manager.forget(server_id)
    assert not files[0].exists()


def test_an_external_server_that_goes_away_and_comes_back(
    world: World, outside: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.servers.watcher.RUNNING_POLL_S", 0.05)
    gate = tmp_path / "gate"
    gate.write_text("200")
    port = outside("--gate", gate)
    server_id = world.manager.start(external(f"http://127.0.0.1:{port}"))
    gate.write_text("exit 0")
    world.until(server_id, ServerState.UNREACHABLE)
    gate.write_text("200")
    process = subprocess.Popen([sys.executable, FAKE_SERVER, str(port), "--gate", str(gate)])
    try:
        world.until(server_id, ServerState.RUNNING)
    finally:
        process.kill()
        process.wait(30)


def test_external_addresses_that_cannot_be_used(world: World, outside: Callable[..., int]) -> None:
    def refused(address: str, **changes: Any) -> tuple[type[ConsoleError], list[str]]:
        return errors(lambda: world.manager.start(external(address, **changes)))

    nobody = ports.free_port()
    assert refused(f"127.0.0.1:{nobody}") == (Unavailable, ["servers.external-no-answer"])
    keyed = outside("--key", "sesame")
    assert refused(f"127.0.0.1:{keyed}") == (InvalidInput, ["servers.external-key-refused"])
    assert refused(f"127.0.0.1:{keyed}", api_key="wrong") == (InvalidInput, ["servers.external-key-refused"])
    assert refused(f"127.0.0.1:{keyed}/elsewhere") == (InvalidInput, ["servers.external-no-server"])
    for address in ("", "ftp://127.0.0.1:1", "http://", "http://127.0.0.1:99999", "http://a b", "http://u:p@h:1"):
        kind, keys = refused(address)
        assert kind is InvalidInput
        assert all(key.startswith("engines.external.") for key in keys)
        assert [m.key for m in world.manager.preview(external(address)).messages] == keys
    assert world.manager.snapshot() == ()
    assert list(world.settings.keys_dir.iterdir()) == []


def test_an_external_server_by_another_address_of_this_machine(world: World, outside: Callable[..., int]) -> None:
    port = outside("--model", "theirs")
    wanted = external(f"OPENAI_BASE_URL='http://0.0.0.0:{port}/v1/chat/completions?x=1'")
    (message,) = world.manager.preview(wanted).messages
    assert (message.key, message.level) == ("engines.external.query-left-out", "warning")
    view = world.until(world.manager.start(wanted), ServerState.RUNNING)
    assert (view.base_url, view.address) == (f"http://127.0.0.1:{port}/v1", f"http://127.0.0.1:{port}")
    assert view.model_id == "theirs"


def test_the_address_of_a_server_that_runs_here_already(world: World) -> None:
    own = world.until(world.manager.start(config()), ServerState.RUNNING)
    for address in (own.base_url, f"localhost:{own.port}", f"http://0.0.0.0:{own.port}/v1"):
        assert errors(partial(world.manager.start, external(address))) == (InvalidInput, ["servers.external-is-own"])
        (message,) = world.manager.preview(external(address)).messages
        assert (message.key, message.params["name"]) == ("servers.external-is-own", own.name)


def test_a_dribbling_server_holds_no_other_start(world: World) -> None:
    with raw_server(dribble(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n")) as port:
        results: list[object] = []
        address = external(f"http://127.0.0.1:{port}/v1")
        connecting = threading.Thread(target=lambda: results.append(errors(lambda: world.manager.start(address))))
        connecting.start()
        world.until(world.manager.start(config()), ServerState.RUNNING)
        connecting.join(60)
    assert results == [(Unavailable, ["servers.external-too-slow"])]
