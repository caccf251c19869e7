"""``/v1`` on the console's own port: OpenAI's API for every running server (ASGI; backend/gateway does the work); and
``/metrics`` for Prometheus, behind the same keys.

It stands before the guard. Its keys come in ``Authorization: Bearer …`` (or another of KEY_HEADERS), never in a
cookie, so that no other page of the person's browser can use it; the guard's rules for Host hold here too. Wrong keys
are refused one by one and never counted: 192 random bits aren't guessed, and a whole class comes from one address
behind SSH.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.errors import ConsoleError, Message
from backend.gateway.errors import Refusal
from backend.gateway.keys import Grant
from backend.gateway.request import ENDPOINTS, MAX_BYTES
from backend.gateway.service import JSON, STREAM, Answer, Gateway
from backend.lab.metrics_page import CONTENT_TYPE
from backend.settings import Settings
from ui.i18n import Language, parse_language, preferred_language, say
from ui.web.host_rules import HostRules

ROOT = "/v1"
METRICS = "/metrics"
BODY_S = 60.0  # s, for a whole request to come
KEY_HEADERS = ("authorization", "x-api-key", "api-key")
ALLOWED_METHODS = "GET, POST, OPTIONS"
ON_EACH = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
ASKED_HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,80}", re.ASCII)
MOST_HEADERS = 64
EXPOSED_HEADERS = "retry-after, x-console-left-out"


class GatewayRoutes:
    """ASGI layer: answers what is below /v1, passes the rest on. Web pages of ``settings.api_origins`` may ask too.
    ``metrics`` makes the Prometheus page, which the keys of a class don't open."""

    def __init__(self, app: ASGIApp, gateway: Gateway, settings: Settings, metrics: Callable[[], bytes]) -> None:
        self.app = app
        self._metrics = metrics
        self._gateway = gateway
        self._hosts = HostRules(settings)
        self._language: Language = parse_language(settings.language) or "en"
        self._origins = frozenset(origin.rstrip("/").lower() for origin in settings.api_origins)
        self._outer = unquote(urlsplit(settings.root_path).path.rstrip("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(self._outer)
        if scope["type"] != "http" or not (path in (ROOT, METRICS) or path.startswith(f"{ROOT}/")):
            await self.app(scope, receive, send)
            return
        scope = {**scope, "path": path}
        headers = Headers(scope=scope)
        answer = _Sender(send, self._cors(headers))
        try:
            await self._route(scope, headers, receive, answer)
        except Refusal as refusal:
            await answer.refuse(refusal, self._language_of(headers))
        except ConsoleError as error:
            await answer.refuse(Refusal(400, "invalid_request", error.messages[0]), self._language_of(headers))

    def _language_of(self, headers: Headers) -> Language:
        return preferred_language(headers.get("accept-language", "")) or self._language

    def _cors(self, headers: Headers) -> Mapping[str, str]:
        """What lets a page of a set origin read the answer; nothing for others."""
        origin = headers.get("origin", "")
        if origin.lower() not in self._origins:
            return {}
        return {
            "access-control-allow-origin": origin,
            "access-control-expose-headers": EXPOSED_HEADERS,
            "vary": "origin",
        }

    async def _route(self, scope: Scope, headers: Headers, receive: Receive, answer: "_Sender") -> None:
        method, path = scope["method"], scope["path"].removeprefix(ROOT).strip("/")
        if not self._hosts.known(headers):
            raise Refusal(421, "wrong_host", Message("gateway.host"))
        if method == "OPTIONS":
            await self._preflight(headers, answer)
            return
        if "origin" in headers and not answer.cors and not self._hosts.same_origin(headers, method):
            raise Refusal(403, "wrong_origin", Message("gateway.origin", {"value": headers["origin"][:200]}))
        grant = self._gateway.grant_of(*(headers.get(name, "") for name in KEY_HEADERS))
        if scope["path"] == METRICS:
            _only(method, ("GET", "HEAD"), path)
            if grant.holder == "class":
                raise Refusal(403, "wrong_key", Message("gateway.metrics"))
            page = await asyncio.to_thread(self._metrics)
            await answer.send_whole(200, {"content-type": CONTENT_TYPE}, b"" if method == "HEAD" else page)
            return
        if path == "models" or path.startswith("models/"):
            _only(method, ("GET", "HEAD"), path)
            await self._models(grant, path.removeprefix("models").removeprefix("/"), answer)
            return
        if (name := _picture_of(path)) is not None:
            _only(method, ("GET", "HEAD"), path)
            data, kind = await self._gateway.picture(grant, name)
            await answer.send_whole(200, {"content-type": kind}, b"" if method == "HEAD" else data)
            return
        endpoint = ENDPOINTS.get(path)
        if endpoint is None:
            known = ", ".join(f"{ROOT}/{name}" for name in ("models", *ENDPOINTS))
            raise Refusal(
                404, "unknown_path", Message("gateway.path", {"value": f"{ROOT}/{path}"[:200], "known": known})
            )
        _only(method, ("POST",), path)
        with self._gateway.bodies.of(grant) as came:
            body = await _read_body(headers, receive, came)
            async with _WhileThere(receive):
                result = await self._gateway.ask(grant, endpoint, body)
                await answer.give(result, live=scope["http_version"] != "1.0")  # which knows no chunks

    async def _models(self, grant: Grant, wanted: str, answer: "_Sender") -> None:
        if wanted:
            await answer.json(200, self._gateway.model(grant, wanted))
        else:
            await answer.json(200, {"object": "list", "data": self._gateway.models(grant)})

    async def _preflight(self, headers: Headers, answer: "_Sender") -> None:
        if not answer.cors:
            raise Refusal(403, "wrong_origin", Message("gateway.origin", {"value": headers.get("origin", "–")[:200]}))
        # Any header may come along: a page of a set origin may ask, and what isn't read does nothing.
        asked = [name.strip() for name in headers.get("access-control-request-headers", "").lower().split(",")]
        more = [name for name in asked[:MOST_HEADERS] if ASKED_HEADER.fullmatch(name)]
        await answer.send_whole(
            204,
            {
                "access-control-allow-methods": ALLOWED_METHODS,
                "access-control-allow-headers": ", ".join(dict.fromkeys((*KEY_HEADERS, "content-type", *more))),
                "access-control-max-age": "600",
            },
            b"",
        )


class _Sender:
    """Writes one answer. ``cors`` goes on each."""

    def __init__(self, send: Send, cors: Mapping[str, str]) -> None:
        self._send = send
        self.cors = cors
        self.started: str = ""  # the type of the answer that has begun

    async def json(self, status: int, value: Any, headers: Mapping[str, str] | None = None) -> None:
        await self.send_whole(status, {"content-type": JSON, **(headers or {})}, json.dumps(value).encode())

    async def send_whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        await self._start(status, {**headers, "content-length": str(len(body))})
        await self._send({"type": "http.response.body", "body": body})

    async def give(self, result: Answer, live: bool) -> None:
        """A server's answer; what comes piece by piece is passed on so, or whole where that can't be."""
        if isinstance(result.body, bytes):
            await self.send_whole(result.status, _headers_of(result), result.body)
            return
        async with aclosing(result.body) as pieces:
            if live:
                await self.stream(result, pieces)
            else:
                whole = b"".join([piece async for piece in pieces])
                await self.send_whole(result.status, _headers_of(result), whole)

    async def stream(self, result: Answer, pieces: AsyncIterator[bytes]) -> None:
        """Begins with the first piece, not before: until then a refusal has a status of its own."""
        async for piece in pieces:
            if not self.started:
                await self._begin(result)
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        if not self.started:
            await self._begin(result)
        await self._send({"type": "http.response.body", "body": b""})

    async def refuse(self, refusal: Refusal, language: Language) -> None:
        """As OpenAI's errors are; in a stream that has begun, as its last event."""
        text = say(refusal.message, language)
        error = {"message": text, "type": refusal.kind, "param": refusal.message.field or None, "code": refusal.code}
        if self.started:
            last = f"data: {json.dumps({'error': error})}\n\n".encode() if self.started == STREAM else b""
            await self._send({"type": "http.response.body", "body": last})
            return
        headers = {}
        if refusal.retry_after_s is not None:
            headers["retry-after"] = str(max(1, round(refusal.retry_after_s)))
        if refusal.code == "wrong_method":
            headers["allow"] = str(refusal.message.params["known"])
        if refusal.status == 401:
            headers["www-authenticate"] = "Bearer"
        await self.json(refusal.status, {"error": error}, headers)

    async def _begin(self, result: Answer) -> None:
        await self._start(result.status, _headers_of(result))
        self.started = result.content_type

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        own = [
            (name.encode("latin-1"), value.encode("latin-1", "replace"))
            for pairs in (self.cors, headers)
            for name, value in pairs.items()
        ]
        await self._send({"type": "http.response.start", "status": status, "headers": [*ON_EACH, *own]})


def _headers_of(result: Answer) -> Mapping[str, str]:
    return {**result.headers, "content-type": result.content_type}


def _picture_of(path: str) -> str | None:
    """The picture that ``files/<id>/content`` names."""
    parts = path.split("/")
    return parts[1] if len(parts) == 3 and (parts[0], parts[2]) == ("files", "content") else None


def _only(method: str, allowed: tuple[str, ...], path: str) -> None:
    if method not in allowed:
        params = {"value": method, "path": f"{ROOT}/{path}"[:200], "known": ", ".join(allowed)}
        raise Refusal(405, "wrong_method", Message("gateway.method", params))


def _too_large() -> Refusal:
    return Refusal(413, "too_large", Message("gateway.body-large", {"most": MAX_BYTES >> 20}))


async def _read_body(headers: Headers, receive: Receive, came: Callable[[int], None]) -> bytes:
    """The whole body, bounded in size and time; ``came`` is told of each piece's bytes. Raises Refusal."""
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BYTES:
        raise _too_large()
    body = bytearray()

    async def more() -> bool:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "gone", Message("gateway.body-cut"))
        piece = message.get("body", b"")
        came(len(piece))
        body.extend(piece)
        if len(body) > MAX_BYTES:
            raise _too_large()
        return bool(message.get("more_body"))

    try:
        if await more():  # most come whole; where nothing comes, the connection itself has a deadline
            async with asyncio.timeout(BODY_S):
                while await more():
                    pass
    except TimeoutError:
        raise Refusal(408, "slow", Message("gateway.body-slow", {"seconds": round(BODY_S)})) from None
    return bytes(body)


class _WhileThere:
    """Ends what it stands around as soon as the client goes away, and says nothing then: nobody would hear it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._went = False

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._gone = asyncio.ensure_future(_disconnected(self._receive))
        self._gone.add_done_callback(self._end)

    def _end(self, gone: "asyncio.Future[None]") -> None:
        if not gone.cancelled() and self._task is not None:
            self._went = True
            self._task.cancel()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self._gone.remove_done_callback(self._end)
        self._gone.cancel()
        if not self._went or self._task is None:
            return False
        return self._task.uncancel() == 0 and kind is asyncio.CancelledError


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
