"""What a server of the console's own wrote into its log while it refused a question or broke off: the cause. Bounded.

A server that fails answers "500 Internal Server Error" and says why in its log alone, at times only after the answer.
"""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

from backend.causes.evidence import bare
from backend.causes.report import without_keys
from backend.errors import Message, NotFound
from backend.processes import log_file
from backend.servers.log_reader import EXCEPTION, FATAL, REASONS, clean

READ_BYTES = 128 * 1024
WAIT_S = 2.0
POLL_S = 0.05
LINE_LIMIT = 300
ALSO_WHILE_ANSWERING = frozenset({"engines.died.picture-dtype", "engines.died.kv-misaligned"})
_IN_GROUP = re.compile(r"^\s*\|\s?")  # a traceback of several at once is drawn with lines beside it
# Whoever asked is gone, which is no cause.
GONE = re.compile(r"^(?:[\w.]+\.)?(?:CancelledError|BrokenPipeError|ConnectionResetError|ClientDisconnect)\b")
DRAGGED = "engine process is not alive"  # the PyTorch engine's last line, whatever the cause

# LMDeploy's own error lines: "2026-11-25 10:00:00,000 - lmdeploy - ERROR - async_engine.py:1 - …", "[TM][ERROR] …".
LOGGED = re.compile(
    r"(?:- ERROR - [^-]*- |\[TM\]\[(?:ERROR|FATAL)\](?:\[[^\]]*\])*\s*|^ERROR:\s+(?!\s|Exception in ASGI))(?P<cause>.+)"
)
KINDS: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (key, field, re.compile(pattern, re.IGNORECASE))
    for key, field, pattern in (
        (
            "chat.refused.no_template",
            "",
            r"chat_?template (?:is|was) not set|no chat[ _]template|without a chat template",
        ),
        ("chat.refused.system", "system", r"TemplateError: (?!.*\balternate\b).*\bsystem\b"),
        ("chat.refused.turns", "", r"TemplateError: .*\b(?:alternate|roles?)\b"),
        ("chat.refused.template", "", r"jinja2\.exceptions\.\w+:|TemplateError|TemplateSyntaxError|UndefinedError"),
        (
            "chat.refused.memory",
            "",
            r"out of memory|OutOfMemory|OUT_OF_MEMORY|allocate memory|^MemoryError|ALLOC_FAILED",
        ),
        (
            "chat.error.context",
            "question",
            r"context length|session[ _]len|max_position_embeddings|too long|longer than the (?:specified )?maximum"
            r"|input length of \w+ is \d+",
        ),
        (
            "chat.error.pictures_refused",
            "question",
            r"image.{0,60}(?:not support|cannot identify|token)|not a multimodal|cannot identify image|no vision",
        ),
        ("chat.refused.tools", "tools", r"tool[_ -](?:call[_ -])?parser"),
    )
)


@dataclass(frozen=True)
class LogMark:
    """A place in a server's log: what stands behind it was written since."""

    path: Path | None
    offset: int = 0


def mark(path: Path | None) -> LogMark:
    """The log's end now."""
    try:
        return LogMark(path, path.stat().st_size if path else 0)
    except OSError:
        return LogMark(path)


def since(place: LogMark) -> str:
    """What was written since, at most its last part; "" where there is no log."""
    if place.path is None:
        return ""
    try:
        size = place.path.stat().st_size
        start = place.offset if place.offset <= size else 0
        return log_file.read_chunk(place.path, max(start, size - READ_BYTES), READ_BYTES).text
    except (OSError, NotFound):
        return ""


async def cause(place: LogMark) -> Message | None:
    """Why the server failed, from what it wrote since; it is given a moment to write it."""
    loop = asyncio.get_running_loop()
    end = loop.time() + WAIT_S
    while place.path is not None:
        if found := read_cause(await asyncio.to_thread(since, place)):
            return found
        if loop.time() >= end:
            break
        await asyncio.sleep(POLL_S)
    return None


def read_cause(text: str) -> Message | None:
    """The most telling of the errors in a part of a log, None where there is none. Pure.

    ``detail`` is the log's line, without keys that stand in it. A traceback's last line tells the most, and of several
    tracebacks the first: the others were mostly dragged behind it.
    """
    lines = [_IN_GROUP.sub("", bare(line)) for line in clean(text)]
    raised = [line for line in lines if EXCEPTION.match(line) and not GONE.match(line)]
    logged = [found["cause"] for line in lines if (found := LOGGED.search(line) or FATAL.search(line))]
    errors = raised + logged[::-1]
    for key, pattern in REASONS:
        if key in ALSO_WHILE_ANSWERING and any(map(pattern.search, errors)):
            return Message(key, {"cause": ""})
    for key, field, pattern in KINDS:
        for line in errors:
            if pattern.search(line):
                return Message(key, {"detail": _short(line)}, field)
    errors = [line for line in errors if DRAGGED not in line] or errors
    return Message("chat.refused.log", {"detail": _short(errors[0])}) if errors else None


def _short(line: str) -> str:
    line = without_keys(" ".join(line.split()))
    return line if len(line) <= LINE_LIMIT else line[:LINE_LIMIT] + "…"
