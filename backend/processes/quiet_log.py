"""A server's log without the lines that the console causes itself, by looking every second whether the server is well.

Only text is left out: the bytes that a part was read from stay counted, so that a page goes on where it was.
"""

import re
from dataclasses import replace
from pathlib import Path

from backend.processes.log_file import CHUNK_BYTES, LogChunk, line_starts, read_before, read_chunk

# uvicorn's access log: INFO:     127.0.0.1:41234 - "GET /health HTTP/1.1" 200 OK. One that fails is worth seeing.
_OWN = re.compile(r'INFO:\s+\S+ - "(?:GET|HEAD) /(?:health|metrics|nodes/status) HTTP/[\d.]+" 200(?: OK)?\s*')
_WORDS = (
    ("INFO:",),
    (),
    ("-",),
    ('"GET', '"HEAD'),
    ("/health", "/metrics", "/nodes/status"),
)  # how such a line begins; (): an address
MOST_BYTES = 8 * 1024 * 1024  # that are looked through for something to show
FEW_LINES = 100

Part = tuple[LogChunk, tuple[int, ...]]


def read_on(path: Path, offset: int) -> Part:
    """As ``read_chunk`` from there on, and where its lines begin. A last line that may become one of those isn't there
    yet. Raises NotFound."""
    return _end_settled(*_quiet(read_chunk(path, offset), path))


def read_back(path: Path, before: int | None) -> Part:
    """As ``read_before`` (None: the log's end), going further back where little is left to show. Raises NotFound."""
    if before is None:
        chunk, starts = _end_settled(*_quiet(read_chunk(path, -CHUNK_BYTES), path))
    else:
        chunk, starts = _quiet(read_before(path, before), path)
    while chunk.offset and len(starts) < FEW_LINES and chunk.next_offset - chunk.offset < MOST_BYTES:
        earlier, earlier_starts = _quiet(read_before(path, chunk.offset), path)
        if earlier.offset == chunk.offset:
            break
        chunk = replace(chunk, text=earlier.text + chunk.text, offset=earlier.offset)
        starts = earlier_starts + starts[1:]  # the first goes on where the earlier part ended
    return chunk, starts


def _quiet(chunk: LogChunk, path: Path) -> Part:
    *lines, last = zip(chunk.text.split("\n"), line_starts(chunk, path), strict=True)
    kept = [*((line, start) for line, start in lines if not _OWN.fullmatch(line)), last]
    return replace(chunk, text="\n".join(line for line, _ in kept)), tuple(start for _, start in kept)


def _end_settled(chunk: LogChunk, starts: tuple[int, ...]) -> Part:
    last = chunk.text.rpartition("\n")[2]
    if not _may_become_own(last) or chunk.next_offset != chunk.size:
        return chunk, starts
    return replace(chunk, text=chunk.text[: len(chunk.text) - len(last)], next_offset=starts[-1]), starts


def _may_become_own(begun: str) -> bool:
    """Whether a line that isn't whole yet can still be one of the console's own."""
    words = begun.split()[: len(_WORDS)]
    for number, (word, wanted) in enumerate(zip(words, _WORDS, strict=False), 1):
        is_last = number == len(begun.split())
        if not wanted and not (word[0].isdigit() or word[0] == "["):
            return False
        if wanted and not (any(one.startswith(word) for one in wanted) if is_last else word in wanted):
            return False
    return bool(words)
