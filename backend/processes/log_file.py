"""Reads logs of any size: every call reads a bounded part of the file, found by byte offset.

Logs are UTF-8 with whatever else a program may write: bytes that aren't text become U+FFFD. Text is cut between
characters, never inside one.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from backend.errors import Message, NotFound
from backend.outside_text import without_escapes

CHUNK_BYTES = 64 * 1024
SEARCH_BYTES = 8 * 1024 * 1024
_BLOCK_BYTES = 64 * 1024
_TAIL_BYTES = 1024 * 1024
_LINE_SHOWN_BYTES = 2000
_LONGEST = 4  # bytes of a character

_LINE_END = re.compile(rb"[\r\n]")


@dataclass(frozen=True)
class LogChunk:
    """Part of a log: its text, the bytes ``offset`` … ``next_offset`` it was read from, and the log's size in bytes.

    A character that is only half written at the end counts as not there yet, in ``size`` too: ``next_offset == size``
    means that all was read.
    """

    text: str
    offset: int
    next_offset: int
    size: int


@dataclass(frozen=True)
class Match:
    """A line with the text that was searched for. ``offset`` is where the line begins, in bytes; a very long line is
    cut around the find, and ``offset`` is the cut's."""

    offset: int
    line: str


@dataclass(frozen=True)
class SearchResult:
    """Matches, last first. ``next_before`` is the ``before_offset`` to go on with, None at the beginning."""

    matches: tuple[Match, ...]
    next_before: int | None


def read_chunk(path: Path, offset: int, limit: int = CHUNK_BYTES) -> LogChunk:
    """At most ``limit`` bytes from ``offset`` on. A negative offset counts from the end and begins with a whole line,
    if there is one.

    An offset inside a character begins behind it; one behind the end gives an empty chunk at the end. Bytes that are no
    text are counted like any others: what begins where another chunk ended goes on without a gap. Raises NotFound where
    there is no log.
    """
    limit = max(limit, _LONGEST)
    with _open(path) as file:
        size = file.seek(0, 2)
        from_end = offset < 0
        offset = max(size + offset, 0) if from_end else min(offset, size)
        before, data = _read_with_before(file, offset, min(limit + _LONGEST, size - offset))
    skipped = _beginning(before, data) if from_end else _rest_of_character(before, data)
    offset, data = offset + skipped, data[skipped : skipped + limit]
    rest = _half_character_after(data)
    if offset + len(data) == size:
        size -= rest
    data = data[: len(data) - rest]
    return LogChunk(data.decode("utf-8", "replace"), offset, offset + len(data), size)


def read_whole(path: Path, limit: int = CHUNK_BYTES) -> tuple[int, Iterator[bytes]]:
    """How many bytes there are now, and just these, piece by piece. Raises NotFound where there is no log."""
    file = _open(path)
    size = os.fstat(file.fileno()).st_size

    def parts() -> Iterator[bytes]:
        left = size
        with file:
            while left and (data := file.read(min(limit, left))):
                left -= len(data)
                yield data

    return size, parts()


def read_before(path: Path, end: int, limit: int = CHUNK_BYTES) -> LogChunk:
    """At most ``limit`` bytes up to ``end``, beginning with a whole line where there is one; else with the part of one
    that a carriage return left, else with a character. Nothing at the beginning of the log. Raises NotFound.

    Chunk after chunk, each up to where the one before began, they make the whole log: no byte is missing or there
    twice.
    """
    limit = max(limit, _LONGEST)
    with _open(path) as file:
        size = file.seek(0, 2)
        end = min(max(end, 0), size)
        start = max(end - limit, 0)
        before, data = _read_with_before(file, start, end - start)
    skipped = _beginning(before, data)
    data = data[skipped:]
    return LogChunk(data.decode("utf-8", "replace"), start + skipped, end, size)


def line_starts(chunk: LogChunk, path: Path) -> tuple[int, ...]:
    """Where each line of the chunk's text (between line feeds) begins in the log, in bytes.

    The text doesn't tell: a byte that is no text is one character of three bytes there. Raises NotFound.
    """
    with _open(path) as file:
        file.seek(chunk.offset)
        data = file.read(chunk.next_offset - chunk.offset)
    return (chunk.offset, *(chunk.offset + found.end() for found in re.finditer(rb"\n", data)))


def tail_text(path: Path, max_bytes: int = CHUNK_BYTES) -> str:
    """The log's last part, from a line's beginning on; "" where there is no log."""
    try:
        return read_chunk(path, -max_bytes, max_bytes).text
    except NotFound:
        return ""


