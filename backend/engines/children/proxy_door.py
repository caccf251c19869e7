"""What stands before the app of LMDeploy's proxy (see proxy_entry.py): who gets in, and how a plain question goes on.

ASGI alone, without a framework: a class that asks in one instant waits for all that its requests cost.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from collections.abc import Awaitable, Callable
from typing import Any

QUESTIONS = ("/v1/chat/completions", "/v1/completions")


class NodeFailed(Exception):
    """A node's refusal, or what is said where no node answers."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def error_body(text: str, code: str) -> bytes:
    """An error as OpenAI's clients read it."""
    return json.dumps({"error": {"message": text, "type": "server_error", "code": code}}).encode()


class Guard:
    """Answers ``/health``, and lets nobody else in without the key. ``at_the_end`` is awaited when the server ends."""

    def __init__(self, app: Any, token: str, at_the_end: Callable[[], Awaitable[None]]) -> None:
        self._app = app
        self._token = token.encode()
        self._at_the_end = at_the_end

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            await self._at_the_end()
        elif scope["type"] == "http" and scope["path"] == "/health":
            await answer(send, 200, b'{"status": "ok"}')
        elif scope["type"] == "http" and self._is_let_in(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await answer(send, 401, error_body("Invalid API key", "invalid_api_key"))

    def _is_let_in(self, scope: Any) -> bool:
        offered = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, key = offered.partition(b" ")
        return bool(scheme.lower() == b"bearer" and hmac.compare_digest(key.strip(), self._token))


async def answer(send: Any, status: int, body: bytes) -> None:
    """A JSON answer, without a framework."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Shortcut:
    """What LMDeploy's two routes do with a question, without the framework that reads what only the node must know.

    Anything that isn't plain goes LMDeploy's own way: another path, no JSON, no model's name, another strategy.
    """

    def __init__(self, app: Any, module: Any, nodes: Any) -> None:
        self._app = app
        self._module = module
        self._manager = module.node_manager
        self._nodes = nodes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in QUESTIONS:
            await self._app(scope, receive, send)
            return
        from starlette.requests import ClientDisconnect, Request

        request = Request(scope, receive)
        with contextlib.suppress(ClientDisconnect):
            body = await request.body()
            if (plain := self._plain(scope, body)) is None:
                await self._app(scope, after(body, receive), send)
            else:
                await self._answer(request, *plain, send)

    def _plain(self, scope: Any, body: bytes) -> tuple[str, bool] | None:
        """The model and whether a stream is wanted, None where LMDeploy's own route has to look at it."""
        kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
        if kind.partition(b";")[0].strip().lower() != b"application/json":
            return None
        try:
            question = json.loads(body)
        except (ValueError, RecursionError):
            return None
        strategy = getattr(getattr(self._manager, "serving_strategy", None), "name", "")
        if not isinstance(question, dict) or strategy != "Hybrid":
            return None
        model, streamed = question.get("model"), question.get("stream")
        return (model, bool(streamed)) if isinstance(model, str) and streamed in (None, True, False) else None

    async def _answer(self, request: Any, model: str, streamed: bool, send: Any) -> None:
        manager, path = self._manager, request.scope["path"]
        refused = await self._nodes.check_model(model)
        if refused is not None:
            await refused(request.scope, request.receive, send)
            return
        node = manager.get_node_url(model)
        self._module.logger.info(f"A request is dispatched to {node}")
        start = manager.pre_call(node)
        if streamed:
            done = manager.create_background_tasks(node, start)
            pieces = self._nodes.stream(request, node, path)
            response = self._module.ProxyStreamingResponse(pieces, background=done, media_type="text/event-stream")
            await response(request.scope, request.receive, send)
            return
        try:
            text = await self._nodes.whole(request, node, path)
        except NodeFailed as failed:
            await answer(send, failed.status, failed.body)
            return
        manager.post_call(node, start)
        await answer(send, 200, text.encode())

    @staticmethod
    def fits(module: Any) -> bool:
        """Whether that version has what the shortcut takes over."""
        needed = ("get_node_url", "pre_call", "post_call", "create_background_tasks", "serving_strategy")
        return all(hasattr(module.node_manager, name) for name in needed) and hasattr(module, "ProxyStreamingResponse")


def after(body: bytes, receive: Any) -> Any:
    """``receive`` of a request whose body was read."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Any:
        return messages.pop() if messages else await receive()

    return received


async def unless_gone(raw_request: Any, asking: Any) -> Any:
    """What ``asking`` gives; it is given up where the caller goes away."""
    task = asyncio.ensure_future(asking)
    gone = asyncio.ensure_future(raw_request.receive())
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise NodeFailed(499, error_body("The caller went away", "closed"))
        return task.result()
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)
