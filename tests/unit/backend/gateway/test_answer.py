"""A server's answer on its way back."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.gateway.answer import StreamRewriter, renamed, server_words, total_tokens

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
    assert rewriter.rest() == b""


def test_usage_beside_text_is_never_hidden() -> None:
    rewriter = StreamRewriter("a", hide_usage=True)
    line = 'data: {"model":"m","choices":[{"delta":{"content":"x"}}],"usage":{"total_tokens":5}}\n\n'
    assert b'"x"' in rewriter.feed(line.encode())
    assert rewriter.tokens == 5


def test_what_is_cut_off_is_kept_apart() -> None:
    rewriter = StreamRewriter("a", hide_usage=True)
    assert rewriter.feed(b'data: {"a": 1}\n\ndata: {"b"') == b'data: {"a": 1}\n\n'
    assert rewriter.rest() == b'data: {"b"'
    assert not rewriter.done


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
        (b'"too long"', "too long"), (b"too long", "too long"), (b"<html><body>x", ""), (b"", ""), (b"{}", ""),
        (b'{"object": "error", "message": "too long", "code": 400}', "too long"), (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)  # fmt: skip
def test_a_servers_words(body: bytes, words: str) -> None:
    assert server_words(body) == words
