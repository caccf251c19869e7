"""What the console puts into Gradio's page, and the cache of static files."""

import asyncio
import json
import re
import threading
from typing import Any

import pytest
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from tests.support.asgi import client
from ui.i18n import Language
from ui.web import html_head
from ui.web.asset_cache import A_DAY, FOR_EVER, AssetCache
from ui.web.compression import packed
from ui.web.html_head import HtmlHead, inject
from ui.web.visitor import STATE_KEY, Role, Visitor

PAGE = (
    '<!doctype html><html\n\tlang="en"\n><head>\n<base href="./" />'
    '<meta property="og:image" content="https://elsewhere.example/x.jpg" />'
    "<script>window.gradio_config = {};</script></head><body>中</body></html>"
)


def seen(app: Any, language: Language) -> Any:
    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {STATE_KEY: Visitor(Role.OPERATOR, language, "0" * 32)}
        await app(scope, receive, send)

    return outer


def visitor(language: Language = "en", role: Role = Role.OPERATOR) -> Visitor:
    return Visitor(role, language, "0" * 32)


@pytest.mark.parametrize(("language", "locale"), [("en", "en"), ("zh", "zh-CN")])
def test_language_and_scripts(language: Language, locale: str) -> None:
    page = inject(PAGE, language, Role.OPERATOR, ("deploy", "nothing"))
    assert f'lang="{locale}"' in page
    about = f'{{"locale": "{locale}", "role": "operator", "tabs": ["deploy", "nothing"], "later": [], "next": []}}'
    assert f'id="console-page">{about}<' in page
    assert page.index("console-page") < page.index("window.gradio_config = {}")
    assert "elsewhere.example" not in page
    assert "nothing.js" not in page


def test_the_import_map_stands_between_base_and_modules() -> None:
    """Relative addresses are relative to the base; the map counts only for the modules after it."""
    module = '<script type="module" src="./assets/index.js"></script>'
    page = inject(PAGE.replace("</head>", f"{module}</head>"), "en", Role.OPERATOR, ("deploy", "vram"))
    assert page.index('<base href="./"') < page.index('id="console-imports"') < page.index(module)
    found = re.search(r'id="console-imports">(.*?)</script>', page)
    assert found
    imports = json.loads(found[1])
    assert imports["./console/assets/page/dom.js"].startswith("./console/assets/page/page.en.js?v=")
    assert imports["./console/assets/tabs/vram/vram.js"].startswith("./console/assets/tabs/vram/vram.en.js?v=")
    assert not [name for name in imports if "/tabs/" in name and "/deploy/" not in name and "/vram/" not in name]
    # At first sight: what every page needs and its first tab, by the addresses that the map gives.
    preloaded = re.findall(r'<link rel="modulepreload" href="([^"]+)">', page)
    assert set(preloaded) <= set(imports.values())
    names = [url.partition("?")[0].removeprefix("./console/assets/") for url in preloaded]
    assert names == ["page/page.en.js", "tabs/deploy/deploy.en.js"]
    assert page.index(preloaded[0]) < page.index("window.gradio_config = {}")


def test_a_base_behind_a_prefix() -> None:
    page = inject(PAGE.replace('<base href="./" />', '<base href="/user/me/">'), "en", Role.OPERATOR, ("deploy",))
    assert '<base href="/user/me/"><script type="application/json" id="console-imports">' in page


@pytest.mark.parametrize("encodings", ["gzip, br", "identity", ""])
async def test_the_page_is_rewritten_and_compressed(encodings: str) -> None:
    async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
        assert b"accept-encoding" not in dict(scope["headers"])
        await HTMLResponse(PAGE)(scope, receive, send)

    session = client(seen(HtmlHead(gradio, {Role.OPERATOR: ("deploy",)}), "zh"))
    answer = await session.get("/", headers={"accept-encoding": encodings})
    assert "console-imports" in answer.text
    assert "中" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers.get("content-encoding", "") == ("br" if "br" in encodings else "")


async def test_a_class_has_tabs_of_its_own() -> None:
    async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
        await HTMLResponse(PAGE)(scope, receive, send)

    head = HtmlHead(gradio, {Role.OPERATOR: ("deploy", "chat"), Role.CLASS: ("chat",)})

    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = {STATE_KEY: visitor(role=Role.CLASS)}
        await head(scope, receive, send)

    page = (await client(outer).get("/")).text
    assert '"role": "class", "tabs": ["chat"], ' in page
    assert "tabs/deploy" not in page


