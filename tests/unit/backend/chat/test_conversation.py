"""Conversations as values, as requests, and as code that is shown."""

import json
from dataclasses import replace

import pytest

from backend.chat.client import explain_status
from backend.chat.context import rough_tokens
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
    from_json,
    split_thinking,
    to_json,
)
from backend.chat.prompt import chat_request
from backend.chat.stats import AnswerStats
from backend.errors import InvalidInput, Message

PICTURE = Picture("0123abcd.png", "cat.png", 20, 10)
DONE = Answer("s", "Server", "model", AnswerState.DONE, "An answer", stats=AnswerStats(11, 20, 100.5, 50.0))


def conversation(*exchanges: Exchange) -> Conversation:
    return Conversation(exchanges, Sampling(system="Be brief.", max_tokens=None, tools=("add",)))


def request(value: Conversation, lane: int = 0, takes_images: bool = True) -> list[dict[str, object]]:
    messages: list[dict[str, object]] = chat_request(value, lane, "model", takes_images, lambda p: p.id)["messages"]
    return messages


def test_a_stored_conversation_is_read_back() -> None:
    called = replace(
        DONE,
        rounds=(Round("", (ToolUse("1", "add", "{}", "8"),)),),
        end=Message("chat.end.length", {"tokens": 5}, level="warning"),
    )
    whole = conversation(Exchange(Question("Hi", (PICTURE,)), (called, DONE)))
    assert from_json(json.loads(json.dumps(to_json(whole)))) == whole


@pytest.mark.parametrize("broken", [{"exchanges": 5}, {"exchanges": [{"question": {}}]}, {"sampling": {"top_p": "x"}}])
def test_a_broken_stored_conversation_is_a_value_error(broken: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        from_json(broken)


def test_an_answer_under_way_was_cut_off() -> None:
    streaming = conversation(Exchange(Question("Hi"), (replace(DONE, state=AnswerState.STREAMING),)))
    (answer,) = from_json(to_json(streaming)).exchanges[0].answers
    assert answer.state is AnswerState.STOPPED
    assert answer.end is not None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.2}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 10**9}, "max_tokens"),
        ({"system": "x" * 200_000}, "system"),
    ],
)
def test_wrong_settings_name_their_field(values: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Sampling(**values)  # type: ignore[arg-type]
    assert [message.field for message in caught.value.messages] == [field]


def test_an_unanswered_question_is_left_out_so_that_turns_alternate() -> None:
    failed = replace(DONE, state=AnswerState.FAILED, text="")
    partial = replace(DONE, state=AnswerState.FAILED, text="Half an ans")
    value = conversation(
        Exchange(Question("Lost"), (failed,)), Exchange(Question("Kept"), (partial,)), Exchange(Question("Now"))
    )
    assert [(m["role"], m["content"]) for m in request(value)] == [
        ("system", "Be brief."), ("user", "Kept"), ("assistant", "Half an ans"), ("user", "Now"),
    ]  # fmt: skip


def test_pictures_stand_before_the_text_and_are_left_out_for_a_text_model() -> None:
    value = conversation(Exchange(Question("What?", (PICTURE,))))
    assert request(value)[-1]["content"] == [
        {"type": "image_url", "image_url": {"url": "0123abcd.png"}},
        {"type": "text", "text": "What?"},
    ]
    assert request(value, takes_images=False)[-1]["content"] == "What?"


def test_each_lane_has_its_own_past() -> None:
    value = conversation(Exchange(Question("Hi"), (DONE, replace(DONE, text="Other"))), Exchange(Question("Now")))
    assert request(value, lane=1)[2]["content"] == "Other"
    alone = conversation(Exchange(Question("Hi"), (DONE,)), Exchange(Question("Now")))
    assert request(alone, lane=1)[2]["content"] == "An answer"


def test_thoughts_are_not_sent_back() -> None:
    thinker = replace(DONE, text="<think>\nHm.\n</think>\n\nFour.")
    assert (
        request(conversation(Exchange(Question("2+2"), (thinker,)), Exchange(Question("Now"))))[2]["content"] == "Four."
    )


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("Four.", ("", "Four.", True)),
        ("<think>Hm", ("Hm", "", False)),
        ("\n<think>\nHm\n</think>\nFour.", ("Hm", "Four.", True)),
        ("Say <think> aloud", ("", "Say <think> aloud", True)),
    ],
)
def test_a_leading_thought_is_split_off(text: str, split: tuple[str, str, bool]) -> None:
    assert split_thinking(text) == split


def test_a_broken_tool_call_is_sent_back_as_valid_json() -> None:
    called = replace(DONE, rounds=(Round("", (ToolUse("1", "add", '{"a": 3', "error: …"),)),))
    calls = request(conversation(Exchange(Question("Hi"), (called,)), Exchange(Question("Now"))))[2]["tool_calls"]
    assert calls[0]["function"]["arguments"] == "{}"  # type: ignore[index]


def test_rough_tokens_are_about_right() -> None:
    assert 75 <= rough_tokens("The quick brown fox jumps over the lazy dog. " * 8) <= 150
    assert 20 <= rough_tokens("今天天气很好，我们去公园散步吧。" * 2) <= 40


@pytest.mark.parametrize(
    ("status", "text", "key"),
    [
        (401, "", "chat.error.key"),
        (307, "", "chat.error.redirect"),
        (404, "no model", "chat.error.not_found"),
        (400, "This model's maximum context length is 4096 tokens", "chat.error.context"),
        (500, "boom", "chat.error.status"),
    ],
)
def test_http_errors_are_explained(status: int, text: str, key: str) -> None:
    assert explain_status(status, text, "", "http://x/v1").messages[0].key == key
