"""The page where something fails: a lost line, a request that comes late or never, a browser that keeps nothing."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.console import Console
from tests.support.vram_page import open_tab
from ui.i18n import t

NewPage = Callable[..., Page]
SNAPSHOT = re.compile(r"/console/snapshot")
NO_STORAGE = """for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, {get() { throw new DOMException("forbidden", "SecurityError"); }});"""
FULL_STORAGE = "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); };"
PLAIN_HTTP = "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
HOUR_MS = 3_600_000


def refuse(route: Route) -> None:
    route.fulfill(status=401, json={"messages": [t("common.guard.none", "en")]})


def open_with(new_page: NewPage, console: Console, script: str, **options: object) -> Page:
    """A page in a browser where that script ran first."""
    page = new_page(token="", ready=False, **options)
    page.add_init_script(script)
    page.goto(console.address)
    page.locator("#header-servers[data-count]").wait_for()
    return page


class TestALostLine:
    def test_it_is_said_in_the_pages_language(self, new_page: NewPage) -> None:
        page = new_page(locale="zh-CN")
        expect(page.locator("#deploy-tab[data-settled]")).to_be_visible()
        events = re.compile(r"/gradio_api/")
        page.route(events, lambda route: route.abort())
        page.locator("#deploy-refresh").click()
        expect(page.get_by_text(t("common.toast.lost", "zh"))).to_be_visible()
        toast = page.get_by_test_id("toast-body")
        expect(toast).to_contain_text(t("common.toast.error", "zh"))
        expect(toast.get_by_role("button", name=t("common.close", "zh"), exact=True)).to_be_visible()
        page.unroute(events)
        expect(page.get_by_text(t("common.toast.lost", "zh"))).to_have_count(0)
        page.route(events, lambda route: route.fulfill(status=401, json={"messages": ["请先登录"]}))
        page.locator("#deploy-refresh").click()
        expect(page.get_by_text("请先登录")).to_be_visible()
        page.unroute(events)

    def test_the_notice_says_what_is_so_now_and_lies_above_a_window(self, page: Page) -> None:
        notice = page.locator("#console-offline")
        page.route(SNAPSHOT, lambda route: route.abort())
        expect(notice).to_have_text(t("common.offline", "en"))
        page.locator("#header-guide").click()
        expect(page.locator("dialog#guide #console-offline")).to_be_visible()
        page.unroute(SNAPSHOT)
        page.route(SNAPSHOT, refuse)
        expect(notice).to_have_text(t("common.guard.none", "en"))
        page.keyboard.press("Escape")
        expect(notice).to_be_visible()
        page.unroute(SNAPSHOT)
        expect(notice).to_have_count(0)

    def test_the_memory_is_read_as_soon_as_the_console_is_back(self, new_page: NewPage) -> None:
        page = new_page(ready=False)
        page.clock.install()
        page.reload()
        open_tab(page)
        chart, stale = page.locator("#vram-chart"), page.locator("#vram-chart .vram-stale")
        expect(chart).to_have_attribute("data-since", re.compile(r"^[1-9]"))
        expect(stale).to_be_hidden()
        every = re.compile(r"/console/(snapshot|vram/)")
        page.route(every, lambda route: route.abort())
        expect(chart).to_have_attribute("data-state", "stale")
        for _ in range(8):  # the chart asks more and more seldom
            with page.expect_event("requestfailed", lambda failed: "/vram/" in failed.url) as came:
                while not came.is_done():  # what is set after a failure may not be set yet
                    page.clock.fast_forward(61_000)
        expect(chart).to_have_attribute("data-state", "stale")
        expect(stale).to_contain_text("As of ")
        expect(stale).to_be_visible()
        page.unroute(every)
        expect(chart).to_have_attribute("data-state", "live")
        expect(stale).to_be_hidden()


class TestWindows:
    """Those in which something is typed; a class's own name is one."""

    @pytest.fixture
    def guest(self, new_page: NewPage, console: Console) -> Page:
        page = new_page(token=console.class_token)
        page.locator("#header-name").click()
        return page

    def test_a_selection_drawn_out_of_it_closes_nothing(self, guest: Page) -> None:
        field, dialog = guest.locator("#class-name"), guest.locator("#class-name-dialog")
        field.fill("Lei")
        box = field.bounding_box()
        assert box is not None
        guest.mouse.move(box["x"] + 20, box["y"] + box["height"] / 2)
        guest.mouse.down()
        guest.mouse.move(5, 5)
        guest.mouse.up()
        expect(dialog).to_be_visible()
        expect(guest.locator("#ask-discard")).to_have_count(0)

    def test_what_was_typed_isnt_dropped_unasked(self, guest: Page) -> None:
        field, dialog, question = (
            guest.locator(place) for place in ("#class-name", "#class-name-dialog", "#ask-discard")
        )
        ways: tuple[Callable[[], None], ...] = (
            lambda: guest.keyboard.press("Escape"),
            lambda: guest.mouse.click(5, 5),
            lambda: dialog.locator("header button").click(),
        )
        field.fill("Lei")
        for leave in ways:
            leave()
            expect(question).to_be_visible()
            guest.keyboard.press("Escape")
            expect(question).to_have_count(0)
            expect(field).to_have_value("Lei")
        guest.keyboard.press("Escape")
        question.locator(".danger").click()
        expect(dialog).to_have_count(0)
        expect(guest.locator("#header-name")).to_have_attribute("data-named", "false")

    def test_a_text_with_windows_line_ends_is_as_it_was(self, guest: Page) -> None:
        guest.evaluate(
            """async () => {
              const { openDialog } = await import('./console/assets/page/dialog.js');
              const area = document.createElement('textarea');
              area.defaultValue = 'a\\r\\nb';
              document.getElementById('class-name-dialog').close();
              openDialog({ id: 'test-window', title: 'T' }, area);
            }"""
        )
        guest.keyboard.press("Escape")
        expect(guest.locator("#test-window")).to_have_count(0)

    def test_a_second_press_meanwhile_is_for_the_same_window(self, new_page: NewPage, console: Console) -> None:
        page = new_page(token=console.class_token, ready=False)
        name = re.compile("/console/class/name")
        page.route(name, lambda route: route.abort())
        with page.expect_event("requestfailed", lambda failed: "/class/name" in failed.url):
            page.reload()
        page.locator("#header-servers[data-count]").wait_for()
        page.unroute(name)
        held: list[Route] = []
        page.route(name, lambda route: held.append(route))
        with page.expect_request(name):
            page.locator("#header-name").click()
        page.locator("#header-name").click()
        page.evaluate("0")
        assert len(held) == 1
        held[0].continue_()
        expect(page.locator("#class-name-dialog")).to_be_visible()

    def test_where_nothing_was_typed_it_closes(self, guest: Page) -> None:
        dialog = guest.locator("#class-name-dialog")
        guest.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        guest.locator("#header-name").click()
        guest.mouse.click(5, 5)
        expect(dialog).to_have_count(0)


