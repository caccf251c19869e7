"""What the console puts into Gradio's page, and the cache of static files."""

import gzip
from typing import Any

import pytest
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.types import Receive, Scope, Send

from tests.unit.ui.asgi import client
from ui.access import STATE_KEY, Role, Visitor
from ui.application import without_prefix
from ui.asset_cache import A_DAY, FOR_EVER, AssetCache
from ui.html_head import HtmlHead, asset_urls, inject
from ui.i18n import Language

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


@pytest.mark.parametrize(("language", "locale"), [("en", "en"), ("zh", "zh-CN")])
def test_language_and_scripts(language: Language, locale: str) -> None:
    page = inject(PAGE, language, ("deploy", "nothing"))
    assert f'lang="{locale}"' in page
    assert f'get: () => "{locale}"' in page
    assert page.index("navigator") < page.index("gradio_config")
    assert page.index('<base href="./"') < page.index("./console/assets/js/console.js?v=")
    assert "elsewhere.example" not in page
    assert "nothing.js" not in page


def test_addresses_change_with_the_content() -> None:
    [address] = asset_urls("css", ["console", "nothing"])
    assert address.startswith("./console/assets/css/console.css?v=")


@pytest.mark.parametrize("encodings", ["gzip, br", "identity", ""])
async def test_the_page_is_rewritten_and_compressed(encodings: str) -> None:
    async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
        assert b"accept-encoding" not in dict(scope["headers"])
        await HTMLResponse(PAGE)(scope, receive, send)

    session = client(seen(HtmlHead(gradio, ("deploy",)), "zh"))
    answer = await session.get("/", headers={"accept-encoding": encodings})
    assert "lmConsole" in answer.text
    assert "中" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert (answer.headers.get("content-encoding") == "gzip") == ("gzip" in encodings)


async def test_other_answers_pass() -> None:
    async def gradio(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("<head>")(scope, receive, send)

    session = client(seen(HtmlHead(gradio, ()), "en"))
    assert (await session.get("/")).text == "<head>"
    assert (await session.get("/config")).text == "<head>"
    assert (await session.post("/")).text == "<head>"


class Files:
    """Static files that are compressed anew at every request, as Gradio's are; counts the requests."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        headers = dict(scope["headers"])
        if scope["path"].endswith("missing.js"):
            await PlainTextResponse("no", 404)(scope, receive, send)
            return
        body, more = b"x" * 10_000, {}
        if b"gzip" in headers.get(b"accept-encoding", b""):
            body, more = gzip.compress(body), {"content-encoding": "gzip"}
        await PlainTextResponse(body, headers=more)(scope, receive, send)


async def test_static_files_are_compressed_once() -> None:
    files = Files()
    session = client(AssetCache(files))
    for _ in range(3):
        answer = await session.get("/assets/index-abc.js", headers={"accept-encoding": "gzip"})
        assert answer.text == "x" * 10_000
        assert answer.headers["cache-control"] == FOR_EVER
    assert files.asked == 1
    plain = await session.get("/assets/index-abc.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert files.asked == 2


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
    assert (await session.get("/console/assets/js/x.js?v=1")).headers["cache-control"] == FOR_EVER
    assert (await session.get("/console/assets/js/x.js")).headers["cache-control"] == A_DAY


async def test_other_queries_dont_fill_the_memory() -> None:
    files = Files()
    session = client(AssetCache(files))
    for number in range(5):
        await session.get(f"/assets/a.js?{number}")
    assert files.asked == 1


@pytest.mark.parametrize(
    ("path", "inner"),
    [("/user/me/x/", "/"), ("/user/me/x/a%20b", "/a b"), ("/", "/"), ("/user/me/xyz", "/user/me/xyz")],
)
async def test_a_proxys_prefix(path: str, inner: str) -> None:
    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["path"])(scope, receive, send)

    assert (await client(without_prefix(told, "/user/me/x")).get(path)).text == inner
    assert (await client(without_prefix(told, "")).get("/a")).text == "/a"
