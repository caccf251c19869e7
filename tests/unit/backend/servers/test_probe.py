"""What servers answer, and what they don't."""

import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.processes import ports
from backend.servers.probe import Prober, ServedModel, is_openai_list, served_models
from tests.support.raw_server import raw_server, respond
from tests.support.waiting import wait_for

FAKE_SERVER = str(Path(__file__).parents[3] / "children" / "fake_server.py")


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


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"<html>", b"[" * 100_000, b"9" * 5000])
def test_a_body_that_is_no_json(prober: Prober, content: bytes) -> None:
    with raw_server(respond(content)) as port:
        answer = prober.models(f"http://127.0.0.1:{port}/v1")
    assert answer.ok
    assert served_models(answer.body) is None


def test_a_giant_list_is_no_list(prober: Prober) -> None:
    entry = b'{"id": "' + b"m" * 1000 + b'"},'
    with raw_server(respond(b'{"data": [' + entry * 100_000 + b"1]}")) as port:  # 100 MB
        answer = prober.models(f"http://127.0.0.1:{port}/v1")
    assert (answer.status, answer.body, answer.kind) == (200, None, "large")


@pytest.mark.parametrize(
    "body",
    [None, [], "x", 5, True, {}, {"data": None}, {"data": "x"}, {"data": 1}, {"error": 1}, [1.5], [None, {}], [True]],
)
def test_bodies_that_list_no_models(body: object) -> None:
    assert served_models(body) is None
    assert not is_openai_list(body)


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"object": "list", "data": []}, []),
        ({"object": "list", "data": None}, []),
        ({"data": {"a": {"x": 1}, "b": {"id": "c"}}}, ["a", "c"]),
        ({"data": {"a": None}}, ["a"]),
        ({"models": [{"name": "llama3:8b", "model": "llama3:8b"}]}, ["llama3:8b"]),
        ({"models": {"a": {}}}, ["a"]),
        ([{"id": "together"}], ["together"]),
        (["a", "b"], ["a", "b"]),
        (
            {"data": ["a", 7, {"id": 8}, {"id": True}, {"id": None, "name": "n"}, {"id": ""}, [], None]},
            ["a", "7", "8", "n"],
        ),
        ({"data": [{"id": "bad \ud800 \x07 name"}]}, ["bad \\ud800 ␇ name"]),
        ({"data": [{"id": "通义 千问"}, {"id": "a\nb\x1b"}]}, ["通义 千问", "a␊b␛"]),
        ({"data": [{"id": "x" * 5000}, {"id": "y"}]}, ["y"]),
        ({"data": [{"id": 10**400}]}, []),
    ],
)
def test_lists_in_odd_forms(body: Any, ids: list[str]) -> None:
    found = served_models(body)
    assert found is not None
    assert [model.id for model in found] == ids
    assert all(model.id.encode() for model in found)


@pytest.mark.parametrize(
    ("entry", "tokens"),
    [
        ({"max_model_len": 8}, 8), ({"context_length": 4096.0}, 4096), ({"context_window": "32768"}, 32768),
        ({"max_model_len": -1}, 0), ({"max_model_len": True}, 0), ({"max_model_len": float("nan")}, 0),
        ({"max_model_len": float("inf")}, 0), ({"max_model_len": 10**30}, 0), ({"max_model_len": []}, 0), ({}, 0),
        ({"max_model_len": None, "max_context_length": 5}, 5),
    ],
)  # fmt: skip
def test_context_lengths(entry: dict[str, Any], tokens: int) -> None:
    assert served_models({"data": [{"id": "m", **entry}]}) == (ServedModel("m", tokens),)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["data", "id", "models", "object", "x"]), inner),
)


@given(JSON)
@settings(deadline=None, derandomize=True)
def test_any_body_has_an_answer(body: Any) -> None:
    found = served_models(body)
    assert found is None or all(model.id and model.id.encode() for model in found)
    if is_openai_list(body):
        assert found is not None


@pytest.mark.parametrize(
    "body",
    [
        {"code": 0, "data": {"data": [{"id": "x"}]}}, {"data": {"total": 1, "items": [{"id": "x"}]}},
        {"result": [{"id": "x"}]}, {"data": {"models": ["x"]}}, {"models": {"x": {"owner": "me"}}},
    ],
)  # fmt: skip
def test_a_list_inside_another(body: Any) -> None:
    assert served_models(body) == (ServedModel("x", 0),)
