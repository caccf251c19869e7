"""The page's scripts as modules: behind a prefix, each file once and by its digest, asked for again where it failed."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from ui.tabs import TABS
from ui.web.asset_files import asset_files

PREFIX = "/user/me/proxy/8300"
NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def console_arguments() -> list[str]:
    return ["--root-path", PREFIX]


def asset(url: str) -> str:
    """The asset's name; "" for another address."""
    return urlsplit(url).path.partition("/console/assets/")[2]


def open_tabs(page: Page) -> None:
    """Every tab, until its script has drawn something."""
    for tab, drawn in (
        ("quantize", "#quantize-jobs h2"), ("chat", "#chat-stats .badge"), ("vram", "#vram-table h3"),
        ("lab", "#lab-runs .lab-tools"),
        ("deploy", "#deploy-servers h2"),
    ):  # fmt: skip
        page.locator(f"#{tab}-tab-button").first.click()
        expect(page.locator(drawn)).to_be_visible()


def test_behind_a_prefix_each_module_comes_once(new_page: NewPage) -> None:
    page = new_page(path=f"{PREFIX}/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.locator("#header-servers[data-count]").wait_for()
    first = {asset(url) for url in asked if asset(url).endswith(".js")}
    assert "tabs/deploy/deploy.js" in first
    assert not [name for name in first if name.startswith(("tabs/chat/", "tabs/lab/", "tabs/vram/", "tabs/quantize/"))]
    open_tabs(page)
    urls = [url for url in asked if asset(url).endswith(".js")]
    assert {asset(url) for url in urls} == {name for name in asset_files(t.name for t in TABS) if name.endswith(".js")}
    assert len(urls) == len(set(urls))
    assert [url for url in urls if not re.search(r"\?v=[0-9a-f]{12}$", url)] == []
    outside = [url for url in asked if urlsplit(url).scheme == "http" and not urlsplit(url).path.startswith(PREFIX)]
    assert outside == []


def test_a_module_that_fails_is_asked_for_again(new_page: NewPage) -> None:
    """The tab's own module, one that it imports, and a page's first one."""
    page = new_page(path=f"{PREFIX}/")
    failing = re.compile(r"/console/assets/tabs/quantize/(?:quantize|job_card)\.js")
    page.route(failing, lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.locator("#quantize-tab-button").click()
    expect(page.locator("#quantize-jobs h2")).to_have_count(0)
    page.unroute(failing)
    expect(page.locator("#quantize-jobs h2")).to_be_visible()

    failing = re.compile(r"/console/assets/page/(?:bridge|dom)\.js")
    page.route(failing, lambda route: route.fulfill(status=503, body="no"))
    page.reload()
    expect(page.locator("#quantize-start")).to_be_visible()  # the address keeps the tab
    expect(page.locator("#header-servers")).to_have_count(0)
    page.unroute(failing)
    expect(page.locator("#header-servers[data-count]")).to_be_visible()
    expect(page.locator("#header-language input")).to_have_value("English (en)")


@pytest.mark.parametrize("body", ['{"version": "x", "serv', "", "null", "<html>a proxy's own page</html>", "{}"])
def test_a_reply_that_cant_be_read_doesnt_end_the_poll(new_page: NewPage, body: str) -> None:
    page = new_page(path=f"{PREFIX}/")
    polls = re.compile(r"/console/snapshot")
    page.route(polls, lambda route: route.fulfill(status=200, content_type="application/json", body=body))
    expect(page.locator("#console-offline")).to_be_visible()
    page.unroute(polls)
    expect(page.locator("#console-offline")).to_have_count(0)
    with page.expect_request(polls):
        pass


def test_gradios_files_are_asked_for_at_once(new_page: NewPage) -> None:
    """Not one wave after another: each that the page needs is among those in its head, and its styles are one file."""
    page = new_page(path=f"{PREFIX}/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    page.reload()
    page.locator("#header-servers[data-count]").wait_for()
    expect(page.locator("#deploy-start")).to_be_visible()
    gradio = {path.rpartition("/")[2] for path in asked if "/assets/" in path and "/console/" not in path}
    known = page.evaluate("[...document.querySelectorAll('head link[rel=modulepreload]')].map((link) => link.href)")
    named = {urlsplit(href).path.rpartition("/")[2] for href in known}
    scripts = {name for name in gradio if name.endswith(".js")}
    assert len(scripts) > 20
    assert {name for name in scripts - named if not name.startswith("index-")} == set()
    assert [name for name in gradio if name.endswith(".css") and not name.startswith("index-")] == []
    assert sum(path.endswith("/gradio/first.css") for path in asked) == 1
