"""The page as everyone meets it: what axe finds, what jumps, the address, the keys, and what a class has."""

import re
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.console import Console
from ui.i18n import t
from ui.tabs import TABS

NewPage = Callable[..., Page]
SHIFTS = """window.shifted = 0; window.moved = [];
new PerformanceObserver((list) => {
  for (const shift of list.getEntries()) {
    if (shift.hadRecentInput) continue;
    window.shifted += shift.value;
    window.moved.push(...shift.sources.map(({node}) => node?.id || node?.className || String(node?.nodeName)));
  }
}).observe({type: "layout-shift", buffered: true});"""


@pytest.fixture(scope="module")
def console_arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """No models but the one that comes along."""
    return ["--models", str(tmp_path_factory.mktemp("none"))]


def open_tab(page: Page, name: str) -> None:
    page.locator(f"#{name}-tab-button").click()
    expect(page.locator(f"#{name}-tab")).to_be_visible()
    settled(page, name)


def settled(page: Page, name: str) -> None:
    """Everything that the tab begins with is there."""
    filled = {
        "deploy": "#deploy-tab[data-settled]",
        "quantize": "#quantize-tab[data-settled]",
        "chat": "#chat-stats[data-state]",
        "vram": "#vram-chart[data-points] .vram-plot",
        "lab": "#lab-runs .lab-tools",
    }
    expect(page.locator(filled[name])).to_be_visible()


