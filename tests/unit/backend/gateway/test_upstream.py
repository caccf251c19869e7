"""The HTTP client of /v1 against answers as bytes, on a real socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from backend.gateway.upstream import HELD_BYTES, LONGEST_HEAD, Broken, Upstream, place_of

BEGIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@asynccontextmanager
async def server(*answers: bytes, silent_s: float = 30.0) -> AsyncIterator[tuple[Upstream, str, list[bytes]]]:
    """A server that gives these answers in turn, each connection as many as it asks for; b"" ends the connection. Gives
    the client, the address, and the first line of what was asked, with "new" before each connection's."""
    left, asked = list(answers), list[bytes]()
    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(b"new")
        serving.append(asyncio.current_task())
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                asked.append(head.partition(b"\r\n")[0] + b" " + await reader.readexactly(length))
                answer = left.pop(0)
                writer.write(answer)
                if not answer or b"connection: close" in answer.lower() or b"content-length" not in answer.lower():
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    upstream = Upstream(silent_s)
    try:
        yield upstream, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1", asked
    finally:
        upstream.close()
        listening.close()
        if tasks := [task for task in serving if task is not None]:
            _, late = await asyncio.wait(tasks, timeout=20)
            assert not late


async def whole(upstream: Upstream, address: str) -> bytes:
    response = await upstream.post(address, "x", b"{}")
    found = b""
    try:
        while piece := await response.read():
            found += piece
    finally:
        response.close()
    return found


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (BEGIN + b"Content-Length: 4\r\n\r\ntext", b"text"),
        (BEGIN + b"Transfer-Encoding: chunked\r\n\r\n2\r\nte\r\n2\r\nxt\r\n0\r\n\r\n", b"text"),
        (BEGIN + b"\r\ntext", b"text"),  # its end is the connection's
        (b"HTTP/1.0 200 OK\r\n\r\ntext", b"text"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + BEGIN + b"Content-Length: 4\r\n\r\ntext", b"text"),
        (BEGIN + b"Content-Length: 0\r\n\r\n", b""),
        (BEGIN + b"Transfer-Encoding: identity\r\n\r\ntext", b"text"),
        (BEGIN.replace(b"\r", b"") + b"Content-Length: 4\n\ntext", b"text"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
async def test_every_way_an_answer_ends(answer: bytes, body: bytes) -> None:
    async with server(answer) as (upstream, address, asked):
        assert await whole(upstream, address) == body
        assert asked == [b"new", b"POST /v1/x HTTP/1.1 {}"]


async def test_a_connection_serves_the_next_request() -> None:
    ok = BEGIN + b"Content-Length: 2\r\n\r\nok"
    async with server(ok, ok, ok) as (upstream, address, asked):
        assert [await whole(upstream, address) for _ in range(3)] == [b"ok"] * 3
        assert asked.count(b"new") == 1


async def test_a_kept_connection_that_the_server_closed_is_no_error() -> None:
    ok = BEGIN + b"Content-Length: 2\r\n\r\nok"
    async with server(ok, b"", ok) as (upstream, address, asked):
        assert [await whole(upstream, address) for _ in range(2)] == [b"ok"] * 2
        assert asked.count(b"new") == 2


async def test_what_was_left_in_the_middle_serves_nobody() -> None:
    ok = BEGIN + b"Content-Length: 2\r\n\r\nok"
    async with server(BEGIN + b"Content-Length: 9\r\n\r\nhalf", ok) as (upstream, address, asked):
        response = await upstream.post(address, "x", b"{}")
        assert await response.read() == b"half"
        response.close()
        assert await whole(upstream, address) == b"ok"
        assert asked.count(b"new") == 2


async def test_more_than_the_answer_never_reaches_the_next_one() -> None:
    ok = BEGIN + b"Content-Length: 2\r\n\r\nok"
    async with server(ok + BEGIN + b"Content-Length: 4\r\n\r\nevil", ok) as (upstream, address, asked):
        assert [await whole(upstream, address) for _ in range(2)] == [b"ok"] * 2
        assert asked.count(b"new") == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * (LONGEST_HEAD + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 099 None\r\nContent-Length: 0\r\n\r\n",
        BEGIN + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        BEGIN + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        BEGIN + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_what_is_no_answer(answer: bytes) -> None:
    async with server(answer) as (upstream, address, _):
        with pytest.raises(Broken):
            await whole(upstream, address)


@pytest.mark.parametrize(
    "begin",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        BEGIN + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: ",
        BEGIN + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n2;",
        BEGIN + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    ],
)
async def test_what_stands_around_a_body_has_an_end(begin: bytes) -> None:
    """Interim answers, trailers, a chunk's extension, leading zeros of its size."""
    more = begin if begin.startswith(b"HTTP/1.1 100") else b"0"
    async with server(begin + more * (6 * LONGEST_HEAD // len(more))) as (upstream, address, _):
        with pytest.raises(Broken, match="without an end"):
            await whole(upstream, address)


async def test_a_trailer_changes_no_header() -> None:
    answer = BEGIN + b"Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Type: text/html\r\nX: y\r\n\r\n"
    async with server(answer) as (upstream, address, _):
        response = await upstream.post(address, "x", b"{}")
        assert await response.read() == b""
        assert response.headers["content-type"] == "text/plain"
        assert "x" not in response.headers
        response.close()


async def test_an_early_answer_leaves_no_half_question_behind() -> None:
    """The rest of a question isn't read as the next one's beginning."""
    connections = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        while await reader.read(1 << 20) and not ended.is_set():
            await ended.wait()
        writer.close()

    ended = asyncio.Event()
    listening = await asyncio.start_server(refuse, "127.0.0.1", 0)
    upstream = Upstream(30.0)
    address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        for _ in range(2):
            response = await upstream.post(address, "x", b"x" * (32 << 20))
            assert (response.status, await response.read()) == (413, b"no")
            response.close()
        assert connections == 2
    finally:
        ended.set()
        upstream.close()
        listening.close()


async def test_what_came_before_the_break_comes_first() -> None:
    cut = BEGIN + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\ntext\r\n"
    async with server(cut) as (upstream, address, _):
        response = await upstream.post(address, "x", b"{}")
        assert await response.read() == b"text"
        with pytest.raises(Broken):
            await response.read()
        response.close()


async def test_silence_has_a_deadline() -> None:
    async with server(BEGIN + b"Content-Length: 9\r\n\r\nhalf", silent_s=0.2) as (upstream, address, _):
        response = await upstream.post(address, "x", b"{}")
        assert await response.read() == b"half"
        with pytest.raises(TimeoutError):
            await response.read()
        response.close()


async def test_nobody_listens() -> None:
    async with server() as (upstream, _, _):
        with pytest.raises(Broken):
            await upstream.post("http://127.0.0.1:1/v1", "x", b"{}")


async def test_who_reads_slowly_holds_the_server_up() -> None:
    """No more of an answer lies here than is read ahead."""
    size = 40 * HELD_BYTES
    async with server(BEGIN + b"Content-Length: %d\r\n\r\n" % size + b"a" * size) as (upstream, address, _):
        response = await upstream.post(address, "x", b"{}")
        seen, largest = 0, 0
        while piece := await response.read():
            seen, largest = seen + len(piece), max(largest, len(piece))
            for _ in range(20):
                await asyncio.sleep(0)
        response.close()
        assert seen == size
        assert largest < 4 * HELD_BYTES


def test_places() -> None:
    place = place_of("https://models.example:8443/a b/v1/")
    assert (place.host, place.port, place.secure) == ("models.example", 8443, True)
    assert (place.named, place.path) == ("models.example:8443", "/a%20b/v1")
    assert place_of("http://[::1]:23333/v1").host == "::1"
    for wrong in ("ftp://x/v1", "http://", "http://x:99999/v1", "file:///etc/passwd"):
        with pytest.raises(Broken):
            place_of(wrong)
