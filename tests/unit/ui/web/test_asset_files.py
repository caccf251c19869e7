"""The console's own files at console/assets/: exactly those on the list."""

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.support.asgi import client
from ui.tabs import TABS
from ui.web.asset_files import asset_files, asset_route, asset_url

FILES = asset_files(tab.name for tab in TABS)


def test_addresses_change_with_the_content(tmp_path: Path) -> None:
    file = tmp_path / "a.js"
    file.write_text("1")
    first = asset_url("page/a.js", file)
    assert first.startswith("./console/assets/page/a.js?v=")
    file.write_text("22")
    assert asset_url("page/a.js", file) != first


def test_what_has_no_file_is_left_out() -> None:
    assert "tabs/nothing/nothing.js" not in asset_files(["nothing"])


async def test_what_is_on_the_list_is_served() -> None:
    session = client(Starlette(routes=[Mount("/console", routes=[asset_route(FILES)])]))
    for name, path in FILES.items():
        for encoding in ("identity", "gzip"):
            answer = await session.get(f"/console/assets/{name}", headers={"accept-encoding": encoding})
            assert answer.status_code == 200
            assert answer.content == path.read_bytes()
            if path.suffix == ".js":
                kind = answer.headers["content-type"].partition(";")[0]
                assert kind in ("text/javascript", "application/javascript")  # Gradio's import sets the second
                assert ("content-encoding" in answer.headers) == (encoding == "gzip")


@pytest.mark.parametrize(
    "name",
    [
        "ui/web/guard.py", "../ui/web/guard.py", "..%2f..%2fui/web/guard.py", "%2e%2e/web/guard.py", "web/guard.py",
        "page/..%2fweb/guard.py", "page/../web/guard.py", "page/", "page", "", "tabs/%2e%2e/page/dom.js", "page/x%00",
        "page/header.py", "page%5cdom.js", "page%2fdom.js%00", "/etc/passwd", "page/types.d.ts",
        "//etc/passwd", "page/dom.js/", "tabs/chat/texts.json", "tabs/deploy/api_page.js",
    ],
)  # fmt: skip
async def test_nothing_else_is(name: str) -> None:
    session = client(Starlette(routes=[Mount("/console", routes=[asset_route(FILES)])]))
    assert (await session.get(f"/console/assets/{name}")).status_code == 404
