"""What of a log may say why a process died. Pure.

A word such as "out of memory" in a warning, an option's help or a note kills nothing. What counts is an exception, an
error that the engine logged, what a command's parser refused, and the last words of a crash, and only where the log
doesn't go on as if nothing had been.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backend.outside_text import without_escapes

LONGEST_LINE = 4000  # as evidence: a list of a hundred architectures is one line
MOST_FRAMES = 400
MOST_CONTINUED = 40

# A progress bar that the line was written behind: "Loading:  50%|█████ | 2/4 [00:00<00:00, 13it/s]Traceback …".
BEFORE = re.compile(r"^.*\|\s*\d+/\d+ \[[^\]]*\](?=.)")
# What writes in the name of another process: Ray's workers, torchrun's ranks.
_PREFIX = re.compile(
    r"^(?:\x1b\[\d+m)?(?:\([\w:.]+(?: [\w-]+)? ?pid=\d+(?:, ip=[\d.]+)?\)|\[rank\d+\]:)(?:\x1b\[\d+m)? ?"
)
_TRACEBACK = "Traceback (most recent call last)"
_GROUP = re.compile(r"^ +\+ Exception Group Traceback")
_MARGIN = re.compile(r"^ +(?:\| ?|\+ |\+(?:-\+)?-+(?: (?:\d+|\.\.\.) -+)?$)")
_CHAINED = re.compile(r"^(?:During handling of the above exception|The above exception was the direct cause)")
EXCEPTION = re.compile(
    r"^(?:[A-Za-z_][\w.]*\.)?(?:[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Killed|Timeout|Failed)(?:\(\w+\))?"
    r"|gaierror|timeout|OfflineModeIsEnabled|TooManyRedirects|OutOfResources)\b(?:: .*|:?$)"
)
FATAL = re.compile(r"\[TM\]\[FATAL\](?:\[[^\]]*\])*\s*(?P<cause>.*)")
# "2026-11-25 10:00:00,000 - lmdeploy - ERROR - base.py:54 - …", "ERROR:    [Errno 98] …" (uvicorn).
_LOGGED = re.compile(
    r"^(?:\d{4}-\d\d-\d\d [\d:,.]+ - \S+ - (?:ERROR|CRITICAL|FATAL) - \S+ - |ERROR: {2,}|CRITICAL: {2,})(?P<text>.+)"
)
_REFUSED = re.compile(
    r"^(?:[\w./ -]{1,80}: )?error: (?P<text>.+)|^Error: (?P<text2>(?:No such|Invalid|Missing|Got unexpected).+)"
)
_BOX = re.compile(
    r"^│ (?P<text>(?:No such (?:option|command)|Invalid value|Missing (?:argument|option|command)"
    r"|Got unexpected).*?) *│?$"
)
# Last words of what isn't Python.
_LAST_WORDS = re.compile(
    r"^(?:terminate called|  what\(\):|Fatal Python error|Killed\b|Bus error|Segmentation fault|Aborted\b|OSError\b"
    r"|Illegal instruction|ImportError\b|.{0,200}fatal error: |.{0,200}ld: cannot find|.{0,200}\bNCCL WARN\b"
    r"|\*\*\* SIG\w+|CUDA out of memory|The checkpoint you are trying to load"
    r"|.{0,80}error while loading shared libraries|.{0,200}GLIBC(?:XX)?_[\d.]+' not found"
    r"|LLVM ERROR|Unable to load any of \{|Invalid handle\. Cannot|Could not load library"
    r"|\S*python[\d.]*: No module named |=>> PBS: job killed|TERM_RUNLIMIT"
    r"|malloc\(\): |free\(\): |double free or corruption|corrupted (?:size|double-linked)|munmap_chunk\(\)"
    r"|\[TM\]\[ERROR\] Assertion fail"
    r"|F\d{4} [\d:.]+ )"
)
# A new record, behind which no exception's text goes on.
_RECORD = re.compile(
    r"^(?:INFO|WARNING|ERROR|DEBUG|CRITICAL): |^\d{4}-\d\d-\d\d |^\[TM\]|^HINT:|^\$ |^Process \S+:|^Traceback "
    r"|^  File \""
    r"|^Exception ignored|^\*\*\* stacktrace|^Loading|^\s*\d+%\||^\[transformers\]|^usage: "
)
# The process lives and works after this line, whatever stood above.
_SERVES = re.compile(r"Application startup complete|Uvicorn running on")
_ANSWERS = re.compile(
    r"\"(?:GET|POST) \S+ HTTP/[\d.]+\" 200|^Loading\b.*\d+%\||\bslab_size \d+|layers\.\d+.* weight packed"
)


@dataclass(frozen=True)
class Said:
    """One exception, or one line that speaks of an end.

    ``text`` is what it says, with its further lines; ``frames`` the traceback above it; ``line`` its first line, as it
    is shown. Exceptions of one chain have the same ``block``. ``at`` is the number of its line.
    """

    text: str
    line: str
    at: int
    block: int
    frames: str = ""
    kind: str = "exception"


def clean(text: str) -> list[str]:
    """The log's lines without colours, and without the zeros of a file that was cut while it was written; every state
    of a line that was rewritten is a line of its own."""
    lines = re.split(r"[\r\n]+", without_escapes(text.replace("\0", "")))
    return [line.rstrip() for line in lines if line.strip()]


def evidence(lines: Sequence[str]) -> tuple[Said, ...]:
    """All that may say why it died, in the log's order."""
    return tuple(_read(_without_margins([bare(line) for line in lines])))


