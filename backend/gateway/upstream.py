"""The HTTP client of /v1: a request's body goes to a model server, and what comes back is handed on as it comes.

It does that alone, on asyncio's transports and httptools' parser: no redirects, cookies, proxies or compression. A
token costs a fraction of what a general client takes for it, and a connection serves the next request, too.
"""

import asyncio
import functools
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import httptools

from backend.machine.clients import certificates

CONNECT_S = 10.0
IDLE_S = 30.0  # a connection is kept, unless its server ends it before (uvicorn: after 5 s)
MOST_IDLE = 64  # of one server
LONGEST_HEAD = 64 << 10  # bytes; and of what a body's framing may say at one go
HELD_BYTES = 256 << 10  # read ahead of who takes the answer
_JSON = "content-type: application/json\r\naccept: */*\r\naccept-encoding: identity\r\n"


class Broken(Exception):
    """The server can't be reached, or gave no whole answer; the text is for the log."""


@dataclass(frozen=True)
class Place:
    """Where a server listens, and what its requests begin with."""

    host: str
    port: int
    secure: bool
    named: str  # the Host header
    path: str


@functools.lru_cache(maxsize=256)
def place_of(base_url: str) -> Place:
    """The place that a server's base URL names. Raises Broken."""
    try:
        parts = urlsplit(base_url)
        secure = parts.scheme == "https"
        host, port = parts.hostname, parts.port or (443 if secure else 80)
    except ValueError as error:
        raise Broken(f"{base_url[:200]!r}: {error}") from None
    if not host or parts.scheme not in ("http", "https") or not host.isascii():
        raise Broken(f"{base_url[:200]!r} is no address of a server")
    path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._")
    return Place(host, port, secure, parts.netloc.rpartition("@")[2], path)


class Upstream:
    """Connections to model servers, each for one request at a time. For one event loop; ``silent_s`` is how long a
    server may send nothing in the middle of a request."""

    def __init__(self, silent_s: float) -> None:
        self._silent_s = silent_s
        self._idle: dict[Place, list[_Connection]] = {}
        self._all: set[_Connection] = set()

    async def post(self, base_url: str, path: str, body: bytes, key: str = "") -> "Response":
        """What the server begins to answer to that JSON. Raises Broken, or TimeoutError where nothing comes."""
        place = place_of(base_url)
        bearer = f"authorization: Bearer {key}\r\n" if key else ""
        head = f"POST {place.path}/{path} HTTP/1.1\r\nhost: {place.named}\r\n{_JSON}{bearer}"
        request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        if (kept := self._kept(place)) is not None:
            try:
                return await kept.ask(request, self._silent_s)
            except Broken:
                if kept.heard:
                    raise
                # The server closed it meanwhile, and never saw the request.
        connection = await self._connect(place)
        return await connection.ask(request, self._silent_s)

    def close(self) -> None:
        """Close all connections."""
        for connection in tuple(self._all):
            connection.close()

    def _kept(self, place: Place) -> "_Connection | None":
        idle = self._idle.get(place, [])
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
        return None

    async def _connect(self, place: Place) -> "_Connection":
        loop = asyncio.get_running_loop()
        context: ssl.SSLContext | None = None
        if place.secure:
            context = await asyncio.to_thread(certificates)
        try:
            async with asyncio.timeout(CONNECT_S):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self, place, loop), place.host, place.port, ssl=context
                )
        except TimeoutError:
            raise Broken(f"{place.host}:{place.port} took no connection in {CONNECT_S} s") from None
        except (OSError, UnicodeError) as error:  # ssl.SSLError is an OSError
            raise Broken(str(error)) from error
        self._all.add(connection)
        return connection

    def _keep(self, connection: "_Connection") -> None:
        idle = self._idle.setdefault(connection.place, [])
        if len(idle) < MOST_IDLE:
            idle.append(connection)
        else:
            connection.close()

    def _forget(self, connection: "_Connection") -> None:
        self._all.discard(connection)
        idle = self._idle.get(connection.place, [])
        if connection in idle:
            idle.remove(connection)
        if not idle:
            self._idle.pop(connection.place, None)


class Response:
    """An answer that has begun. ``headers`` have lower-case names. Whoever has it reads it to its end, or closes it."""

    def __init__(self, connection: "_Connection", status: int, headers: Mapping[str, str]) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers

    async def read(self) -> bytes:
        """All of the body that has come, waiting for some; b"" at its end. Raises Broken where it breaks off, after all
        that came was given, and TimeoutError."""
        return await self._connection.read()

    def close(self) -> None:
        """No more of it: the server sees the connection end, unless the answer had ended itself."""
        self._connection.leave()


