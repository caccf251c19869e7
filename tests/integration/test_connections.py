"""Connections that ask nothing, by real sockets: deadlines and a cap; whoever is slow but honest is served."""

import asyncio
import contextlib
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from tests.support.console import Console
from tests.support.waiting import wait_for
from ui.web.connections import LONGEST_HEAD, protocol_for

HEAD_S, BODY_S = 1.0, 1.0
GET = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /%b HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """/read answers with the body, /head with the head after it, /stream never ends, anything else answers without
    reading."""
    body = b""
    while scope["path"] in ("/read", "/head"):
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    if scope["path"] == "/head":
        body = b" ".join(b"%b=%b;" % pair for pair in scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    while scope["path"] == "/stream":
        await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                if (await receive())["type"] == "http.disconnect":
                    return
    await send({"type": "http.response.body", "body": b"<" + body + b">"})


@contextlib.contextmanager
def served(most: int = 1000, head_s: float = HEAD_S, body_s: float = BODY_S) -> Iterator[int]:
    """A server with these limits, in a thread; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    protocol = protocol_for(most, head_s, body_s)
    server = uvicorn.Server(uvicorn.Config(app, http=protocol, ws="none", log_config=None, lifespan="off", backlog=16))
    server.config.timeout_graceful_shutdown = 1
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_for("the server", lambda: server.started, 20)
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


def connect(port: int) -> socket.socket:
    """A connection whose reads have a deadline."""
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def rest(connection: socket.socket) -> bytes:
    """All that comes, up to its end."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def until(connection: socket.socket, what: bytes) -> bytes:
    """All that comes, up to these bytes."""
    seen = b""
    while what not in seen:
        part = connection.recv(65536)
        assert part, seen
        seen += part
    return seen


@pytest.mark.parametrize(
    "said", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500]
)
def test_who_says_nothing_is_let_go(said: bytes) -> None:
    with served() as port, connect(port) as connection:
        connection.sendall(said)
        assert rest(connection) == b""


def test_drops_of_a_head_dont_extend_the_time() -> None:
    with served() as port, connect(port) as connection:
        connection.settimeout(0.1)
        ended = False
        for _ in range(200):  # one drop each time that nothing came: 20 s
            try:
                connection.sendall(b"G")
                ended = connection.recv(1) == b""
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                ended = True
            if ended:
                break
        assert ended


def test_a_slow_honest_head_and_body() -> None:
    with served(head_s=20.0, body_s=20.0) as port, connect(port) as connection:
        paused = threading.Event()
        for byte in POST % b"read" + b"0123456789":
            connection.sendall(bytes([byte]))
            paused.wait(0.01)
        assert until(connection, b"<0123456789>")


def test_a_body_that_comes_slowly_and_one_that_stops() -> None:
    paused = threading.Event()
    with served(head_s=20.0) as port, connect(port) as slow, connect(port) as silent:
        silent.sendall(POST % b"read" + b"01234")
        slow.sendall(POST % b"read")
        for byte in b"0123456789":  # longer than BODY_S in all, never without a byte for so long
            paused.wait(BODY_S / 4)
            slow.sendall(bytes([byte]))
        assert until(slow, b"<0123456789>")
        assert rest(silent) == b""


def test_the_rest_of_a_body_that_nobody_wants() -> None:
    """The answer is there already (401, say); drops of the body don't hold the connection."""
    with served() as port, connect(port) as connection:
        connection.sendall(POST % b"")
        assert until(connection, b"<>")
        connection.settimeout(0.3)
        for _ in range(60):
            try:
                connection.sendall(b"0" if _ < 8 else b"")
                if connection.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except (ConnectionResetError, BrokenPipeError):
                return
        raise AssertionError("the connection is open still")


def test_a_stream_outlives_every_deadline() -> None:
    with served(head_s=0.3, body_s=0.3) as port, connect(port) as connection:
        connection.sendall(GET % b"stream")
        seen = b""
        while seen.count(b"tick") < 10:
            part = connection.recv(65536)
            assert part
            seen += part


def test_requests_that_come_together_are_all_answered() -> None:
    with served() as port, connect(port) as connection:
        connection.sendall((GET % b"a") * 3)
        seen = b""
        while seen.count(b"<>") < 3:
            seen += connection.recv(65536)
        connection.sendall(GET % b"b")
        assert until(connection, b"<>")


def test_a_flood_makes_room_for_who_asks() -> None:
    with ExitStack() as stack:
        port = stack.enter_context(served(most=20, head_s=60.0))
        stream = stack.enter_context(connect(port))
        stream.sendall(GET % b"stream")
        until(stream, b"tick")
        for _ in range(5):
            for _ in range(40):
                stack.enter_context(connect(port))
            visitor = stack.enter_context(connect(port))
            visitor.sendall(GET % b"")
            assert until(visitor, b"<>")
            assert until(stream, b"tick")


