"""What stands under an answer, and what one reads while one waits."""

from dataclasses import replace

import pytest

from backend.chat.conversation import Answer, AnswerState, Conversation, Exchange, Question
from backend.chat.session import Crowd, View
from backend.chat.stats import AnswerStats
from backend.errors import Message
from ui.tabs.chat.render import Place, footer, messages, waiting_text
from ui.web.visitor import Role

FAILED = Answer("id", "tiny", "tiny", AnswerState.FAILED, text="The fox")
GONE = [Message("chat.end.server_stopped", {"name": "tiny"}), Message("chat.end.server_died", {"name": "tiny"}),
        Message("chat.end.gone"), Message("chat.end.silent", {"seconds": 9})]  # fmt: skip


@pytest.mark.parametrize("end", GONE)
def test_an_answer_whose_server_is_gone_goes_on_with_the_next_by_one_click(end: Message) -> None:
    place = Place(7, 0, 0)
    assert 'data-chat-next="7/0">Go on with' in footer(replace(FAILED, end=end), place, "en", Role.CLASS)
    nothing_came = replace(FAILED, end=end, text="")
    assert 'data-chat-next="7/0">Ask the next' in footer(nothing_came, place, "en", Role.CLASS)
    among_others = replace(place, lane=2, alone=False)
    assert 'data-chat-next="7/2">Go on with' in footer(replace(FAILED, end=end), among_others, "en", Role.CLASS)
    assert "data-chat-next" not in footer(replace(FAILED, end=end), replace(place, last=False), "en", Role.CLASS)


@pytest.mark.parametrize("end", [None, Message("chat.end.stopped"), Message("chat.end.length", {"tokens": 5})])
def test_others_do_not(end: Message | None) -> None:
    assert "data-chat-next" not in footer(replace(FAILED, end=end), Place(7, 0, 0), "en", Role.CLASS)


@pytest.mark.parametrize(
    ("answer", "what", "label"),
    [
        (
            replace(FAILED, as_text=Message("chat.tools.as_text", {"name": "tiny"}, level="info")),
            "parser",
            "Add the parser",
        ),
        (replace(FAILED, end=Message("chat.refused.tools", {"detail": "–"})), "parser", "Add the parser"),
        (
            replace(FAILED, no_logprobs=Message("chat.logprobs.mode", {"name": "tiny", "flag": "-"})),
            "logprobs",
            "Add the",
        ),
        (replace(FAILED, end=Message("chat.refused.memory", {"detail": "–"})), "edit", "Change its settings"),
        (replace(FAILED, end=Message("chat.end.server_died", {"name": "tiny"})), "card", "Go to Deploy"),
    ],
)
def test_what_helps_on_deploy_is_a_button_for_the_operator_alone(answer: Answer, what: str, label: str) -> None:
    place = Place(7, 0, 0)
    assert f'data-chat-deploy="{what}" data-server="id">{label}' in footer(answer, place, "en", Role.OPERATOR)
    assert "data-chat-deploy" in footer(answer, place, "zh", Role.OPERATOR)
    assert "data-chat-deploy" not in footer(answer, place, "en", Role.CLASS)


@pytest.mark.parametrize(
    ("places", "crowd", "text"),
    [
        ({}, Crowd(), "The model reads the question … 3 s"),
        ({}, Crowd(1), "The model reads the question, beside another one that it is answering … 3 s"),
        ({}, Crowd(11), "The model reads the question, beside 11 others that it is answering … 3 s"),
        ({}, Crowd(11, 4), "The server is full: about 4 questions wait in it, yours among them … 3 s"),
        ({0: (2, 5)}, Crowd(0, 0, 1), "This server answers one question at a time. Your place: 2 of 5 … 3 s"),
        ({0: (2, 5)}, Crowd(7, 0, 8), "This server answers 8 questions at a time. Your place: 2 of 5 … 3 s"),
    ],
)
def test_who_waits_reads_for_what(places: dict[int, tuple[int, int]], crowd: Crowd, text: str) -> None:
    conversation = Conversation((Exchange(Question("?"), (Answer("id", "tiny", "tiny"),)),))
    view = View(conversation, True, places, 3.2, crowds={0: crowd})
    assert waiting_text(view, 0, "en") == text


def test_while_it_thinks_the_time_runs_and_then_stands() -> None:
    def titles(answer: Answer, waited_s: float) -> list[str]:
        view = View(Conversation((Exchange(Question("?"), (answer,)),)), True, {}, waited_s)
        shown = messages(view, 0, "en", Role.CLASS)
        return [message["metadata"]["title"] for message in shown if message["metadata"]]

    stats = AnswerStats(queued_ms=3000)
    thinks = replace(FAILED, state=AnswerState.STREAMING, text="", thinking="Hm", stats=stats)
    assert titles(thinks, 15.4) == ["Thinking for 12 s"]
    assert titles(thinks, 3.2) == ["Thinking"]
    writes = replace(thinks, text="A fox.", thinking_s=12.3)
    assert titles(writes, 20.0) == titles(replace(writes, state=AnswerState.DONE), 0.0)
    assert "12.3 s" in titles(writes, 20.0)[0]


def test_an_edited_answer_says_so() -> None:
    shown = footer(replace(FAILED, state=AnswerState.DONE, edited=True), Place(7, 2, 1), "en", Role.CLASS)
    assert '<span class="chat-edited">edited</span>' in shown
    assert 'data-chat-rewrite="2/1/7"' in shown
    assert "data-chat-rewrite" not in footer(replace(FAILED, text=""), Place(7, 2, 1), "en", Role.CLASS)
