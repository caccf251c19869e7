"""Answers in forms that few servers have: what they say is all there, and an end is told from a break."""

import contextlib
import gzip
import json
import time
from typing import Any

import pytest

from backend.chat.answer_reader import AnswerReader, BrokeOff, NotAnAnswer
from backend.chat.completion import End, Event, joined
from backend.chat.server_errors import ServerSaid
from tests.support.answers import calls_of, collect, piece, read, sse

A, B, STOP = piece(content="Hel"), piece(content="lo"), piece("stop")
CALL = {"id": "x", "function": {"name": "add", "arguments": '{"a": 1}'}}


def choice(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, **fields}]}


def whole(text: str, **more: Any) -> dict[str, Any]:
    return choice(message={"content": text, **more}, finish_reason="stop")


def line(value: object) -> bytes:
    return json.dumps(value).encode()


ANSWER = {"object": "chat.completion", **whole("Hello")}
HELLO: dict[str, bytes] = {
    # the end, and what stands around the values
    **{f"the end as {end!r}": sse(A, B, end, done=False) for end in (
        "[Done]", "[ DONE ]", "[DONE].", "done", "[END]", "<DONE>", '["DONE"]', '{"done": true}', "\ufeff[DONE]",
        "[DONE]\0",
    )},
    "an event named done": sse(A, B, done=False) + b"event: done\ndata: {}\n\n",
    "the end glued on": b"data: " + line(A) + b"\n\ndata: " + line(B) + b"[DONE]\n\n",
    "chunks glued": b"data: " + line(A) + b"data: " + line(B) + b" data: " + line(STOP) + b"\n\n",
    "glued without a line end": sse(A, done=False) + b"data: " + line(B) + b"data: " + line(STOP),
    "a zero byte at the end": sse(A, done=False) + b"data: " + line(piece("stop", content="lo")) + b"\0",
    "a mark before each event": b"".join(b"\xef\xbb\xbf" + sse(one, done=False) for one in (A, B, STOP)),
    "a mark before each value": sse(*("\ufeff" + json.dumps(one) for one in (A, B, STOP))),
    "a mark before each line": b"".join(b"\xef\xbb\xbf" + line(one) + b"\n" for one in (A, B, STOP)),
    "two marks": b"\xef\xbb\xbf" * 2 + sse(A, B, STOP),
    "a mark without width": "\u200b".encode() + sse(A, B, STOP),
    "a blank before the colon": sse(A, B, STOP).replace(b"data:", b"data :"),
    "JSON in JSON": sse(*(json.dumps(json.dumps(one)) for one in (A, B, STOP))),
    "pretty behind a comment": b": processing\n\n" + json.dumps(ANSWER, indent=2).encode(),
    "pretty behind data": b"data: " + json.dumps(ANSWER, indent=2).encode() + b"\n\ndata: [DONE]\n\n",
    "a raw line end in a string": sse(A, done=False) + b'data: {"id": "\nx", "choices": [{"delta": {"content": "lo"}, '
                                  b'"finish_reason": "stop"}]}\n\n',
    "a whole answer and a line end": line(choice(message={"content": "Hello"})) + b"\n",
    # compressed
    "packed piece by piece": b"".join(gzip.compress(sse(one, done=False), mtime=0) for one in (A, B, STOP)),
    # wrapped, with errors that are none
    "wrapped": line({"code": 200, "msg": "success", "data": whole("Hello")}),
    "wrapped chunks": sse(*({"code": 0, "msg": "ok", "result": one} for one in (A, B, STOP))),
    "a last chunk that says success": sse(A, B, STOP, {"code": 0, "message": "Success", "usage": {}}),
    "a first chunk that says ok": sse({"status": "ok", "message": "stream started"}, A, B, STOP),
    "an error that is none": sse(*({"error": {"code": 0, "message": ""}, **one} for one in (A, B, STOP))),
    "an error called null": sse(*({"error": "null", **one} for one in (A, B, STOP))),
    # under other names
    "a message beside a delta": sse(choice(delta={"role": "assistant"}, message={"content": "Hello"})),
    "text beside a delta": sse(choice(delta={"content": None}, text="Hello")),
    "text beside an empty content": sse(piece(content="", text="Hello")),
    **{f"delta.{name}": sse(piece(**{name: "Hello"})) for name in (
        "response", "value", "output_text", "answer", "reply", "data", "result",
    )},
    "Cohere's": sse({"type": "content-delta", "delta": {"message": {"content": {"text": "Hello"}}}}),
    "choices as text": sse({"choices": "Hello"}),
    "a part whose text is null": sse(piece(content={"text": None, "content": "Hello"})),
    # once more
    "the whole again, longer each time": sse(
        {"output": {"text": "Hel", "finish_reason": "null"}}, {"output": {"text": "Hello", "finish_reason": "stop"}},
    ),
    "Responses' whole again": sse(
        {"type": "response.output_text.delta", "delta": "Hel"}, {"type": "response.output_text.delta", "delta": "lo"},
        {"type": "response.output_text.done", "text": "Hello"},
    ),
    "a reason with each piece": sse(piece("stop", content="Hel"), piece("stop", content="lo"), done=False),
    "a reason under the second number": sse(A, piece("stop", index=1, content="lo"), done=False),
    "the whole again, trimmed": sse(piece(content="\n\nHel"), B, piece(content=" \n"), whole("Hello")),
}  # fmt: skip


