"""The shell in a browser: token, languages, header, themes, narrow screens, a class's page, a console that goes."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from backend.processes.command import CommandSpec
from backend.processes.supervisor import Supervisor
from backend.store import Store
from tests.conftest import make_settings
from tests.support.console import Console
from tests.support.proxies import other_server
from tests.support.waiting import wait_for
from ui.i18n import Language, t
from ui.tabs import TABS

NewPage = Callable[..., Page]
RUN = "run1"


@pytest.fixture(scope="module")
def prepare_state() -> Callable[[Path], None]:
    """A run that has ended, for the log view."""

    def prepare(state_dir: Path) -> None:
        store = Store(make_settings(state_dir).state_dir)
        supervisor = Supervisor(make_settings(state_dir), store)
        supervisor.start(CommandSpec(("true",)), kind="job", name="for its log", run_id=RUN)
        wait_for("the run's end", lambda: supervisor.get(RUN).ended)
        supervisor.close()
        store.close()

    return prepare


def test_from_the_token_to_the_page(new_page: NewPage, console: Console) -> None:
    page = new_page()
    expect(page).to_have_url(console.page_url())
    expect(page).to_have_title("LMDeploy Console")
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Strict" for cookie in cookies.values())
    page.reload()
    expect(page.locator("#header-servers")).to_have_attribute("data-count", "0")
    assert "token" not in page.evaluate("document.cookie")
    assert {cookie["path"] for cookie in cookies.values()} == {urlsplit(console.page_url()).path}


def test_another_port_of_this_host_gets_and_gives_nothing(new_page: NewPage, console: Console) -> None:
    """The operator opens somebody else's page on 127.0.0.1: a guest of the class, who knows all names of cookies."""
    guest = new_page(token=console.class_token)
    theirs = {cookie["name"]: cookie["value"] for cookie in guest.context.cookies()}
    with other_server() as other:
        other.cookies = [f"{name}={value}; Path=/; Max-Age=999" for name, value in theirs.items()]
        page = new_page(token="", ready=False)
        page.goto(f"http://127.0.0.1:{other.port}/first")
        page.goto(console.address)
        page.locator("#header-servers[data-count]").wait_for()
        page.locator("#header-language").wait_for()
        mine = {(cookie["name"], cookie["value"]) for cookie in page.context.cookies() if cookie["path"] != "/"}
        assert len(mine) == 2
        own_path = urlsplit(page.url).path
        for path in ("/", "/console/snapshot", urlsplit(guest.url).path):
            page.goto(f"http://127.0.0.1:{other.port}{path}")
        other.page = f"<iframe src='{console.base_url}/'></iframe><img src='{console.base_url}/console/snapshot'>"
        page.goto(f"http://127.0.0.1:{other.port}/frame")
        page.goto(f"{console.base_url}{own_path}")
        page.locator("#header-servers[data-count]").wait_for()
        snapshot = page.evaluate("async () => (await fetch('./console/snapshot')).json()")
        assert snapshot["role"] == "operator"
        kept = {(cookie["name"], cookie["value"]) for cookie in page.context.cookies() if cookie["path"] == own_path}
        assert kept == mine
        seen = "\n".join(other.requests)
    assert seen.count("GET ") >= 5
    assert own_path.strip("/") not in seen
    assert not [value for _, value in mine if value in seen]


def test_pasting_the_address_into_the_sign_in_page(new_page: NewPage, console: Console) -> None:
    page = new_page(token="", ready=False)
    expect(page.locator("form")).to_be_visible()
    page.locator("input[name=token]").fill("not the token")
    page.locator("form button").click()
    expect(page.locator(".wrong").first).to_be_visible()
    page.locator("input[name=token]").fill(console.address)
    page.locator("form button").click()
    expect(page.locator("#header-servers")).to_be_visible()
    expect(page).to_have_url(console.page_url())


def test_a_link_on_another_site_leads_in(new_page: NewPage, console: Console) -> None:
    """A strict cookie isn't sent on the way from another site; the page comes through all the same."""
    page = new_page(token="", ready=False)
    elsewhere = console.address.replace("127.0.0.1", "localhost")
    page.goto("about:blank")
    page.set_content(f'<a href="{elsewhere}">to the console</a>')
    page.locator("a").click()
    expect(page.locator("#header-servers")).to_be_visible()


@pytest.mark.parametrize(("locale", "language"), [("en-GB", "en"), ("zh-CN", "zh"), ("zh-TW", "zh"), ("de-DE", "en")])
def test_the_browsers_language_comes_first(new_page: NewPage, locale: str, language: Language) -> None:
    page = new_page(locale=locale)
    for tab in TABS:
        expect(page.locator(f"#{tab.name}-tab-button")).to_have_text(t(f"{tab.name}.title", language))
    expect(page.locator("html")).to_have_attribute("lang", {"en": "en", "zh": "zh-CN"}[language])