class _Connection(asyncio.Protocol):
    def __init__(self, upstream: Upstream, place: Place, loop: asyncio.AbstractEventLoop) -> None:
        self.place = place
        self.closed = False
        self.heard = False  # whether anything of this answer has come
        self._upstream = upstream
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._busy = self._paused = False

    # A request

    async def ask(self, request: bytes, silent_s: float) -> Response:
        self._begin(silent_s)
        self._transport.write(request)
        try:
            await self._until(lambda: self._head_done)
        except BaseException:
            self.close()
            raise
        return Response(self, self._status, self._headers)

    async def read(self) -> bytes:
        if not self._body and not self._ended:
            await self._until(lambda: bool(self._body) or self._ended)
        if not self._body:
            return b""
        piece = self._body.popleft() if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._held = 0
        if self._paused:
            self._paused = False
            self._last_byte = self._loop.time()
            self._transport.resume_reading()
        return piece

    def leave(self) -> None:
        """The answer is no longer wanted; the connection serves another where it has ended cleanly."""
        if not self._busy:
            return
        self._busy = False
        self._disarm()
        clean = self._ended and self._error is None and self._reusable and not self.closed
        if clean and not self._transport.get_write_buffer_size():  # an early answer: some of the question is still here
            self._timer = self._loop.call_later(IDLE_S, self.close)
            self._upstream._keep(self)
        else:
            self.close()

    def close(self) -> None:
        self._disarm()
        self.closed = True
        self._upstream._forget(self)
        self._transport.abort()

    def _begin(self, silent_s: float) -> None:
        self._disarm()
        self.heard, self._busy = False, True
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)  # small servers end lines with LF
        self._status, self._headers = 0, dict[str, str]()
        self._head_done = self._ended = self._reusable = self._paused = self._until_end = False
        self._head_bytes = self._held = 0  # bytes since something came of them, bytes of the body that lie here
        self._body: deque[bytes] = deque()
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._silent_s = silent_s
        self._last_byte = self._loop.time()
        self._timer = self._loop.call_later(silent_s, self._look)

    async def _until(self, happened: Callable[[], bool]) -> None:
        while not happened():
            if self._error is not None:
                raise self._error
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._error is None and not self._ended:
            self._error = error
            self._wake()

    def _look(self) -> None:
        """Has the server been silent for too long? Where nothing is read, the delay is ours."""
        left = self._silent_s - (self._loop.time() - self._last_byte)
        if left > 0 or self._paused:
            self._timer = self._loop.call_later(max(left, 1.0), self._look)
        else:
            self._fail(TimeoutError())

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's are no asyncio.Transport

    def data_received(self, data: bytes) -> None:
        if not self._busy or self._ended:  # nothing was asked, or more than the answer
            self.close()
            return
        self.heard = True
        self._last_byte = self._loop.time()
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._reusable = False
            self._fail(Broken(f"no HTTP: {error!r}"))
            return
        if self._head_bytes > LONGEST_HEAD:
            self._fail(Broken("a head, or what stands around a body, without an end"))
        elif self._held > HELD_BYTES and not self._paused and not self._ended:
            self._paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._upstream._forget(self)
        if not self._busy:
            self._disarm()
        elif self._head_done and self._until_end and exc is None:
            self._end(reusable=False)
        else:
            self._fail(Broken(f"the connection ended: {exc!r}"))

    # httptools

    def on_message_begin(self) -> None:
        if self._head_done:
            raise ValueError("a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:  # what follows a body is nothing that was asked for
            return
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._status < 100:
            raise ValueError("no status")
        if self._status < 200:  # "100 Continue" and the like: the answer is still to come
            return
        coding = self._headers.get("transfer-encoding", "").lower()
        if coding not in ("", "identity", "chunked"):
            raise ValueError("a coding that wasn't asked for")
        self._until_end = coding != "chunked" and "content-length" not in self._headers
        self._head_done, self._head_bytes = True, 0
        self._wake()

    def on_body(self, body: bytes) -> None:
        self._head_bytes = 0
        self._body.append(body)
        self._held += len(body)
        self._wake()

    def on_message_complete(self) -> None:
        if self._status < 200:
            self._headers = {}
            return
        self._end(reusable=self._parser.should_keep_alive())

    def _end(self, *, reusable: bool) -> None:
        self._ended, self._reusable = True, reusable
        self._wake()