async def test_each_address_is_made_once_and_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page holds its own address; of a class with forwards there are many."""
    made_in: list[tuple[bool, str]] = []

    def noted(content: bytes, encoding: str) -> bytes:
        address = re.search(r'"root": ?"([^"]+)"', content.decode())
        assert address
        made_in.append((threading.current_thread() is threading.main_thread(), address[1]))
        return packed(content, encoding)

    async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
        host = dict(scope["headers"])[b"host"].decode()
        page = PAGE.replace("gradio_config = {}", f'gradio_config = {{"root": "http://{host}"}}')
        await HTMLResponse(page)(scope, receive, send)

    monkeypatch.setattr(html_head, "packed", noted)
    head = seen(HtmlHead(gradio, {Role.OPERATOR: ("deploy",)}), "en")
    hosts = [f"127.0.0.1:{9000 + number}" for number in range(20)]
    for _ in range(2):
        answers = await asyncio.gather(*(client(head, host).get("/") for host in hosts for _ in range(3)))
        assert [host for host in hosts for _ in range(3) if host not in answers.pop(0).text] == []
    assert sorted(made_in) == sorted((False, f"http://{host}") for host in hosts)


async def test_other_answers_pass() -> None:
    async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("<head>")(scope, receive, send)

    session = client(seen(HtmlHead(gradio, {Role.OPERATOR: ()}), "en"))
    assert (await session.get("/")).text == "<head>"
    assert (await session.get("/config")).text == "<head>"
    assert (await session.post("/")).text == "<head>"


class Files:
    """Static files; counts the requests."""

    def __init__(self) -> None:
        self.asked = 0
        self.headers: dict[bytes, bytes] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        self.headers = dict(scope["headers"])
        if scope["path"].endswith("missing.js"):
            await PlainTextResponse("no", 404)(scope, receive, send)
        elif scope["path"].endswith(".png"):
            await Response(b"x" * 10_000, media_type="image/png")(scope, receive, send)
        else:
            await PlainTextResponse("x" * 10_000, headers={"etag": '"1"'})(scope, receive, send)


@pytest.mark.parametrize(
    ("accepted", "used"), [("gzip, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("identity", "")]
)
async def test_static_files_are_compressed_once(accepted: str, used: str) -> None:
    files = Files()
    session = client(AssetCache(files))
    for _ in range(3):
        answer = await session.get("/assets/index-abc.js", headers={"accept-encoding": accepted})
        assert answer.text == "x" * 10_000
        assert answer.headers["cache-control"] == FOR_EVER
        assert answer.headers.get("content-encoding", "") == used
        assert answer.headers["vary"] == "accept-encoding"
        assert ("etag" in answer.headers) == (used == "")
    assert files.asked == 1
    assert b"accept-encoding" not in files.headers  # as it is: what compresses hastily is left out
    plain = await session.get("/assets/index-abc.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert files.asked == (1 if used == "" else 2)
    picture = await session.get("/assets/a.png", headers={"accept-encoding": accepted})
    assert "content-encoding" not in picture.headers


async def test_what_is_no_whole_file_is_not_kept() -> None:
    files = Files()
    session = client(AssetCache(files))
    for _ in range(2):
        assert (await session.get("/assets/missing.js")).status_code == 404
        await session.get("/config")
        await session.get("/assets/a.js", headers={"range": "bytes=0-1"})
    assert files.asked == 6


async def test_how_long_browsers_keep_them() -> None:
    session = client(AssetCache(Files()))
    assert (await session.get("/static/x.png")).headers["cache-control"] == A_DAY
    assert (await session.get("/console/assets/page/x.js?v=1")).headers["cache-control"] == FOR_EVER
    assert (await session.get("/console/assets/page/x.js")).headers["cache-control"] == A_DAY


async def test_other_queries_dont_fill_the_memory() -> None:
    files = Files()
    session = client(AssetCache(files))
    for number in range(5):
        await session.get(f"/assets/a.js?{number}")
    assert files.asked == 1


def test_the_configuration_has_the_pages_language_alone() -> None:
    texts = {"en": {"a": "Hello \u003c/script>"}, "zh-CN": {"a": "你好</"}}
    written = json.dumps({"i18n_translations": texts, "after": 1}, ensure_ascii=False, separators=(",", ":"))
    page = PAGE.replace("gradio_config = {}", f"gradio_config = {written.replace('<', chr(92) + 'u003c')}")
    for language, locale in (("en", "en"), ("zh", "zh-CN")):
        shown = inject(page, language, Role.OPERATOR, ("deploy",))  # type: ignore[arg-type]
        found, _ = json.JSONDecoder().raw_decode(shown, shown.index('{"i18n_translations"'))
        assert found == {"i18n_translations": {locale: texts[locale]}, "after": 1}
        assert "</" not in shown[shown.index("window.gradio_config") : shown.index('"after"')]
