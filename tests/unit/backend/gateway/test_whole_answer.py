"""Whole answers and streams turn into each other."""

import time
from typing import Any

from backend.gateway.whole_answer import as_chunk, joined

CALL = {"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}


def chunk(finish: str | None = None, index: int = 0, **delta: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def test_a_stream_becomes_one_answer() -> None:
    pieces = [
        chunk(role="assistant", content=""), chunk(reasoning_content="hm"), chunk(content="Hel"), chunk(content="lo"),
        chunk(tool_calls=[{"index": 0, "id": "c", "type": "function", "function": {"name": "add", "arguments": ""}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"a":'}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": " 1}"}}]),
        chunk("stop", index=1, content="other"), chunk("tool_calls"),
        {"object": "chat.completion.chunk", "choices": [], "usage": {"total_tokens": 3}},
    ]  # fmt: skip
    answer = joined(pieces)
    assert answer["object"] == "chat.completion"
    assert answer["usage"] == {"total_tokens": 3}
    first, second = answer["choices"]
    assert first == {
        "index": 0,
        "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": "Hello", "reasoning_content": "hm", "tool_calls": [CALL]},
    }
    assert (second["message"]["content"], second["finish_reason"]) == ("other", "stop")


def test_completions_and_whole_messages_stay_what_they_are() -> None:
    texts = [{"object": "text_completion", "choices": [{"index": 0, "text": text}]} for text in ("a", "b")]
    assert joined(texts) == {"object": "text_completion", "choices": [{"index": 0, "text": "ab"}]}
    message = {"object": "chat.completion", "choices": [{"index": 0, "message": {"content": "a"}}]}
    assert joined([message]) == message
    assert joined([]) == {"object": "chat.completion", "choices": []}
    assert joined([{"choices": ["x", {"index": [1], "delta": None}]}])["choices"] == [{"index": [1]}]


def test_an_answer_becomes_one_chunk() -> None:
    answer = {
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": {"content": "a", "tool_calls": [CALL]}, "finish_reason": "stop"}],
    }
    assert as_chunk(answer) == {
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "delta": {"content": "a", "tool_calls": [{"index": 0, **CALL}]}}
        ],
    }
    for other in (chunk(content="a"), {"error": "x"}, {"choices": "x"}, {"choices": [{"text": "a"}]}):
        assert as_chunk(other) == other


def test_many_pieces_take_no_longer_each() -> None:
    pieces = [
        {"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [{"token": "a"}]}}]}
        for _ in range(20_000)
    ]
    begun = time.process_time()
    answer = joined(pieces)
    assert time.process_time() - begun < 2
    assert len(answer["choices"][0]["logprobs"]["content"]) == 20_000
