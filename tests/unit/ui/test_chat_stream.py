"""What a page's script gets of a conversation: the boxes' messages, and what changed in them."""

from typing import Any

import gradio as gr
import pytest

from backend.chat.conversation import Answer, AnswerState, Conversation, Exchange, Picture, Question, Round, ToolUse
from backend.chat.room import View
from ui.access import Role
from ui.tabs.chat.render import Shown, messages
from ui.tabs.chat.stream import changes

ANSWER = Answer("id", "tiny", "tiny")


def view(*answers: Answer) -> View:
    picture = Picture("a" * 32, "cat.png", 64, 48)
    exchanges = tuple(Exchange(Question("<b>What?</b>", (picture,)), (answer,)) for answer in answers)
    return View(Conversation(exchanges), active=True, places={}, waited_s=1.0)


def boxed(*answers: Answer) -> Shown:
    return messages(view(*answers), 0, "en", Role.OPERATOR)


def answer(text: str, state: AnswerState = AnswerState.STREAMING, **others: Any) -> Answer:
    return Answer("id", "tiny", "tiny", text=text, state=state, **others)


CONVERSATION = (
    answer("<think>Hm</think>A *fox*.", AnswerState.DONE),
    answer("8.", AnswerState.DONE, rounds=(Round("Wait.", (ToolUse("1", "add", '{"a": 3, "b": 5}', "8"),)),)),
    ANSWER,
)


def test_messages_are_what_gradio_makes_of_them() -> None:
    """The script hands them to gr.Chatbot's page as they are."""
    shown = boxed(*CONVERSATION)
    made = gr.Chatbot().postprocess(shown)
    assert made.model_dump() == shown


def applied(before: Shown, change: Any) -> Shown:
    """As chat.js does."""
    if "more" in change:
        return [*before[: change["keep"]], *change["more"]]
    last = before[change["keep"]]
    first, *others = last["content"]
    grown = {**last, "content": [{**first, "text": first["text"] + change["grow"]}, *others]}
    return [*before[: change["keep"]], grown]


STEPS = [
    [],
    [ANSWER],
    [answer("A")],
    [answer("A fox")],
    [answer("A fox", AnswerState.DONE)],
    [answer("A fox", AnswerState.DONE), ANSWER],
    [answer("A fox", AnswerState.DONE), answer("<think>H")],
    [answer("A fox", AnswerState.DONE), answer("<think>Hm")],
    [answer("A fox", AnswerState.DONE), answer("<think>Hm</think>Two")],
    [answer("A fox", AnswerState.DONE), answer("<think>Hm</think>Two foxes")],
    [answer("A fox", AnswerState.DONE), answer("<think>Hm</think>Two foxes", AnswerState.STOPPED)],
    [ANSWER],
    [],
]


def test_changes_lead_from_one_to_the_next() -> None:
    before: Shown = []
    for step in STEPS:
        now = boxed(*step)
        assert applied(before, changes(before, now)) == now
        before = now


@pytest.mark.parametrize("more", [" and a watermelon", "\n\n<b>"])
def test_a_growing_answer_costs_what_it_grew_by(more: str) -> None:
    long = "word " * 1000
    before, now = boxed(CONVERSATION[0], answer(long)), boxed(CONVERSATION[0], answer(long + more))
    assert changes(before, now) == {"keep": len(before) - 1, "grow": more}
    assert changes(now, now) == {"keep": len(now), "more": []}
