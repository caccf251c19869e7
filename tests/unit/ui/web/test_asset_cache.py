"""Static files are kept whole or not at all, whatever those who ask for them do."""

import asyncio
import hashlib
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import FileResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.web.asset_cache import FOR_EVER, AssetCache

CHUNKS = [bytes([65 + number]) * 10 for number in range(8)]
BODY = b"".join(CHUNKS)


class Files:
    """An application that sends a file in pieces and stops where it hears that nobody listens, as FileResponse does."""

    def __init__(self, *, length: int | None = len(BODY), pieces: int = len(CHUNKS), status: int = 200) -> None:
        self.asked = 0
        self.length, self.pieces, self.status = length, pieces, status
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        assert (await receive())["type"] == "http.request"
        gone = asyncio.ensure_future(receive())
        headers = [] if self.length is None else [(b"content-length", str(self.length).encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        for number in range(self.pieces):
            await self.gate.wait()
            await asyncio.sleep(0)
            if gone.done():
                return
            more = number < len(CHUNKS) - 1
            await send({"type": "http.response.body", "body": CHUNKS[number], "more_body": more})
        gone.cancel()


def scope_of(path: str = "/assets/app.js", query: bytes = b"", **headers: str) -> Scope:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": raw}


async def ask(app: ASGIApp, scope: Scope, gone_after: int = 10**9) -> tuple[int, bytes, dict[bytes, bytes]]:
    """An answer, by a client that goes away after so many messages."""
    messages: list[Message] = []
    events: asyncio.Queue[Message] = asyncio.Queue()
    events.put_nowait({"type": "http.request", "body": b"", "more_body": False})
    if gone_after == 0:
        events.put_nowait({"type": "http.disconnect"})

    async def send(message: Message) -> None:
        messages.append(message)
        if len(messages) == gone_after:
            events.put_nowait({"type": "http.disconnect"})

    await app(scope, events.get, send)
    body = b"".join(message.get("body", b"") for message in messages)
    return messages[0]["status"], body, dict(messages[0]["headers"])


@pytest.mark.parametrize("gone_after", range(12))
async def test_a_client_that_goes_away_spoils_nothing(gone_after: int) -> None:
    files = Files()
    cache = AssetCache(files)
    await ask(cache, scope_of(), gone_after)
    assert (await ask(cache, scope_of()))[:2] == (200, BODY)
    assert files.asked == 1


@pytest.mark.parametrize("steps", range(14))
async def test_a_request_cancelled_at_any_moment_spoils_nothing(steps: int) -> None:
    files = Files()
    cache = AssetCache(files)
    asking = asyncio.ensure_future(ask(cache, scope_of()))
    for _ in range(steps):
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    status, body, headers = await ask(cache, scope_of())
    assert (status, body) == (200, BODY)
    assert headers[b"content-length"] == str(len(BODY)).encode()
    assert headers[b"cache-control"] == FOR_EVER.encode()
    assert files.asked == 1


async def test_many_who_ask_at_once_are_one_fetch() -> None:
    files = Files()
    files.gate.clear()
    cache = AssetCache(files)
    asking = [asyncio.ensure_future(ask(cache, scope_of())) for _ in range(30)]
    await asyncio.sleep(0)
    for one in asking[::3]:
        one.cancel()
    files.gate.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert [a[:2] for a in answers if not isinstance(a, BaseException)] == [(200, BODY)] * 20
    assert files.asked == 1


@pytest.mark.parametrize(
    "files",
    [Files(pieces=0), Files(pieces=3), Files(length=len(BODY) + 1), Files(length=1), Files(pieces=7, length=None)],
    ids=["nothing", "cut", "too-short", "too-long", "no-end"],
)
async def test_what_breaks_off_is_neither_kept_nor_passed_for_whole(files: Files) -> None:
    cache = AssetCache(files)
    for attempt in (1, 2):
        status, _, headers = await ask(cache, scope_of())
        assert status == 502
        assert headers[b"cache-control"] == b"no-store"
        assert files.asked == attempt
    files.pieces, files.length = len(CHUNKS), len(BODY)
    assert (await ask(cache, scope_of()))[:2] == (200, BODY)


async def test_an_application_that_fails_is_asked_again() -> None:
    files = Files()
    broken = True

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if broken:
            raise RuntimeError("the disk")
        await files(scope, receive, send)

    cache = AssetCache(app)
    assert (await ask(cache, scope_of()))[0] == 502
    broken = False
    assert (await ask(cache, scope_of()))[:2] == (200, BODY)


async def test_what_is_not_found_is_not_kept() -> None:
    files = Files(status=404)
    cache = AssetCache(files)
    for attempt in (1, 2):
        status, _, headers = await ask(cache, scope_of())
        assert status == 404
        assert b"cache-control" not in headers
        assert files.asked == attempt


async def test_those_asked_for_last_are_kept_within_the_limit() -> None:
    files = Files()
    cache = AssetCache(files, max_bytes=3 * len(BODY))
    for name in "abcad":  # b is the one that was asked for longest ago
        assert (await ask(cache, scope_of(f"/assets/{name}.js")))[1] == BODY
    assert files.asked == 4
    await ask(cache, scope_of("/assets/a.js"))
    assert files.asked == 4
    await ask(cache, scope_of("/assets/b.js"))
    assert files.asked == 5
    small = AssetCache(Files(), max_bytes=1)
    assert (await ask(small, scope_of()))[1] == BODY


async def test_ranges_and_other_addresses_pass_by() -> None:
    files = Files()
    cache = AssetCache(files)
    for scope in (scope_of(range="bytes=0-1"), scope_of("/config")):
        await ask(cache, scope)
        await ask(cache, scope)
    assert files.asked == 4


# -- with a real server and real connections ------------------------------------------------------------------------


class Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[int]:
    """The port of a uvicorn that serves the application."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, http="h11", ws="none", log_config=None, lifespan="off"))
    running = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        await server.ready.wait()
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await running
        listener.close()


async def break_off(port: int, path: str, after: int) -> None:
    """Asks for a file and resets the connection after so many bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {path} HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\n\r\n"
    writer.write(request.encode())
    await writer.drain()
    if after:
        await reader.read(after)
    writer.transport.abort()


async def test_connections_that_break_off_early_over_real_sockets(tmp_path: Path) -> None:
    dice = random.Random(11)
    folder = tmp_path / "files"
    folder.mkdir()
    digests = {}
    for number in range(10):
        content = dice.randbytes(100_000) + b"x" * 200_000
        (folder / f"{number}.js").write_bytes(content)
        digests[number] = hashlib.sha256(content).hexdigest()

    def file(request: Any) -> FileResponse:
        return FileResponse(folder / request.path_params["name"])

    inner = GZipMiddleware(Starlette(routes=[Route("/assets/{name}", file)]), minimum_size=500)
    async with serving(AssetCache(inner)) as port:
        for number in range(10):
            path = f"/assets/{number}.js"
            await asyncio.gather(*(break_off(port, path, dice.choice([0, 0, 1, 500, 70_000])) for _ in range(4)))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
            for number in range(10):
                answer = await client.get(f"/assets/{number}.js")
                assert answer.status_code == 200
                assert hashlib.sha256(answer.content).hexdigest() == digests[number]
