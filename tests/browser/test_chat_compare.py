"""Why this word, and servers side by side: as they stream, by pointing and by keys, kept across a reload."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from backend.engines.base import ServeConfig
from backend.services import build_services
from tests.conftest import make_settings
from tests.support.chat_page import open_chat, send
from tests.support.controls import choose
from tests.support.scripted_server import Scripted
from tests.unit.backend.lab.test_runs import a_row

NewPage = Callable[..., Page]
SHOTS = os.environ.get("TALK_SHOTS", "")  # a folder for pictures of the page
NAMES = ("one", "two", "three", "four")


def told(token: str, logprob: float | None, *others: tuple[str, float]) -> dict[str, object]:
    """A token as LMDeploy tells it."""
    tops = [{"token": other, "logprob": value, "bytes": list(other.encode())} for other, value in others]
    return {"token": token, "bytes": list(token.encode()), "logprob": logprob, "top_logprobs": tops}


# "The fox 你 …": the Chinese character is two tokens; the last word's probability isn't known.
LOGPROBS = [
    {"content": [told("The", -0.01)]},
    {"content": [told("Ġfox", -1.2, ("Ġdog", -0.9), ("Ġcat", -2.5), ("Ċ", -6.0))]},
    {"content": [told("Ġä½", -0.3, ("Ġthe", -2.0)), told("ł", -0.05)]},
    {"content": [told("Ġran", None)]},
]
TEXT = "The fox 你 ran"


@pytest.fixture(scope="module")
def children() -> Iterator[list[Scripted]]:
    made = [Scripted("--context", "4000") for _ in NAMES]
    yield made
    for child in made:
        child.close()


@pytest.fixture(scope="module")
def prepare_state(children: list[Scripted]) -> Callable[[Path], None]:
    def prepare(state_dir: Path) -> None:
        services = build_services(make_settings(state_dir))
        try:
            for name, child in zip(NAMES, children, strict=True):
                config = ServeConfig(engine="external", model="", address=child.address, model_name=name)
                services.servers.start(config)
            for number in (1, 2):
                services.lab.runs.keep(a_row(number, settings=f"kv int{4 * number}", load_s=12.0))
            services.store.settle()
        finally:
            services.close()

    return prepare


def done(page: Page, answers: int, box: str = "#chat-box") -> Locator:
    """The box's answers, once there are as many and all have ended."""
    expect(page.locator(f"{box} .chat-figures[data-state=done]")).to_have_count(answers)
    expect(page.locator("#chat-stats")).to_have_attribute("data-state", "done")
    return page.locator(f"{box} .chat-figures")


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png")


def test_why_this_word(new_page: NewPage, children: list[Scripted]) -> None:
    newest = children[-1]
    newest.script(text=TEXT, logprobs=LOGPROBS, rate=3)
    page = open_chat(new_page())
    page.locator("#chat-logprobs").check()
    send(page, "Why?")
    tokens = page.locator("#chat-box .token[role=option]")
    expect(tokens.first).to_have_text("The")  # while it is written
    done(page, 1)
    assert newest.requests()[-1]["body"]["top_logprobs"] == 6
    expect(tokens).to_have_text(["The", " fox", " 你", " ran"])
    expect(page.locator("#chat-box .chat-why-count")).to_have_text("5 tokens, 1 below 50%")
    assert [token.get_attribute("data-shade") for token in tokens.all()] == ["1", "3", "2", "0"]
    detail = page.locator("#chat-box .tokens-detail")
    tokens.nth(1).hover()
    expect(detail.locator("li code")).to_have_text([" dog", " fox", " cat", "line feed"])
    expect(detail.locator("li[data-written]")).to_contain_text("30%")
    shot(page, "tokens")
    # The keys lead there, too, and a screen reader hears it.
    listbox = page.locator("#chat-box .tokens-text")
    listbox.focus()
    listbox.press("Home")
    expect(tokens.nth(0)).to_have_attribute("aria-selected", "true")
    listbox.press("ArrowDown")  # the next unsure one
    expect(tokens.nth(1)).to_have_attribute("aria-label", re.compile("fox, 30%. Instead:  dog 41%"))
    expect(listbox).to_have_attribute("aria-activedescendant", tokens.nth(1).get_attribute("id") or "")
    listbox.press("ArrowRight")
    expect(detail).to_contain_text("2 tokens make up this character")
    # It is kept: the page is opened anew, in Chinese and in the dark, and asks for them when it is opened.
    again = open_chat(new_page(locale="zh-CN", color_scheme="dark", viewport={"width": 1366, "height": 850}))
    again.locator("#chat-list li[data-id]").filter(has_text="Why?").locator(".chat-list-open").click()
    why = again.locator("#chat-box .chat-why > summary")
    expect(why).to_contain_text("为什么是这个词")
    expect(again.locator("#chat-logprobs")).to_be_checked()
    why.click()
    expect(again.locator("#chat-box .token[role=option]")).to_have_count(4)
    again.locator("#chat-box .token[role=option]").nth(1).hover()
    expect(again.locator("#chat-box .tokens-detail li")).to_have_count(4)
    shot(again, "tokens-zh-dark")
    # A server that refuses to tell answers all the same, and says so calmly.
    newest.script(text=TEXT, logprobs=[], rate=0, fault="logprobs")
    send(page, "And now?")
    done(page, 2)
    expect(page.locator('#chat-box .chat-end[data-end="chat.logprobs.refused"]')).to_have_attribute(
        "data-level", "info"
    )
    if SHOTS:
        again.set_viewport_size({"width": 400, "height": 850})
        shot(again, "tokens-zh-400")


