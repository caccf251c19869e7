"""With a real proxy that writes down what reaches it: what of the console goes there, and what never does."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from backend.chat.client import Client, Deadlines
from backend.chat.completion import Delta
from backend.engines.external import clean_address
from backend.errors import ConsoleError
from backend.servers.external import find_api
from backend.servers.probe import Prober
from tests.support.scripted_server import Scripted

CHILD = Path(__file__).parents[1] / "children" / "recording_proxy.py"
LOOPBACK = ["0.0.0.0", "127.0.0.1", "127.1", "2130706433", "localhost", "[::ffff:127.0.0.1]"]
NOWHERE = "192.0.2.1"  # no machine has it, and no name server is asked
NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class RecordingProxy:
    def __init__(self, file: Path) -> None:
        self._file = file
        self.process = subprocess.Popen([sys.executable, str(CHILD), str(file)], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.address = f"127.0.0.1:{int(self.process.stdout.readline().split()[1])}"

    def seen(self) -> list[str]:
        """The beginnings of all connections that came so far."""
        return [json.loads(line) for line in self._file.read_text().splitlines()] if self._file.exists() else []

    def close(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=10)


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingProxy]:
    made = RecordingProxy(tmp_path / "seen")
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    monkeypatch.setattr("backend.servers.external.ASK_S", 1.0)
    yield made
    made.close()


@pytest.fixture
def prober() -> Iterator[Prober]:
    made = Prober()
    yield made
    made.close()


def own_hosts() -> list[str]:
    entries = [a for found in psutil.net_if_addrs().values() for a in found if a.family == socket.AF_INET]
    addresses = [entry.address for entry in entries if not entry.address.startswith("127.")]
    assert addresses
    return addresses


@pytest.mark.parametrize("setting", ["http://{}", "{}", "socks5://{}", "socks://{}/"])
async def test_nothing_to_this_machine_reaches_the_proxy(
    proxy: RecordingProxy, prober: Prober, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """Connecting, watching and chatting, by every name of this machine, with a key."""
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, setting.format(proxy.address))
    server = Scripted("--key", "sesame", "--tokens", "2")
    client = Client()
    try:
        for host in own_hosts():  # the server listens on 127.0.0.1 alone: refused, but asked directly
            with pytest.raises(ConsoleError) as caught:
                find_api(f"http://{host}:{server.port}/v1", "sesame", prober)
            assert [message.key for message in caught.value.messages] == ["servers.external-no-answer"]
        for host in LOOPBACK:
            api = find_api(clean_address(f"http://{host}:{server.port}/v1"), "sesame", prober)
            assert [model.id for model in api.models] == ["scripted"]
            assert prober.health(api.base_url.removesuffix("/v1")).ok
            request = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}
            events = [event async for event in client.stream(api.base_url, "sesame", request)]
            assert any(isinstance(event, Delta) for event in events)
    finally:
        await client.close()
        server.close()
    assert proxy.seen() == []


@pytest.mark.parametrize("setting", ["http://{}", "{}", "socks5://{}", "socks5h://{}", "socks://{}/"])
def test_another_machine_is_reached_through_the_proxy(
    proxy: RecordingProxy, prober: Prober, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", setting.format(proxy.address))
    api = find_api("http://gpu.example:8000/v1", "", prober)
    assert [model.id for model in api.models] == ["through-the-proxy"]
    assert "gpu.example" in proxy.seen()[0]


def test_a_key_never_reaches_the_proxy_in_plain(
    proxy: RecordingProxy, prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"http://{proxy.address}")
    with pytest.raises(ConsoleError) as caught:
        find_api(f"http://{NOWHERE}:8000/v1", "sesame", prober)
    assert caught.value.messages[-1].key == "servers.proxy-would-see-key"
    assert proxy.seen() == []
    with pytest.raises(ConsoleError):
        find_api(f"https://{NOWHERE}:8000/v1", "sesame", prober)
    assert proxy.seen()
    assert all(line.startswith(f"CONNECT {NOWHERE}:8000") and "sesame" not in line for line in proxy.seen())


@pytest.mark.parametrize("value", ["socks4://127.0.0.1:9", "nonsense here", "http://[::1", "http://h:99999", "😀://"])
async def test_a_setting_that_cannot_be_used_is_named_and_stops_nothing(
    proxy: RecordingProxy, prober: Prober, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("http_proxy", value)
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1,[::1]")
    server = Scripted()
    try:
        assert find_api(server.address, "", prober).base_url == f"{server.address}/v1"
    finally:
        server.close()
    with pytest.raises(ConsoleError) as caught:
        find_api(f"http://{NOWHERE}/v1", "", prober)
    assert caught.value.messages[-1].key == "servers.proxy-unusable"
    client = Client(Deadlines(connect_s=0.5))
    with pytest.raises(ConsoleError):
        _ = [event async for event in client.stream(f"http://{NOWHERE}/v1", "", {"model": "m", "messages": []})]
    await client.close()
