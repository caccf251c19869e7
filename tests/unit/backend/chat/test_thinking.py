"""Thought and answer told apart, wherever the text is cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.chat.thinking import ThoughtReader, template_tags

THINKING = ("<thinking>", "</thinking>")
CASES: tuple[tuple[str, str, str], ...] = (
    ("Four.", "", "Four."),
    ("<think>Hm</think>Four.", "Hm", "Four."),
    ("\n<think>\nHm\n</think>\n\nFour.", "Hm", "Four."),
    ("<think></think>Four.", "", "Four."),
    ("<THINK>Hm</THINK>Four.", "Hm", "Four."),
    ("<Think>Hm</Think>Four.", "Hm", "Four."),
    ("<think >Hm</think >Four.", "Hm", "Four."),
    ("\ufeff<think>Hm</think>Four.", "Hm", "Four."),
    ("\ufeffFour.", "", "\ufeffFour."),
    (
        "<|start|>assistant<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>Four."
        "<|return|>",
        "Hm",
        "Four.",
    ),
    ("<think>Hm", "Hm", ""),
    ("Okay, a greeting.\n</think>\n\nHello!", "Okay, a greeting.", "Hello!"),
    ("</think>Hello!", "", "Hello!"),
    ("Hm.</think>Hello </think> again", "Hm.", "Hello </think> again"),
    ("Say <think> aloud", "", "Say <think> aloud"),
    ("The tag `</think>` ends it.", "", "The tag `</think>` ends it."),
    ("```html\n</think>\n```\nIs a tag.", "", "```html\n</think>\n```\nIs a tag."),
    ("He wrote <think>x</think> here", "", "He wrote <think>x</think> here"),
    ("<thought>hidden?</thought> visible", "", "<thought>hidden?</thought> visible"),
    ("<thinking>Hm</thinking>Four.", "Hm", "Four."),
    ("◁think▷Hm◁/think▷Four.", "Hm", "Four."),
    ("[THINK]Hm[/THINK]Four.", "Hm", "Four."),
    ("<seed:think>Hm</seed:think>Four.", "Hm", "Four."),
    ("<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>final<|message|>Four.", "Hm", "Four."),
    ("<thin ice", "", "<thin ice"),
    ("<", "", "<"),
    ("a < b", "", "a < b"),
    ("<think>a < b </ c</think>d", "a < b </ c", "d"),
)


def read(pieces: list[str]) -> tuple[str, str]:
    reader = ThoughtReader((THINKING,))
    for piece in pieces:
        reader.read(piece)
    reader.end()
    return reader.thinking, reader.text


@pytest.mark.parametrize(("text", "thought", "answer"), CASES)
def test_at_once_letter_by_letter_and_cut_anywhere(text: str, thought: str, answer: str) -> None:
    assert read([text]) == (thought, answer)
    assert read(list(text)) == (thought, answer)
    for cut in range(1, len(text)):
        assert read([text[:cut], text[cut:]]) == (thought, answer)


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "think", ">", "a", "`", "\n", " ", "[/THINK]"])))
@settings(deadline=None, derandomize=True, max_examples=100)
def test_nothing_is_lost(pieces: list[str]) -> None:
    thought, answer = read(pieces)
    written = "".join("".join(pieces).split())
    shown = "".join((thought + answer).split())
    for tag in ("<think>", "</think>", "[/THINK]"):
        written, shown = written.replace(tag, ""), shown.replace(tag, "")
    assert shown == written


def test_a_template_names_further_tags() -> None:
    template = "{% if '</reasoning>' in content %}{{ content.split('</reasoning>')[0] }}{% endif %}</b></tool_call>"
    assert template_tags(template) == (("<reasoning>", "</reasoning>"),)
    assert template_tags("{{ '</think>' }}") == ()