def last_era(said: Sequence[Said], lines: Sequence[str], signalled: bool) -> tuple[Said, ...]:
    """What was said since the process last showed that it goes on.

    A server that began to serve had got over what stood before. One that was ``signalled`` from outside, and one that
    only logged an error, had got over it too where it went on answering or loading afterwards.
    """
    serves = max((at for at, line in enumerate(lines) if _SERVES.search(line)), default=-1)
    answers = max((at for at, line in enumerate(lines) if _ANSWERS.search(line)), default=-1)
    return tuple(one for one in said if one.at > (answers if signalled or one.kind == "error" else serves))


def bare(line: str) -> str:
    line = _PREFIX.sub("", line[:LONGEST_LINE])
    return BEFORE.sub("", line).rstrip() if "|" in line and "/" in line else line


def _without_margins(lines: Sequence[str]) -> list[str]:
    """Exception groups, as tasks of asyncio raise them, without what Python draws beside their tracebacks."""
    inside = False
    shown = []
    for line in lines:
        inside = _GROUP.match(line) is not None or (inside and _MARGIN.match(line) is not None)
        shown.append(_MARGIN.sub("", line) if inside else line)
    return shown


def _read(lines: Sequence[str]) -> Iterator[Said]:
    at, block, chained = 0, 0, False
    while at < len(lines):
        line = lines[at]
        if _CHAINED.match(line.strip()):
            chained, at = True, at + 1
            continue
        if _TRACEBACK in line:
            block += 0 if chained else 1
            chained = False
            end = _frames_end(lines, at + 1)
            if end >= len(lines):
                return
            text, after = _with_more(lines, end)
            yield Said(text, lines[end].strip(), end, block, "\n".join(lines[at + 1 : end][-MOST_FRAMES:]))
            at = after
            continue
        if found := _other(lines, at):
            block += 0 if chained else 1
            chained = False
            kind, text, after = found
            frames = _frames_above(lines, at) if kind == "exception" else ""
            yield Said(text, line.strip(), at, block, frames, kind)
            at = after
            continue
        at += 1


def _frames_end(lines: Sequence[str], at: int) -> int:
    """The number of the line behind a traceback's frames."""
    while at < len(lines) and lines[at][:1] in (" ", "\t"):
        at += 1
    return at


def _frames_above(lines: Sequence[str], at: int) -> str:
    """The frames above an exception whose traceback's head isn't in the part of the log that was read."""
    start = at
    while start > max(0, at - MOST_FRAMES) and lines[start - 1][:1] in (" ", "\t"):
        start -= 1
    return "\n".join(lines[start:at])


def _other(lines: Sequence[str], at: int) -> tuple[str, str, int] | None:
    """What stands at that line if it is no traceback: its kind, its text, and the number of the line behind it."""
    line = lines[at]
    if found := FATAL.search(line):
        return "fatal", found["cause"] or line, at + 1
    if found := _LOGGED.match(line):
        text, after = _with_more(lines, at)
        if "Traceback" in "".join(lines[at + 1 : at + 2]):
            return None if "Exception in ASGI" in line else ("error", line, at + 1)
        return "error", text, after
    if found := _REFUSED.match(line) or _BOX.match(line):
        return "refused", line, at + 1
    if EXCEPTION.match(line):
        text, after = _with_more(lines, at)
        return "exception", text, after
    if _LAST_WORDS.match(line):
        return "words", line, at + 1
    return None


def _with_more(lines: Sequence[str], at: int) -> tuple[str, int]:
    """The text that begins at that line, with the lines that belong to it."""
    end = at + 1
    while end < len(lines) and end - at < MOST_CONTINUED:
        line = lines[end]
        if _RECORD.match(line) or _CHAINED.match(line.strip()) or EXCEPTION.match(line) or _TRACEBACK in line:
            break
        end += 1
    return "\n".join(lines[at:end]), end
