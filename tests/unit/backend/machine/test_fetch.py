"""Every question ends in time, whatever the server does; real sockets."""

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Iterator

import pytest

from backend.machine.fetch import Fetched, Fetcher
from tests.support.raw_server import Answer, dribble, raw_server, respond

DEADLINE_S = 0.5
MOST_BYTES = 100_000


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    made = Fetcher(keep=False)
    yield made
    made.close()


def ask(fetcher: Fetcher, answer: Answer, *, read: bool = True) -> Fetched:
    with raw_server(answer, read=read) as port:
        began = time.monotonic()
        found = fetcher.get(f"http://127.0.0.1:{port}/x", deadline_s=DEADLINE_S, most_bytes=MOST_BYTES)
        assert time.monotonic() - began < DEADLINE_S + 5  # the machine may be busy; without a deadline it never ends
        return found


OK = b"HTTP/1.1 200 OK\r\n"
SLOW: dict[str, tuple[Answer, bool]] = {
    "a byte of the body now and then": (dribble(OK + b"Content-Length: 99999\r\n\r\n", b"x"), True),
    "chunks without end": (dribble(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), True),
    "a header now and then": (dribble(OK, b"X-A: b\r\n"), True),
    "a byte of the status line now and then": (dribble(b"HTTP/1.1 200 ", b"O"), True),
    "100 Continue without end": (dribble(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), True),
    "silence": (dribble(b"", b""), True),
    "silence that reads nothing": (dribble(b"", b""), False),
}


@pytest.mark.parametrize("how", SLOW)
def test_a_slow_server_is_left_at_the_deadline(fetcher: Fetcher, how: str) -> None:
    answer, read = SLOW[how]
    found = ask(fetcher, answer, read=read)
    assert (found.status, found.kind) == (None, "deadline")
    assert "0.5 s" in found.error


def test_slow_tls(fetcher: Fetcher) -> None:
    """The handshake times out a tenth of the deadline before it; on a busy machine that must be more than a moment."""
    with raw_server(dribble(b"", b""), read=False) as port:
        found = fetcher.get(f"https://127.0.0.1:{port}/", deadline_s=4 * DEADLINE_S, most_bytes=MOST_BYTES)
    assert (found.status, found.kind) == (None, "deadline")


def test_a_server_without_tls(fetcher: Fetcher) -> None:
    with raw_server(respond(b""), read=False) as port:
        found = fetcher.get(f"https://127.0.0.1:{port}/", deadline_s=5, most_bytes=MOST_BYTES)
    assert (found.status, found.kind) == (None, "tls")


def flood(connection: socket.socket, head: bytes, over: threading.Event) -> None:
    connection.sendall(OK + b"\r\n")
    while not over.is_set():
        connection.sendall(b"x" * 65536)


def header_bomb(connection: socket.socket, head: bytes, over: threading.Event) -> None:
    connection.sendall(OK)
    while not over.is_set():
        connection.sendall(b"X-A: " + b"a" * 8000 + b"\r\n")


def test_floods_are_cut_off(fetcher: Fetcher) -> None:
    found = ask(fetcher, flood)
    assert (found.status, found.kind, found.content) == (200, "large", b"")
    assert ask(fetcher, header_bomb).kind == "broken"


@pytest.mark.parametrize("header", ["X: y", "Content-Encoding: utf-8", "Content-Encoding:"])
def test_what_the_header_leaves_out_the_bytes_tell(fetcher: Fetcher, header: str) -> None:
    for content in (b"[]", gzip.compress(b"[]", mtime=0)):
        assert ask(fetcher, respond(content, header)).content == b"[]"
    assert ask(fetcher, respond(gzip.compress(b"\0" * 5_000_000, mtime=0), header)).kind == "large"
    assert ask(fetcher, respond(b"[]", "Content-Encoding: br")).kind == "broken"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_not_unpacked(fetcher: Fetcher, encoding: str) -> None:
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    found = ask(fetcher, respond(pack(b"\0" * 5_000_000), f"Content-Encoding: {encoding}"))
    assert (found.kind, found.content) == ("large", b"")
    assert ask(fetcher, respond(pack(b"[]"), f"Content-Encoding: {encoding}")).content == b"[]"
    assert ask(fetcher, respond(b"no such thing", f"Content-Encoding: {encoding}")).kind == "broken"
    assert ask(fetcher, respond(b"?", "Content-Encoding: br")).kind == "broken"


def test_no_redirect_is_followed(fetcher: Fetcher) -> None:
    found = ask(fetcher, respond(b"", "Location: /x", status="307 -"))
    assert (found.status, found.location) == (307, "/x")


def test_nobody_there_and_no_such_name(fetcher: Fetcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refused = fetcher.get(f"http://127.0.0.1:{port}/", deadline_s=5, most_bytes=1)
    assert (refused.status, refused.kind) == (None, "refused")
    for url in ("http://127.0.0.1:99999/", "http://[::1/", "nothing", "http://", "http://a b/", "ftp://127.0.0.1/"):
        assert fetcher.get(url, deadline_s=5, most_bytes=1).status is None


def test_a_slow_server_holds_nobody_else_up(fetcher: Fetcher) -> None:
    """Forty dribbling servers at once are all left at the deadline, and a good one answers meanwhile."""
    with raw_server(SLOW["a header now and then"][0]) as slow, raw_server(respond(b"{}")) as good:
        results: list[Fetched] = []

        def look() -> None:
            results.append(fetcher.get(f"http://127.0.0.1:{slow}/", deadline_s=2, most_bytes=MOST_BYTES))

        threads = [threading.Thread(target=look) for _ in range(40)]
        for thread in threads:
            thread.start()
        assert fetcher.get(f"http://127.0.0.1:{good}/", deadline_s=10, most_bytes=10).content == b"{}"
        for thread in threads:
            thread.join(30)
    assert [found.kind for found in results] == ["deadline"] * 40


def test_the_key_goes_along_and_a_closed_fetcher_opens_anew(fetcher: Fetcher) -> None:
    heads: list[bytes] = []

    def note(connection: socket.socket, head: bytes, over: threading.Event) -> None:
        heads.append(head)
        respond(b"ok", "Content-Type: Text/Plain; charset=x")(connection, head, over)

    with raw_server(note) as port:
        for _ in range(2):
            url = f"http://127.0.0.1:{port}/"
            found = fetcher.get(url, "sesame", deadline_s=5, most_bytes=10)
            assert (found.status, found.content, found.content_type) == (200, b"ok", "text/plain")
            fetcher.close()
    assert all(b"authorization: bearer sesame" in head.lower() for head in heads)
