"""Which questions take the shortcut before the proxy's app, and what happens to those that don't."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.background import BackgroundTasks
from starlette.requests import Request
from starlette.responses import StreamingResponse

from backend.engines.children.proxy_door import Guard, NodeFailed, Shortcut

PLAIN = {"model": "m", "messages": []}


class Manager:
    """LMDeploy's, as far as the shortcut asks it."""

    def __init__(self, strategy: str = "Hybrid") -> None:
        self.serving_strategy = SimpleNamespace(name=strategy)
        self.said: list[str] = []

    def get_node_url(self, model: str) -> str:
        return f"node of {model}"

    def pre_call(self, node: str) -> float:
        self.said.append(f"begin {node}")
        return 1.0

    def post_call(self, node: str, start: float) -> None:
        self.said.append(f"end {node}")

    def create_background_tasks(self, node: str, start: float) -> BackgroundTasks:
        tasks = BackgroundTasks()
        tasks.add_task(self.post_call, node, start)
        return tasks


class Nodes:
    """Answers in place of the nodes."""

    def __init__(self, failure: NodeFailed | None = None) -> None:
        self.failure = failure

    async def check_model(self, model: str) -> Any:
        return None if model == "m" else StreamingResponse(iter([b"no such model"]), 404)

    async def whole(self, request: Request, node: str, path: str) -> str:
        if self.failure is not None:
            raise self.failure
        return json.dumps({"node": node, "path": path, "asked": json.loads(await request.body())})

    async def stream(self, request: Request, node: str, path: str) -> AsyncIterator[bytes]:
        yield f"data: {node}\n\n".encode()


async def lmdeploys_own(scope: Any, receive: Any, send: Any) -> None:
    """The app behind: it says what it was asked."""
    body = await Request(scope, receive).body()
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": body})


def ask(
    body: bytes, *, path: str = "/v1/chat/completions", kind: str = "application/json", method: str = "POST",
    strategy: str = "Hybrid", failure: NodeFailed | None = None,
) -> tuple[int, bytes, list[str]]:  # fmt: skip
    """(status, body, what the manager counted) of one request, which comes in two pieces."""
    manager = Manager(strategy)
    logger = SimpleNamespace(info=lambda text: None)
    module = SimpleNamespace(node_manager=manager, logger=logger, ProxyStreamingResponse=StreamingResponse)
    assert Shortcut.fits(module)
    scope = {
        "type": "http", "method": method, "path": path, "headers": [(b"content-type", kind.encode())],
        "query_string": b"", "asgi": {"spec_version": "2.4"},
    }  # fmt: skip
    pieces = [(body[:3], True), (body[3:], False)]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        piece, more = pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": more}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(Shortcut(lmdeploys_own, module, Nodes(failure))(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]), manager.said


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
@pytest.mark.parametrize("stream", [{}, {"stream": False}, {"stream": None}])
def test_a_plain_question_is_answered_by_the_node_and_counted(path: str, stream: dict[str, Any]) -> None:
    status, body, counted = ask(json.dumps(PLAIN | stream).encode(), path=path)
    assert status == 200
    assert json.loads(body) == {"node": "node of m", "path": path, "asked": PLAIN | stream}
    assert counted == ["begin node of m", "end node of m"]


def test_a_stream_is_counted_until_its_end() -> None:
    assert ask(json.dumps(PLAIN | {"stream": True}).encode()) == (
        200, b"data: node of m\n\n", ["begin node of m", "end node of m"],
    )  # fmt: skip


def test_an_unknown_model_and_a_failure_keep_status_and_words() -> None:
    assert ask(json.dumps({"model": "other"}).encode()) == (404, b"no such model", [])
    failed = NodeFailed(400, b"too long")
    assert ask(json.dumps(PLAIN).encode(), failure=failed)[:2] == (400, b"too long")


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        (b"{not json", {}),
        (b"\xff\xfe\xfd\xfc", {}),
        (b"[1, 2]", {}),
        (b'{"messages": []}', {}),
        (b'{"model": 7}', {}),
        (b'{"model": "m", "stream": "yes"}', {}),
        (json.dumps(PLAIN).encode(), {"kind": "text/plain"}),
        (json.dumps(PLAIN).encode(), {"path": "/nodes/add"}),
        (json.dumps(PLAIN).encode(), {"method": "PUT"}),
        (json.dumps(PLAIN).encode(), {"strategy": "DistServe"}),
    ],
)
def test_anything_else_goes_lmdeploys_own_way_whole(body: bytes, changes: dict[str, Any]) -> None:
    assert ask(body, **changes) == (418, body, [])


def test_a_version_without_those_parts_keeps_its_own_routes() -> None:
    whole = SimpleNamespace(node_manager=Manager(), ProxyStreamingResponse=StreamingResponse)
    assert Shortcut.fits(whole)
    assert not Shortcut.fits(SimpleNamespace(node_manager=Manager()))
    assert not Shortcut.fits(SimpleNamespace(node_manager=object(), ProxyStreamingResponse=StreamingResponse))


async def nothing() -> None:
    """At the end."""


def test_the_guard_lets_in_who_has_the_key() -> None:
    guard = Guard(lmdeploys_own, "k", nothing)
    assert guard._is_let_in({"headers": [(b"authorization", b"Bearer k")]})
    assert not guard._is_let_in({"headers": [(b"authorization", b"Basic k")]})
