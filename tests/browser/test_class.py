"""A class on the page: a name, a server that dies in the middle of an answer, limits, an answer written otherwise."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend.engines.base import ServeConfig
from backend.services import build_services
from tests.conftest import make_settings
from tests.support.chat_page import send, state
from tests.support.console import Console
from tests.support.scripted_server import Scripted

NewPage = Callable[..., Page]
SHOTS = os.environ.get("CLASS_SHOTS", "")  # a folder for pictures of the page
NAME = "李雷 <b>Lei</b>"


@pytest.fixture(scope="module")
def children() -> Iterator[tuple[Scripted, Scripted]]:
    """The older server, and the newer one, which a page chooses by itself."""
    older, newer = Scripted(), Scripted()
    yield older, newer
    older.close()
    newer.close()


@pytest.fixture(scope="module")
def prepare_state(children: tuple[Scripted, Scripted]) -> Callable[[Path], None]:
    def prepare(state_dir: Path) -> None:
        services = build_services(make_settings(state_dir))
        try:
            for child, name in zip(children, ("older", "newer"), strict=True):
                services.servers.start(ServeConfig("external", "", address=child.address, model_name=name))
        finally:
            services.close()

    return prepare


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png")


def test_a_lesson(new_page: NewPage, console: Console, children: tuple[Scripted, Scripted]) -> None:
    older, newer = children
    teacher, guest = new_page(), new_page(token=console.class_token)
    expect(guest.locator("#chat-server input")).to_have_value(re.compile("newer"))

    # A name, which is shown as it is.
    guest.locator("#header-name").click()
    shot(guest, "name")
    guest.locator("#class-name").fill(NAME)
    guest.locator("#class-name").press("Enter")
    expect(guest.locator("#header-name")).to_have_text(NAME)
    expect(guest.locator("#class-name-dialog")).to_have_count(0)

    # The server dies in the middle of an answer: what came stays, and one click goes on with the other.
    newer.script(tokens=100_000, rate=20)
    older.script(text="and the end.")
    send(guest, "Tell me a story")
    state(guest, "streaming")
    answer = guest.locator("#chat-box .message.bot").last
    expect(answer).to_contain_text("The fox")
    newer.close()
    state(guest, "failed")
    expect(guest.locator("#chat-box .chat-end")).to_be_visible()
    shot(guest, "gone")
    guest.locator("#chat-box .chat-next").click()
    state(guest, "done")
    expect(answer).to_contain_text(re.compile(r"The fox[\s\S]*and the end\."))
    expect(guest.locator("#chat-server input")).to_have_value(re.compile("older"))

    # The teacher sees who is here, and sets a limit that is used up by now.
    teacher.locator("#header-share").click()
    teacher.locator("#class-people summary").click()
    here = teacher.locator("#class-people tr[data-here=true]")
    expect(here.locator("th")).to_have_text(NAME)
    expect(here.locator("[data-figure=tokens]")).not_to_have_text("0")
    teacher.locator("#class-limits summary").click()
    teacher.locator("#class-tokens-an-hour").fill("many")
    teacher.locator("#class-tokens-an-hour").press("Enter")
    expect(teacher.locator("#class-limits [data-level=error]")).to_contain_text("Tokens an hour")
    teacher.locator("#class-tokens-an-hour").fill("1")
    teacher.locator("#class-tokens-an-hour").press("Enter")
    expect(teacher.locator("#class-limits [data-level=info]")).to_be_visible()
    shot(teacher, "share")

    # Nothing is lost by a limit.
    send(guest, "And then?")
    expect(guest.locator("#chat-message")).to_contain_text("at most 1; you have used")
    expect(guest.locator("#chat-input textarea")).to_have_value("And then?")
    shot(guest, "limit")

    # An answer written otherwise.
    guest.locator("#chat-box [data-chat-rewrite]").last.click()
    guest.locator("#chat-answer-text").fill("A **better** story.")
    shot(guest, "rewrite")
    guest.locator("#chat-rewrite button[type=submit]").click()
    expect(guest.locator("#chat-box .chat-edited")).to_be_visible()
    expect(guest.locator("#chat-box .message.bot").last).to_contain_text("A better story.")
    expect(guest.locator("#chat-box .chat-branch-place")).to_have_text("2 of 2")
    shot(guest, "edited")
