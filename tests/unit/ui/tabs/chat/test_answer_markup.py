"""Every character of an answer is visible, formatting never eats text, and nothing of it is HTML."""

import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.nasty_answers import PIECES, TABLE, eaten, made
from ui.tabs.chat.answer_inline import DISPLAY, WITHIN
from ui.tabs.chat.answer_markup import answer_markup, plain

OURS = re.compile("p|br|hr|h[1-6]|ul|ol|li|blockquote|pre|code|table|thead|tbody|tr|th|td|a|em|strong|del")
ATTRIBUTES = frozenset({"href", "target", "rel", "align", "value"})
FENCE = re.compile(r"^(~{8,}) [\w+#.-]*\n(.*?)(?:\n\1$|\Z)", re.MULTILINE | re.DOTALL)


class Page(HTMLParser):
    """What a browser would show of it."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert OURS.fullmatch(tag), tag
        assert {name for name, _ in attrs} <= ATTRIBUTES
        for name, value in attrs:
            assert name != "href" or re.match("https?://|mailto:", value or "")

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration: {decl}")

    def handle_pi(self, data: str) -> None:
        raise AssertionError(f"an instruction: {data}")

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(markup: str) -> str:
    """The visible text. Code between fences is taken out first, as marked does: nothing in it is HTML."""
    page, at = Page(), 0
    for fence in FENCE.finditer(markup):
        page.feed(markup[at : fence.start()])
        page.text += fence[2]
        at = fence.end()
    page.feed(markup[at:])
    page.close()
    return page.text


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize(("written", "wanted"), TABLE)
@pytest.mark.parametrize("ended", [True, False])
def test_nothing_is_eaten(written: str, wanted: str | None, ended: bool) -> None:
    assert squeezed(shown(answer_markup(written, ended=ended))) == squeezed(wanted or written)


@pytest.fixture(autouse=True)
def formatted(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Each answer could be formatted."""
    yield
    assert not caplog.records


def test_made_answers_are_whole_at_every_length() -> None:
    for number, written in enumerate(made(400)):
        for end in range(1, len(written) + 1) if number % 10 == 0 else [len(written)]:
            part = written[:end]
            assert not eaten(part, shown(answer_markup(part, ended=end == len(written)))), part


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map("".join))
@settings(deadline=None, derandomize=True, max_examples=150)
def test_any_answer_is_whole(written: str) -> None:
    written = re.sub("[\0\ufdd0-\ufdef]|\\$\\$|\\\\[\\[(]", "?", written)
    assert not eaten(written, shown(answer_markup(written)))


@given(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=200).map("".join))
@settings(deadline=None, derandomize=True, max_examples=100)
def test_an_answer_that_grows_ends_as_it_would_at_once(head: str, tail: str) -> None:
    written = (head + "\n\n") * 8 + tail
    assert squeezed(shown(answer_markup(written, ended=False))) == squeezed(shown(answer_markup(written)))


def test_no_block_has_an_empty_line_in_it() -> None:
    """It would end the block for Gradio, and what follows would be Markdown again."""
    for written in made(300, seed=11):
        outside = FENCE.sub("", answer_markup(written))
        for block in outside.split("\n\n"):
            assert "\n" not in block.strip("\n"), written


FORMATS = {
    "**bold** *it* ~~no~~": "<p><strong>bold</strong> <em>it</em> <del>no",
    "# Title\ntext": "<h1>Title</h1>\n\n<p>text",
    "a\nb": "<p>a<br>b",
    "- a\n  - b\n- c": "<ul><li>a<ul><li>b</li></ul></li><li>c",
    "3. a\n5. b": '<ol><li value="3">a</li><li value="5">b',
    "| a |\n|--:|\n| b |": '<table><thead><tr><th align="right">a</th></tr></thead><tbody><tr><td align="right">b',
    "> a\n> b": "<blockquote><p>a<br>b",
    "`a<b`": "<p><code>a&lt;b",
    "[x](https://e.org)": '<p><a href="https://e.org" target="_blank" rel="noopener noreferrer">x',
    "$$a<b$$ and \\(c\\)": f"<p>{DISPLAY[0]}a&lt;b{DISPLAY[1]} and {WITHIN[0]}c{WITHIN[1]}",
    "\\[\n- a\n\n+ b\n\\]": f"<p>{DISPLAY[0]}- a\n+ b{DISPLAY[1]}",
    "```py\nx\n```": "~~~~~~~~ py\nx\n~~~~~~~~",
    "**“重点”**内容": "<p><strong>“重点”</strong>内容",
}


@pytest.mark.parametrize("written", FORMATS)
def test_formatting_stays(written: str) -> None:
    assert answer_markup(written) == FORMATS[written]


def test_what_grows_at_its_end_is_sent_as_what_it_grew_by() -> None:
    before = answer_markup("# T\n\nSome **bold** text and\n- an item", ended=False)
    assert answer_markup("# T\n\nSome **bold** text and\n- an item\n- another", ended=False).startswith(before)


@pytest.mark.parametrize(
    "unit", ["`", "[", "*a", "**a ", "\\(", "$$", "> ", "- ", "|", "_a_ ", "[a](", "~~a", "\\", "```\n", "|a|\n|-|\n"]
)
def test_no_answer_takes_long(unit: str) -> None:
    began = time.process_time()
    answer_markup(unit * (200_000 // len(unit)), ended=False)
    answer_markup(unit * (19_000 // len(unit)), ended=False)
    assert time.process_time() - began < 3


def test_a_line_for_a_title_means_nothing() -> None:
    assert re.fullmatch(r"(?:[\w ]|&#\d+;)*", plain('add({"a": "<b>"}) → *8*'))


@pytest.mark.parametrize(("language", "coloured"), [("cpp", "c"), ("C++", "c"), ("php", ""), ("python", "python")])
def test_colours_that_gradio_cannot_fetch(language: str, coloured: str) -> None:
    markup = answer_markup(f"```{language}\nx\n```")
    assert markup.splitlines()[0].strip("~ ") == coloured
