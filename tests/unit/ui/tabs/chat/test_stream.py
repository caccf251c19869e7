"""What a page's script gets of a conversation: the boxes' messages, and what changed in them."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import gradio as gr
import pytest

from backend.chat.branches import asked_anew, rewritten, turned_to
from backend.chat.conversation import (
    Answer,
    AnswerState,
    Conversation,
    Exchange,
    Picture,
    Question,
    Round,
    Sampling,
    ToolUse,
)
from backend.chat.session import View
from backend.errors import Message
from tests.support.node import ask_script
from ui.tabs.chat.render import Shown, exchange_messages, messages
from ui.tabs.chat.stream import Drawn, changes, new_tokens
from ui.web.visitor import Role, Visitor

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
    """The page's script makes of each change what the conversation was then."""
    boxes = [boxed(*step) for step in STEPS]
    steps = [(before, changes(before, now)) for before, now in pairwise([[], *boxes])]
    assert ask_script("ui/tabs/chat/conversation.js", "changed", steps) == boxes


@pytest.mark.parametrize("more", [" and a watermelon", "\n\n<b>", "\n- **a**", "\n```py\nx < 1"])
def test_a_growing_answer_costs_what_it_grew_by(more: str) -> None:
    long = "word " * 1000
    before, now = boxed(CONVERSATION[0], answer(long)), boxed(CONVERSATION[0], answer(long + more))
    change = changes(before, now)
    assert change["keep"] == len(before) - 1
    assert len(change["grow"]) <= len(more) + 40
    assert ask_script("ui/tabs/chat/conversation.js", "changed", [[before, change]]) == [now]
    assert changes(now, now) == {"keep": len(now), "more": []}


def test_what_is_over_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a person does in the conversation, what is shown is what drawing all of it would give."""
    drawn, seen = Drawn(0), []

    def counted(view: View, number: int, *others: Any) -> Shown:
        seen.append(number)
        return exchange_messages(view, number, *others)

    def look(conversation: Conversation) -> list[int]:
        now = View(conversation, active=True, places={}, waited_s=1.0)
        whole = messages(now, 0, "en", Role.OPERATOR)
        with monkeypatch.context() as patch:
            patch.setattr("ui.tabs.chat.render.exchange_messages", counted)
            assert drawn.messages(now, Visitor(Role.OPERATOR, "en", "ann")) == whole
        fresh, seen[:] = seen[:], []
        return fresh

    said = Conversation()
    for number in range(4):
        said = said.asked(Question(f"Q{number}"), (answer("A", AnswerState.WAITING), answer("B")), Sampling())
        assert (
            look(said) == [max(0, number - 1), number][-min(2, number + 1) :]
        )  # the one before isn't the last any more
        for text in ("A", "A fox"):
            said = said.with_answer(0, answer(text))
            assert look(said) == [number]
        said = said.with_answer(0, answer("A fox", AnswerState.DONE))
        assert look(said) == [number]
    assert look(said.with_vote(1, 0)) == [1, 2, 3]
    again = asked_anew(said, 2).asked(Question("Q2"), (answer("Else"),), Sampling())
    assert look(again) == [0, 1, 2]
    assert look(again.with_answer(0, answer("Else, too"))) == [2]
    assert look(turned_to(again, said.exchanges[2].id))[-1] == 3
    assert look(rewritten(said, 0, 0, "Otherwise")) == [0]
    assert look(Conversation()) == []
    assert look(said) == [0, 1, 2, 3]


def test_tokens_are_told_once_and_anew_where_they_were_read_anew() -> None:
    now = view(answer("a"))
    two = replace(now.conversation.exchanges[-1], answers=(answer("a"), answer("b")))
    now = replace(now, conversation=replace(now.conversation, exchanges=(two,)))
    assert new_tokens([], [("a", "b"), ()], now) == [{"place": "1/0", "keep": 0, "more": ("a", "b")}]
    assert new_tokens([("a", "b")], [("a", "b", "c"), ("x",)], now) == [
        {"place": "1/0", "keep": 2, "more": ("c",)}, {"place": "1/1", "keep": 0, "more": ("x",)}
    ]  # fmt: skip
    assert new_tokens([("a", "b")], [("A", "b", "c")], now) == [{"place": "1/0", "keep": 0, "more": ("A", "b", "c")}]
    assert new_tokens([("a", "b"), ()], [("a", "b"), ()], now) == []


def test_an_answer_shows_its_tokens_or_why_there_are_none() -> None:
    def html(**others: Any) -> str:
        return str(boxed(answer("A fox", AnswerState.DONE, **others))[-1]["content"])

    place = 'data-chat-tokens="1/0"'
    assert place in html(tokens=('["A",-1,[]]',))
    assert place not in html()
    none = html(tokens=(), no_logprobs=Message("chat.logprobs.none", level="info"))
    assert place not in none
    assert 'data-level="info" data-end="chat.logprobs.none"' in none
    assert place in str(boxed(answer("A", tokens=()))[-1]["content"])  # they may still come
    told = Message("chat.logprobs.refused", {"detail": "/home/me"}, level="info")
    seen = messages(view(answer("A", AnswerState.DONE, tokens=(), no_logprobs=told)), 0, "en", Role.CLASS)
    assert "/home/me" not in str(seen)


def test_a_growing_thought_costs_what_it_grew_by() -> None:
    long = "<think>" + "word " * 1000
    before, now = boxed(answer(long)), boxed(answer(long + "and more"))
    change = changes(before, now)
    assert "more" not in change
    assert len(json.dumps(change)) < 1000  # the line that says that it thinks comes behind it
    assert ask_script("ui/tabs/chat/conversation.js", "changed", [[before, change]]) == [now]
