"""app.py as a person starts it: addresses, guard over real HTTP, terminals that go, signals, second starts."""

import asyncio
import os
import pty
import re
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from app import listen, say_running
from backend.console.instance_lock import RunningInstance
from backend.errors import Unavailable
from backend.settings import Settings
from tests.support.console import Console
from tests.support.waiting import wait_for
from ui.cli import DEFAULT_PORT

MODELS = "folder-of-models"
HEAVY = ("torch", "transformers", "lmdeploy", "datasets")


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One console for what needs no start of its own, with a model; it tells all that it imports."""
    models = tmp_path_factory.mktemp(MODELS)
    (models / "tiny").mkdir()
    (models / "tiny" / "config.json").write_text('{"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}')
    state_dir = tmp_path_factory.mktemp("app") / "state"
    started = Console(state_dir, "--models", str(models), python_flags=["-X", "importtime"])
    try:
        yield started.ready()
    finally:
        started.close()


def test_one_line_with_the_address_and_one_to_copy(console: Console) -> None:
    lines = [line for line in console.output().splitlines() if not line.startswith("import time:")]
    assert sum(console.address in line for line in lines) == 1
    assert sum(console.class_address in line for line in lines) == 1
    assert sum(f"ssh -CN -L {console.base_url.rpartition(':')[2]}:127.0.0.1:" in line for line in lines) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/", "/config", "/gradio_api/startup-events", "/gradio_api/queue/data?session_hash=x", "/theme.css",
        "/console/snapshot", "/console/chat/stream",
        "/console/texts.json", "/console/assets/page/bridge.js", "/gradio_api/file=/etc/passwd",
        "/static/img/logo.svg", "/gradio_api/info", "/favicon.ico", "/docs", "/openapi.json",
    ],
)  # fmt: skip
def test_nothing_is_served_without_the_token(console: Console, path: str) -> None:
    with console.client("") as stranger:
        assert stranger.get(path).status_code == 401
        assert stranger.post(path).status_code == 401
    with console.client("x" * 32) as guesser:
        assert guesser.get(path).status_code in (401, 429)


def test_foreign_hosts_and_origins_over_http(console: Console) -> None:
    with console.client() as operator:
        assert operator.get("/", headers={"host": "evil.example"}).status_code == 421
        answer = operator.post("/gradio_api/queue/join", json={}, headers={"origin": "http://evil.example"})
        assert answer.status_code == 403


def test_from_the_printed_address_to_the_page(console: Console) -> None:
    with httpx.Client(trust_env=False, timeout=60) as browser:
        answer = browser.get(console.address)
        assert answer.status_code == 303
        landed = answer.url.join(answer.headers["location"])
        assert landed.path != "/"
        page = browser.get(landed, headers={"accept-language": "zh"})
        assert browser.get(f"{console.base_url}/").status_code == 401
    assert page.status_code == 200
    assert 'lang="zh-CN"' in page.text
    assert console.token not in page.text
    scripts = re.findall(r'(?:src|href)="\./(console/assets/[^"]+)"', page.text)
    assert any("page/page.zh.js" in script for script in scripts)
    with console.client() as operator:
        for script in scripts:
            answer = operator.get(f"/{script}")
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]


def test_nothing_else_of_the_assets_is_served(console: Console) -> None:
    with console.client() as operator:
        for path in ("demo_model/config.json", "js/../demo_model/config.json", "js/%2e%2e/demo_model/config.json"):
            assert operator.get(f"/console/assets/{path}").status_code == 404


def test_snapshot_and_its_version(console: Console) -> None:
    with console.client() as operator, console.client(console.class_token) as guest:
        snapshot = wait_for("a memory reading", lambda: full(operator))
        assert snapshot["role"] == "operator"
        assert snapshot["servers"] == []
        assert snapshot["header"]["host_total_bytes"] > 0
        answer = operator.get("/console/snapshot", params={"since": snapshot["version"]})
        assert answer.status_code == 204 or answer.json()["version"] != snapshot["version"]
        assert guest.get("/console/snapshot").json()["role"] == "class"
        assert guest.get("/console/log/x").status_code == 403
        assert operator.get("/console/log/x").status_code == 404


def full(client: httpx.Client) -> dict:  # type: ignore[type-arg]
    """The snapshot, once the first memory reading is in it."""
    snapshot = client.get("/console/snapshot").json()
    return snapshot if snapshot["header"]["host_total_bytes"] else {}


def test_a_class_finds_no_paths_in_its_page(console: Console) -> None:
    with console.client(console.class_token) as guest:
        for path in ("/", "/config"):
            text = guest.get(path).text
            assert str(console.state_dir) not in text
            assert str(Path(__file__).parents[2]) not in text
            assert MODELS not in text


def test_the_process_stays_light(console: Console) -> None:
    with console.client() as operator:
        assert operator.get("/").status_code == 200
        assert operator.get("/console/snapshot").status_code == 200
    imported = set(re.findall(r"^import time: .*\| +(\S+)$", console.output(), re.MULTILINE))
    assert "gradio" in imported
    assert not [name for name in imported if name.split(".")[0] in HEAVY]


def test_private_files(console: Console) -> None:
    assert stat.S_IMODE(console.state_dir.stat().st_mode) == 0o700
    for name in ("token", "class-token", "path-secret", "console.json", "console.log", "console.sqlite3"):
        assert stat.S_IMODE((console.state_dir / name).stat().st_mode) == 0o600, name


async def test_small_pieces_of_an_answer_wait_for_nothing(settings: Settings) -> None:
    """Nagle's algorithm is off on its connections; with it a first token came 40 ms late."""
    delays: asyncio.Queue[int] = asyncio.Queue()

    async def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        await delays.put(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = listen(settings)
    async with await asyncio.start_server(accepted, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        assert await asyncio.wait_for(delays.get(), 30)
        writer.close()


def test_a_second_start_prints_the_address_of_the_first(console: Console) -> None:
    second = Console(console.state_dir, port=None)
    assert second.process.wait(60) == 0
    assert console.address in second.output()
    assert console.process.poll() is None
    with console.client() as operator:
        assert operator.get("/").status_code == 200


def test_a_second_start_on_another_machine_names_the_first() -> None:
    for address, key in (("http://127.0.0.1:1/", "cli.already_elsewhere"), ("", "cli.starting_elsewhere")):
        with pytest.raises(Unavailable) as caught:
            say_running(RunningInstance(address, 1, "node7"), "en")
        [sentence] = caught.value.messages
        assert (sentence.key, sentence.params["machine"]) == (key, "node7")


def test_a_busy_port_that_was_asked_for(console: Console, tmp_path: Path) -> None:
    port = int(console.base_url.rpartition(":")[2])
    second = Console(tmp_path / "state", port=port)
    assert second.process.wait(60) == 1
    assert f"--port {port}" in second.output()
    assert "Traceback" not in second.output()


def test_a_state_folder_that_cant_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    second = Console(tmp_path / "state", "--state-dir", str(tmp_path / "file" / "state"))
    assert second.process.wait(60) == 1
    assert "--state-dir" in second.output()
    assert "Traceback" not in second.output()


@pytest.mark.parametrize("name", ["token", "console.log", "path-secret"])
def test_an_own_file_that_cant_be_used_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "state" / name).mkdir(parents=True)
    console = Console(tmp_path / "state")
    assert console.process.wait(60) == 1
    assert str(tmp_path / "state" / name) in console.output()
    assert "Traceback" not in console.output()


def test_a_life_with_accidents(tmp_path: Path) -> None:
    """A busy default port, a terminal that goes, a kill, a restart, two Ctrl-C: the token stays, nothing hangs."""
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # something else has it: busy all the same
            busy.bind(("127.0.0.1", DEFAULT_PORT))
            busy.listen()
        ours, theirs = pty.openpty()
        first = Console(tmp_path / "state", "--host", "0.0.0.0", "--language", "zh", port=None, terminal=theirs)
        try:
            os.close(theirs)
            printed = read_terminal(ours, b"ssh -CN")
            assert f"端口 {DEFAULT_PORT} 已被占用" in printed
            assert "警告" in printed
            address = re.findall(r"http://\S+\?token=\S+", printed)[0]
            base, _, token = address.partition("/?token=")
            os.close(ours)  # the terminal is gone: SIGHUP, and every write to it fails
            with httpx.Client(base_url=base, trust_env=False, timeout=60) as browser:
                browser.headers["authorization"] = f"Bearer {token}"
                assert browser.get("/").status_code == 200
                first.process.send_signal(signal.SIGHUP)
                assert browser.get("/console/snapshot").status_code == 200
                # A page's event stream is open while the console ends.
                with browser.stream("GET", "/gradio_api/heartbeat/abc") as stream:
                    assert stream.status_code == 200
                    assert first.end(signal.SIGTERM) == 0
        finally:
            first.close()

    again = Console(tmp_path / "state").ready()
    try:
        assert again.token == token
        with again.client() as browser:
            assert browser.get("/console/snapshot").json()["notices"] == []
        again.process.kill()
        again.process.wait()
        for file in (tmp_path / "state").glob("console.sqlite3*"):
            file.write_bytes(b"not a database")
        third = Console(tmp_path / "state").ready()
        try:
            assert third.token == token
            with third.client() as browser, third.client(third.class_token) as guest:
                [notice] = browser.get("/console/snapshot").json()["notices"]
                assert str(tmp_path / "state") in notice
                [notice] = guest.get("/console/snapshot").json()["notices"]  # a class is told, without the path
                assert "damaged" in notice
                assert str(tmp_path / "state") not in notice
            third.process.send_signal(signal.SIGINT)
            assert third.end(signal.SIGINT) == 0
            assert "Traceback" not in third.output()
        finally:
            third.close()
    finally:
        again.close()


def read_terminal(terminal: int, until: bytes) -> str:
    """What the terminal shows, up to the line with ``until``."""
    os.set_blocking(terminal, False)
    shown = bytearray()

    def there() -> bool:
        with suppress(BlockingIOError):
            shown.extend(os.read(terminal, 65536))
        return until in shown and shown.rpartition(until)[2].count(b"\n") >= 1

    wait_for(f"{until!r} on the terminal", there, 120)
    return shown.decode(errors="replace")
