"""Answers in every shape that servers give them, cut at every byte: the text is whole, and nothing is dropped."""

import contextlib
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.chat.answer_reader import AnswerReader, BrokeOff, NotAnAnswer, read_all
from backend.chat.completion import End, Event, joined
from backend.chat.server_errors import ServerSaid
from tests.support.answers import calls_of, collect, piece, read, sse

STREAMS = Path(__file__).parents[3] / "data" / "streams"
RECORDED = {
    "sse-u2028.sse": ("First line\u2028second line\x85third\u2029fourth end.", "", End("stop", 9, 5)),
    "content-parts.sse": ("Hello there.", "A greeting.", End("stop", 9, 5)),
    "done-no-finish.sse": ("我可以帮你写一封信。", "", End("stop", 9, 4)),
    "choices_null.sse": ("ok", "", End("stop", 3, 1)),
    "whole.json": ("The whole answer at once.", "", End("stop", 3, 5)),
    "transformers-serve.sse": ("狐狸 🦊 found", "", End("length", 38, 4)),
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_answer_cut_at_every_byte(name: str) -> None:
    text, thought, end = RECORDED[name]
    data = (STREAMS / name).read_bytes()
    for reshaped in (data, gzip.compress(data, mtime=0), b"\xef\xbb\xbf" + data, b"\n\n" + data):
        for size in (0, 1, 2, 3, 7):
            events = read(reshaped, size)
            assert joined(events) == (text, thought)
            assert events[-1] == end
    for cut in range(1, len(data)):
        reader = AnswerReader()
        events = [*reader.feed(data[:cut]), *reader.feed(data[cut:])]
        events += reader.conclusion() if reader.done else reader.end()
        assert joined(events) == (text, thought), cut


@given(st.sampled_from([name for name in RECORDED if name.endswith(".sse")]), st.data())
@settings(deadline=None, derandomize=True, max_examples=100)
def test_a_recorded_answer_reshaped(name: str, data: st.DataObject) -> None:
    """Other line ends, comments, ids, events over several lines, pieces of any size."""
    text, thought, end = RECORDED[name]
    line_end = data.draw(st.sampled_from(["\n", "\r", "\r\n"]))
    lines = []
    for line in (STREAMS / name).read_bytes().decode().split("\n"):
        if line and data.draw(st.integers(0, 3)) == 0:
            lines.append(data.draw(st.sampled_from([": ping", "id: 7", "retry: 10", "event: message", ":"])))
        if line.startswith("data: {") and data.draw(st.booleans()):
            first, _, rest = line.partition(", ")  # JSON may go on on the next line
            lines += [f"{first}, ", f"data:{rest}"] if rest else [line]
        else:
            lines.append(line.replace("data: ", data.draw(st.sampled_from(["data:", "data: "])), 1))
    encoded = line_end.join(lines).encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(encoded)), max_size=20)))
    reader = AnswerReader()
    events: list[Event] = []
    for start, stop in zip([0, *cuts], [*cuts, len(encoded)], strict=True):
        events += reader.feed(encoded[start:stop])
    events += reader.conclusion() if reader.done else reader.end()
    assert joined(events) == (text, thought)
    assert events[-1] == end


