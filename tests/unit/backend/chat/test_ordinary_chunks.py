"""The short way for a chunk that brings text alone reads the same as the way for everything that servers send."""

import json
from typing import Any

import pytest

from backend.chat.client import merged
from backend.chat.completion import CompletionReader, Delta, ordinary_text
from backend.chat.server_errors import ServerSaid


def chunk(content: Any = "a", *, index: Any = 0, finish: Any = None, delta: Any = None, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": {"content": content, **(delta or {})}, "finish_reason": finish}
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


STREAMS: list[list[dict[str, Any]]] = [
    [chunk("a"), chunk(" b"), chunk("", finish="stop")],
    [chunk("", delta={"role": "assistant"}), chunk("x", delta={"reasoning_content": None, "tool_calls": None})],
    [chunk("a", delta={"reasoning_content": "hm"}), chunk("b")],
    [chunk("a"), chunk("b", index=1), chunk("c"), chunk("d", index=1)],
    [chunk("a", index=n) for n in range(5)],
    [chunk("a", index=7), chunk("b", index=7)],
    [chunk("a"), chunk("b", index=True), chunk("c", index=None)],
    [chunk("a", usage={"prompt_tokens": 3, "completion_tokens": 1}), chunk("b", usage=None)],
    [chunk("a"), {**chunk("ab"), "choices": [{"index": 0, "message": {"content": "ab"}, "finish_reason": "stop"}]}],
    [chunk("a"), chunk(["parts"]), chunk({"text": "part"}), chunk(7)],
    [chunk("a", unknown=1), chunk("b", delta={"tool_calls": [{"index": 0, "function": {"name": "f"}}]})],
    [chunk("a"), {"choices": []}, {"choices": [None]}, {"choices": ["text"]}, {"choices": {"0": 1}}],
]


def read(stream: list[dict[str, Any]]) -> tuple[list[Any], str, bool, bool]:
    reader = CompletionReader()
    events = [event for value in stream for event in reader.data(json.dumps(value))]
    return [*events, *reader.end()], reader.left, reader.seen, reader.ended


@pytest.mark.parametrize("stream", STREAMS)
def test_both_ways_give_the_same(stream: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    short = read(stream)
    monkeypatch.setattr("backend.chat.completion.ordinary_text", lambda value: "")
    assert read(stream) == short


def test_what_is_ordinary() -> None:
    assert ordinary_text(chunk("a")) == "a"
    for other in (chunk("a", error="no"), chunk("a", finish="stop"), chunk("a", logprobs=1), chunk(""), chunk(None)):
        assert ordinary_text(other) == ""
    with_logprobs = chunk("a")
    with_logprobs["choices"][0]["logprobs"] = {"content": []}
    assert ordinary_text(with_logprobs) == ""


def test_what_came_together_is_one_piece_and_nothing_is_lost_before_an_error() -> None:
    def failing() -> Any:
        yield Delta("a")
        yield Delta("b", "t")
        raise ServerSaid("no")

    events = merged(failing())
    assert next(events) == Delta("ab", "t", pieces=2)
    with pytest.raises(ServerSaid):
        next(events)
    assert list(merged([Delta("a")])) == [Delta("a")]
    assert list(merged([])) == []
