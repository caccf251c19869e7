"""Logs are read in parts, between characters, at any size."""

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import NotFound
from backend.processes.log_file import (
    Match,
    as_shown,
    line_starts,
    read_before,
    read_chunk,
    search,
    tail_lines,
    tail_text,
)

TEXT = "première ligne\n第二行：模型已加载 ✓\n🙂🙂🙂\nlast"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.txt"


@pytest.mark.parametrize("limit", range(1, 24))
def test_chunks_of_any_size_make_the_whole_text(log: Path, limit: int) -> None:
    log.write_text(TEXT, encoding="utf-8")
    size = log.stat().st_size
    offset, parts = 0, []
    while offset < size:
        chunk = read_chunk(log, offset, limit)
        assert chunk.offset == offset < chunk.next_offset <= size == chunk.size
        parts.append(chunk.text)
        offset = chunk.next_offset
    assert "".join(parts) == TEXT


def test_a_character_that_is_half_written_waits(log: Path) -> None:
    whole = "ok 好".encode()
    for cut in (1, 2):
        log.write_bytes(whole[:-cut])
        chunk = read_chunk(log, 0)
        assert (chunk.text, chunk.next_offset, chunk.size) == ("ok ", 3, 3)
    log.write_bytes(whole)
    assert read_chunk(log, 3).text == "好"


def test_bytes_that_are_no_text_are_marked(log: Path) -> None:
    log.write_bytes(b"a\xff\xfe\x80b\xc3\n")
    assert read_chunk(log, 0).text == "a\ufffd\ufffd\ufffdb\ufffd\n"


def test_a_negative_offset_begins_with_a_whole_line(log: Path) -> None:
    log.write_text("".join(f"行{number}\n" for number in range(100)), encoding="utf-8")
    chunk = read_chunk(log, -14)
    assert chunk.text == "行98\n行99\n"
    assert chunk.next_offset == chunk.size
    assert read_chunk(log, -1_000_000, 6).text == "行0\n"
    log.write_text("好" * 10, encoding="utf-8")
    assert read_chunk(log, -7).text == "好好"


def test_an_offset_inside_a_character_begins_behind_it(log: Path) -> None:
    log.write_text("好坏", encoding="utf-8")
    for offset in (1, 2, 3):
        chunk = read_chunk(log, offset)
        assert (chunk.text, chunk.offset, chunk.next_offset) == ("坏", 3, 6)


def test_an_offset_behind_the_end_gives_nothing(log: Path) -> None:
    log.write_bytes(b"abc")
    chunk = read_chunk(log, 99)
    assert (chunk.text, chunk.offset, chunk.next_offset, chunk.size) == ("", 3, 3, 3)


def test_no_log(log: Path) -> None:
    for call in (lambda: read_chunk(log, 0), lambda: search(log, "x")):
        with pytest.raises(NotFound):
            call()
    assert tail_lines(log, 5) == ()
    assert tail_text(log) == ""


def test_tail_lines(log: Path) -> None:
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    assert tail_lines(log, 2) == ("line 99998", "line 99999")
    assert len(tail_lines(log, 20_000)) == 20_000
    assert tail_lines(log, 0) == ()
    log.write_bytes(b"x" * 3_000_000)
    assert tail_lines(log, 1) == ("x" * 1024 * 1024,)


def test_text_as_a_terminal_shows_it() -> None:
    progress = "start\r\nLoading:   0%|  | 0/24\rLoading:  29%|██▉ | 7/24\r   \nnext\r\n\x1b[31mred\x1b[0m\x1b[A\n"
    assert as_shown(progress) == "start\nLoading:  29%|██▉ | 7/24\nnext\nred\n"