SHAPES: dict[str, tuple[bytes, str, str]] = {
    "a string for a delta": (sse({"choices": [{"delta": "Hi"}]}), "Hi", ""),
    "text completions": (sse({"choices": [{"text": "Hi", "index": 0}]}), "Hi", ""),
    "a whole message in a stream": (sse({"choices": [{"message": {"content": "Hi"}}]}), "Hi", ""),
    "the whole again at the end": (
        sse(piece(content="Hello "), piece(content="you"), {"choices": [{"message": {"content": "Hello you"}}]}),
        "Hello you", "",
    ),
    "a longer message each time": (
        sse(*({"choices": [{"message": {"content": "Hello you"[:n]}}]} for n in (3, 6, 9))), "Hello you", "",
    ),
    "the same token twice": (sse(piece(content="ha"), piece(content="ha")), "haha", ""),
    "parts": (sse(piece(content=[{"type": "text", "text": "a"}, "b", {"text": {"value": "c"}}, None])), "abc", ""),
    "a part for content": (sse(piece(content={"type": "text", "text": "a"})), "a", ""),
    "null": (sse(piece(content=None), piece(content="a")), "a", ""),
    "choices as an object": (sse({"choices": {"delta": {"content": "a"}}}), "a", ""),
    "choices by number": (sse({"choices": {"0": {"delta": {"content": "a"}}}}), "a", ""),
    "no choices": (sse({"delta": {"content": "a"}}, {"content": "b"}), "ab", ""),
    "ollama": (
        b'{"message":{"role":"assistant","content":"ha"},"done":false}\n{"message":{"content":"ha"},"done":false}\n'
        b'{"message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":2}\n',
        "haha", "",
    ),
    "json lines": (b"".join(json.dumps(piece(content=c)).encode() + b"\n" for c in "abc") + b"[DONE]", "abc", ""),
    "chunks in a list": (json.dumps([piece(content="a"), piece("stop", content="b")]).encode(), "ab", ""),
    "two in one event": (sse(json.dumps(piece(content="a")) + json.dumps(piece(content="b"))), "ab", ""),
    "without data:": (sse(piece(content="a"), done=False) + b'{"choices":[{"delta":{"content":"b"}}]}\n\n'
                      + sse(piece("stop")), "ab", ""),
    "pretty JSON": (json.dumps({"choices": [{"message": {"content": "a\nb"}}]}, indent=2).encode(), "a\nb", ""),
    "UTF-16": (json.dumps({"choices": [{"message": {"content": "狐狸"}}]}, ensure_ascii=False).encode("utf-16"),
               "狐狸", ""),
    "done twice": (sse(piece("stop", content="a")) + b"data: [DONE]\n\n", "a", ""),
    "no done": (sse(piece("stop", content="a"), done=False), "a", ""),
    "usage alone at the end": (
        sse(piece(content="a"), {"choices": [], "usage": {"completion_tokens": 1}}, done=False), "a", "",
    ),
    "refusal": (sse(piece(refusal="I can't.")), "I can't.", ""),
    "keep-alives": (b": ping\n\nevent: ping\ndata: {}\n\ndata: ping\n\n" + sse(piece("stop", content="a")), "a", ""),
    "reasoning_content": (sse(piece(reasoning_content="t"), piece(content="a")), "a", "t"),
    "reasoning": (sse(piece(reasoning="t", content="a")), "a", "t"),
    "both": (sse(piece(reasoning="t", reasoning_content="t", content="a")), "a", "t"),
    "reasoning as an object": (sse(piece(reasoning={"content": "t"})), "", "t"),
    "reasoning_details": (sse(piece(reasoning_details=[{"type": "reasoning.text", "text": "t"}])), "", "t"),
    "thinking": (sse(piece(thinking="t")), "", "t"),
    "a thinking part": (sse(piece(content=[{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}])),
                        "a", "t"),
    "an odd index": (sse(piece(content="a", index=7), piece(content="b", index=7)), "ab", ""),
    "an index that counts": (sse(*(piece(content=c, index=n) for n, c in enumerate("abcdef"))), "abcdef", ""),
    "an index of text": (sse(piece(content="a", index="0"), piece(content="b", index=0)), "ab", ""),
    "without an index": (sse({"choices": [{"delta": {"content": "a"}}]}, piece(content="b", index=None)), "ab", ""),
    "without empty lines": (
        b"".join(f"data: {json.dumps(piece(content=c))}\n".encode() for c in "abc") + b"data: [DONE]\n", "abc", "",
    ),
    "data: twice": (sse(f"data: {json.dumps(piece(content='a'))}", "data: [DONE]"), "a", ""),
    "Data: as a name": (sse(piece(content="a")).replace(b"data:", b"Data:"), "a", ""),
    "blanks before it": (sse(piece(content="a")).replace(b"data:", b"  data:"), "a", ""),
    "another [DONE]": (sse(piece(content="a"), '"[DONE]"', done=False), "a", ""),
    "a small [done]": (sse(piece(content="a"), "[done]", done=False), "a", ""),
    "a raw tab in a string": (b'data: {"choices":[{"delta":{"content":"a\tb"}}]}\n\ndata: [DONE]\n\n', "a\tb", ""),
    "Anthropic's events": (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n', "a", "",
    ),
    "Responses' events": (
        b'data: {"type":"response.output_text.delta","delta":"a"}\n\n'
        b'data: {"type":"response.completed","response":{"usage":{"output_tokens":1}}}\n\n', "a", "",
    ),
    "DashScope's own": (
        sse({"output": {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]},
             "usage": {"output_tokens": 1}}, done=False), "a", "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("size", [0, 1])
def test_the_text_is_whole_in_every_shape(name: str, size: int) -> None:
    data, text, thought = SHAPES[name]
    events = read(data, size)
    assert joined(events) == (text, thought)
    assert isinstance(events[-1], End)
    assert events[-1].left == ""


def test_several_answers_are_all_there() -> None:
    both = {"choices": [{"index": i, "message": {"content": text}} for i, text in enumerate(("one", "two"))]}
    assert joined(read_all(json.dumps(both).encode()))[0] == "one\n\n---\n\ntwo"
    mixed = sse(*(piece(content=text, index=i) for i, text in ((0, "o"), (1, "t"), (0, "ne"), (1, "wo"))))
    assert joined(read(mixed))[0] == "one\n\n---\n\ntwo"


def test_a_part_that_nobody_knows_is_shown() -> None:
    text, _ = joined(read(sse(piece(content=[{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]))))
    assert "http://x/y.png" in text


ERRORS: dict[str, tuple[bytes, str, int]] = {
    "an object": (sse({"error": {"message": "boom", "code": 500}}), "boom", 500),
    "a string": (sse({"error": "boom"}), "boom", 0),
    "a list": (sse({"errors": [{"message": "boom"}, {"message": "bang"}]}), "boom; bang", 0),
    "detail": (b'{"detail": "boom"}', "boom", 0),
    "a validator's": (b'{"detail": [{"loc": ["body", "messages"], "msg": "field required"}]}',
                      "body.messages: field required", 0),
    "message alone": (b'{"code": 429, "message": "boom"}', "boom", 429),
    "LMDeploy's": (sse({"object": "error", "message": "boom", "code": 400}), "boom", 400),
    "event: error": (b"event: error\ndata: boom\n\n", "boom", 0),
    "event: error with JSON": (b'event: error\ndata: {"message": "boom", "code": 503}\n\n', "boom", 503),
    "a choice's": (sse({"choices": [{"error": {"message": "boom"}, "delta": {}}]}), "boom", 0),
    "JSON in a string": (sse({"error": '{"message": "boom"}'}), "boom", 0),
    "nested": (sse({"error": {"error": {"message": "boom"}}}), "boom", 0),
    "nothing said": (sse({"error": {"code": 500}}), '{"code": 500}', 500),
    "a line of JSON in the stream": (sse(piece(content="a"), done=False) + b'{"error": "boom"}\n\n', "boom", 0),
    "JSON over lines in the stream": (
        sse(piece(content="a"), done=False) + b'{\n  "error": {\n    "message": "boom"\n  }\n}\n', "boom", 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("before", ["", "Half "])
def test_an_error_in_any_shape_is_the_servers_own_words(name: str, before: str) -> None:
    data, words, status = ERRORS[name]
    if before and data.startswith(b"{"):
        data = b"data: " + data + b"\n\n"
    data = sse(piece(content=before), done=False) + data if before else data
    for size in (0, 1):
        events: list[Event] = []
        with pytest.raises(ServerSaid) as caught:
            collect(data, size, events)
        assert (caught.value.text, caught.value.status) == (words, status)
        assert joined(events)[0].startswith(before)


@pytest.mark.parametrize("body", [b"", b"<html><body>Welcome!</body></html>", b"hello", b"data: hello\n\n", b"[1, 2]"])
def test_what_is_no_answer_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(NotAnAnswer) as caught:
        read(body)
    assert body.decode().strip("[]").removeprefix("data: ").split(",")[0].strip() in caught.value.text


def test_what_another_api_answers_is_shown() -> None:
    with pytest.raises(NotAnAnswer) as caught:
        read(sse({"results": [{"generated": "Hi"}], "usage": {"output_tokens": 1}}, done=False))
    assert "generated" in caught.value.text


def test_a_cut_is_told_from_an_end_with_what_the_server_said() -> None:
    with pytest.raises(BrokeOff) as caught:
        read(sse(piece(content="Half"), done=False) + b"Killed by signal 9\n")
    assert caught.value.text == "Killed by signal 9"


def test_what_else_was_sent_is_kept() -> None:
    end = read(sse(piece(content="a"), done=False) + b"data: something else\n\n" + sse(piece("stop")))[-1]
    assert isinstance(end, End)
    assert end.left == "something else"


def call(name: str | None = None, arguments: object = None, **others: Any) -> dict[str, Any]:
    return {**others, "function": {"name": name, "arguments": arguments}}


A, B = '{"a": 1, "b": 2}', '{"a": 3, "b": 4}'
CALLS: dict[str, list[list[dict[str, Any]]]] = {
    "in pieces": [
        [call("add", "", index=0, id="x")], [call(None, A[:5], index=0)], [call(None, A[5:], index=0)],
        [call("mul", "", index=1, id="y")], [call(None, B[:5], index=1)], [call(None, B[5:], index=1)],
    ],
    "whole": [[call("add", A, index=0, id="x"), call("mul", B, index=1, id="y")]],
    "without an index": [[call("add", A, id="x")], [call("mul", B, id="y")]],
    "without an index, at once": [[call("add", A, id="x"), call("mul", B, id="y")]],
    "always number 0": [[call("add", A, index=0, id="x")], [call("mul", B, index=0, id="y")]],
    "odd numbers": [[call("add", A, index=3, id="x")], [call("mul", B, index=9, id="y")]],
    "shuffled": [
        [call("add", A[:5], index=0, id="x")], [call("mul", B[:5], index=1, id="y")],
        [call(None, A[5:], index=0)], [call(None, B[5:], index=1)],
    ],
    "objects": [[call("add", json.loads(A), index=0, id="x"), call("mul", json.loads(B), index=1, id="y")]],
    "the name in pieces": [[call("a", "", index=0, id="x")], [call("dd", "", index=0)], [call(None, A, index=0)],
                           [call("mul", B, index=1, id="y")]],
    "the name each time": [[call("add", A[:5], index=0, id="x")], [call("add", A[5:], index=0, id="x")],
                           [call("mul", B, index=1, id="y")]],
    "the id late": [[call("add", A[:5], index=0)], [call(None, A[5:], index=0, id="x")],
                    [call("mul", B, index=1, id="y")]],
    "the whole again": [[call("add", A, index=0, id="x")], [call("add", A, index=0, id="x")],
                        [call("mul", B, index=1, id="y")]],
    "numbers of text": [[call("add", A, index="0", id="x")], [call("mul", B, index="1", id="y")]],
    "flat": [[{"id": "x", "name": "add", "arguments": A}], [{"id": "y", "name": "mul", "parameters": json.loads(B)}]],
    "pieces by id alone": [
        [call("add", A[:5], id="x")], [call(None, A[5:], id="x")], [call("mul", B[:5], id="y")],
        [call(None, B[5:], id="y")],
    ],
    "longer each time": [[call("add", A[:2], index=0, id="x")], [call("add", A[:9], index=0, id="x")],
                         [call("add", A, index=0, id="x")], [call("mul", B, index=1, id="y")]],
    "nothing first": [[call("add", "{}", index=0, id="x")], [call(None, A[:5], index=0)], [call(None, A[5:], index=0)],
                      [call("mul", "null", index=1, id="y")], [call(None, B, index=1)]],
    "an id for each piece": [[call("add", A[:5], index=0, id="x")], [call("add", A[5:], index=0, id="z")],
                             [call("mul", B, index=1, id="y")]],
    "the name last": [[call(None, A, index=0, id="x")], [call("add", None, index=0)],
                      [call("mul", B, index=1, id="y")]],
    "the whole again with other blanks": [
        [call("add", A, index=0, id="x")], [call("add", A.replace(" ", ""), index=0, id="x")],
        [call("mul", B, index=1, id="y")],
    ],
    "other names": [[{"id": "x", "name": "add", "args": json.loads(A)}], [{"id": "y", "name": "mul", "kwargs": B}]],
    "more of the last one": [[call("add", A[:5], id="x")], [call(None, A[5:])], [call("mul", B[:5], id="y")],
                             [call(None, B[5:])]],
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_tool_calls_are_whole_in_every_shape(name: str) -> None:
    data = sse(*(piece(tool_calls=calls) for calls in CALLS[name]), piece("tool_calls"))
    found = calls_of(data)
    assert [(call_id, called, json.loads(arguments)) for call_id, called, arguments in found] == [
        ("x", "add", json.loads(A)),
        ("y", "mul", json.loads(B)),
    ]


def test_calls_that_share_an_id_are_told_apart() -> None:
    data = sse(piece(tool_calls=[call("add", A, index=0, id="x")]), piece(tool_calls=[call("mul", B, index=1, id="x")]))
    assert calls_of(data) == [("x", "add", A), ("x", "mul", B)]
    assert calls_of(sse(piece(tool_calls=[call("add", A, id="x"), call("mul", B, id="x")]))) == calls_of(data)


def test_a_call_without_arguments_has_none() -> None:
    assert calls_of(sse(piece(tool_calls=[call("now", "{}", index=0)]))) == [("", "now", "{}")]


def test_calls_without_ids_are_told_apart() -> None:
    data = sse(piece(tool_calls=[call("add", A, index=0)]), piece(tool_calls=[call("add", B, index=0)]))
    assert calls_of(data) == [("", "add", A), ("", "add", B)]


def test_the_old_form_of_a_call() -> None:
    pieces = [{"name": "add", "arguments": ""}, {"arguments": A[:5]}, {"arguments": A[5:]}]
    data = sse(*(piece(function_call=call) for call in pieces), piece("function_call"))
    assert calls_of(data) == [("", "add", A)]


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "delta", "message", "content", "text", "type", "error", "usage", "index", "id",
                         "tool_calls", "function", "name", "arguments", "finish_reason", "reasoning", "detail",
                         "prompt_tokens", "loc"]), inner, max_size=4),
    max_leaves=14,
), st.booleans())  # fmt: skip
@settings(deadline=None, derandomize=True, max_examples=150)
def test_no_json_breaks_it(value: object, streamed: bool) -> None:
    text = json.dumps(value)
    with contextlib.suppress(ServerSaid, NotAnAnswer, BrokeOff):
        list(read_all(sse(text) if streamed else text.encode()))


@given(st.binary(max_size=60), st.binary(max_size=20))
@settings(deadline=None, derandomize=True, max_examples=100)
def test_no_bytes_break_it(head: bytes, tail: bytes) -> None:
    with contextlib.suppress(ServerSaid, NotAnAnswer, BrokeOff):
        list(read_all(head + b"\ndata: {" + tail))


def test_nesting_without_end_is_no_answer() -> None:
    for data in (b"[" * 200_000, b'{"a":' * 100_000, sse("[" * 200_000)):
        with pytest.raises((NotAnAnswer, BrokeOff)):
            list(read_all(data))