def test_switching_the_language_is_remembered(page: Page) -> None:
    first = page.locator(f"#{TABS[0].name}-tab-button")
    labels: list[tuple[Language, str]] = [("zh", "中文 (zh)"), ("en", "English (en)")]
    for language, label in labels:
        box = page.locator("#header-language input")
        box.click()
        box.fill(language)
        page.get_by_role("option", name=label).click()
        expect(first).to_have_text(t(f"{TABS[0].name}.title", language))
        expect(page.locator("#header-bar h1")).to_have_text(t("common.title", language))
        page.reload()
        expect(first).to_have_text(t(f"{TABS[0].name}.title", language))
        expect(page.locator("#header-language input")).to_have_value(label)


def test_every_tab_opens(shared_page: Page) -> None:
    page = shared_page
    for tab in TABS:
        page.locator(f"#{tab.name}-tab-button").click()
        expect(page.locator(f"#{tab.name}-tab")).to_be_visible()
        expect(page.locator("#header-servers")).to_be_visible()
        expect(page.locator("#header-gpu .gauge").first).to_be_visible()


def test_a_machine_without_a_gpu_shows_its_memory(shared_page: Page) -> None:
    gauge = shared_page.locator("#header-gpu")
    expect(gauge).to_have_attribute("data-state", re.compile("gpu|host"))
    expect(gauge.locator(".gauge-figures").first).to_have_text(re.compile(r"\d.* / \d.* GiB"))


