"""Whose upload is whose, and how much room there is. Gradio itself takes the uploads here."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from gradio.routes import file_upload_statuses
from starlette.types import Receive, Scope, Send

from backend.errors import InvalidInput
from ui.gradio_compat.server import UPLOAD, UPLOAD_PROGRESS, Page, mount
from ui.i18n import Language
from ui.web import uploads
from ui.web.asset_files import FILES
from ui.web.upload_shelf import LEAST, Shelf
from ui.web.uploads import OwnUploads, check_own_upload, note_spent
from ui.web.visitor import STATE_KEY, Role, Visitor

MIB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


@pytest.fixture
def shelf(folder: Path) -> Shelf:
    return Shelf(folder, per_visitor=2 * MIB, in_total=5 * MIB)


@pytest.fixture
async def client(shelf: Shelf) -> AsyncIterator[httpx.AsyncClient]:
    """The header ``who`` stands for the guard."""
    page = Page(check_own_upload, note_spent, analytics_enabled=False)
    with page:
        gr.Textbox()
    app = FastAPI()
    icon = str(FILES["icons/favicon.png"])
    mount(app, page, lambda inner: OwnUploads(inner, shelf), max_file_size=3 * MIB, favicon_path=icon)

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        language: Language = "zh" if headers.get(b"accept-language") == b"zh" else "en"
        who = Visitor(Role.CLASS, language, headers[b"who"].decode())
        await app({**scope, "state": {STATE_KEY: who}}, receive, send)

    transport = httpx.ASGITransport(guarded)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60) as client:
        yield client


async def send(client: httpx.AsyncClient, who: str, content: bytes, name: str = "cat.png", **headers: str) -> Any:
    return await client.post(UPLOAD, files={"files": (name, content)}, headers={"who": who, **headers})


async def kept(client: httpx.AsyncClient, who: str, content: bytes, name: str = "cat.png") -> str:
    answer = await send(client, who, content, name)
    assert answer.status_code == 200, answer.text
    return str(answer.json()[0])


def files_in(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if path.is_file())


def remove(paths: list[str]) -> None:
    for path in paths:
        Path(path).unlink()


async def in_pieces(client: httpx.AsyncClient, who: str, content: bytes, size: int = 50_000) -> httpx.Response:
    """Without saying how much will come."""

    async def body() -> AsyncIterator[bytes]:
        yield b'--b\r\ncontent-disposition: form-data; name="files"; filename="a.txt"\r\n\r\n'
        for start in range(0, len(content), size):
            yield content[start : start + size]
            await asyncio.sleep(0)
        yield b"\r\n--b--\r\n"

    headers = {"who": who, "content-type": "multipart/form-data; boundary=b"}
    return await client.post(UPLOAD, content=body(), headers=headers)


async def test_an_upload_is_shown_to_those_who_uploaded_it(client: httpx.AsyncClient) -> None:
    path = await kept(client, "a", b"a cat")
    address = f"/gradio_api/file={path}"
    assert (await client.get(address, headers={"who": "a"})).text == "a cat"
    assert (await client.get(address, headers={"who": "b"})).status_code == 404
    around = f"/gradio_api/file={Path(path).parent}/x/%2e%2e/cat.png"
    assert (await client.get(around, headers={"who": "b"})).status_code == 404
    assert await kept(client, "b", b"a cat") == path  # the same picture: the same path
    assert (await client.get(address, headers={"who": "b"})).status_code == 200
    assert (await client.get(address, headers={"who": "a"})).status_code == 200


async def test_a_long_list_of_files_is_noted_too(client: httpx.AsyncClient, shelf: Shelf) -> None:
    """Gradio compresses an answer of that size."""
    files = [("files", (f"{number}.txt", f"{number}".encode())) for number in range(25)]
    answer = await client.post(UPLOAD, files=files, headers={"who": "a", "accept-encoding": "br, gzip"})
    assert len(answer.json()) == 25
    assert all(shelf.owns("a", path) for path in answer.json())


async def test_a_visitor_has_so_much_room(client: httpx.AsyncClient) -> None:
    path = await kept(client, "a", b"1" * MIB)
    assert (await send(client, "a", b"2" * (MIB + 9))).status_code == 413
    refused = await send(client, "a", b"2" * MIB, **{"accept-language": "zh"})
    assert refused.status_code == 413
    assert "2 MiB" in refused.text
    assert "每位访问者" in refused.text
    await kept(client, "b", b"3" * MIB)  # another's room is another's
    remove([path])  # Gradio removed it
    await kept(client, "a", b"2" * MIB)


async def test_all_visitors_together_have_so_much_room(client: httpx.AsyncClient, folder: Path) -> None:
    for who in "abc":
        await kept(client, who, who.encode() * (MIB + MIB // 2))
    refused = await send(client, "d", b"d" * MIB)
    assert refused.status_code == 413
    assert "all visitors" in refused.text
    assert await kept(client, "d", b"d" * 1000)
    # What else lies there counts as well, whoever wrote it.
    (folder / "x").mkdir()
    (folder / "x" / "left").write_bytes(b"x" * MIB)
    assert (await send(client, "e", b"e" * 1000)).status_code == 413


@pytest.mark.parametrize("said", [True, False], ids=["length-told", "in-pieces"])
async def test_many_at_once_do_not_slip_past(
    client: httpx.AsyncClient, folder: Path, said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.web.uploads.STEP", 50_000)
    contents = [bytes([65 + number]) * (MIB // 2) for number in range(10)]
    asking = [send(client, "a", c) if said else in_pieces(client, "a", c) for c in contents]
    answers = await asyncio.gather(*asking)
    assert {answer.status_code for answer in answers} <= {200, 413}
    taken = [answer.json()[0] for answer in answers if answer.status_code == 200]
    assert (1 if said else 0) <= len(taken) <= 4  # growing in step, they may take the room from each other
    assert sorted(taken) == files_in(folder)  # those that were refused left nothing, and take no room any more
    remove(taken)
    await kept(client, "a", b"z" * MIB)


async def test_an_endless_upload_is_ended(client: httpx.AsyncClient, folder: Path) -> None:
    answer = await in_pieces(client, "a", b"x" * (20 * MIB), size=MIB // 2)
    assert answer.status_code == 413
    assert files_in(folder) == []


async def test_empty_files_take_room_too(client: httpx.AsyncClient, shelf: Shelf) -> None:
    files = [("files", (f"{number}.txt", b"x")) for number in range(2 * MIB // LEAST + 1)]
    assert (await client.post(UPLOAD, files=files, headers={"who": "a"})).status_code == 200
    assert (await send(client, "a", b"one more")).status_code == 413


async def test_what_a_handler_took_goes_first(client: httpx.AsyncClient, shelf: Shelf) -> None:
    sent = await kept(client, "a", b"1" * MIB, "sent.png")
    shared = await kept(client, "a", b"2" * (MIB // 2), "shared.png")
    await kept(client, "b", b"2" * (MIB // 2), "shared.png")
    shelf.spent("a", [sent, shared])
    shelf.check("a", sent)  # still there while there is room
    await kept(client, "a", b"3" * MIB)
    with pytest.raises(InvalidInput):
        shelf.check("a", sent)
    shelf.check("b", shared)  # the other visitor's still
    with pytest.raises(InvalidInput):
        shelf.check("a", shared)


async def test_a_file_of_gradios_limit_is_named(client: httpx.AsyncClient, shelf: Shelf) -> None:
    shelf._limits = (100 * MIB, 100 * MIB)
    answer = await send(client, "a", b"x" * (3 * MIB + 1), **{"accept-language": "zh"})
    assert answer.status_code == 413
    assert "单个文件" in answer.text


def test_what_is_older_than_a_day_goes(folder: Path) -> None:
    (folder / "digest").mkdir()
    (folder / "digest" / "left.png").write_bytes(b"x" * MIB)
    (folder / "tmpleft").write_bytes(b"x" * MIB)
    shelf = Shelf(folder, in_total=MIB, kept_s=-1.0)  # everything is old
    with shelf.upload("a") as coming:
        assert shelf.refusal(coming, 0) is None
    assert files_in(folder) == []


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "gone"])
def test_only_a_regular_file_is_handed_over(folder: Path, shelf: Shelf, kind: str) -> None:
    """Even where the path is the visitor's own."""
    path = folder / "mine"
    if kind == "link":
        path.symlink_to("/etc/passwd")
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    shelf.note("a", [str(path)])
    with pytest.raises(InvalidInput) as error:
        shelf.check("a", str(path))
    assert error.value.messages[0].key == "uploads.gone"


