"""What servers answer, and what they don't."""

import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen

import pytest

from backend.processes import ports
from backend.processes.health import Prober, ServedModel, is_loopback, served_models
from tests.waiting import wait_for

FAKE_SERVER = str(Path(__file__).parents[2] / "children" / "fake_server.py")


@pytest.fixture
def prober() -> Iterator[Prober]:
    made = Prober()
    yield made
    made.close()


def test_a_server_is_asked_past_any_proxy(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    port = ports.free_port()
    with Popen([sys.executable, FAKE_SERVER, str(port), "--key", "k"]) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for("healthy", lambda: prober.health(address).ok)
            assert prober.models(f"{address}/v1").status == 401
            assert served_models(prober.models(f"{address}/v1", "k").body) == (ServedModel("fake", 4096),)
            assert prober.models(f"{address}/elsewhere", "k").status == 404
        finally:
            server.kill()
    answer = prober.health(address)
    assert not answer.ok
    assert answer.status is None
    assert answer.error


@pytest.mark.parametrize("address", ["http://127.0.0.1:99999", "http://[::1", "http://", "nothing", "http://exa mple"])
def test_an_address_that_cannot_be_asked_is_no_answer(prober: Prober, address: str) -> None:
    assert prober.health(address).status is None


@pytest.mark.parametrize("body", [None, [], "x", {}, {"data": None}, {"data": "x"}, {"error": 1}])
def test_bodies_that_list_no_models(body: object) -> None:
    assert served_models(body) is None


def test_bodies_that_list_models() -> None:
    data = [{"id": "a"}, {"id": "b", "max_model_len": 8}, {"id": 3}, "x", {"id": "c", "max_model_len": -1}]
    assert served_models({"data": data}) == (ServedModel("a", 0), ServedModel("b", 8), ServedModel("c", 0))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "x.localhost"])
def test_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "10.0.0.1", "example.org", "localhost.example.org", "::2", "0.0.0.0"])
def test_other_machines(host: str) -> None:
    assert not is_loopback(host)
