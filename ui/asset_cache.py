"""Keeps the compressed bytes of static files: Gradio compresses each of its files anew at every request."""

from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIXES = ("/assets/", "/static/", "/console/assets/")
MAX_BYTES = 64 << 20
FOR_EVER = "private, max-age=31536000, immutable"
A_DAY = "private, max-age=86400"


@dataclass(frozen=True)
class _Kept:
    start: Message
    body: bytes


class AssetCache:
    """ASGI layer for GET of static files, by path, query and accepted encoding. At most 64 MiB are kept."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._kept: dict[tuple[str, bytes, str], _Kept] = {}
        self._size = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(PREFIXES):
            await self.app(scope, receive, send)
            return
        request = Headers(scope=scope)
        if "range" in request:
            await self.app(scope, receive, send)
            return
        accepted = request.get("accept-encoding", "")
        encoding = next((name for name in ("br", "gzip") if name in accepted), "")
        # Only the console's own files have a query that counts (their digest); others' would only fill the memory.
        query = scope["query_string"] if scope["path"].startswith("/console/") else b""
        key = (scope["path"], query, encoding)
        kept = self._kept.get(key)
        if kept is None:
            kept = await self._fetch(key, scope, receive, send)
        if kept is not None:
            await send(kept.start)
            await send({"type": "http.response.body", "body": kept.body})

    async def _fetch(self, key: tuple[str, bytes, str], scope: Scope, receive: Receive, send: Send) -> _Kept | None:
        """Asks the app for the file; keeps it if it is whole and found, else passes the answer on and returns None."""
        start: Message | None = None
        body = bytearray()

        async def collect(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
            else:
                body.extend(message.get("body", b""))

        # Without conditions, so that what is kept is a whole answer; the answer's own ETag is of no use then.
        conditions = (b"if-none-match", b"if-modified-since")
        headers = [(name, value) for name, value in scope["headers"] if name not in conditions]
        await self.app({**scope, "headers": headers}, receive, collect)
        if start is None:
            return None
        answer = MutableHeaders(raw=list(start["headers"]))
        if start["status"] == 200:
            hashed = scope["path"].startswith("/assets/") or b"v=" in key[1]
            answer["cache-control"] = FOR_EVER if hashed else A_DAY
        answer["content-length"] = str(len(body))
        kept = _Kept({**start, "headers": answer.raw}, bytes(body))
        if start["status"] == 200 and self._size + len(body) <= MAX_BYTES:
            self._kept[key] = kept
            self._size += len(body)
        return kept
