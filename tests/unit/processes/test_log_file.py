"""Logs are read in parts, between characters, at any size."""

import itertools
from pathlib import Path

import pytest

from backend.errors import NotFound
from backend.processes.log_file import as_shown, read_chunk, search, tail_lines, tail_text

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
    found = []
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
