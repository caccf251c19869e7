"""A server's answer on its way back."""

import gzip
import itertools
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.chat.event_stream import TooLong
from backend.gateway.answer import (
    DETAIL_LIMIT,
    StreamRewriter,
    is_refusal,
    read_stream,
    renamed,
    retry_after_s,
    server_words,
    total_tokens,
)

OWN = "/root/models/小模型 a"


def event(delta: dict[str, object], **more: object) -> str:
    choices = [{"index": 0, "delta": delta, "finish_reason": None}]
    return "data: " + json.dumps({"id": "1", "model": OWN, "choices": choices, **more})


USAGE = "data: " + json.dumps({"model": OWN, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}})
TEXT = f'he said "model": "{OWN}" \u2028 and [DONE] data: x'
STREAM = [
    event({"role": "assistant"}),
    event({"content": TEXT}),
    ": ping",
    event({"content": "你好"}),
    USAGE,
    "data: [DONE]",
]


def texts(stream: bytes) -> list[str]:
    events = [block.removeprefix("data: ") for block in stream.decode().replace("\r\n", "\n").split("\n\n")]
    chunks = [json.loads(data) for data in events if data.startswith("{")]
    assert {chunk["model"] for chunk in chunks} <= {"a"}
    return [c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]]


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    st.sampled_from(["\n", "\r\n"]), st.lists(st.integers(0, 2000), max_size=30), st.booleans(),
    st.sampled_from([True, False]),
)  # fmt: skip
def test_cut_anywhere_the_text_is_whole(end: str, cuts: list[int], hide: bool, spaced: bool) -> None:
    whole = "".join(block + end * 2 for block in STREAM).encode()
    if not spaced:
        whole = whole.replace(b'"model": ', b'"model":')
    rewriter = StreamRewriter("a", hide_usage=hide)
    places = sorted({min(cut, len(whole)) for cut in cuts} | {0, len(whole)})
    out = b"".join(rewriter.feed(whole[a:b]) for a, b in itertools.pairwise(places))
    assert "".join(texts(out)) == TEXT + "你好"
    assert (b'"usage"' in out) == (not hide)
    assert rewriter.tokens == 7
    assert rewriter.done
    assert rewriter.whole
    assert rewriter.end() == b""
    assert rewriter.left == ""


def test_usage_beside_text_is_never_hidden() -> None:
    rewriter = StreamRewriter("a", hide_usage=True)
    line = 'data: {"model":"m","choices":[{"delta":{"content":"x"}}],"usage":{"total_tokens":5}}\n\n'
    assert b'"x"' in rewriter.feed(line.encode())
    assert rewriter.tokens == 5


def test_half_an_event_is_never_passed_on() -> None:
    rewriter = StreamRewriter("a", hide_usage=True)
    assert rewriter.feed(b'data: {"a": 1}\n\ndata: {"b"') == b'data: {"a": 1}\n\n'
    assert rewriter.end() == b""
    assert not rewriter.whole
    assert not rewriter.done


def passed(stream: bytes) -> tuple[bytes, StreamRewriter]:
    rewriter = StreamRewriter("a", hide_usage=True)
    return rewriter.feed(stream) + rewriter.end(), rewriter


@pytest.mark.parametrize(
    "first",
    ["{}", '{"model": ""}', '{"model": "alias"}', '{"model": null}', "[]", "[DONE", "[" * 60_000, '{"model": 5}', "x"],
)
def test_whatever_comes_first_the_servers_own_name_stays_here(first: str) -> None:
    own = '{"model": "/home/x/real", "choices": [{"delta": {"content": "model"}}]}'
    spelled = own.replace("/", "\\/")
    rewriter = StreamRewriter("a", hide_usage=True)
    out = b"".join(rewriter.feed(f"data: {data}\n\n".encode()) for data in (first, own, spelled, own))
    assert b"real" not in out
    assert out.count(b'"content": "model"') == 3
    assert out.count(b'"model": "a"') + out.count(b'"model":"a"') == 3 + ('"model": "' in first)