def test_every_control_has_a_name(shared_page: Page) -> None:
    """What a screen reader says of each control that is shown, on every tab."""
    page = shared_page
    for tab in TABS:
        page.locator(f"#{tab.name}-tab-button").click()
        expect(page.locator(f"#{tab.name}-tab")).to_be_visible()
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('button, input, select, textarea')]
                .filter((control) => control.checkVisibility() && control.type !== 'file' && !control.disabled)
                .filter((control) => !(control.getAttribute('aria-label') || control.title || control.textContent.trim()
                    || control.labels?.length || control.getAttribute('aria-labelledby') || control.placeholder))
                .map((control) => control.outerHTML.slice(0, 200))"""
        )
        assert nameless == [], tab.name


def test_dark_is_remembered(page: Page) -> None:
    body = page.locator("body")
    expect(body).not_to_have_class(re.compile(r"\bdark\b"))
    page.locator("#header-theme").click()
    expect(body).to_have_class(re.compile(r"\bdark\b"))
    page.reload()
    expect(page.locator("#header-servers[data-count]")).to_be_visible()
    expect(body).to_have_class(re.compile(r"\bdark\b"))


def test_a_first_visit_is_told_what_to_do(page: Page) -> None:
    hint = page.locator("#header-hint .hint")
    expect(hint).to_contain_text(t("header.hint", "en"))
    hint.locator("button").click()
    expect(hint).to_have_count(0)
    page.reload()
    expect(page.locator("#header-servers[data-count]")).to_be_visible()
    expect(hint).to_have_count(0)


@pytest.mark.parametrize("width", [400, 1366])
def test_nothing_sticks_out(shared_page: Page, width: int) -> None:
    page = shared_page
    page.set_viewport_size({"width": width, "height": 850})
    for tab in TABS:
        page.locator(f"#{tab.name}-tab-button").click()
        expect(page.locator(f"#{tab.name}-tab")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab.name


def test_a_class_is_told_and_sees_no_paths(new_page: NewPage, console: Console) -> None:
    page = new_page(token=console.class_token)
    expect(page.locator("#header-role")).to_be_visible()
    answer = page.evaluate(
        "import('./console/assets/page/request.js')"
        ".then(({get}) => get('log/anything')).catch((error) => error.messages.join())"
    )
    assert answer == t("common.operator_only", "en")
    assert str(console.state_dir) not in page.content()
    assert json.dumps(str(console.state_dir)) not in json.dumps(page.evaluate("window.gradio_config"))


def test_two_pages_share_one_console(new_page: NewPage, shared_page: Page) -> None:
    count = (
        "import('./console/assets/page/request.js')"
        ".then(({get}) => get('snapshot')).then((snapshot) => snapshot.servers.length)"
    )
    assert [new_page().evaluate(count), shared_page.evaluate(count)] == [0, 0]


class TestLogView:
    """The live log view on a run that has ended, whose log the test goes on writing."""

    @pytest.fixture
    def log(self, console: Console) -> Path:
        path = console.state_dir / "runs" / RUN / "log.txt"
        path.write_bytes(b"")
        return path

    @pytest.fixture
    def page(self, shared_page: Page, log: Path) -> Iterator[Page]:
        """With a view of its own."""
        shared_page.evaluate(
            """async (run) => {
                const { logView } = await import('./console/assets/page/log_view.js');
                const place = document.createElement('div');
                place.id = 'log-test';
                document.querySelector('.gradio-container .main').prepend(place);
                logView(place).setRun(run);
            }""",
            RUN,
        )
        yield shared_page
        shared_page.locator("#log-test").evaluate("(place) => place.remove()")

    def test_it_grows_and_resolves_carriage_returns(self, page: Page, log: Path) -> None:
        lines = page.locator("#log-test .log-line")
        add(log, "one\nprogress 1%\rprogress 2%")
        expect(lines.last).to_have_text("progress 2%")
        add(log, "\rprogress 3%\nthree\n")
        expect(lines).to_have_text(["one", "progress 3%", "three", ""])

    def test_markup_stays_text(self, page: Page, log: Path) -> None:
        add(log, '<img src=x onerror="window.hacked=1"> ${window.hacked=1}\n')
        expect(page.locator("#log-test .log-line").first).to_contain_text("<img src=x")
        assert page.evaluate("window.hacked") is None

    def test_a_large_log_stays_small_in_the_page(self, page: Page, log: Path) -> None:
        add(log, "".join(f"line {number}\n" for number in range(300_000)))
        newest = page.locator("#log-test .log-lines .log-line").last
        expect(newest).to_have_text("line 299999")
        assert page.locator("#log-test .log-line").count() < 10_000
        add(log, "the end\n")
        expect(newest).to_have_text("the end")

    def test_it_keeps_its_place_and_shows_earlier_lines(self, page: Page, log: Path) -> None:
        add(log, "".join(f"line {number}\n" for number in range(20_000)))
        body = page.locator("#log-test .log-body")
        lines = page.locator("#log-test .log-lines .log-line")
        expect(lines.last).to_have_text("line 19999")
        before = str(lines.first.text_content())
        body.evaluate("(element) => { element.scrollTop = 0; }")
        expect(page.locator("#log-test .log-follow input")).not_to_be_checked()
        page.locator("#log-test .log-earlier").click()
        expect(lines.first).not_to_have_text(before)
        place = body.evaluate("(element) => element.scrollTop")
        add(log, "more\n")
        expect(lines.last).to_have_text("more")
        assert body.evaluate("(element) => element.scrollTop") == place

    def test_search_reaches_what_the_page_has_not_read(self, page: Page, log: Path) -> None:
        add(log, "the needle\n" + ("hay " * 20 + "\n") * 5_000 + "another NEEDLE\n")
        box = page.locator("#log-test .log-search")
        expect(page.locator("#log-test .log-lines .log-line").last).to_have_text("another NEEDLE")
        box.fill("needle")
        current = page.locator("#log-test .match.current")
        box.press("Enter")
        expect(current).to_have_text("another NEEDLE")
        box.press("Enter")
        expect(current).to_have_text("the needle")
        expect(page.locator("#log-test .log-follow input")).not_to_be_checked()

    def test_a_search_that_fails_says_so(self, page: Page, log: Path) -> None:
        add(log, "the needle\n" + ("hay " * 20 + "\n") * 5_000 + "the end\n")
        expect(page.locator("#log-test .log-lines .log-line").last).to_have_text("the end")
        box, found = page.locator("#log-test .log-search"), page.locator("#log-test .log-found")
        page.route("**/search?*", lambda route: route.abort())
        box.fill("needle")
        box.press("Enter")
        expect(found).to_have_text(t("common.offline", "en"))
        page.unroute("**/search?*")
        box.press("Enter")
        expect(page.locator("#log-test .match.current")).to_have_text("the needle")

    def test_a_search_for_other_words_is_no_longer_answered(self, page: Page, log: Path) -> None:
        add(log, "the needle\n" + ("hay " * 20 + "\n") * 5_000 + "the end\n")
        newest = page.locator("#log-test .log-lines .log-line").last
        expect(newest).to_have_text("the end")
        box = page.locator("#log-test .log-search")
        held: list[Route] = []
        page.route("**/search?*", lambda route: held.append(route))
        box.fill("needle")
        with page.expect_request("**/search?*"):
            box.press("Enter")
        box.fill("thread")
        with page.expect_response("**/search?*"):
            held[0].continue_()
        page.unroute("**/search?*")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        expect(page.locator("#log-test .match.current")).to_have_count(0)
        expect(newest).to_have_text("the end")

    def test_copying_and_keeping(self, page: Page, log: Path, console: Console) -> None:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=console.base_url)
        add(log, "one\ntwo\n")
        expect(page.locator("#log-test .log-lines .log-line").last).to_have_text("two")
        page.locator("#log-test .log-copy").click()
        expect(page.locator("#log-test .log-copy")).to_have_text(t("common.copied", "en"))
        assert page.evaluate("navigator.clipboard.readText()") == "one\ntwo"
        with page.expect_download() as download:
            page.locator("#log-test .log-save").click()
        assert Path(download.value.path()).read_text() == "one\ntwo\n"


def add(log: Path, text: str) -> None:
    with log.open("a", newline="") as file:
        file.write(text)


def test_a_console_that_goes_and_comes_back(new_page: NewPage, console: Console) -> None:
    """Last in the file: the page says so, and goes on by itself when the console answers again."""
    page = new_page()
    page.route("**/console/snapshot*", lambda route: route.abort())
    expect(page.locator("#console-offline")).to_be_visible()
    page.unroute("**/console/snapshot*")
    expect(page.locator("#console-offline")).to_have_count(0)