def test_a_name_that_isnt_known_is_no_empty_name(new_page: NewPage, console: Console) -> None:
    """A window that opened empty would take it away."""
    page = new_page(token=console.class_token)
    page.locator("#header-name").click()
    page.locator("#class-name").fill("Han Meimei")
    page.locator("#class-name").press("Enter")
    expect(page.locator("#class-name-dialog")).to_have_count(0)
    asked = re.compile(r"/console/class/name")
    page.route(asked, lambda route: route.abort())
    page.reload()
    page.locator("#header-servers[data-count]").wait_for()
    page.locator("#header-name").click()
    expect(page.locator("#console-problem")).to_have_text(t("common.offline", "en"))
    expect(page.locator("dialog")).to_have_count(0)
    page.unroute(asked)
    page.locator("#header-name").click()
    expect(page.locator("#class-name")).to_have_value("Han Meimei")


def test_limits_cant_be_set_before_they_are_known(page: Page) -> None:
    """An empty box is no limit."""
    asked = re.compile(r"/console/class$")
    page.route(asked, lambda route: route.abort())
    page.locator("#header-share").click()
    limits = page.locator("#class-limits")
    limits.locator("summary").click()
    expect(page.locator("#share .class-problem")).to_be_visible()
    expect(limits.locator("button[type=submit]")).to_be_disabled()
    expect(limits.locator("input:enabled")).to_have_count(0)
    page.unroute(asked)
    expect(limits.locator("button[type=submit]")).to_be_enabled()
    expect(limits.locator("input:disabled")).to_have_count(0)
    page.locator("#class-tokens-an-hour").fill("5000")
    page.locator("#class-tokens-an-hour").press("Enter")
    expect(limits.locator("[data-level=info]")).to_be_visible()
    page.keyboard.press("Escape")  # saved: nothing to ask
    expect(page.locator("dialog")).to_have_count(0)


