"""Whose upload is whose."""

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ui.access import STATE_KEY, Role, Visitor
from ui.uploads import OwnUploads


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def client(folder: Path) -> httpx.AsyncClient:
    """Gradio's two routes, in short; the header ``who`` stands for the guard."""

    async def upload(request: Request) -> JSONResponse:
        path = folder / "digest" / "cat.png"
        path.parent.mkdir(exist_ok=True)
        path.write_text("a cat")
        return JSONResponse([str(path)])

    def file(request: Request) -> PlainTextResponse:
        return PlainTextResponse(Path(request.path_params["path"]).read_text())

    inner = OwnUploads(
        Starlette(routes=[
            Route("/gradio_api/upload", upload, methods=["POST"]), Route("/gradio_api/file={path:path}", file)
        ]),
        folder,
    )  # fmt: skip

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        who = dict(scope["headers"])[b"who"].decode()
        await inner({**scope, "state": {STATE_KEY: Visitor(Role.CLASS, "en", who)}}, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(guarded), base_url="http://console")


async def test_an_upload_is_shown_to_those_who_uploaded_it(client: httpx.AsyncClient, folder: Path) -> None:
    (path,) = (await client.post("/gradio_api/upload", headers={"who": "a"})).json()
    address = f"/gradio_api/file={path}"
    assert (await client.get(address, headers={"who": "a"})).text == "a cat"
    assert (await client.get(address, headers={"who": "b"})).status_code == 404
    around = f"/gradio_api/file={folder}/x/%2e%2e/digest/cat.png"
    assert (await client.get(around, headers={"who": "b"})).status_code == 404
    await client.post("/gradio_api/upload", headers={"who": "b"})  # the same picture: the same path
    assert (await client.get(address, headers={"who": "b"})).status_code == 200
    assert (await client.get(address, headers={"who": "a"})).status_code == 200


async def test_files_from_elsewhere_are_not_its_business(client: httpx.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "static.txt").write_text("static")
    assert (await client.get(f"/gradio_api/file={tmp_path}/static.txt", headers={"who": "b"})).text == "static"