@pytest.mark.parametrize("name", HELLO)
@pytest.mark.parametrize("size", [0, 1])
def test_it_says_hello_and_nothing_else(name: str, size: int) -> None:
    events = read(HELLO[name], size)
    assert joined(events)[0].strip() == "Hello"
    assert events[-1] == End("stop", None, None)


@pytest.mark.parametrize("name", sorted(HELLO.keys() - {"a reason with each piece"}))  # which is whole with each piece
def test_wherever_it_breaks_off_nothing_else_is_shown(name: str) -> None:
    data = HELLO[name]
    for cut in range(1, len(data)):
        reader, events = AnswerReader(), list[Event]()
        with contextlib.suppress(BrokeOff, NotAnAnswer, ConnectionError):
            events += reader.feed(data[:cut])
            for event in reader.conclusion() if reader.done else reader.broken(ConnectionError()):
                events.append(event)
        text = joined(events)[0].strip()
        assert "Hello".startswith(text), cut
        if events and isinstance(end := events[-1], End):
            assert (text, end.left) == ("Hello", ""), cut


def test_the_whole_again_without_its_thought() -> None:
    for opening in ("<think>", ""):
        data = sse(
            piece(content=f"{opening}Hm</think>"), piece(content="Hello"), whole("Hello", reasoning_content="Hm")
        )
        assert joined(read(data)) == (f"{opening}Hm</think>Hello", "")


def test_an_object_that_was_asked_for_is_shown_as_a_whole() -> None:
    text, _ = joined(read(sse(piece(content={"title": "A", "summary": "B", "rating": 5}))))
    assert json.loads(text.strip().strip("`").removeprefix("json")) == {"title": "A", "summary": "B", "rating": 5}


def test_a_thought_beside_the_delta_and_under_another_number() -> None:
    assert joined(read(sse(choice(delta={"content": "a"}, reasoning_content="t")))) == ("a", "t")
    chunks = [
        piece(index=0, reasoning_content="t"),
        piece(index=1, content="Hel"),
        piece("stop", index=1, content="lo"),
    ]
    reader = AnswerReader()
    assert joined([event for one in chunks for event in reader.feed(sse(one, done=False))]) == ("Hello", "t")


@pytest.mark.parametrize("chunk", [
    choice(delta={"role": "assistant"}, tool_calls=[CALL]),
    choice(delta={"content": "ok"}, message={"tool_calls": [CALL]}),
    piece(toolCalls=[CALL]),
    piece(tool_calls={"0": CALL}),
])  # fmt: skip
def test_tool_calls_wherever_they_stand(chunk: dict[str, Any]) -> None:
    assert calls_of(sse(chunk, piece("tool_calls"))) == [("x", "add", '{"a": 1}')]