def grave(page: Page) -> list[str]:
    """What axe calls serious or critical, once colours have changed to what they will be."""
    page.evaluate(
        """() => Promise.allSettled(document.getAnimations()
            .filter((one) => one.effect?.getComputedTiming().iterations !== Infinity).map((one) => one.finished))"""
    )
    found: list[dict[str, Any]] = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{rule['id']}: {node['target']} {node['html'][:160]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_axe_finds_nothing_grave(new_page: NewPage, locale: str) -> None:
    page = new_page(locale=locale)
    for tab in TABS:
        open_tab(page, tab.name)
        for _ in range(2):  # light, then dark, then light again
            theme = page.evaluate("document.body.classList.contains('dark') ? 'dark' : 'light'")
            assert grave(page) == [], (tab.name, theme, locale)
            page.locator("#header-theme").click()


def test_axe_finds_nothing_grave_in_what_opens(shared_page: Page) -> None:
    page = shared_page
    for button, dialog in (("#header-share", "#share .share-qr svg"), ("#header-guide", "#guide h3")):
        page.locator(button).click()
        expect(page.locator(dialog).first).to_be_visible()
        assert grave(page) == [], dialog
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_have_count(0)


@pytest.mark.parametrize("name", [tab.name for tab in TABS])
def test_nothing_jumps(new_page: NewPage, console: Console, name: str) -> None:
    """Cumulative layout shift from the first frame on; on a busy machine the best of three."""
    found = []
    for _ in range(3):
        page = new_page(token="", ready=False, viewport={"width": 1366, "height": 768})
        page.add_init_script(SHIFTS)
        page.goto(f"{console.address}#{name}")
        page.locator("#header-servers[data-count]").wait_for()
        settled(page, name)
        page.evaluate("new Promise((done) => requestIdleCallback(done, {timeout: 2000}))")
        found.append((page.evaluate("window.shifted"), page.evaluate("window.moved")))
        if found[-1][0] <= 0.02:
            return
    raise AssertionError(found)


def test_the_address_keeps_the_tab(new_page: NewPage) -> None:
    page = new_page()
    for tab in ("vram", "chat", "quantize"):
        open_tab(page, tab)
        expect(page).to_have_url(re.compile(f"#{tab}$"))
        page.reload()
        expect(page.locator(f"#{tab}-tab")).to_be_visible()
        expect(page.locator("#deploy-tab")).to_be_hidden()
    page.go_back()
    expect(page.locator("#chat-tab")).to_be_visible()
    page.goto(page.url.replace("#chat", "#nonsense"))
    page.reload()
    expect(page.locator("#deploy-tab")).to_be_visible()


def test_gradio_doesnt_show(shared_page: Page) -> None:
    page = shared_page
    expect(page.locator("footer")).to_have_count(0)
    expect(page.get_by_text("Built with Gradio")).to_have_count(0)
    assert page.evaluate("document.querySelectorAll('a[href*=\"gradio.app\"]').length") == 0


def test_large_type_is_remembered(page: Page) -> None:
    open_tab(page, "chat")
    title = page.locator("#header-bar h1")
    before = title.bounding_box()
    page.locator("#header-type").click()
    page.reload()
    settled(page, "chat")
    expect(page.locator("#header-type")).to_have_attribute("aria-pressed", "true")
    after = title.bounding_box()
    assert before is not None
    assert after is not None
    assert after["height"] > 1.2 * before["height"]
    expect(page.locator("#chat-input")).to_be_in_viewport(ratio=1)
    # A list opens at its control, and what is pressed is what one sees.
    page.locator("#header-language input").click()
    option = page.get_by_role("option", name="English (en)")
    expect(option).to_be_visible()
    box, field = option.bounding_box(), page.locator("#header-language").bounding_box()
    assert box is not None
    assert field is not None
    assert abs(box["y"] - (field["y"] + field["height"])) < 40
    page.keyboard.press("Escape")
    for tab in TABS:
        open_tab(page, tab.name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab.name


def test_shortcuts(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.locator("#shortcuts")).to_contain_text(t("keys.next", "en"))
    page.keyboard.press("Escape")
    expect(page.locator("#shortcuts")).to_have_count(0)
    for tab in ("quantize", "chat", "vram", "lab", "deploy"):
        page.keyboard.press("]")
        expect(page.locator(f"#{tab}-tab")).to_be_visible()
    page.keyboard.press("[")
    expect(page.locator("#lab-tab")).to_be_visible()
    page.keyboard.press("/")
    expect(page.locator("#chat-input textarea")).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#chat-input textarea")).to_have_value("?")
    expect(page.locator("dialog")).to_have_count(0)


def test_shortcuts_can_be_switched_off(page: Page) -> None:
    page.keyboard.press("?")
    page.locator("#keys-on").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("]")
    page.keyboard.press("?")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.locator("#deploy-tab-button")).to_have_attribute("aria-selected", "true")


@pytest.mark.parametrize(("locale", "language"), [("en-US", "en"), ("zh-CN", "zh")])
def test_the_guide(new_page: NewPage, console: Console, locale: str, language: Any) -> None:
    page = new_page(locale=locale)
    page.locator("#header-guide").click()
    expect(page.locator("#guide")).to_contain_text(t("guide.quantize.1", language))
    theirs = new_page(locale=locale, token=console.class_token)
    theirs.locator("#header-guide").click()
    expect(theirs.locator("#guide")).to_contain_text(t("guide.student.1", language))
    expect(theirs.locator("#guide")).not_to_contain_text(t("guide.quantize", language))


@pytest.mark.parametrize(("locale", "language"), [("en-US", "en"), ("zh-CN", "zh")])
def test_a_class_lands_on_chat_and_has_what_it_may_use(
    new_page: NewPage, console: Console, locale: str, language: Any
) -> None:
    page = new_page(token=console.class_token, locale=locale)
    expect(page.locator("#chat-tab")).to_be_visible()
    expect(page.locator("#chat-starter")).to_contain_text(t("chat.starter.none_class", language))
    for tab in ("deploy", "quantize"):
        expect(page.locator(f"#{tab}-tab-button")).to_have_count(0)
    for button in ("#header-share", "#header-hint .hint"):
        expect(page.locator(button)).to_be_hidden()
    page.locator("#chat-input textarea").fill("?")
    page.locator("#chat-input textarea").press("Enter")
    expect(page.locator("#chat-message")).to_contain_text(t("chat.error.no_server.class", language))
    open_tab(page, "vram")
    expect(page.locator("#vram-interval")).to_be_hidden()
    expect(page.locator("#vram-window")).to_be_visible()
    expect(page.locator("#vram-table")).to_contain_text(t("vram.table.none.class", language))
    seen = page.locator("body").inner_text()
    for name in ("Deploy tab", "Quantize", "“部署”", "“量化”"):
        assert name not in seen
    page.goto(page.url.partition("#")[0] + "#deploy")
    page.reload()
    expect(page.locator("#chat-tab")).to_be_visible()


def test_share_with_the_class(new_page: NewPage, console: Console) -> None:
    """The address is the one that this browser uses, the code says the same, and it lets a student in."""
    page = new_page()
    page.locator("#header-share").click()
    address = page.locator("#share-address")
    expect(address).to_have_text(console.class_address)
    expect(page.locator("#share-ssh")).to_contain_text(f"ssh -CN -L {console.base_url.rpartition(':')[2]}:127.0.0.1:")
    counts = page.locator("#share-counts")
    expect(counts).to_have_attribute("data-answering", "0")
    picture = page.locator("#share .share-qr svg").screenshot()
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    read, _, _ = cv2.QRCodeDetector().detectAndDecode(image)
    assert read == console.class_address
    student = new_page(token="", ready=False)
    student.goto(read)
    expect(student.locator("#chat-tab")).to_be_visible()
    expect(counts).to_have_attribute("data-here", re.compile(r"^[1-9]"))
    page.locator("#share-full").click()
    page.wait_for_function("document.fullscreenElement?.id === 'share-frame'")


def test_the_teachers_page_without_secrets(shared_page: Page, console: Console) -> None:
    """What a projector shows lets nobody in."""
    page = shared_page
    for tab in TABS:
        open_tab(page, tab.name)
        shown = page.evaluate(
            """() => [document.body.innerText, location.href, ...[...document.querySelectorAll('input, textarea')]
                .filter((field) => field.type !== 'password').map((field) => field.value)].join('\\n')"""
        )
        assert console.token not in shown
        assert console.class_token not in shown
