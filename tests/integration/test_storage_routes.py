"""The table of what the state folder keeps, and its Clears, as the page asks for them: on real services and files."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from backend.console.storage import KINDS
from backend.services import Services, build_services
from tests.conftest import make_settings
from tests.support.asgi import client
from ui.i18n import Language
from ui.page.storage_panel import storage_routes
from ui.web.visitor import STATE_KEY, Role, Visitor

Asking = Callable[..., httpx.AsyncClient]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = build_services(make_settings(tmp_path / "state"))
    yield made
    made.close()


@pytest.fixture
def asking(services: Services) -> Asking:
    app = Starlette(routes=storage_routes(services))

    def make(role: Role = Role.OPERATOR, language: Language = "en") -> httpx.AsyncClient:
        async def seen(scope: Any, receive: Any, send: Any) -> None:
            scope["state"] = {STATE_KEY: Visitor(role, language, "0" * 32)}
            await app(scope, receive, send)

        return client(seen)

    return make


def lay(services: Services, place: str, size: int, age_s: float = 7200.0) -> Path:
    path = services.settings.state_dir / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - age_s,) * 2)
    return path


async def test_the_table_and_a_clear(services: Services, asking: Asking) -> None:
    old, fresh = lay(services, "uploads/a/old.png", 3000), lay(services, "uploads/b/new.png", 500, age_s=10)
    put_aside = lay(services, "console.sqlite3.corrupt-20260101-000000", 8000)
    page = asking()
    before = (await page.get("/storage")).json()
    rows = {row["kind"]: row for row in before["kinds"]}
    assert tuple(rows) == KINDS
    assert before["folder"] == str(services.settings.state_dir)
    assert before["free_bytes"] > 0
    uploads = rows["uploads"]
    assert (uploads["files"], uploads["size_bytes"], uploads["clearable_bytes"]) == (2, 3500, 3000)
    assert all(row["title"] and row["until"] for row in rows.values())
    after = (await page.post("/storage/uploads/clear", json={})).json()
    assert after["freed_bytes"] == 3000
    assert {row["kind"]: row["size_bytes"] for row in after["kinds"]}["uploads"] == 500
    assert not old.exists()
    assert fresh.exists()
    assert put_aside.exists()  # a Clear is of its own kind alone


async def test_it_is_in_the_pages_language(asking: Asking) -> None:
    row = (await asking(language="zh").get("/storage")).json()["kinds"][0]
    assert "日志" in row["title"]


async def test_no_such_kind(asking: Asking) -> None:
    for kind in ("token", "..", "keys", "%2e%2e", ""):
        answer = await asking().post(f"/storage/{kind}/clear", json={})
        assert answer.status_code == 404, kind


async def test_a_class_neither_sees_nor_clears(services: Services, asking: Asking) -> None:
    kept = lay(services, "uploads/a/old.png", 3000)
    guest = asking(role=Role.CLASS)
    for answer in (await guest.get("/storage"), await guest.post("/storage/uploads/clear", json={})):
        assert answer.status_code == 403
        assert str(services.settings.state_dir) not in answer.text
    assert kept.exists()
