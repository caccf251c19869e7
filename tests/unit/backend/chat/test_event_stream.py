"""The reader of server-sent events against the standard, cut and reshaped in every way."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.chat.event_stream import EventReader, ServerEvent, Stray, TooLong

CASES: tuple[tuple[bytes, list[tuple[str, str]]], ...] = (
    (b"data: a\n\n", [("a", "")]),
    (b"data:a\r\rdata:b\r\n\r\n", [("a", ""), ("b", "")]),
    (b"data:  a\n\n", [(" a", "")]),  # one blank belongs to the field
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("YHOO\n+2\n10", "")]),
    (b": test stream\n\ndata: first\nid: 1\n\ndata:second\nid\n\ndata:  third\n\n",
     [("first", ""), ("second", ""), (" third", "")]),
    (b"data\n\ndata\ndata\n\n", [("", ""), ("\n", "")]),
    (b"event: error\ndata: x\n\ndata: y\n\n", [("x", "error"), ("y", "")]),
    (b"event: left behind\n\ndata: y\n\n", [("y", "")]),
    (b"\xef\xbb\xbfdata: a\n\n", [("a", "")]),
    (b"retry: 10\nretry: x\ndata: a\n\n", [("a", "")]),
    ("data: a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\n\n".encode(), [("a\u2028b\u2029c\x85d\x0be\x0cf\x1cg", "")]),
    (b"data: \xff\xfe\n\n", [("\ufffd\ufffd", "")]),
    ("data: 狐狸🦊\r\n\r\n".encode(), [("狐狸🦊", "")]),
)  # fmt: skip


def read(data: bytes, cuts: list[int]) -> list[ServerEvent | Stray]:
    reader = EventReader()
    found: list[ServerEvent | Stray] = []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        found += reader.feed(data[start:end])
    return found + reader.end()


@pytest.mark.parametrize(("data", "wanted"), CASES)
def test_by_the_standard_wherever_it_is_cut(data: bytes, wanted: list[tuple[str, str]]) -> None:
    for cuts in ([], list(range(1, len(data))), *([cut] for cut in range(1, len(data)))):
        found = read(data, list(cuts))
        assert [(event.data, event.type) for event in found if isinstance(event, ServerEvent)] == wanted, cuts


def test_the_last_id_stays_and_one_with_a_zero_is_none() -> None:
    found = read(b"id: 7\ndata: a\n\ndata: b\n\nid: 8\0\ndata: c\n\nid\ndata: d\n\n", [])
    assert [event.id for event in found if isinstance(event, ServerEvent)] == ["7", "7", "7", ""]


def test_an_end_without_an_empty_line_gives_what_is_there() -> None:
    assert read(b"data: a\n\ndata: [DONE]", []) == [ServerEvent("a"), ServerEvent("[DONE]")]


def test_a_line_of_something_else_is_kept() -> None:
    assert read(b"data: a\n\nInternal Server Error\n", []) == [ServerEvent("a"), Stray("Internal Server Error")]


@pytest.mark.parametrize("piece", [b"x" * 100, b"data: xxxx\n"])
def test_what_never_ends_is_given_up(piece: bytes) -> None:
    reader = EventReader(limit=1000)
    with pytest.raises(TooLong):
        [reader.feed(piece) for _ in range(300)]


TEXTS = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=30)
LINE_ENDS = st.sampled_from(["\n", "\r", "\r\n"])


@given(st.lists(st.lists(TEXTS, min_size=1, max_size=3), max_size=6), st.data())
@settings(deadline=None, derandomize=True, max_examples=100)
def test_any_events_in_any_shape(events: list[list[str]], data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(["", "\ufeff"]))
    for lines in events:
        for line in lines:
            blank = "" if line and not line.startswith(" ") and data.draw(st.booleans()) else " "
            text += f"data:{blank}{line}" + data.draw(LINE_ENDS)
            if data.draw(st.booleans()):
                text += f": {data.draw(TEXTS)}" + data.draw(LINE_ENDS)
        text += data.draw(LINE_ENDS)
    # a CR and the LF of the next line would be one line end
    encoded = text.replace("\r\n", "\0").replace("\r\n", "\r").replace("\0", "\r\n").encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(encoded)), max_size=12)))
    wanted = list(reference(encoded.decode()))
    assert [event.data for event in read(encoded, cuts) if isinstance(event, ServerEvent)] == wanted


def reference(text: str) -> list[str]:
    """The standard's algorithm on the whole text."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    found: list[str] = []
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                found.append("\n".join(data))
            data = []
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
    if data:
        found.append("\n".join(data))
    return found