def test_a_model_named_in_what_is_said_stays() -> None:
    call = '{"model":"own","choices":[{"delta":{"tool_calls":[{"function":{"arguments":{"model":"civic"}}}]}}]}'
    out, _ = passed(f"data: {call}\n\ndata: {call}\n\n".encode())
    assert out.count(b'"civic"') == 2
    assert b"own" not in out


ENDED = '{"choices":[{"delta":{},"finish_reason":"stop"}]}'


@pytest.mark.parametrize(
    ("data", "whole", "ends_as_all_do"),
    [
        (ENDED, True, True), (ENDED.replace(":", ": "), True, True), ("[DONE]", True, True),
        ('{"choices":[{"delta":{},"finish_reason":{"type":"stop"}}]}', True, True),
        ('{"done":true,"done_reason":"stop","choices":[]}', True, True),
        ('{"choices":[{"delta":{"content":"x"}}],"error":{"code":0}}', False, False),
        ('{"error":{"message":"boom"}}', True, False), ('{"object":"error","message":"boom"}', True, False),
        ('{"choices":[{"delta":{"content":"x"},"finish_reason":null}]}', False, False),
        ('{"choices":[{"delta":{"content":"\\"finish_reason\\":\\"stop\\""},"finish_reason":"null"}]}', False, False),
        ('{"choices":[{"delta":{"content":"\\"error\\": \\"x\\""},"finish_reason": ""}]}', False, False),
    ],
)  # fmt: skip
def test_an_answer_is_whole_where_the_server_says_so(data: str, whole: bool, ends_as_all_do: bool) -> None:
    out, rewriter = passed(b'data: {"choices":[]}\n\ndata: ' + data.encode() + b"\n\n")
    assert rewriter.whole is whole
    assert out.endswith(b"data: [DONE]\n\n") is ends_as_all_do
    assert out.count(b"[DONE]") == ends_as_all_do


def test_a_stream_that_nobody_asked_for_is_read_as_a_whole() -> None:
    found = read_stream(b'data: {"choices":[{"text":"a"}]}\n\ndata: [DONE]\n\n', 1000)
    assert (found.chunks, found.error, found.whole) == ([{"choices": [{"text": "a"}]}], None, True)
    assert read_stream(b'data: {"error":"boom"}\n\n', 1000).error == {"error": "boom"}
    assert read_stream(b"<html>sign in</html>", 1000).left == "<html>sign in</html>"
    with pytest.raises(TooLong):
        read_stream(b'{"choices": [' + b"1," * 1000, 1000)


def test_whole_answers() -> None:
    assert renamed({"model": OWN, "x": 1}, "a") == {"model": "a", "x": 1}
    assert renamed([1], "a") == [1]
    assert total_tokens({"usage": {"total_tokens": 7}}) == 7
    assert total_tokens({"usage": {"prompt_tokens": 3}}) == 3
    nothings: list[object] = [
        {}, {"usage": None}, {"usage": {"total_tokens": "x"}}, [], None, {"usage": {"total_tokens": -1}},
    ]  # fmt: skip
    for nothing in nothings:
        assert total_tokens(nothing) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "too long"}}', "too long"), (b'{"error": "too long"}', "too long"),
        (b'{"message": "too long"}', "too long"), (b'{"detail": [{"msg": "too long"}]}', "too long"),
        (b'"too long"', "too long"), (b"too long", "too long"), (b"<html><body>x", "x"), (b"", ""), (b"{}", ""),
        (b'{"object": "error", "message": "too long", "code": 400}', "too long"),
        (b'{"reason": "too long"}', "too long"), (b'{"error_msg": "too long", "error_code": 3}', "too long"),
        (b'{"errors": ["too long"]}', "too long"),
        (b'{"detail": [{"loc": ["body", "n"], "msg": "too long"}]}', "body.n: too long"),
        (b"<html><h1>413 Request Entity Too Large</h1><hr>nginx</html>", "413 Request Entity Too Large nginx"),
        ('{"error": "模型未加载"}'.encode("gbk"), "模型未加载"), (b'data: {"error": "too long"}\n\n', "too long"),
        (gzip.compress(b'{"error": "too long"}', mtime=0), "too long"), (b"\xff too long", "ÿ too long"),
    ],
)  # fmt: skip
def test_a_servers_words(body: bytes, words: str) -> None:
    assert server_words(body) == words


