"""Keeps the compressed bytes of static files: Gradio compresses each of its files anew at every request, and hastily.

A file is fetched from the application as it is and compressed here, by a task of its own, once for all who ask at that
moment. Who asks may go away at any time: the fetch doesn't see it, and only what came whole is kept.
"""

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.web.compression import LEAST_BYTES, accepted, is_text, packed

PREFIXES = ("/assets/", "/static/", "/console/assets/", "/theme.css")
MAX_BYTES = 64 << 20
FETCH_S = 60.0
FOR_EVER = "private, max-age=31536000, immutable"
A_DAY = "private, max-age=86400"
Key = tuple[str, bytes, str]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """A whole answer of the application."""

    start: Message
    body: bytes

    @property
    def found(self) -> bool:
        """Whether it is the file, and not why there is none."""
        return bool(self.start["status"] == 200)


class AssetCache:
    """ASGI layer for GET of static files, by path, query and accepted encoding. At most 64 MiB are kept, those that
    were asked for last."""

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BYTES) -> None:
        self.app = app
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Key, Answer] = OrderedDict()
        self._size = 0
        self._coming: dict[Key, asyncio.Task[Answer | None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(PREFIXES):
            await self.app(scope, receive, send)
            return
        request = Headers(scope=scope)
        if "range" in request:
            await self.app(scope, receive, send)
            return
        encoding = accepted(request.get("accept-encoding", ""))
        # Only these have a query that counts (their digest); others' would only fill the memory.
        query = scope["query_string"] if scope["path"].startswith(("/console/", "/theme.css")) else b""
        key = (scope["path"], query, encoding)
        answer = self._kept.get(key)
        if answer is not None:
            self._kept.move_to_end(key)
        else:
            answer = await self._fetched(key, scope)
        if answer is None:
            broken = PlainTextResponse("The file couldn't be read whole.", 502, {"cache-control": "no-store"})
            await broken(scope, receive, send)
            return
        await send(answer.start)
        await send({"type": "http.response.body", "body": answer.body})

    async def _fetched(self, key: Key, scope: Scope) -> Answer | None:
        """The application's answer, asked for once by all who wait for it; None where it broke off."""
        task = self._coming.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._fetch(key, scope))
            self._coming[key] = task
            task.add_done_callback(lambda _: self._coming.pop(key, None))
        # Shielded: one who goes away ends only their own waiting.
        return await asyncio.shield(task)

    async def _fetch(self, key: Key, scope: Scope) -> Answer | None:
        try:
            async with asyncio.timeout(FETCH_S):
                answer = await whole_answer(self.app, scope)
        except Exception:
            log.exception("%s can't be fetched", key[0])
            return None
        if answer is None:
            log.warning("%s broke off", key[0])
            return None
        headers = MutableHeaders(raw=list(answer.start["headers"]))
        body = answer.body
        kept = answer.found and headers.get("cache-control") != "no-store"
        if kept:
            if "content-encoding" not in headers and is_text(headers.get("content-type", "")):
                headers.add_vary_header("accept-encoding")
                if key[2] and len(body) >= LEAST_BYTES:
                    body = await run_in_threadpool(packed, body, key[2])
                    headers["content-encoding"] = key[2]
                    del headers["accept-ranges"], headers["etag"]  # those of the file as it is
            hashed = key[0].startswith("/assets/") or b"v=" in key[1]
            headers["cache-control"] = FOR_EVER if hashed else A_DAY
        headers["content-length"] = str(len(body))
        answer = Answer({**answer.start, "headers": headers.raw}, body)
        if kept:
            self._keep(key, answer)
        return answer

    def _keep(self, key: Key, answer: Answer) -> None:
        if len(answer.body) > self._max_bytes:
            return
        self._kept[key] = answer
        self._size += len(answer.body)
        while self._size > self._max_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped.body)


async def whole_answer(app: ASGIApp, scope: Scope) -> Answer | None:
    """What the application answers to a client that never goes away; None where it ends before its last byte."""
    own = scope["path"].startswith("/console/")  # which compresses nothing hastily, but has a file that is compressed
    start: Message | None = None
    body = bytearray()
    complete = False
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await asyncio.get_running_loop().create_future()  # for ever: this client doesn't disconnect
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal start, complete
        if message["type"] == "http.response.start":
            start = message
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b""))
            complete = not message.get("more_body", False)

    # Without conditions, so that it is a whole answer (its own ETag is of no use then), as it is, and without what
    # uvicorn could do in the answer's place, such as sending the file itself.
    left_out = (b"if-none-match", b"if-modified-since", *(() if own else (b"accept-encoding",)))
    headers = [(name, value) for name, value in scope["headers"] if name not in left_out]
    await app({**scope, "headers": headers, "extensions": {}}, receive, send)
    if start is None or not complete:
        return None
    length = Headers(raw=start["headers"]).get("content-length")
    if length is not None and length != str(len(body)):
        return None
    return Answer(start, bytes(body))
