"""Which servers a request may name, and how."""

import pytest

from backend.engines.base import ServeConfig
from backend.gateway.errors import Refusal
from backend.gateway.names import find, listed
from backend.servers.server import ServerState
from tests.support.servers_of import server

OUTSIDE = ServeConfig("external", "", address="http://elsewhere:1/v1")


def ids(*views, **options) -> list[str]:  # type: ignore[no-untyped-def]  # passes on what listed takes
    return [one.id for one in listed(views, **options)]


def test_the_newest_ready_one_comes_first() -> None:
    views = (
        server("loading", state=ServerState.STARTING, created_at=9, ready_at=0),
        server("old", ready_at=3),
        server("new", ready_at=5),
        server("gone", state=ServerState.STOPPED),
        server("died", state=ServerState.FAILED),
        server("ending", state=ServerState.STOPPING),
    )
    assert ids(*views) == ["new", "old", "loading"]


def test_a_shared_name_gets_the_port() -> None:
    views = (server("a", id="1", port=1, ready_at=1), server("a", id="2", port=2, ready_at=2), server("b", id="3"))
    assert sorted(ids(*views)) == ["a@1", "a@2", "b"]
    assert find(listed(views), "a").view.id == "2"  # the newest ready one
    assert find(listed(views), "a@1").view.id == "1"


def test_ids_are_unique_even_where_ports_are_shared() -> None:
    views = tuple(server("a", id=str(n), config=OUTSIDE, port=80) for n in range(3))
    assert len(set(ids(*views, lent=("0", "1", "2")))) == 3


def test_external_servers_are_lent_one_by_one() -> None:
    views = (server("mine"), server("theirs", id="x", config=OUTSIDE))
    assert ids(*views) == ["mine"]
    assert sorted(ids(*views, lent=("x",))) == ["mine", "theirs"]


def test_a_key_may_be_limited_to_servers() -> None:
    views = (server("a"), server("b"))
    assert ids(*views, allowed=("b",)) == ["b"]
    with pytest.raises(Refusal) as refused:
        find(listed(views, allowed=("b",)), "a")
    assert (refused.value.status, refused.value.message.params["known"]) == (404, "b")


@pytest.mark.parametrize("name", ["qwen", " qwen ", "/m/qwen"])
def test_what_finds_a_server(name: str) -> None:
    assert find(listed((server("qwen"),)), name).id == "qwen"


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [("other", 404, "model_not_found"), ("QWEN", 404, "model_not_found"), ("", 400, "missing_model"),
     (None, 400, "missing_model"), (7, 400, "missing_model"), (["qwen"], 400, "missing_model")],
)  # fmt: skip
def test_a_wrong_name_lists_the_right_ones(model: object, status: int, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        find(listed((server("qwen"), server("llama"))), model)
    assert (refused.value.status, refused.value.code) == (status, code)
    assert set(str(refused.value.message.params["known"]).split(", ")) == {"qwen", "llama"}


def test_what_isnt_ready_says_when_to_ask_again() -> None:
    loading = server("a", state=ServerState.STARTING, progress=0.29)
    with pytest.raises(Refusal) as refused:
        find(listed((loading,)), "a")
    assert (refused.value.status, refused.value.message.params["percent"]) == (503, 29)
    assert refused.value.retry_after_s
    with pytest.raises(Refusal) as refused:
        find(listed((server("a", state=ServerState.UNREACHABLE),)), "a")
    assert (refused.value.status, bool(refused.value.retry_after_s)) == (503, True)
    with pytest.raises(Refusal) as refused:
        find([], "a")
    assert refused.value.code == "no_server"
