"""The servers behind a proxy: which they are, what stands against them, what is seen of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.engines.base import ServeConfig
from backend.engines.proxy import check_nodes, node_place
from backend.servers import nodes
from backend.servers.nodes import Figures, Member, Seen
from backend.servers.server import ServerRecord, ServerState, ServerView
from tests.support.servers_of import server

NOWHERE = Path("/nowhere")


def at(port: int, model: str = "m", **changes: Any) -> ServerView:
    address = f"http://127.0.0.1:{port}"
    return server(f"s{port}", address=address, base_url=f"{address}/v1", port=port, model_id=model, **changes)


def far(address: str, model: str = "m", name: str = "") -> ServerView:
    config = ServeConfig("external", "", address=address, model_name=name)
    return server(address, config=config, address=address, base_url=f"{address}/v1", port=0, model_id=model)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("localhost:23333", "http://127.0.0.1:23333"),
        (":23333", "http://127.0.0.1:23333"),
        ("http://127.0.0.1:23333/v1/chat/completions", "http://127.0.0.1:23333"),
        ("http://[::1]:23333/v1/", "http://127.0.0.1:23333"),
        ("HTTP://GPU-2.lab.local:23333/v1", "http://gpu-2.lab.local:23333"),
        ("https://gpu.example.com/v1", "https://gpu.example.com:443"),
        ("https://gpu.example.com:8443/a/v1/models", "https://gpu.example.com:8443/a"),
        ('OPENAI_BASE_URL="http://10.0.0.7:8000/v1"', "http://10.0.0.7:8000"),
    ],
)
def test_one_spelling_an_address(given: str, place: str) -> None:
    assert check_nodes((given,)) == ()
    assert node_place(given) == place
    assert node_place(place) == place


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        ((), ["no-nodes"]),
        (("",), ["bad-node"]),
        (("http://",), ["bad-node"]),
        (("ftp://gpu:21",), ["bad-node"]),
        (("http://gpu:99999",), ["bad-node"]),
        (("http://user:secret@gpu:8000",), ["credentials"]),
        (("http://gpu/api/paas/v4",), ["node-path"]),
        (("http://gpu:8000", "gpu:8000/v1", "GPU:8000"), ["node-twice", "node-twice"]),
        (("127.0.0.1:8000", "localhost:8000", "0.0.0.0:8000"), ["node-twice", "node-twice"]),
        (("http://gpu:8000", "https://gpu:8000", "http://gpu:8001"), []),
        (tuple(f"http://gpu:{port}" for port in range(1000, 1065)), ["many-nodes"]),
    ],
)
def test_addresses_that_are_none_or_given_twice(given: tuple[str, ...], keys: list[str]) -> None:
    messages = check_nodes(given)
    assert [message.key for message in messages] == [f"engines.proxy.{key}" for key in keys]
    assert all(message.field == "nodes" and "secret" not in str(message.params) for message in messages)


def test_each_address_has_its_server() -> None:
    own, ended = at(23333), at(23334, state=ServerState.STOPPED)
    other = far("http://gpu:8000")
    places = ("http://127.0.0.1:23333", "http://127.0.0.1:23334", "http://gpu:8000", "http://gpu:8001")
    found = nodes.members(places, (own, ended, other))
    assert [member.view for member in found] == [own, None, other, None]
    assert [member.name for member in found] == ["s23333", "127.0.0.1:23334", "http://gpu:8000", "gpu:8001"]


@pytest.mark.parametrize(
    ("views", "keys"),
    [
        ((at(1), at(2)), []),
        ((at(1), at(2, "other")), ["servers.node-model"]),
        ((at(1), far("http://gpu:8000", "other")), []),  # it may have several: it is asked as it joins
        ((at(1), far("http://gpu:8000", "other", "other")), ["servers.node-model"]),
        ((far("http://gpu:8000", "other"), at(1)), []),
        ((at(1), at(2, config=ServeConfig("proxy", ""))), ["servers.node-is-proxy"]),
        ((at(1), at(2, environment="course")), ["servers.nodes-differ"]),
        ((at(1), at(2, config=ServeConfig("pytorch", "/m/s2"))), ["servers.nodes-differ"]),
        ((at(1, model_path="/a/m"), at(2, model_path="/b/m")), ["servers.nodes-differ"]),
    ],
)
def test_what_stands_against_nodes(views: tuple[ServerView, ...], keys: list[str]) -> None:
    alike = tuple(replace(v, model_path="/m") if v.model_path.startswith("/m/") else v for v in views)
    found = tuple(Member(view.address, view) for view in alike)
    assert [message.key for message in nodes.objections(found, NOWHERE)] == keys


def test_the_pool_is_what_all_nodes_can() -> None:
    views = (far("http://gpu:8000", "first of many"), at(1, takes_images=True, context_length=8192), at(2))
    pool = nodes.pool_of([Member(view.address, view) for view in views])
    assert pool == nodes.Pool("m", False, 4096)
    assert nodes.pool_of([Member("http://gpu:1", None)]) is None


@pytest.mark.parametrize(
    ("seen", "joined", "state"),
    [
        (Seen(True, models=frozenset({"m", "n"})), False, ServerState.RUNNING),
        (Seen(True), True, ServerState.RUNNING),
        (Seen(True, models=frozenset({"n"})), True, ServerState.FAILED),
        (Seen(True, models=frozenset()), False, ServerState.FAILED),
        (Seen(True, refused=True), True, ServerState.FAILED),
        (Seen(False, 1), True, ServerState.RUNNING),
        (Seen(False, 3), True, ServerState.UNREACHABLE),
        (Seen(False, 1), False, ServerState.UNREACHABLE),
    ],
)
def test_whether_a_node_belongs_there(seen: Seen, joined: bool, state: ServerState) -> None:
    found, problem = nodes.state_of(Member("http://127.0.0.1:1", at(1)), seen, joined, "m")
    assert found is state
    assert (problem is None) == (state is ServerState.RUNNING)


def test_a_node_that_loads_is_waited_for() -> None:
    member = Member("http://127.0.0.1:1", at(1, state=ServerState.STARTING))
    assert nodes.state_of(member, Seen(False, 9), False, "m") == (ServerState.STARTING, None)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, {}),
        (
            {"http://a:1": {"unfinished": 2, "latency": [0.5, 1.5], "speed": None}},
            {"http://a:1": Figures(2, (0.5, 1.5))},
        ),
        ({"http://a:1": {"unfinished": -1, "latency": None}}, {"http://a:1": Figures(0, ())}),
        ({"http://a:1": {"unfinished": "x", "latency": ["y", 1]}}, {"http://a:1": Figures(0, (1.0,))}),
        ({"error": "no"}, {}),
        (None, None),
        ([], None),
        (False, None),
    ],
)
def test_what_the_proxy_says_of_its_nodes(body: Any, expected: Any) -> None:
    assert nodes.figures(body) == expected


@pytest.mark.parametrize(
    ("before", "after", "ended"),
    [
        ((), (), 0),
        ((), (1.0,), 1),
        ((1.0, 2.0), (1.0, 2.0), 0),
        ((1.0, 2.0), (1.0, 2.0, 3.0), 1),
        ((1.0, 2.0, 3.0), (2.0, 3.0, 4.0), 1),
        ((1.0, 2.0), (3.0, 4.0), 2),
    ],
)
def test_how_many_ended(before: tuple[float, ...], after: tuple[float, ...], ended: int) -> None:
    assert nodes.finished(before, after) == ended


def test_figures_are_never_stored() -> None:
    view = at(1, config=ServeConfig("proxy", "", nodes=("http://127.0.0.1:2",)))
    shown = nodes.shown(Member("http://127.0.0.1:2", None), ServerState.RUNNING, figure=Figures(1, (0.5,)))
    record = ServerRecord(replace(view, nodes=(shown,)), None)
    assert ServerRecord.from_json(record.to_json()) == ServerRecord(view, None)
