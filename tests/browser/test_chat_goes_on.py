"""The Chat tab goes on with what it shows while the console is started anew, and servers come and go."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.campaign.ground import Ground, ground
from tests.support.chat_page import open_chat, send, state
from tests.support.scripted_server import Scripted

BACK = "window.back = 0; window.addEventListener('console-back', () => window.back++)"


@pytest.fixture(scope="module")
def place() -> Iterator[Ground]:
    with ground() as made:
        made.open()
        made.options["port"] = urlsplit(made.running.base_url).port
        yield made


@pytest.fixture(scope="module")
def child(place: Ground) -> Scripted:
    made = place.child()
    place.until(place.server, place.connect(made.address, "talker"), "running")
    return made


@pytest.fixture
def context(browser: Browser, child: Scripted) -> Iterator[BrowserContext]:
    made = browser.new_context(locale="en-US")
    made.set_default_timeout(30_000)
    yield made
    made.close()


def opened(context: BrowserContext, place: Ground) -> Page:
    """Another page of that browser, with the Chat tab open."""
    page = context.new_page()
    page.goto(place.running.address)
    page.evaluate(BACK)
    return open_chat(page)


def restart(place: Ground, *pages: Page) -> None:
    """The console is started anew, and the pages know it."""
    place.restart()
    for page in pages:
        page.bring_to_front()
        page.wait_for_function("window.back > 0")


def asked(page: Page, text: str) -> None:
    send(page, text)
    expect(page.locator("#chat-boxes")).to_contain_text(text)
    state(page, "done")


def test_the_first_question_stays_on_the_page(context: BrowserContext, place: Ground) -> None:
    page = opened(context, place)
    restart(place, page)
    asked(page, "The very first")


def test_two_pages_keep_their_conversations_and_settings(
    context: BrowserContext, place: Ground, child: Scripted
) -> None:
    first = opened(context, place)
    asked(first, "One")
    second = opened(context, place)
    second.locator("#chat-clear").click()
    state(second, "idle")
    asked(second, "Two")
    first.bring_to_front()
    first.locator(".chat-options summary").click()
    first.locator("#chat-seed").fill("7")
    first.locator("#chat-seed").press("Tab")
    restart(place, first, second)
    first.bring_to_front()
    asked(first, "Three")
    expect(first.locator("#chat-boxes")).to_contain_text("One")
    expect(first.locator("#chat-boxes")).not_to_contain_text("Two")
    assert child.requests()[-1]["body"]["seed"] == 7


def test_an_edited_question_takes_its_own_place(context: BrowserContext, place: Ground) -> None:
    page = opened(context, place)
    for text in ("First question", "Second question"):
        asked(page, text)
    page.locator("#chat-boxes [data-chat-edit]").first.click()
    box = page.locator("#chat-input textarea")
    expect(box).to_have_value("First question")
    restart(place, page)
    expect(box).to_have_value("First question")
    asked(page, "Another beginning")
    expect(page.locator("#chat-boxes")).not_to_contain_text("First question")
    expect(page.locator("#chat-boxes")).not_to_contain_text("Second question")


def test_what_is_being_written_stays_when_another_server_is_chosen(context: BrowserContext, place: Ground) -> None:
    page = opened(context, place)
    page.locator(".chat-options summary").click()
    tools = page.locator("#chat-own-tools")
    tools.press_sequentially('[{"name": "find"')
    unable = page.locator("#chat-options small[data-problem]")
    before = unable.count()
    server = place.start(place.model("ok"))
    place.until(place.server, server, "running")
    expect(page.locator("#chat-server input")).to_have_value(re.compile("transformers"))
    expect(unable).not_to_have_count(before)
    expect(tools).to_have_value('[{"name": "find"')
    expect(tools).to_be_focused()
    place.stop(server)
