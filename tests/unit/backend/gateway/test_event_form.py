"""A streamed answer's body in the forms that servers have."""

import gzip
import json
import zlib

import pytest

from backend.chat.event_stream import TooLong
from backend.gateway.event_form import EventForm, Unpacked

CHUNKS = ['{"a": "你好"}', '{"b": "data: {}"}', "[DONE]"]
CLEAN = "".join(f"data: {data}\n\n" for data in CHUNKS)
LINES = "".join(f"{data}\n" for data in CHUNKS)
FORMS = {
    "as usual": CLEAN.encode(),
    "no blank": CLEAN.replace('data: {"a', 'data:{"a').encode(),
    "CRLF": CLEAN.replace("\n", "\r\n").encode(),
    "CR": CLEAN.replace("\n", "\r").encode(),
    "mixed line ends": CLEAN.replace("\n\n", "\n\r\n").encode(),
    "no empty lines": CLEAN.replace("\n\n", "\n").encode(),
    "no empty lines, CRLF": CLEAN.replace("\n\n", "\r\n").encode(),
    "no end of the last line": CLEAN.encode().rstrip(),
    "no last empty line": CLEAN.encode()[:-1],
    "a mark": b"\xef\xbb\xbf" + CLEAN.encode(),
    "retry and id": b"retry: 3\nid: 4\n" + CLEAN.encode(),
    "JSON lines": LINES.encode(),
    "JSON lines, CRLF": LINES.replace("\n", "\r\n").encode(),
    "JSON lines, no last end": LINES.encode().rstrip(),
    "gzip": gzip.compress(CLEAN.encode(), mtime=0),
    "gzip, each piece": b"".join(gzip.compress(f"data: {data}\n\n".encode(), mtime=0) for data in CHUNKS),
    "zlib": zlib.compress(CLEAN.encode()),
}


def read(body: bytes, size: int) -> tuple[bytes, EventForm]:
    form = EventForm()
    found = b"".join(form.feed(body[at : at + size]) for at in range(0, len(body), size))
    return found + form.end(), form


def values(events: bytes) -> list[str]:
    blocks = events.decode().split("\n\n")
    assert blocks.pop() == ""
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks)
    data = [block.removeprefix("data: ") for block in blocks]
    return [one if one == "[DONE]" else json.dumps(json.loads(one), ensure_ascii=False) for one in data]


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_comes_out_clean(form: str, size: int) -> None:
    events, read_form = read(FORMS[form], size)
    assert values(events) == CHUNKS
    assert read_form.left == ""


def test_an_event_is_passed_on_as_it_comes_without_its_empty_line() -> None:
    form = EventForm()
    assert form.feed(b'data: {"a": 1}\n') == b'data: {"a": 1}\n\n'
    assert form.feed(b"\n") == b""
    assert form.feed(b'data: {"a": 2}\n\n') == b'data: {"a": 2}\n\n'


def test_an_event_of_several_lines_stays_one() -> None:
    body = b'event: x\ndata: {"a":\ndata: {"b": 1}\ndata: }\n\n'
    assert read(body, 1 << 20)[0] == body


def test_comments_keep_connections_open_between_events_only() -> None:
    form = EventForm()
    assert form.feed(b": ping\n\n") == b": ping\n\n"
    assert form.feed(b": ping\r\n\r\n") == b":\n\n"
    assert form.feed(b'data: {"a": "\\n') == b""
    assert form.feed(b': x"}\n\n') == b'data: {"a": "\\n: x"}\n\n'


@pytest.mark.parametrize("indent", [None, 1])
def test_one_document(indent: int | None) -> None:
    answer = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    events, form = read(json.dumps(answer, indent=indent).encode(), 7)
    assert values(events) == [
        '{"choices": [{"finish_reason": "stop", "delta": {"content": "Hi"}}], "object": "chat.completion.chunk"}'
    ]
    assert form.document
    assert not read(b'{"choices": [{"mess', 7)[1].document


def test_what_is_no_event_is_kept() -> None:
    events, form = read(b'data: {"a": 1}\n\nTraceback:\nRuntimeError: x\n', 7)
    assert events == b'data: {"a": 1}\n\n'
    assert form.left == "Traceback:\nRuntimeError: x"
    assert read(b"<html>sign in</html>", 7)[1].left == "<html>sign in</html>"


@pytest.mark.parametrize("begin", [b"data: ", b'{"a": "', b"x", b"data: x\n", b" "])
def test_what_has_no_end_is_bounded(begin: bytes) -> None:
    form = EventForm(limit=1000)
    form.feed(begin)
    more = begin if begin.endswith(b"\n") else b"x" if begin.strip() else b" "
    with pytest.raises(TooLong):
        [form.feed(more) for _ in range(2000)]


def test_what_is_packed_is_bounded_and_read_piece_by_piece() -> None:
    with pytest.raises(TooLong):
        Unpacked(1000).feed(gzip.compress(b"x" * 2000, mtime=0))
    with pytest.raises(ValueError, match="invalid"):
        Unpacked(1000).feed(b"\x1f\x8b\x08\x00" + b"\xff" * 20)
    plain = Unpacked(1000)
    assert (plain.feed(b"x"), plain.end()) == (b"", b"x")


@pytest.mark.parametrize(
    "body",
    [
        b'Data: {"a": 1}\n\ndata: {"b": 2}\n\n', b'data: {"a":\n1}\n\ndata: {"b": 2}\n\n',
        b"\n" * 9000 + b'data: {"a": 1}\n\ndata: {"b": 2}\n\n', b'[{"a": 1}, {"b": 2}]\n',
        b"".join(gzip.compress(b'data: {"%s": %d}\n\n' % one, mtime=0) + b"\r\n" for one in ((b"a", 1), (b"b", 2))),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_what_few_servers_write(body: bytes, size: int) -> None:
    events, form = read(body, size)
    data = "".join(line.removeprefix("data: ").removeprefix(":") for line in events.decode().split("\n"))
    assert data.replace(" ", "") == '{"a":1}{"b":2}'
    assert form.left == ""


def test_blanks_without_end_are_too_long() -> None:
    form = EventForm(1000)
    with pytest.raises(TooLong):
        [form.feed(b"\n" * 100) for _ in range(20)]


def test_a_document_without_an_answer_is_none() -> None:
    assert not read(b'{"detail": "x"}', 100)[1].document
    assert read(b'{"choices": []}', 100)[1].document