def test_where_all_are_answered_the_next_is_refused_at_once() -> None:
    with ExitStack() as stack:
        port = stack.enter_context(served(most=5))
        streams = [stack.enter_context(connect(port)) for _ in range(5)]
        for stream in streams:
            stream.sendall(GET % b"stream")
            until(stream, b"tick")
        late = stack.enter_context(connect(port))
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            late.sendall(GET % b"")
        assert rest(late) == b""
        for stream in streams:
            assert until(stream, b"tick")
        streams[0].close()
        wait_for("room again", lambda: asked(port), 20)


LONG = b"X: " + b"a" * (LONGEST_HEAD + 100)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n" + LONG + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + LONG * 6,  # its end never comes
        b"GET /" + b"a" * (LONGEST_HEAD * 6),
        b"GET http://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n",
        b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00" + b"a" * 200,
    ],
)
def test_what_two_parsers_could_read_otherwise_is_refused(said: bytes) -> None:
    with served() as port, connect(port) as connection:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(said)
        assert rest(connection)[:12] in (b"HTTP/1.1 400", b"")  # a reset takes an answer with it that wasn't read yet


def test_white_space_behind_a_value_is_none_of_it() -> None:
    with served() as port, connect(port) as connection:
        connection.sendall(b"POST /head HTTP/1.1\r\nHost: x \t\r\nContent-Length: 2 \r\n\r\nab")
        assert b"<host=x; content-length=2;>" in until(connection, b">")


def test_a_trailer_changes_no_head() -> None:
    request = b"POST /head HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with served() as port, connect(port) as connection:
        for _ in range(2):
            connection.sendall(request + b"2\r\nab\r\n0\r\nHost: evil\r\nCookie: a=b\r\n\r\n")
            assert b"<host=x; transfer-encoding=chunked;>" in until(connection, b">\r\n0\r\n\r\n")


@pytest.mark.parametrize("path", [b"read", b"other"])
@pytest.mark.parametrize("framing", [b"2\r\nab\r\n0\r\nX: ", b"2\r\nab\r\n2;", b"2\r\nab\r\n"])
def test_what_stands_around_a_body_has_an_end(path: bytes, framing: bytes) -> None:
    """A trailer, a chunk's extension, leading zeros of its size; whether the answer waits for the body or not."""
    request = b"POST /%b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % path
    with served(head_s=60.0, body_s=60.0) as port, connect(port) as connection:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(request + framing + b"0" * (12 * LONGEST_HEAD))
        rest(connection)  # it ends, long before a deadline
        assert asked(port)


def test_nonsense_in_the_middle_of_an_answer_is_no_part_of_it() -> None:
    with served() as port, connect(port) as connection:
        connection.sendall(GET % b"stream")
        until(connection, b"tick")
        connection.sendall(b"no HTTP\r\n\r\n")
        assert b"HTTP/1.1" not in rest(connection)


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"x\r\nUpgrade: y"])
def test_another_protocol_that_is_offered_is_left_aside(protocol: bytes) -> None:
    """As Java's client and curl --http2 do it: each request is answered, with its body, and the connection goes on."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + b"\r\nHTTP2-Settings: AA\r\n"
    request = b"POST /read HTTP/1.1\r\nHost: x\r\n" + offer + b"Content-Length: 3\r\n\r\n"
    with served(head_s=20.0) as port, connect(port) as connection:
        for body in (b"abc", b"def"):
            connection.sendall(request + body)
            assert until(connection, b"<" + body + b">\r\n0\r\n\r\n").startswith(b"HTTP/1.1 200")
        connection.sendall(request)  # the body comes later
        connection.sendall(b"ghi" + GET % b"a")
        assert b"<ghi>" in until(connection, b"<>")
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + offer + b"\r\n")
        assert until(connection, b"<>")


def asked(port: int) -> bool:
    """Whether a request is answered."""
    with connect(port) as connection, contextlib.suppress(ConnectionResetError, BrokenPipeError):
        connection.sendall(GET % b"")
        return b"200" in connection.recv(65536)
    return False


@pytest.fixture
def many_files() -> Iterator[int]:
    """As many open files for this process as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_console_with_few_descriptors_under_half_open_connections(tmp_path: Path, many_files: int) -> None:
    """1,060 connections without a token, at a hard limit of 1,024 open files; fewer where this process has no more."""
    limit = 1024 if many_files >= 1400 else many_files // 2
    console = Console(tmp_path / "state", open_files=limit)
    try:
        console.ready()
        port = urlsplit(console.base_url).port
        assert port is not None
        with ExitStack() as stack, console.client() as operator:
            stream = stack.enter_context(operator.stream("GET", "/gradio_api/heartbeat/abc"))
            assert stream.status_code == 200
            flood = [stack.enter_context(connect(port)) for _ in range(limit + 36)]
            for number, connection in enumerate(flood):
                with contextlib.suppress(OSError):
                    connection.sendall(b"GET / HTTP/1.1\r\n" if number % 2 else b"")
            for _ in range(3):
                with console.client() as visitor:
                    assert visitor.get("/console/snapshot").json()["role"] == "operator"
                    assert visitor.get("/").status_code == 200
            assert next(stream.iter_raw())
        assert "Too many open files" not in (console.state_dir / "console.log").read_text()
    finally:
        console.close()