@pytest.mark.parametrize("limit", [1, 7, 50, 1000, 10_000_000])
def test_search_finds_every_line_once_in_windows_of_any_size(log: Path, limit: int) -> None:
    lines = [f"{number:04} {'Needle 针' if number % 7 == 3 else 'hay'} end" for number in range(200)]
    log.write_text("\r".join(lines[:100]) + "\n" + "\n".join(lines[100:]), encoding="utf-8")
    data = log.read_bytes()
    found: list[Match] = []
    before = None
    for _ in itertools.count():
        result = search(log, "nEEDLE 针", before, limit)
        found += result.matches
        before = result.next_before
        if before is None:
            break
    assert all(data[match.offset :].startswith(match.line.encode()) for match in found)
    # A window smaller than a line cuts it; the find itself is still there, once.
    assert len(found) == sum("Needle" in line for line in lines)
    assert all("Needle 针" in match.line for match in found)


def test_search_shows_a_bounded_part_of_a_giant_line(log: Path) -> None:
    log.write_bytes(b"a" * 3_000_000 + b"needle" + b"b" * 3_000_000)
    (match,) = search(log, "needle", limit=10_000_000).matches
    assert "needle" in match.line
    assert len(match.line) < 5000
    assert log.read_bytes()[match.offset :].startswith(match.line.encode())


def test_search_for_nothing_finds_nothing(log: Path) -> None:
    log.write_bytes(b"abc")
    assert search(log, "").matches == ()


# Pieces that fall apart in interesting ways, and any bytes at all.
PIECES = [
    b"\n", b"\r", b"\r\n", b"a", "é".encode(), "好".encode(), "🙂".encode(), "好".encode()[:2], "🙂".encode()[:3],
    b"\x80", b"\xe5", b"\xf0\x9f", b"\xff", b"\xc3", "模型".encode("gbk"), "中文行\n".encode("gbk"), b"\xed\xa0\x80",
    b"\xc0\x80",
]  # fmt: skip
contents = st.lists(st.sampled_from(PIECES) | st.binary(max_size=5), max_size=40).map(b"".join)


@contextmanager
def holding(content: bytes) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield Path(file.name)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(contents, st.integers(1, 30))
def test_forwards_and_backwards_are_the_same_bytes(content: bytes, limit: int) -> None:
    """Each chunk begins where the one before ended, and is the text of exactly those bytes."""
    with holding(content) as path:
        offset, size = 0, read_chunk(path, 0).size
        while True:
            chunk = read_chunk(path, offset, limit)
            assert chunk.offset == offset
            assert chunk.text == content[offset : chunk.next_offset].decode("utf-8", "replace")
            if chunk.next_offset == chunk.size:
                break
            assert chunk.next_offset > offset
            offset = chunk.next_offset
        assert len(content) - 3 <= chunk.size <= len(content)
        end = chunk.size
        while end > 0:
            chunk = read_before(path, end, limit)
            assert chunk.next_offset == end > chunk.offset
            assert chunk.text == content[chunk.offset : end].decode("utf-8", "replace")
            starts = line_starts(chunk, path)
            assert len(starts) == len(chunk.text.split("\n"))
            assert all(start == chunk.offset or content[start - 1 : start] == b"\n" for start in starts)
            end = chunk.offset
        assert size <= len(content)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.text(max_size=40), st.integers(4, 30))
def test_text_is_never_cut_inside_a_character(text: str, limit: int) -> None:
    content = text.encode("utf-8", "replace")
    whole = content.decode()
    with holding(content) as path:
        end, parts = len(content), list[str]()
        while end > 0:
            chunk = read_before(path, end, limit)
            parts.insert(0, chunk.text)
            end = chunk.offset
        assert "".join(parts) == whole
        for offset in range(len(content) + 1):
            assert "\ufffd" not in read_chunk(path, offset, limit).text.replace("\ufffd", "", whole.count("\ufffd"))


@settings(derandomize=True, deadline=None, max_examples=100)
@given(contents, st.integers(1, 60))
def test_the_end_begins_with_a_whole_line_where_there_is_one(content: bytes, back: int) -> None:
    with holding(content) as path:
        chunk = read_chunk(path, -back)
        part = content[-back:]
        if len(part) < len(content) and 0 <= part.find(b"\n") < len(part) - 1:
            assert content[chunk.offset - 1 : chunk.offset] == b"\n"
        assert chunk.text == content[chunk.offset : chunk.next_offset].decode("utf-8", "replace")