def test_a_name_in_an_error_is_bounded_and_printable(shelf: Shelf) -> None:
    for path in ("/" + "x" * 10_000, "a\0b", "\udcff", "/tmp/\x1b[31m", "//", ""):
        with pytest.raises(InvalidInput) as error:
            shelf.check("a", path)
        name = str(error.value.messages[0].params["name"])
        assert len(name) <= 80
        assert name.isprintable() or name == ""
        name.encode()


async def test_the_pages_icon_comes_in_the_sizes_that_are_named(client: httpx.AsyncClient) -> None:
    """Gradio draws any size that is asked for: one of 50,000 takes 5 GB, and nobody else is served meanwhile."""
    icons = (await client.get("/manifest.json", headers={"who": "a"})).json()["icons"]
    for icon in icons:
        answer = await client.get(icon["src"], headers={"who": "a"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    for size in ("0", "1000", "-1", "193", "0192", "9" * 20, "x"):
        assert (await client.get(f"/pwa_icon/{size}", headers={"who": "a"})).status_code == 404, size


async def test_a_name_that_no_file_can_have_is_not_found(client: httpx.AsyncClient) -> None:
    for path in ("a" * 300, "中" * 100, "/".join(["a"] * 3000)):
        for root in ("/assets", "/static", "/svelte", "/gradio_api/file="):
            assert (await client.get(f"{root}/{path}", headers={"who": "a"})).status_code in (403, 404), (
                root,
                path[:9],
            )


async def test_progress_isnt_kept_for_ever(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PROGRESS_IDS", 3)
    mine = [f"{uuid.uuid4()}" for _ in range(6)]
    for name in mine:
        files = {"files": ("a.txt", b"a")}
        assert (await client.post(f"{UPLOAD}?upload_id={name}", files=files, headers={"who": "a"})).status_code == 200
    kept = [name for name in mine if name in file_upload_statuses._statuses or name in file_upload_statuses._signals]
    assert kept == mine[-3:]
    done = await client.get(f"{UPLOAD_PROGRESS}?upload_id={mine[-1]}", headers={"who": "a"})
    assert '"done"' in done.text