def tail_lines(path: Path, n: int) -> tuple[str, ...]:
    """The last ``n`` lines as a terminal would show them, of at most the last MiB; () where there is no log."""
    try:
        with _open(path) as file:
            position = file.seek(0, 2)
            stop = max(position - _TAIL_BYTES, 0)
            data = b""
            while position > stop and data.count(b"\n") <= n:
                start = max(position - _BLOCK_BYTES, stop)
                file.seek(start)
                data = file.read(position - start) + data
                position = start
    except NotFound:
        return ()
    lines = as_shown(data.decode("utf-8", "replace")).splitlines()
    return tuple(lines[-n:]) if n > 0 else ()


def as_shown(text: str) -> str:
    """The text as a terminal leaves it: without what a carriage return overwrote, without colours and cursor moves."""
    lines = without_escapes(text).replace("\r\n", "\n").split("\n")
    return "\n".join(_last_written(line) for line in lines)


def search(path: Path, text: str, before_offset: int | None = None, limit: int = SEARCH_BYTES) -> SearchResult:
    """Lines that hold ``text`` (A–Z as a–z), from ``before_offset`` (None: the end) backwards through ``limit`` bytes.

    Call again with ``next_before`` to go on. A line is what stands between line feeds or carriage returns. Raises
    NotFound where there is no log.
    """
    needle = text.encode("utf-8", "replace").lower()
    if not needle:
        return SearchResult((), None)
    with _open(path) as file:
        size = file.seek(0, 2)
        end = size if before_offset is None else min(max(before_offset, 0), size)
        start = max(end - limit, 0)
        file.seek(start)
        # A find may begin before ``end`` and reach beyond it where a giant line was cut there.
        data = file.read(end - start + len(needle) - 1)
    window = end - start
    if start > 0:
        line_end = _LINE_END.search(data, 0, window)
        if line_end is not None and line_end.end() < window:
            data, window = data[line_end.end() :], window - line_end.end()
            start += line_end.end()
    matches = tuple(Match(start + at, line) for at, line in _finds(data, needle, window))
    return SearchResult(matches[::-1], start if start > 0 else None)


def _finds(data: bytes, needle: bytes, window: int) -> Iterator[tuple[int, str]]:
    """Each line with a find that begins within the window, as its position and text."""
    lower = data.lower()
    at = lower.find(needle)
    while 0 <= at < window:
        begin = max(lower.rfind(b"\n", 0, at), lower.rfind(b"\r", 0, at)) + 1
        line_end = _LINE_END.search(data, at)
        end = line_end.start() if line_end else len(data)
        shown_from = begin if at - begin < _LINE_SHOWN_BYTES else at - _LINE_SHOWN_BYTES // 2
        shown = data[shown_from : min(end, at + _LINE_SHOWN_BYTES)]
        shown_from += _half_character_before(shown)
        yield shown_from, as_shown(shown[_half_character_before(shown) :].decode("utf-8", "replace"))
        at = lower.find(needle, max(end, at + 1))


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise NotFound(Message("servers.log.missing", {"path": str(path)})) from error


def _last_written(line: str) -> str:
    """What the last carriage return that something follows left on the line."""
    return next((part for part in reversed(line.split("\r")) if part.strip()), "") if "\r" in line else line


def _read_with_before(file: BinaryIO, offset: int, count: int) -> tuple[bytes, bytes]:
    """The bytes from ``offset`` on, and up to three before them, which tell whether it lies inside a character."""
    start = max(offset - _LONGEST + 1, 0)
    file.seek(start)
    data = file.read(offset - start + count)
    return data[: offset - start], data[offset - start :]


def _beginning(before: bytes, data: bytes) -> int:
    """Where the first whole line of the data begins; where there is none, behind a carriage return, or behind the rest
    of a character."""
    if not before:
        return 0
    for end in (b"\n", b"\r"):
        at = data.find(end) + 1
        if 0 < at < len(data):
            return at
    return _rest_of_character(before, data)


def _rest_of_character(before: bytes, data: bytes) -> int:
    """How many bytes at the data's beginning belong to a character that began before it (0…3). Bytes that only look
    like it, as those of other encodings do, belong to none."""
    for back in range(1, min(_LONGEST, len(before) + 1)):
        lead = before[-back]
        if lead & 0xC0 == 0x80:
            continue
        needed = _length_of(lead)
        whole = before[-back:] + data[: needed - back]
        if needed <= back or len(whole) < needed:
            return 0
        try:
            whole.decode("utf-8")
        except UnicodeDecodeError:
            return 0
        return needed - back
    return 0


def _length_of(lead: int) -> int:
    """How many bytes the character has that begins with this one."""
    return 2 if lead & 0xE0 == 0xC0 else 3 if lead & 0xF0 == 0xE0 else 4 if lead & 0xF8 == 0xF0 else 1


def _half_character_before(data: bytes) -> int:
    """How many bytes at the beginning are the rest of a character that began earlier (0…3)."""
    return next((i for i, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)


def _half_character_after(data: bytes) -> int:
    """How many bytes at the end are the beginning of a character that isn't there wholly (0…3)."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        return back if _length_of(byte) > back else 0
    return 0