def test_copying_over_plain_http(new_page: NewPage, console: Console) -> None:
    """Where the browser offers only the old way, which copies what is selected: in a window too, and what doesn't go is
    said."""
    page = open_with(new_page, console, PLAIN_HTTP)
    page.locator("#header-share").click()
    button = page.locator("#share-copy")
    button.click()
    expect(button).to_have_text(t("common.copied", "en"))
    expect(button).to_be_focused()
    expect(page.locator("#console-problem")).to_have_count(0)
    page.keyboard.press("Escape")
    page.locator("#chat-tab-button").click()
    page.locator("#chat-input textarea").click()
    page.keyboard.press("Control+V")
    expect(page.locator("#chat-input textarea")).to_have_value(re.compile("^http|^ssh"))
    page.locator("#header-share").click()
    page.evaluate("document.execCommand = () => false")
    button.click()
    expect(page.locator("dialog#share #console-problem")).to_have_text(t("common.copy.failed", "en"))
    expect(button).to_have_attribute("data-failed", "")


@pytest.mark.parametrize("storage", [NO_STORAGE, FULL_STORAGE], ids=["forbidden", "full"])
def test_a_browser_that_keeps_nothing(new_page: NewPage, console: Console, storage: str) -> None:
    page = open_with(new_page, console, storage)
    page.locator("#header-theme").click()
    expect(page.locator("body")).to_have_class(re.compile(r"\bdark\b"))
    page.locator("#header-hint .hint button").click()
    expect(page.locator("#header-hint .hint")).to_have_count(0)
    page.keyboard.press("?")
    page.locator("#keys-on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("]")
    expect(page.locator("#deploy-tab-button")).to_have_attribute("aria-selected", "true")
    page.locator("#chat-tab-button").click()
    for switch in ("#chat-view-list", "#chat-view-side"):
        page.locator(switch).click()
        expect(page.locator(switch)).to_have_attribute("aria-expanded", "false")
    page.locator("#lab-tab-button").click()
    expect(page.locator("#lab-runs .lab-tools")).to_be_visible()
    page.locator('[data-section="lesson"]').click()
    page.locator("#lab-lessons button").first.click()
    expect(page.locator("#lab-lesson-open")).not_to_be_empty()


def test_an_older_answer_doesnt_overtake_a_newer_one(page: Page) -> None:
    page.locator("#lab-tab-button").click()
    held: list[Route] = []
    page.route(re.compile(r"lab/history\?window=7776000"), lambda route: held.append(route))
    page.locator("#lab-history summary").click()
    choice = page.locator("#lab-history select").nth(1)
    with page.expect_request(re.compile("window=7776000")):
        choice.select_option("7776000")
    with page.expect_response(re.compile("window=3600")):
        choice.select_option("3600")
    page.evaluate("document.querySelector('#lab-history-chart').replaceChildren('the newer one')")
    with page.expect_response(re.compile("window=7776000")):
        held[0].fulfill(json={"step": 1, "rows": []})
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    expect(page.locator("#lab-history-chart")).to_have_text("the newer one")


def test_a_clock_that_is_set_right_is_followed(new_page: NewPage) -> None:
    page = new_page(ready=False)
    page.clock.install()
    page.reload()
    page.locator("#header-servers[data-count]").wait_for()
    off = """import('./console/assets/page/clock.js').then(async ({now}) => {
      const told = await fetch('./console/texts.json', {method: 'HEAD', cache: 'no-store'});
      return Math.abs(now() - Date.parse(told.headers.get('date')) / 1000) < 5;
    })"""
    assert page.evaluate(off)
    with page.expect_request(lambda request: request.method == "HEAD"):
        page.clock.fast_forward(HOUR_MS)  # this browser's alone
    page.wait_for_function(f"() => {off}")


