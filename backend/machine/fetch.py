"""Requests that end in time: a deadline for the whole, from the name look-up to the last byte, and bounded bytes.

A timeout of a read alone is none: a server that dribbles a byte a second keeps within it for ever. Only a cancelled
task ends in time whatever it waits for, so these requests run on an event loop in a thread of its own.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NoResult
from dataclasses import dataclass
from typing import Any

import httpx

from backend.machine.clients import async_client, route

UNREAD_CODINGS = ("br", "zstd", "compress", "x-compress")  # others aren't codings: some servers write "utf-8" there
NO_TEXT = "illegal request line"  # h11: what came begins with a control, as a TLS alert does
GZIP = b"\x1f\x8b"
SLACK_S = 1.0  # beyond the deadline, for the loop itself


@dataclass(frozen=True)
class Fetched:
    """What came back. ``status`` is None where nothing answered; ``error`` and ``kind`` say why.

    ``kind``: "deadline", "refused", "name" (it can't be resolved), "certificate", "tls", "only-tls" (where it was asked
    in plain), "large", "broken".
    """

    status: int | None
    content: bytes = b""
    content_type: str = ""
    location: str = ""
    error: str = ""
    kind: str = ""


class Fetcher:
    """Asks over HTTP, from any thread. ``keep``: whether connections are kept for the next question."""

    def __init__(self, *, keep: bool) -> None:
        self._limits = httpx.Limits(max_connections=None, max_keepalive_connections=None if keep else 0)
        self._lock = threading.Lock()
        self._clients: dict[str, httpx.AsyncClient] = {}

    def get(self, url: str, api_key: str = "", *, deadline_s: float, most_bytes: int) -> Fetched:
        """GET with the key. No redirect is followed. ``most_bytes`` bounds what came and what it unpacks to."""
        return self._ask("GET", url, api_key, None, deadline_s, most_bytes)

    def post(self, url: str, api_key: str, body: Mapping[str, Any], *, deadline_s: float, most_bytes: int) -> Fetched:
        """POST a JSON object, likewise."""
        return self._ask("POST", url, api_key, body, deadline_s, most_bytes)

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            with contextlib.suppress(NoResult):
                asyncio.run_coroutine_threadsafe(client.aclose(), _loop()).result(SLACK_S)

    def _ask(self, method: str, url: str, api_key: str, body: Any, deadline_s: float, most_bytes: int) -> Fetched:
        asking = self._send(method, url, api_key, body, deadline_s, most_bytes)
        return _result(asyncio.run_coroutine_threadsafe(asking, _loop()), deadline_s)

    async def _send(
        self, method: str, url: str, api_key: str, body: Any, deadline_s: float, most_bytes: int
    ) -> Fetched:
        headers = {"Accept": "application/json, text/plain, */*", "Accept-Encoding": "identity"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        try:
            async with asyncio.timeout(deadline_s):
                client = self._client(url, api_key)
                # A TLS handshake that is cancelled leaves its socket to the garbage collector: it times out before.
                timeout = httpx.Timeout(deadline_s, connect=deadline_s * 0.9)
                async with client.stream(method, url, headers=headers, json=body, timeout=timeout) as response:
                    return await _read(response, most_bytes)
        except (TimeoutError, httpx.TimeoutException):
            return Fetched(None, error=f"no whole answer within {deadline_s:g} s", kind="deadline")
        # Whatever an address or a server provokes in the libraries (a port above 65535 is an OverflowError inside a
        # group) is no answer, and must not end the thread that asked.
        except Exception as error:
            return Fetched(None, error=str(error) or type(error).__name__, kind=_kind(error))

    def _client(self, url: str, api_key: str) -> httpx.AsyncClient:
        proxy = route(url, with_key=bool(api_key)).proxy
        with self._lock:
            if proxy not in self._clients:
                self._clients[proxy] = async_client(
                    url, with_key=bool(api_key), proxy=proxy or None, limits=self._limits
                )
            return self._clients[proxy]


async def _read(response: httpx.Response, most_bytes: int) -> Fetched:
    head = Fetched(
        response.status_code,
        content_type=response.headers.get("content-type", "").partition(";")[0].strip().lower(),
        location=response.headers.get("location", ""),
    )
    content = bytearray()
    packed = response.headers.get("content-encoding", "").strip().lower()
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32) if packed in ("gzip", "x-gzip", "deflate") else None
    if packed in UNREAD_CODINGS:
        return _with(head, error=f"content encoding {packed}", kind="broken")
    try:
        async for part in response.aiter_raw():
            if not content and unpack is None and part.startswith(GZIP):  # without a word of it
                unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
            room = most_bytes + 1 - len(content)
            content += unpack.decompress(part, room) if unpack is not None else part[:room]
            if len(content) > most_bytes:
                return _with(head, error=f"more than {most_bytes} bytes", kind="large")
    except zlib.error as error:
        return _with(head, error=str(error), kind="broken")
    return _with(head, content=bytes(content))


def _with(head: Fetched, *, content: bytes = b"", error: str = "", kind: str = "") -> Fetched:
    return Fetched(head.status, content, head.content_type, head.location, error, kind)


def _result(future: "Future[Fetched]", deadline_s: float) -> Fetched:
    try:
        return future.result(deadline_s + SLACK_S)
    except NoResult:
        future.cancel()
        return Fetched(None, error=f"no answer within {deadline_s:g} s", kind="deadline")


def _kind(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate"
        if isinstance(cause, ssl.SSLError):
            return "tls"
        if isinstance(cause, socket.gaierror):
            return "name"
        if isinstance(cause, ConnectionRefusedError):
            return "refused"
        if isinstance(cause, httpx.RemoteProtocolError) and NO_TEXT in str(cause):
            return "only-tls"
    return "broken"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what lies behind it (anyio puts the attempts of a connection into a group)."""
    seen = 0
    while error is not None and seen < 20:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error, seen = error.__cause__ or error.__context__, seen + 1


_lock = threading.Lock()
_running: asyncio.AbstractEventLoop | None = None


def _loop() -> asyncio.AbstractEventLoop:
    """The one loop for all fetchers, in a daemon thread that starts with the first question."""
    global _running
    with _lock:
        if _running is None:
            _running = asyncio.new_event_loop()
            threading.Thread(target=_running.run_forever, name="fetch", daemon=True).start()
        return _running
