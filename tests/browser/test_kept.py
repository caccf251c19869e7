"""The list of conversations as a person uses it: found, opened, named, pinned, deleted, kept as files, by keys too."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend.engines.base import ServeConfig
from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.scripted_server import Scripted

NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def child(console: Console) -> Iterator[Scripted]:
    child = Scripted("--tokens", "12")
    with Visitor(console) as visitor:
        visitor.start(ServeConfig("external", "", address=child.address))
    yield child
    child.close()


def open_chat(page: Page) -> Page:
    page.locator("#chat-tab-button").click()
    expect(page.locator("#chat-stats")).to_have_attribute("data-state", re.compile("."))
    return page


@pytest.fixture
def chat(new_page: NewPage, child: Scripted) -> Page:
    child.script(text="", tokens=12, rate=0, fault="", finish="stop", calls=[], first_s=0)
    page = open_chat(new_page())
    expect(page.locator("#chat-server input")).to_have_value(re.compile("."))
    return page


def ask(page: Page, text: str) -> None:
    box = page.locator("#chat-input textarea")
    expect(box).to_be_enabled()
    box.fill(text)
    box.press("Enter")
    expect(page.locator("#chat-box")).to_contain_text(text)
    expect(page.locator("#chat-stats")).to_have_attribute("data-state", "done")


def row(page: Page, name: str):  # type: ignore[no-untyped-def]
    return page.locator("#chat-list li[data-id]").filter(has_text=name)


def begin(page: Page) -> None:
    page.locator("#chat-clear").click()
    expect(page.locator("#chat-stats")).to_have_attribute("data-state", "idle")


def test_two_conversations_are_kept_and_found(chat: Page) -> None:
    ask(chat, "多少显存够用？")
    begin(chat)
    ask(chat, "What is a fox?")
    expect(chat.locator("#chat-list [aria-current]")).to_have_text("What is a fox?")
    row(chat, "显存").locator(".chat-list-open").click()
    expect(chat.locator("#chat-box")).to_contain_text("多少显存够用？")
    expect(chat.locator("#chat-box")).not_to_contain_text("What is a fox?")
    expect(chat.locator("#chat-list [aria-current]")).to_have_text("多少显存够用？")
    ask(chat, "And more of it")
    chat.locator("#chat-search").fill("显存")
    expect(chat.locator("#chat-list mark").first).to_have_text("显存")
    expect(row(chat, "What is a fox?")).to_have_count(0)
    chat.locator("#chat-search").fill("nowhere at all")
    expect(chat.locator(".chat-list-said")).to_contain_text("nowhere at all")
    chat.keyboard.press("Escape")
    expect(row(chat, "What is a fox?")).to_have_count(1)
    chat.reload()  # what was open is open
    open_chat(chat)
    expect(chat.locator("#chat-box")).to_contain_text("And more of it")


def test_by_keys_alone(chat: Page) -> None:
    ask(chat, "Keys one")
    begin(chat)
    ask(chat, "Keys two")
    chat.locator("#chat-search").fill("Keys")
    expect(row(chat, "Keys")).to_have_count(2)
    chat.keyboard.press("ArrowDown")
    chat.keyboard.press("ArrowDown")
    expect(row(chat, "Keys one").locator(".chat-list-open")).to_be_focused()
    chat.keyboard.press("F2")
    expect(chat.locator(".chat-list-name")).to_be_focused()
    chat.keyboard.type("Keys renamed")
    chat.keyboard.press("Enter")
    expect(row(chat, "Keys renamed")).to_have_count(1)
    expect(row(chat, "Keys renamed").locator(".chat-list-open")).to_be_focused()
    chat.keyboard.press("Delete")
    expect(chat.locator("#ask-delete")).to_be_visible()
    chat.keyboard.press("Tab")
    chat.keyboard.press("Enter")
    expect(row(chat, "Keys renamed")).to_have_count(0)
    expect(chat.locator("#chat-box")).to_contain_text("Keys two")
    chat.locator("#chat-search").fill("")
    row(chat, "Keys two").hover()
    row(chat, "Keys two").locator(".tool-pin").click()
    expect(row(chat, "Keys two")).to_have_attribute("data-pinned", "true")
    row(chat, "Keys two").hover()
    row(chat, "Keys two").locator(".tool-delete").click()
    chat.locator("#ask-delete .danger").click()
    expect(row(chat, "Keys two")).to_have_count(0)
    expect(chat.locator("#chat-stats")).to_have_attribute("data-state", "idle")


def test_branches_and_going_on(chat: Page, child: Scripted) -> None:
    child.script(text="the first answer")
    ask(chat, "Branch it")
    child.script(text="the second, cut off", finish="length")
    chat.get_by_role("button", name="Ask again").click()
    expect(chat.locator(".chat-branch-place")).to_have_text("2 of 2")
    expect(chat.locator("#chat-box")).to_contain_text("the second, cut off")
    child.script(text=", and its rest", finish="stop")
    chat.get_by_role("button", name="Continue").click()
    expect(chat.locator("#chat-box")).to_contain_text("the second, cut off, and its rest")
    expect(chat.get_by_role("button", name="Continue")).to_have_count(0)
    chat.get_by_role("button", name="The branch before").click()
    expect(chat.locator(".chat-branch-place")).to_have_text("1 of 2")
    expect(chat.locator("#chat-box")).to_contain_text("the first answer")
    ask(chat, "A later question")
    chat.get_by_role("button", name="Edit this question").click()
    expect(chat.locator("#chat-input textarea")).to_have_value("Branch it")
    ask(chat, "Branch it otherwise")
    expect(chat.locator(".chat-branch-place")).to_have_text("3 of 3")
    expect(chat.locator("#chat-box")).not_to_contain_text("A later question")


def test_two_pages_of_one_browser(chat: Page) -> None:
    ask(chat, "Shared by two")
    other = chat.context.new_page()
    other.goto(chat.url)
    open_chat(other)
    expect(other.locator("#chat-box")).to_contain_text("Shared by two")
    ask(chat, "Asked in the one")
    expect(other.locator("#chat-box")).to_contain_text("Asked in the one")  # the list's change tells it
    begin(other)
    ask(other, "Another of the other")
    ask(chat, "Still in the first")  # each page asks in what it shows
    expect(chat.locator("#chat-box")).to_contain_text("Shared by two")
    expect(chat.locator("#chat-box")).not_to_contain_text("Another of the other")
    expect(other.locator("#chat-list li[data-id]").first).to_contain_text("Shared by two")  # it has moved up there too
    row(other, "Shared by two").hover()
    row(other, "Shared by two").locator(".tool-delete").click()
    other.locator("#ask-delete .danger").click()
    expect(row(chat, "Shared by two")).to_have_count(0)
    expect(chat.locator("#chat-box")).not_to_contain_text("Still in the first")
    ask(chat, "Into what is gone")  # it begins a new one, and nothing of the old one comes back
    expect(chat.locator("#chat-box")).not_to_contain_text("Shared by two")
    expect(row(chat, "Into what is gone")).to_have_count(1)
    other.close()


def test_the_list_and_what_is_shown_are_followed(chat: Page) -> None:
    ask(chat, "Lynx in the first")
    begin(chat)
    ask(chat, "Otter in the second")
    other = chat.context.new_page()
    other.goto(chat.url)
    open_chat(other)
    expect(other.locator("#chat-box")).to_contain_text("Otter in the second")
    chat.bring_to_front()
    chat.route("**/chat/list?*", lambda route: route.abort(), times=1)
    begin(other)
    ask(other, "Badger in the third")
    expect(row(chat, "Badger in the third")).to_have_count(1)  # though one request for it was cut

    chat.locator("#chat-search").fill("Lynx")
    expect(row(chat, "Otter in the second")).to_have_count(0)
    row(other, "Otter in the second").locator(".chat-list-open").click()
    ask(other, "Otter again")
    expect(chat.locator("#chat-box")).to_contain_text("Otter again")  # while something else is searched for

    chat.locator("#chat-search").fill("")
    expect(row(chat, "Badger in the third")).to_have_count(1)
    chat.locator("#chat-search").fill("Lynx")
    chat.keyboard.press("Enter")  # before anything was found
    expect(chat.locator("#chat-box")).to_contain_text("Lynx in the first")
    other.close()


def test_a_guests_cookie_that_is_gone(new_page: NewPage, console: Console, child: Scripted) -> None:
    page = open_chat(new_page(token=console.class_token))
    ask(page, "A guest's first")
    page.context.clear_cookies(name=re.compile("console-visitor"))
    box = page.locator("#chat-input textarea")
    box.fill("Kept in the box")
    box.press("Enter")
    expect(page.locator("#chat-message [data-key='chat.error.conversation_gone']")).to_contain_text("cookie")
    expect(box).to_have_value("Kept in the box")
    page.locator("#chat-clear").click()
    expect(page.locator("#chat-stats")).to_have_attribute("data-state", "idle")
    box.press("Enter")
    expect(page.locator("#chat-box")).to_contain_text("Kept in the box")
    expect(page.locator("#chat-box")).not_to_contain_text("A guest's first")


def test_files(chat: Page, tmp_path: Path) -> None:
    file = tmp_path / "others.json"
    hostile = "<img src=x onerror='window.ran=1'><script>window.ran=2</script>"
    answer = {"role": "assistant", "content": f"{hostile} [a](javascript:window.ran=3)"}
    file.write_text(json.dumps({"messages": [{"role": "user", "content": hostile}, answer, {"role": "critic"}]}))
    chat.locator("#chat-list input[type=file]").set_input_files(file)
    expect(chat.locator("#chat-import")).to_contain_text("others.json: one conversation was taken.")
    expect(chat.locator("#chat-import")).to_contain_text("critic")
    chat.locator("#chat-import footer button").click()
    expect(chat.locator("#chat-box [data-testid=user]")).to_contain_text("onerror")
    for name, content in (("half.json", b'{"messages": ['), ("picture.png", b"\x89PNG\xff")):
        (tmp_path / name).write_bytes(content)
        chat.locator("#chat-list input[type=file]").set_input_files(tmp_path / name)
        expect(chat.locator("#chat-import .console-message[data-level=error]")).to_contain_text(name)
        chat.locator("#chat-import footer button").click()
    with (tmp_path / "large.json").open("wb") as large:
        large.truncate(200 << 20)
    chat.locator("#chat-list input[type=file]").set_input_files(tmp_path / "large.json")
    expect(chat.locator("#chat-import")).to_contain_text("200 MiB")
    chat.locator("#chat-import footer button").click()
    row(chat, "onerror").hover()
    row(chat, "onerror").locator(".tool-export").click()
    with chat.expect_download() as coming:
        chat.locator("#chat-export [data-format=openai]").click()
    saved = json.loads(Path(coming.value.path()).read_text())
    assert saved["messages"][0] == {"role": "user", "content": hostile}
    assert chat.evaluate("window.ran") is None


def test_a_guest_has_a_list_of_their_own(new_page: NewPage, console: Console, child: Scripted) -> None:
    page = open_chat(new_page(token=console.class_token))
    expect(page.locator(".chat-list-said")).to_contain_text("What you ask is kept here")
    expect(page.locator(".chat-kept-note")).to_contain_text("cookie")
    expect(page.locator("#chat-kept")).to_be_hidden()
    ask(page, "A guest's own")
    expect(row(page, "A guest's own")).to_have_count(1)
    other = open_chat(new_page())
    expect(other.locator("#chat-kept")).to_be_visible()
    expect(row(other, "A guest's own")).to_have_count(0)


@pytest.mark.parametrize(("width", "height"), [(400, 800), (1000, 700)])
def test_a_drawer_on_a_narrow_page(new_page: NewPage, child: Scripted, width: int, height: int) -> None:
    page = new_page()
    page.set_viewport_size({"width": width, "height": height})
    open_chat(page)
    ask(page, f"Narrow {width}")
    drawer = page.locator("#chat-list")
    expect(drawer).to_be_hidden()
    page.locator("#chat-view-list").click()
    expect(drawer).to_be_visible()
    expect(page.locator("#chat-search")).to_be_focused()
    row(page, f"Narrow {width}").locator(".chat-list-open").click()
    expect(drawer).to_be_hidden()
    page.locator("#chat-view-list").click()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.locator("#chat-view-list")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