def test_a_call_that_was_held_back_is_made() -> None:
    data = sse(piece(content="a"), piece("tool_calls", index=1, content="b", tool_calls=[CALL]))
    assert calls_of(data) == [("x", "add", '{"a": 1}')]


def test_what_nobody_knows_is_shown_where_there_is_no_answer() -> None:
    def left(*chunks: object) -> str:
        end = read(sse(*chunks))[-1]
        assert isinstance(end, End)
        return end.left

    assert left(piece("stop", cot="Hm")) == '{"cot": "Hm"}'
    assert left(piece("stop", content="a", sender="bot")) == ""
    sources = {"citations": ["http://x"]}
    assert left({**A, **sources}, {**B, **sources}, STOP) == '{"citations": ["http://x"]}'
    assert "url_citation" in left(piece("stop", content="a", annotations=[{"type": "url_citation"}]))


BROKEN: dict[str, tuple[bytes, type[Exception], str]] = {
    "an error beside text": (sse(A, {"error": {"message": "boom"}, **B}), ServerSaid, "boom"),
    "an error in the delta": (sse(A, B, piece("error", error="boom")), ServerSaid, "boom"),
    "a message of a choice": (sse(A, B, choice(finish_reason="error", message="boom")), ServerSaid, "boom"),
    "an error_message": (sse(A, B, choice(finish_reason="error", error_message="boom")), ServerSaid, "boom"),
    "held back and cut": (sse(A, piece(content="lo", index=1), done=False), BrokeOff, ""),
    "held back and an error": (sse(A, piece(content="lo", index=1), {"error": "boom"}), ServerSaid, "boom"),
    "a document in mid-text": (line(ANSWER).partition(b"lo")[0] + b"lo", BrokeOff, ""),
    "a document with its reason": (line(choice(finish_reason="stop", message={"content": "Hello"}))[:-5], BrokeOff, ""),
    "text after the reason": (sse(piece("stop", content="Hel"), B, done=False), BrokeOff, ""),
    "usage in between": (sse(A, {"choices": [], "usage": {"completion_tokens": 1}}, B, done=False), BrokeOff, ""),
    "a reason that is none": (sse(piece("None", content="Hel"), piece("unknown", content="lo"), done=False),
                              BrokeOff, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("size", [0, 1])
def test_a_broken_answer_is_told_from_a_whole_one_and_keeps_its_text(name: str, size: int) -> None:
    data, kind, said = BROKEN[name]
    events: list[Event] = []
    with pytest.raises(kind) as caught:
        collect(data, size, events)
    assert joined(events)[0] == "Hello"
    assert getattr(caught.value, "text", "") == said


def test_what_a_broken_chunk_is_followed_by_is_kept() -> None:
    with pytest.raises(BrokeOff) as caught:
        read(sse(A, done=False) + b'data: {"choices": [{"del\nKilled by signal 9\n')
    assert caught.value.text == "Killed by signal 9"


@pytest.mark.parametrize("body", [
    b'data: {"a":[\n' + b'data: {"x":1},\n' * 20_000 + b"data: {}]}\n\n",
    b"data: {\n" * 20_000,
    b"data: [1,\n" * 20_000,
    b" " * 60_000,
    b'{"a": "' + b"x" * 300_000 + b'"}',
    b"{}\n" + b'{"a": "' + b"x" * 1_000_000 + b'"}\n',
])  # fmt: skip
def test_no_body_takes_long(body: bytes) -> None:
    began = time.process_time()
    with pytest.raises((NotAnAnswer, BrokeOff)):
        collect(body, 64 if len(body) > 100_000 else 1, [])
    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "form", ['{"choices":[{"delta":{"content":{"x":%s}}}]}', 'data: {"choices":[],"a":%s}\n\n', '{"a":%s}\n{}\n']
)
def test_what_is_nested_too_deeply_to_be_written_ends_in_no_crash(form: str) -> None:
    for depth in range(900, 1050):
        with contextlib.suppress(NotAnAnswer, BrokeOff):
            collect((form % ("[" * depth + "]" * depth)).encode(), 1 << 20, [])
