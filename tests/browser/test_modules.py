"""The page's scripts: behind a prefix, each file once and by its digest, asked for again where it failed."""

import re
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from ui.tabs import TABS
from ui.web.asset_files import PLOTLY_NAME

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


def test_behind_a_prefix_each_file_comes_once(new_page: NewPage) -> None:
    page = new_page(path=f"{PREFIX}/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    page.locator("#header-servers[data-count]").wait_for()
    assert {"page/page.en.js", "tabs/deploy/deploy.en.js"} <= {asset(url) for url in asked}
    open_tabs(page)
    page.locator("#header-guide").click()
    expect(page.locator("dialog#guide")).to_be_visible()
    urls = [url for url in asked if asset(url).endswith(".js")]
    scripts = [f"tabs/{tab.name}/{tab.name}.en.js" for tab in TABS]
    wanted = {"gradio/operator.js", "page/page.en.js", "page/guide.en.js", PLOTLY_NAME, *scripts}
    assert {asset(url) for url in urls} == wanted
    fetched = page.evaluate(
        "performance.getEntriesByType('resource').filter((one) => one.transferSize > 0).map((one) => one.name)"
    )
    urls_fetched = [url for url in fetched if asset(url).endswith(".js")]
    assert len(urls_fetched) == len(set(urls_fetched))
    assert [url for url in urls if not re.search(r"\?v=[0-9a-f]{12}$", url)] == []
    outside = [url for url in asked if urlsplit(url).scheme == "http" and not urlsplit(url).path.startswith(PREFIX)]
    assert outside == []


def test_a_module_that_fails_is_asked_for_again(new_page: NewPage) -> None:
    """A tab's script, and the page's own."""
    page = new_page(path=f"{PREFIX}/")
    failing = re.compile(r"/console/assets/tabs/quantize/quantize\.en\.js")
    page.route(failing, lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.locator("#quantize-tab-button").click()
    expect(page.locator("#quantize-jobs h2")).to_have_count(0)
    page.unroute(failing)
    expect(page.locator("#quantize-jobs h2")).to_be_visible()

    failing = re.compile(r"/console/assets/page/page\.en\.js")
    page.route(failing, lambda route: route.fulfill(status=503, body="no"))
    page.reload()
    expect(page.locator("#quantize-start")).to_be_visible()  # the address keeps the tab
    expect(page.locator("#header-servers")).to_have_count(0)
    page.unroute(failing)
    expect(page.locator("#header-servers[data-count]")).to_be_visible()
    expect(page.locator("#header-language input")).to_have_value("English (en)")


def test_what_is_pressed_happens_when_its_script_is_there(new_page: NewPage) -> None:
    """Where it can't be had, that is said, with another try; the press isn't lost."""
    page = new_page(path=f"{PREFIX}/")
    failing = re.compile(r"/console/assets/page/share\.en\.js")
    page.route(failing, lambda route: route.abort())
    page.locator("#header-share").click()
    expect(page.locator("dialog#not-loaded [role=alert]")).to_be_visible()
    page.unroute(failing)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("dialog#not-loaded")).to_have_count(0)
    expect(page.locator("dialog#share #share-address")).to_be_visible()


def test_a_reply_that_cant_be_read_doesnt_end_the_poll(new_page: NewPage) -> None:
    page = new_page(path=f"{PREFIX}/")
    polls = re.compile(r"/console/snapshot")
    for body in ('{"version": "x", "serv', "", "null", "<html>a proxy's own page</html>", "{}"):
        page.route(polls, partial(fulfill, body))
        expect(page.locator("#console-offline"), body).to_be_visible()
        page.unroute(polls)
        expect(page.locator("#console-offline"), body).to_have_count(0)
        with page.expect_request(polls):
            pass


def fulfill(body: str, route: Route) -> None:
    route.fulfill(status=200, content_type="application/json", body=body)


def test_gradios_files_are_asked_for_at_once(new_page: NewPage) -> None:
    """Not one wave after another: each that the page needs is among those in its head; the small ones are one file, and
    so are all styles."""
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
    assert 5 < len(scripts) < 20
    assert len({path for path in asked if path.endswith("/gradio/operator.js")}) == 1
    assert {name for name in scripts - named if not name.startswith("index-")} == set()
    assert not [name for name in scripts if name.startswith("markdown-code-")]  # Chat's
    assert [name for name in gradio if name.endswith(".css") and not name.startswith("index-")] == []
    assert len({path for path in asked if path.endswith("/page/page.css")}) == 1