def test_four_servers_side_by_side(new_page: NewPage, children: list[Scripted]) -> None:
    for name, child in zip(NAMES, children, strict=True):
        child.script(text=f"from {name}", logprobs=[], fault="", rate=0)
    page = open_chat(new_page())
    choose(page, "#chat-server", "one")
    expect(page.locator("#chat-server-2")).to_be_visible()
    choose(page, "#chat-server-2", "two")
    for place, name in ((3, "three"), (4, "four")):
        select = page.locator(f"#chat-server-{place}")
        expect(select.locator("option", has_text=name)).to_have_count(1)
        select.select_option(label=select.locator("option", has_text=name).text_content() or "")
        expect(page.locator("#chat-boxes")).to_have_attribute("data-lanes", str(place))
    send(page, "Who are you?")
    for place, name in enumerate(NAMES, 1):
        box = "#chat-box" if place == 1 else f"#chat-box-{place}"
        done(page, 1, box)
        expect(page.locator(box)).to_contain_text(f"from {name}")
    better = page.locator("#chat-box-3 [data-chat-better]")
    better.click()
    expect(better).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#chat-box-3 .chat-better")).to_be_visible()
    expect(page.locator("#chat-boxes .chat-better")).to_have_count(1)
    shot(page, "four")
    page.reload()
    open_chat(page)
    expect(page.locator("#chat-box-3 .chat-better")).to_be_visible()
    page.locator("#chat-box-3 [data-chat-better]").click()
    expect(page.locator("#chat-boxes .chat-better")).to_have_count(0)
    # Settings that don't fit at once: chosen from what was started before, and given up again.
    page.locator("#chat-turn").click()
    rows = page.locator("#chat-turn-dialog .chat-turn-row")
    expect(rows).to_have_count(6)
    expect(rows.locator('input[value^="server:"]')).to_have_count(4)  # those that run can be among them
    use = page.locator("#chat-turn-dialog footer button")
    expect(use).to_be_disabled()
    rows.nth(5).locator("input").check()
    rows.nth(4).locator("input").check()
    expect(rows.locator(".chat-turn-place")).to_have_text(["", "", "", "", "2", "1"])
    shot(page, "turn-dialog")
    use.click()
    # Nothing is known of how these were started: that is said, and servers are asked as before.
    expect(page.locator('#chat-message [data-key="chat.turn.not_startable"]')).to_be_visible()
    choose(page, "#chat-server-2", "Compare")
    expect(page.locator("#chat-boxes")).to_have_attribute("data-lanes", "4")  # four have answered
    expect(page.locator("#chat-server-3")).to_have_count(0)