@pytest.mark.parametrize("body", [b'{"error": "boom 5"}', b'{"title": "boom 5"}', b'{"error": {"code": "boom 5"}}'])
def test_whatever_a_server_says_is_passed_on(body: bytes) -> None:
    assert "boom 5" in server_words(body)


def test_a_servers_words_without_an_end() -> None:
    assert len(server_words(b"[" * 60_000)) == DETAIL_LIMIT


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("7", 7.0), (" 7 ", 7.0), ("0", 0.0), ("Thu, 01 Jan 1970 00:00:30 GMT", 20.0), ("", None), ("soon", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("9" * 400, None), ("-1", None), ("²", None),
    ],
)  # fmt: skip
def test_when_a_server_wants_to_be_asked_again(header: str, wait_s: float | None) -> None:
    assert retry_after_s(header, now=10.0) == wait_s


def choice(text: str, reason: str | None = None, index: int = 0) -> str:
    delta = {"content": text} if text else {}
    return json.dumps({"choices": [{"index": index, "delta": delta, "finish_reason": reason}]})


ONLY_USAGE = '{"choices":[],"usage":{"total_tokens":5}}'


@pytest.mark.parametrize(
    ("data", "choices", "by_itself", "broken"),
    [
        ([choice("a"), choice("", "stop")], 1, True, True),
        ([choice("a"), choice("b", "stop")], 1, True, True),
        ([choice("a", "stop"), choice("b", "stop")], 1, True, False),  # a reason with each piece
        ([choice("a", "stop"), choice("b", "stop"), choice("", "stop")], 1, True, True),
        ([choice("a", "stop"), choice("b")], 1, False, False),
        ([choice("a", "stop"), choice("")], 1, True, True),
        ([choice("a"), choice("b", None, 1), choice("", "stop"), choice("c", None, 1)], 2, False, False),
        ([choice("a"), choice("", "stop"), choice("", "stop", 1)], 2, True, True),
        ([choice("a"), choice("", "stop")], 2, True, False),
        ([choice("a"), ONLY_USAGE], 1, True, False),
        ([choice("a"), ONLY_USAGE, choice("b")], 1, False, False),
        ([ONLY_USAGE], 1, False, False),
    ],
)  # fmt: skip
def test_a_broken_answer_is_told_from_a_whole_one(data: list[str], choices: int, by_itself: bool, broken: bool) -> None:
    for breaks, whole in ((False, by_itself), (True, broken)):
        rewriter = StreamRewriter("a", hide_usage=True, choices=choices)
        for one in data:
            rewriter.feed(f"data: {one}\n\n".encode())
        assert rewriter.end(broken=breaks).endswith(b"[DONE]\n\n") is whole
        assert rewriter.whole is whole


@pytest.mark.parametrize("body", [b'{"detail":"Not Found"}', b'{"success":false,"message":"boom"}'])
def test_an_error_of_any_shape_is_no_empty_answer(body: bytes) -> None:
    out, rewriter = passed(body)
    assert rewriter.failed
    assert b"[DONE]" not in out
    assert is_refusal(json.loads(body))


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": [{"text": "a"}], "message": "x"}, {"object": "list", "data": [{"embedding": [1]}], "message": "x"},
        {"input_ids": [1], "length": 1}, [], None,
    ],
)  # fmt: skip
def test_an_answer_is_no_error(answer: object) -> None:
    assert not is_refusal(answer)


def test_what_is_nested_too_deeply_to_be_written_is_damaged() -> None:
    for depth in range(900, 1100):
        with suppress(ValueError):
            passed(b'{"model":"x","choices":[],"a":' + b"[" * depth + b"]" * depth + b"}")
