"""The console's own files at console/assets/: exactly those on the list."""

import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.support.asgi import client
from ui.i18n import LANGUAGES
from ui.tabs import TABS
from ui.web import asset_files
from ui.web.asset_cache import FOR_EVER, AssetCache
from ui.web.asset_files import (
    FILES,
    STYLES,
    all_urls,
    asset_route,
    carried_url,
    first_scripts,
    import_map,
    made,
    modules,
    styles_url,
    tabs_with_script,
)

GRADIO = ".gradio { color: red }"


def served(styles: str = "") -> httpx.AsyncClient:
    return client(Starlette(routes=[Mount("/console", routes=[asset_route(styles)])]))


@pytest.fixture
def ui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small page: two modules, a tab, a part that comes later."""
    for name, text in {
        "page/bridge.js": 'export const a = "common.copy";\n',
        "page/header.js": 'import { a } from "./bridge.js";\nexport const parts = () => import("./rare.js");\na;\n',
        "page/rare.js": "export const rare = 1;\n",
        "page/lonely.js": "export const nobody = 1;\n",
        "page/console.css": "a {}\n",
        "tabs/one/one.js": 'import { a } from "../../page/bridge.js";\nexport const parts = { a };\n',
        "tabs/one/one.css": "b {}\n",
        "tabs/none/texts.json": "{}\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(asset_files, "UI", tmp_path)
    return tmp_path


def test_the_tabs_are_those_of_the_page() -> None:
    assert set(tabs_with_script()) == {tab.name for tab in TABS}


def test_the_list_follows_what_is_imported(ui: Path) -> None:
    assert list(modules()) == ["page/bridge.js", "page/header.js", "tabs/one/one.js", "page/rare.js"]
    names = {"page/page", "tabs/one/one", "page/rare"}
    assert set(made().files) == {STYLES, *(f"{name}.{language}.js" for name in names for language in ("en", "zh"))}
    assert "lonely" not in str(made().files)
    assert made().files[STYLES] == "a {}\n\nb {}\n"
    assert "Copy" in made().files["page/page.en.js"]
    assert "复制" in made().files["page/page.zh.js"]


def test_addresses_change_with_the_content(ui: Path) -> None:
    [first, tab] = first_scripts("en", ["one"])
    assert re.fullmatch(r"\./console/assets/page/page\.en\.js\?v=[0-9a-f]{12}", first)
    styles = styles_url(GRADIO)
    (ui / "page" / "header.js").write_text("export const parts = 2;\n")
    assert first_scripts("en", ["one"])[0] != first
    assert first_scripts("en", ["one"])[1] == tab
    assert "page/rare.en.js" not in made().files
    assert styles_url(GRADIO) == styles
    assert styles_url("") != styles


def test_what_has_no_file_is_left_out() -> None:
    assert len(first_scripts("en", ["nothing"])) == 1
    assert "nothing" not in str(import_map("en", ["nothing"]))


async def test_what_is_on_the_list_is_served() -> None:
    session = served(GRADIO)
    for name, text in made().files.items():
        answer = await session.get(f"/console/assets/{name}")
        assert answer.status_code == 200
        assert answer.text == (f"{text}\n{GRADIO}" if name == STYLES else text)
        kind = answer.headers["content-type"].partition(";")[0]
        assert kind == ("text/css" if name.endswith(".css") else "text/javascript")
    for name, path in FILES.items():
        answer = await session.get(f"/console/assets/{name}")
        assert answer.content == path.read_bytes()
    for language in LANGUAGES:
        for url in import_map(language, tabs_with_script()).values():
            assert (await session.get(f"/{url[2:]}")).status_code == 200


async def test_under_another_digest_nothing_is_kept() -> None:
    """An open page of the version before asks for its scripts by their old addresses."""
    app = AssetCache(Starlette(routes=[Mount("/console", routes=[asset_route(GRADIO, {"class": "1;"})])]))
    session = client(app)
    urls = [*(url for url in all_urls() if STYLES not in url), styles_url(GRADIO), carried_url("class", "1;")]
    for url in urls:
        plain, _, digest = url.removeprefix(".").partition("?v=")
        kept = await session.get(f"{plain}?v={digest}")
        assert kept.headers["cache-control"] == FOR_EVER, url
        for other in ("0" * 12, "", f"{digest}0"):
            answer = await session.get(f"{plain}?v={other}")
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), url
            assert answer.content == kept.content
    assert sum(b"v=0000" in query for _, query, _ in app._kept) == 0


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
    assert (await served().get(f"/console/assets/{name}")).status_code == 404
