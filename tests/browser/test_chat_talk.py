"""What can be said on the Chat tab: files and what they take, presets, formulas, tools of one's own."""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend.engines.base import ServeConfig
from backend.services import build_services
from tests.conftest import make_settings
from tests.support.chat_page import open_chat, send, state
from tests.support.pdfs import pdf
from tests.support.scripted_server import Scripted

NewPage = Callable[..., Page]
CONTEXT = 400
SHOTS = os.environ.get("TALK_SHOTS", "")  # a folder for pictures of the page


@pytest.fixture(scope="module")
def child() -> Iterator[Scripted]:
    child = Scripted("--tokens", "12", "--context", str(CONTEXT))
    yield child
    child.close()


@pytest.fixture(scope="module")
def prepare_state(child: Scripted) -> Callable[[Path], None]:
    def prepare(state_dir: Path) -> None:
        services = build_services(make_settings(state_dir))
        try:
            services.servers.start(ServeConfig(engine="external", model="", address=child.address))
        finally:
            services.close()

    return prepare


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png")


def test_files_are_weighed_sent_and_opened(new_page: NewPage, child: Scripted, tmp_path: Path) -> None:
    child.script(
        encode=True, text="Prices stay: $5 and $10, but $x^2$ is $\\alpha$.\n\n- code:\n  ```py\n  x = 1\n  ```"
    )
    page = open_chat(new_page())
    paper, locked = tmp_path / "paper.pdf", tmp_path / "locked.pdf"
    paper.write_bytes(pdf(["one two three four five six seven eight", "", "nine ten"]))
    locked.write_bytes(pdf(["secret"], locked=True))
    files = page.locator("#chat-input input[type=file]")
    files.set_input_files([str(paper), str(locked)])
    meter = page.locator("#chat-meter")
    expect(meter).to_contain_text("paper.pdf")
    expect(meter.locator('[data-level="error"]')).to_contain_text("password")
    expect(meter.locator('[data-level="warning"]')).to_contain_text("page 2")
    shot(page, "meter")
    page.locator("#chat-input .delete-button").last.click()
    send(page, "What is in it?")
    state(page, "done")
    expect(meter).to_be_hidden()
    sent = child.requests()[-1]["body"]["messages"][-1]["content"]
    assert sent.startswith('<document name="paper.pdf">\n[page 1 of 3]\none two three')
    page.locator("#chat-box .chat-document").click()
    expect(page.locator("#chat-document")).to_contain_text("[page 3 of 3]\nnine ten")
    page.keyboard.press("Escape")
    answer = page.locator("#chat-box .message.bot").last
    expect(answer).to_contain_text("$5 and $10")
    expect(answer.locator(".katex").first).to_be_visible()
    expect(answer.locator("pre button")).to_be_visible()
    shot(page, "answer")
    # The oldest go first, and that is said before and afterwards.
    send(page, "word " * 120)
    expect(page.locator("#chat-box .chat-figures")).to_have_count(2)
    state(page, "done")
    expect(page.locator("#chat-input textarea")).to_have_value("")
    page.locator("#chat-input textarea").fill("word " * 130)
    expect(meter.locator(".chat-meter-warning")).to_be_visible()
    shot(page, "left-out")
    page.locator("#chat-input textarea").press("Enter")
    expect(page.locator('#chat-box [data-end="chat.left_out"]')).to_be_visible()
    assert len(child.requests()[-1]["body"]["messages"]) < 5


def test_presets_options_and_a_tool_that_is_a_person(new_page: NewPage, child: Scripted) -> None:
    child.script(text="Sunny.", calls=[[("weather", '{"city": "Shanghai"}')]])
    page = open_chat(new_page())
    page.locator("#chat-preset-prompts").select_option(index=1)
    expect(page.locator("#chat-system textarea")).to_have_value(re.compile("patient teacher"))
    expect(page.locator("#chat-input textarea")).to_have_value("Explain what a KV cache is.")
    page.locator(".chat-options summary").click()
    page.locator("#chat-top-k").fill("7")
    page.locator("#chat-seed").fill("3")
    page.locator("#chat-stop-words").fill("END")
    page.locator("#chat-own-tools").fill("tools = [{'type': 'function', 'function': {'name': 'weather'}}]")
    page.locator("#chat-own-tools").blur()
    shot(page, "options")
    page.locator('[data-keep="settings"]').click()
    page.locator("#chat-preset-name").fill("Mine")
    page.locator("#chat-preset-name").press("Enter")
    expect(page.locator("#chat-preset-settings optgroup").first).to_contain_text("Mine")
    send(page, "Weather in Shanghai?")
    turn = page.locator("#chat-box .chat-your-turn")
    expect(turn).to_contain_text('weather({"city": "Shanghai"})')
    shot(page, "your-turn")
    turn.locator("textarea").fill("sunny, 20 °C")
    turn.locator("[data-chat-give]").click()
    state(page, "done")
    expect(page.locator("#chat-box")).to_contain_text("Sunny.")
    first, second = (request["body"] for request in child.requests())
    assert (first["top_k"], first["seed"], first["stop"]) == (7, 3, ["END"])
    assert first["tools"][0]["function"]["name"] == "weather"
    assert second["messages"][-1] == {"role": "tool", "tool_call_id": "call_0", "content": "sunny, 20 °C"}
    # A structured answer is asked for, checked and shown as a tree; a bad form is said at once.
    # The server says what the schema names when it is asked whether it holds one, and something else afterwards.
    child.script(text='{"is_held": true}', answers={"Which?": '{"name": "Qwen2", "bits": "four"}'})
    page.locator("#chat-answer-form").select_option("schema")
    page.locator("#chat-answer-form-text").fill('{"type": "object", "properties": {"bits": {"type": "int"}}}')
    page.locator("#chat-answer-form-text").blur()
    expect(page.locator('#chat-message [data-key="chat.error.answer_form.type"]')).to_be_visible()
    page.locator("#chat-answer-form-text").fill('{"type": "object", "properties": {"bits": {"type": "integer"}}}')
    send(page, "Which?")
    expect(page.locator('#chat-box .chat-form[data-form="wrong"]')).to_contain_text("$.bits")
    expect(page.locator("#chat-box .chat-tree")).to_contain_text('"Qwen2"')
    shot(page, "form")
    assert child.requests()[-1]["body"]["response_format"]["type"] == "json_schema"
    page.locator("#chat-top-k").fill("0")
    page.locator("#chat-top-k").blur()
    expect(page.locator('#chat-message [data-key="chat.error.top_k"]')).to_be_visible()
    again = open_chat(new_page(locale="zh-CN"))  # another of the operator's browsers has the preset, too
    again.locator("#chat-preset-settings").select_option("Mine")
    again.locator(".chat-options summary").click()
    expect(again.locator("#chat-top-k")).to_have_value("7")
    expect(again.locator("#chat-own-tools")).to_have_value(re.compile("weather"))
    shot(again, "zh")
    if SHOTS:
        for width in (400, 1366):
            again.set_viewport_size({"width": width, "height": 900})
            again.emulate_media(color_scheme="dark")
            shot(again, f"zh-{width}")
    assert json.dumps(first)
