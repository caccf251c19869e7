"""How much a request to one of Gradio's handlers may say. Gradio itself takes the requests here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from backend.quantization.text_files import MOST_CHARACTERS
from ui.gradio_compat.server import API, UPLOAD, Page, mount
from ui.web import bodies
from ui.web.bodies import ROOMS, SMALL, BoundedBodies, Room
from ui.web.visitor import STATE_KEY, Role, Visitor

MIB = 1 << 20


class Browser:
    """One of the class, before the layer and a page with one handler; ``role`` and ``visitor`` may be set anew."""

    def __init__(self, in_total: int = 3 * MIB, body_s: float = 60.0, each: int = 64 * MIB) -> None:
        self.role, self.visitor = Role.CLASS, "0" * 32
        page = Page(lambda request, path: None, lambda request, paths: None, analytics_enabled=False)
        with page:
            text = gr.Textbox()
            gr.Button().click(len, text, gr.Number(), api_name="count", queue=False)
        app = FastAPI()
        rooms = {**ROOMS, Role.CLASS: Room(2 * MIB, each, in_total)}
        mount(app, page, lambda inner: BoundedBodies(inner, rooms, body_s), max_file_size=3 * MIB)

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": {STATE_KEY: Visitor(self.role, "en", self.visitor)}}, receive, send)

        transport = httpx.ASGITransport(guarded)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60)

    async def count(self, text: str, route: str = "run/count") -> httpx.Response:
        return await self.client.post(f"{API}/{route}", json={"data": [text], "session_hash": "s", "fn_index": 0})

    async def send(self, body: AsyncIterator[bytes]) -> httpx.Response:
        return await self.client.post(f"{API}/run/count", content=body, headers={"content-type": "application/json"})

    @asynccontextmanager
    async def holding(self, size: int) -> AsyncIterator[None]:
        """Meanwhile a request of so many bytes is under way, which ends with it."""
        came, go = asyncio.Event(), asyncio.Event()

        async def held() -> AsyncIterator[bytes]:
            yield b"x" * size
            came.set()
            await go.wait()

        sent = asyncio.create_task(self.send(held()))
        await asyncio.wait_for(came.wait(), 30)
        yield
        go.set()
        await sent


async def test_a_long_text_is_taken() -> None:
    answer = await Browser().count("中" * 600_000)
    assert answer.json()["data"] == [600_000]


async def test_more_than_that_is_refused_with_a_word() -> None:
    browser = Browser()
    for route in ("run/count", "run/count/", "api/count", "call/count", "queue/join", "cancel", "reset"):
        answer = await browser.count("x" * 2 * MIB, route)
        assert answer.status_code == 413, route
        assert "at most 2 MiB" in answer.json()["detail"]


async def test_a_body_of_unknown_length_is_bounded_too() -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 100_000

    answer = await Browser().send(endless())
    assert answer.status_code == 413


async def test_all_together_have_so_much_room() -> None:
    browser = Browser()
    async with browser.holding(MIB * 3 // 2):
        answer = await browser.count("x" * (MIB * 7 // 4))
        assert answer.status_code == 413
        assert "all visitors together have 3 MiB" in answer.json()["detail"]
        for _ in range(3):  # no request keeps room once it is answered, refused or not
            assert (await browser.count("x" * MIB)).json()["data"] == [MIB]
    assert (await browser.count("x" * (MIB * 7 // 4))).status_code == 200


async def test_a_class_that_fills_its_room_leaves_the_operators() -> None:
    browser = Browser(in_total=0)
    assert (await browser.count("x" * MIB)).status_code == 413
    browser.role = Role.OPERATOR
    assert (await browser.count("x" * MIB)).json()["data"] == [MIB]


async def test_one_guest_leaves_room_for_the_others() -> None:
    browser = Browser(each=2 * MIB)
    async with browser.holding(MIB * 3 // 2):
        answer = await browser.count("x" * MIB)
        assert answer.status_code == 413
        assert "from this browser" in answer.json()["detail"]
        browser.visitor = "1" * 32
        assert (await browser.count("x" * MIB)).status_code == 200


def test_the_operators_longest_calibration_text_fits() -> None:
    assert MOST_CHARACTERS * len("中".encode()) < ROOMS[Role.OPERATOR].most


async def test_what_a_click_says_passes_always() -> None:
    browser = Browser(in_total=0)
    assert (await browser.count("x" * (SMALL // 2))).status_code == 200
    assert (await browser.count("x" * SMALL)).status_code == 413


async def test_a_body_that_never_ends_is_ended() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    answer = await Browser(body_s=0.5).send(slow())
    assert answer.status_code == 408
    assert "Try again" in answer.json()["detail"]


async def test_a_body_that_keeps_coming_has_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SLOWEST", 4)

    async def steady() -> AsyncIterator[bytes]:
        parts = [b'{"data": ["x"],', b' "session_hash"', b': "s", "fn_ind', b'ex": 0}']
        for part in parts:
            yield part
            await asyncio.sleep(0.3)

    assert (await Browser(body_s=0.5).send(steady())).status_code == 200


async def test_uploads_have_their_own_limits() -> None:
    assert (await Browser().client.post(UPLOAD, files={"files": ("a.txt", b"x" * (5 * MIB // 2))})).status_code == 200
