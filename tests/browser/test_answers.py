"""What models write, as real Chromium shows it: all of it is there, nothing lies over the page, nothing is fetched."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from backend.engines.base import ServeConfig
from backend.services import build_services
from tests.conftest import make_settings
from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.nasty_answers import TABLE, eaten, letters, made
from tests.support.scripted_server import Scripted
from ui.tabs.chat import answer_markup

NewPage = Callable[..., Page]
BOT = "#chat-box [data-testid=bot]:not(:has(.chat-figures))"  # Gradio draws an answer's figures as a message too
# The answers' text without the figures under them and the buttons at their code.
TEXTS = """(kind) => {
  const selector = `#chat-box [data-testid=${kind}]:not(:has(.chat-figures))`;
  return [...document.querySelectorAll(selector)].map((message) => {
    const copy = message.cloneNode(true);
    for (const own of copy.querySelectorAll(".chat-figures, .chat-end, .chat-waiting, button, svg")) own.remove();
    return copy.textContent;
  });
}"""


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("console") / "state"


@pytest.fixture(scope="module")
def child() -> Iterator[Scripted]:
    child = Scripted()
    yield child
    child.close()


@pytest.fixture(scope="module")
def server(state_dir: Path, child: Scripted) -> str:
    services = build_services(make_settings(state_dir))
    try:
        return services.servers.start(ServeConfig(engine="external", model="", address=child.address))
    finally:
        services.close()


@pytest.fixture(scope="module")
def console(state_dir: Path, server: str) -> Iterator[Console]:
    console = Console(state_dir)
    try:
        yield console.ready()
    finally:
        console.close()


def opened(new_page: NewPage, console: Console, visitor: Visitor) -> Page:
    """The visitor's own conversation in a browser, where cookies hold below the page's secret path."""
    page = new_page()
    path = urlsplit(console.page_url()).path
    page.context.add_cookies(
        [
            {"name": cookie.name, "value": cookie.value or "", "domain": "127.0.0.1", "path": path}
            for cookie in visitor.client.cookies.jar
        ]
    )
    page.reload()
    page.locator("#chat-tab-button").click()
    return page


def asked(visitor: Visitor, child: Scripted, server: str, answers: list[str]) -> None:
    for text in answers:
        child.script(text=text, rate=0, calls=[])
        *_, last = visitor.ask(server, "Go on")
        assert last["stats"]["state"] == "done", last


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_every_answer_stands_on_the_page(new_page: NewPage, console: Console, child: Scripted, server: str) -> None:
    with Visitor(console) as visitor:
        asked(visitor, child, server, [f"{written}\n\nthe end" for written, _ in TABLE])
        page = opened(new_page, console, visitor)
        expect(page.locator(BOT)).to_have_count(len(TABLE))
        expect(page.locator(BOT).last).to_contain_text("the end")
        # Gradio draws a message's text a moment after the message.
        page.wait_for_function(f"() => ({TEXTS})('bot').every((text) => text.includes('the end'))")
        shown = page.evaluate(TEXTS, "bot")
        for (written, wanted), text in zip(TABLE, shown, strict=True):
            closed = squeezed(wanted or written)
            assert squeezed(text) == f"{closed}theend", written
        box = page.locator("#chat-box [role=log]")
        for selector in ("script", "style", "form", "iframe", "input", "img", "video", ".mermaid", "[style]", "[id]"):
            found = box.locator(f"[data-testid=bot] :is(.prose, .md) {selector}:not(svg *, .chat-figures *)")
            assert found.count() == 0, (selector, found.first.evaluate("e => e.outerHTML"))
        assert page.evaluate("window.ran") is None


def test_code_of_every_language_leaves_the_rest_alone(
    new_page: NewPage, console: Console, child: Scripted, server: str
) -> None:
    """Gradio fetches the colours of a language when it meets it; where that fails, nothing may be lost."""
    languages = sorted(answer_markup._LANGUAGES)
    written = "\n\n".join(
        f"```{language}\nif (a < b) {{ return '{number}'; }}\n```" for number, language in enumerate(languages)
    )
    with Visitor(console) as visitor:
        asked(visitor, child, server, [f"{written}\n\nthe end"])
        page = opened(new_page, console, visitor)
        expect(page.locator(BOT).last).to_contain_text("the end")
        expect(page.locator(f"{BOT} pre code")).to_have_count(len(languages))


def test_made_answers_stand_on_the_page(new_page: NewPage, console: Console, child: Scripted, server: str) -> None:
    answers = made(60, seed=3)
    with Visitor(console) as visitor:
        asked(visitor, child, server, answers)
        page = opened(new_page, console, visitor)
        expect(page.locator(BOT)).to_have_count(len(answers))
        expect(page.locator("#chat-box .chat-figures[data-state=done]")).to_have_count(len(answers))
        for written, text in zip(answers, page.evaluate(TEXTS, "bot"), strict=True):
            assert not eaten(written.strip(), text), written


def test_a_half_finished_answer_is_a_beginning(
    new_page: NewPage, console: Console, child: Scripted, server: str
) -> None:
    written = (
        "# Map<K, V>\n\nUse **`List<int>`** for 3~5 <b>things</b>, and\n\n- one <a>\n- two\n\n| a | b |\n|---|---|\n"
    )
    written += "| <x> | 2 |\n\n```cpp\nif (a<b) return;\n```\n\nDone <end> of it."
    whole = letters(written.replace("```cpp", "```"))  # the language is told by its colours
    child.script(text=written, rate=2, calls=[])
    page = new_page()
    page.locator("#chat-tab-button").click()
    expect(page.locator("#chat-server input")).to_have_value(re.compile("external"))
    box = page.locator("#chat-input textarea")
    box.fill("Go on")
    box.press("Enter")
    stats = page.locator("#chat-stats")
    expect(stats).to_have_attribute("data-state", "streaming")
    seen = set()
    while stats.get_attribute("data-state") == "streaming":
        shown = letters("".join(page.evaluate(TEXTS, "bot")))
        assert whole.startswith(shown), shown
        seen.add(shown)
    assert len(seen) > 2
    expect(stats).to_have_attribute("data-state", "done")
    expect(page.locator("#chat-box")).to_contain_text("of it.")
    assert letters("".join(page.evaluate(TEXTS, "bot"))) == whole


def test_questions_thoughts_and_tools_are_shown_to_the_letter(
    new_page: NewPage, console: Console, child: Scripted, server: str
) -> None:
    arguments = json.dumps({"a": "<b>3~5</b> *x* `y`", "b": "&lt;" + "9" * 300})
    question = "Ask <b>bold</b> 3~5 `x` **y** &lt; ![p](http://192.0.2.1/) ${window.ran=1}"
    with Visitor(console) as visitor:
        child.script(text="<think>Is it List<int> or <style>?</think>It is <i>.", calls=[])
        list(visitor.ask(server, question))
        child.script(text="Done.", calls=[[["add", arguments]]])
        list(visitor.ask(server, "Compute", tools=["add"]))
        page = opened(new_page, console, visitor)
        expect(page.locator("#chat-box .chat-figures[data-state=done]")).to_have_count(2)
        for title in page.locator("#chat-box .thought-group .title").all():
            title.click()
        everything = page.locator("#chat-box")
        expect(everything).to_contain_text("Is it List<int> or <style>?")
        expect(everything).to_contain_text("It is <i>.")
        expect(everything).to_contain_text("<b>3~5</b> *x* `y`")
        expect(everything).to_contain_text("9" * 300)
        assert page.evaluate(TEXTS, "user")[0].strip() == question


def test_formatting_and_formulas_are_drawn(new_page: NewPage, console: Console, child: Scripted, server: str) -> None:
    written = (
        "**bold** and *it*, \\(x^2\\) and $$a < b$$\n\n\\[\n\\int_0^1 x\\,dx\n\\]\n\n"
        "```python\nx = 1  # $$ y $$\n```\n\n"
        "| a |\n|---|\n| b |\n\n[docs](https://example.org/) costs $5 and $10, $$\\rule{5000em}{5000em}$$"
    )
    with Visitor(console) as visitor:
        asked(visitor, child, server, [written])
        page = opened(new_page, console, visitor)
        answer = page.locator(BOT).first
        expect(answer.locator(".katex-html")).to_have_count(4)
        expect(answer.locator(".katex-display")).to_have_count(3)
        expect(answer.locator("strong", has_text="bold")).to_be_visible()
        expect(answer.locator("pre code.language-python .token").first).to_be_visible()
        expect(answer.locator("pre")).to_contain_text("x = 1  # $$ y $$")
        expect(answer.locator("td", has_text="b")).to_be_visible()
        expect(answer.locator("a")).to_have_attribute("href", "https://example.org/")
        expect(answer).to_contain_text("costs $5 and $10")
        # However large a formula is drawn, what lies over the page's other parts is still theirs.
        at = page.locator("#chat-input textarea").bounding_box()
        assert at is not None
        on_top = "([x, y]) => document.elementFromPoint(x, y).closest('#chat-input') !== null"
        assert page.evaluate(on_top, [at["x"] + at["width"] / 2, at["y"] + at["height"] / 2])