def test_the_interval_is_the_one_that_holds(new_page: NewPage) -> None:
    """Whatever another page has set, and whatever request failed."""
    one, other = new_page(), new_page()
    open_tab(one)
    interval = one.locator("#vram-interval input")
    expect(interval).to_have_value("1 s")
    open_tab(other)
    other.locator("#vram-interval input").click()
    other.get_by_role("option", name="2 s", exact=True).click()
    expect(interval).to_have_value("2 s")
    late = new_page(ready=False)
    late.route(re.compile("/console/vram/figure"), lambda route: route.abort(), times=1)
    late.reload()
    open_tab(late)
    expect(late.locator("#vram-interval input")).to_have_value("2 s")


def test_the_second_press_of_a_double_click_is_for_the_first_button(page: Page) -> None:
    page.evaluate(
        """async () => {
          const { actionRow } = await import('./console/assets/page/cards.js');
          const row = actionRow('test-row');
          const button = (action, onclick) => {
            const made = Object.assign(document.createElement('button'), { onclick, textContent: action });
            made.dataset.action = action;
            return made;
          };
          window.pressed = [];
          const edit = () => window.pressed.push('edit');
          const up = () => { window.pressed.push('up'); row.show([button('up', up)], document.body); };
          const remove = () => row.show([button('edit', edit)], document.body);
          window.rows = {
            remove: () => row.show([button('remove', remove)], document.body),
            up: () => row.show([button('up', up)], document.body),
          };
          document.querySelector('.gradio-container .main').prepend(row.element);
          window.rows.remove();
        }"""
    )
    row = page.locator(".test-row button")
    row.dblclick()
    expect(row).to_have_text("edit")
    assert page.evaluate("window.pressed") == []
    row.click()
    assert page.evaluate("window.pressed") == ["edit"]
    page.evaluate("window.rows.up()")
    row.dblclick()  # the same again is meant
    assert page.evaluate("window.pressed") == ["edit", "up", "up"]
    page.evaluate(
        """() => {
          for (const target of [document.body, document.querySelector('.test-row button')]) {
            const detail = target === document.body ? 1 : 2;
            target.dispatchEvent(new MouseEvent('click', { bubbles: true, detail }));
          }
        }"""
    )  # the first press was for what stood there before
    assert page.evaluate("window.pressed") == ["edit", "up", "up"]


def test_a_mark_stays_as_long_as_the_last_press_asks(new_page: NewPage) -> None:
    page = new_page(ready=False)
    page.clock.install()
    page.reload()
    page.locator("#header-servers[data-count]").wait_for()
    press = """import('./console/assets/page/clipboard.js')
      .then(({say}) => say(document.getElementById('header-share'), 'no'))"""
    button = page.locator("#header-share")
    page.evaluate(press)
    page.clock.fast_forward(6_000)
    page.evaluate(press)
    page.clock.fast_forward(6_000)
    assert button.get_attribute("data-failed") == ""
    page.clock.fast_forward(6_000)
    expect(button).not_to_have_attribute("data-failed", "")


def test_measurements_are_watched_on_after_a_refusal(new_page: NewPage) -> None:
    page = new_page(ready=False)
    page.clock.install()
    page.reload()
    page.locator("#header-servers[data-count]").wait_for()
    asked = re.compile("/console/lab/benchmarks$")
    page.route(asked, lambda route: route.fulfill(status=500, json={"messages": ["no"]}))
    with page.expect_response(asked):
        page.locator("#lab-tab-button").click()
        page.locator('[data-section="benchmark"]').click()
    page.unroute(asked)
    with page.expect_response(asked) as came:
        while not came.is_done():
            page.clock.fast_forward(16_000)
    assert came.value.ok


def test_a_lesson_that_was_begun_on_a_bad_line_opens(page: Page) -> None:
    page.locator("#lab-tab-button").click()
    page.locator('[data-section="lesson"]').click()
    begin, shelf = re.compile("/lab/lessons/[^/]+/begin$"), re.compile("/lab/lessons$")
    page.route(begin, lambda route: route.abort())
    with page.expect_event("requestfailed", lambda failed: failed.url.endswith("/begin")):
        page.locator("#lab-lessons button").first.click()
    for _ in range(2):  # it isn't begun yet
        with page.expect_response(shelf):
            pass
    page.unroute(begin)
    expect(page.locator("#lab-lesson-open")).to_be_visible()
    expect(page.locator("#lab-lesson-open")).not_to_be_empty()
