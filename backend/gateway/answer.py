"""A server's answer on its way back: its model's name replaced, its tokens counted, its errors read. Pure."""

import json
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from backend.chat.client import ERROR_BYTES, said_by
from backend.chat.event_stream import LIMIT, TooLong
from backend.chat.server_errors import error_in as error_of_document
from backend.gateway.ending import Ending
from backend.gateway.event_form import EventForm, Unpacked, dumped
from backend.outside_text import clean_lines

DETAIL_LIMIT = 500  # characters of a server's own words
LONGEST_WAIT_S = 7 * 86400.0
_HAS_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_DATA = b"data:"
_NOTHING = re.compile(rb"(?!)")
_DONE = re.compile(rb"(?:^|\n)data: ?\[DONE\]")


class StreamRewriter:
    """A streamed answer's bytes in, server-sent events out, whole ones only, under the name that the request used.

    ``shown`` is the model's name in the request; what the server calls it is read from its events, since it may call it
    otherwise than its list of models does. With ``hide_usage`` an event that brings nothing but the usage, which the
    console asked for and the client didn't, is left out. ``choices``: how many answers were asked for. ``feed`` and
    ``end`` raise TooLong, and ValueError where the bytes can't be unpacked.
    """

    def __init__(self, shown: str, *, hide_usage: bool, choices: int = 1, limit: int = LIMIT) -> None:
        self._form = EventForm(limit)
        self._own = _NOTHING
        self._name = shown
        self._shown = b'"model":' + json.dumps(shown).encode().replace(b"\\", rb"\\")  # a template of re's
        self._hide_usage = hide_usage
        self.events = 0
        self.tokens: int | None = None
        self.done = self.failed = False
        self._ending = Ending(choices)
        self._ended_by_itself = False
        self._usages = 0  # events that brought nothing else
        self._usage_last = False

    @property
    def whole(self) -> bool:
        """Whether the server said that no more comes, or why it can't go on."""
        if self.done or self.failed or self._form.document or self._ending.sure:
            return True
        usage_ends = self._usage_last and self.events > self._usages
        return self._ended_by_itself and (self._ending.likely or usage_ends)

    @property
    def left(self) -> str:
        """What the server said beside its events."""
        return self._form.left

    def feed(self, chunk: bytes) -> bytes:
        """What can be passed on now."""
        return self._rewritten(self._form.feed(chunk))

    def end(self, *, broken: bool = False) -> bytes:
        """No more comes: what the end itself completes. An answer that is whole ends as all do."""
        first = not self.events
        last = self._rewritten(self._form.end())
        if first and not self._form.document:
            self.failed = self.failed or any(is_refusal(_json_of(event)) for event in _events(last))
        self._ended_by_itself = not broken
        if self.events and self.whole and not self.done and not self.failed:
            self.done = True
            last += b"data: [DONE]\n\n"
        return last

    def _rewritten(self, events: bytes) -> bytes:
        if not events:
            return b""
        count = events.count(_DATA)
        self.events += count
        self._usage_last = self._usage_last and not count
        if b"[DONE]" in events and _DONE.search(events):
            self.done = True
        if self._ending.concerns(events):
            for event in _events(events):
                self._ending.take(event, _json_of(event))
        if b'error"' in events or b"event: error\n" in events:
            self.failed = self.failed or any(map(_is_error, _events(events)))
        if names := events.count(b'"model"'):
            renamed_events, found = self._own.subn(self._shown, events)
            events = renamed_events if found == names else b"".join(map(self._renamed, _events(events)))
        if b'"usage"' in events and _HAS_USAGE.search(events):
            events = self._read_usage(events)
        return events

    def _renamed(self, event: bytes) -> bytes:
        """One event whose model isn't called as in those before it."""
        value = _json_of(event)
        own = value.get("model") if isinstance(value, dict) else None
        if not isinstance(own, str):
            return event + b"\n\n"
        self._own = _named(own)
        head = b"".join(line + b"\n" for line in event.split(b"\n") if not line.startswith(_DATA))
        return head + b"data: " + dumped({**value, "model": self._name}) + b"\n\n"

    def _read_usage(self, whole: bytes) -> bytes:
        kept = []
        for event in _events(whole):
            usage, alone = _usage_of(event) if _HAS_USAGE.search(event) else (None, False)
            if usage is not None:
                self.tokens = usage
            if _DATA in event:
                self._usage_last = usage is not None and alone
                self._usages += self._usage_last
            if not (usage is not None and alone and self._hide_usage):
                kept.append(event + b"\n\n")
        return b"".join(kept)


@dataclass(frozen=True)
class Streamed:
    """A stream that came where a whole answer was asked for. ``error`` is the event that says why it can't go on."""

    chunks: list[dict[str, Any]]
    error: dict[str, Any] | None
    whole: bool
    left: str


def read_stream(body: bytes, limit: int) -> Streamed:
    """All of it. Raises TooLong, and ValueError where the bytes can't be unpacked."""
    rewriter = StreamRewriter("", hide_usage=False, limit=limit)
    found = [
        value for event in _events(rewriter.feed(body) + rewriter.end()) if isinstance(value := _json_of(event), dict)
    ]
    errors = [value for value in found if error_in(value)]
    chunks = [value for value in found if "choices" in value]
    return Streamed(chunks, errors[0] if errors else None, rewriter.whole, rewriter.left)


def _is_error(event: bytes) -> bool:
    return event.startswith(b"event: error\n") or error_in(_json_of(event))


def error_in(answer: Any) -> bool:
    """Whether the server says that it gives none, and nothing else."""
    if not isinstance(answer, dict) or answer.get("choices"):
        return False
    return bool(answer.get("error")) or answer.get("object") == "error"


def is_refusal(document: Any) -> bool:
    """Whether a whole answer is an error in any shape: ``{"detail": "Not Found"}``, ``{"success": false}``."""
    if not isinstance(document, dict) or any(document.get(name) for name in ("choices", "data", "input_ids")):
        return False
    return error_in(document) or error_of_document(document, "") is not None


@lru_cache(maxsize=256)
def _named(own: str) -> re.Pattern[bytes]:
    """Finds the model's name as the server may write it."""
    names = {json.dumps(own, ensure_ascii=ascii_only).encode("utf-8", "replace") for ascii_only in (True, False)}
    return re.compile(b'"model"\\s*:\\s*(?:' + b"|".join(re.escape(name) for name in names) + b")")


def _events(whole: bytes) -> list[bytes]:
    """Each without the empty line behind it."""
    return whole.split(b"\n\n")[:-1]


def _json_of(event: bytes) -> Any:
    """What an event's data holds; None where that is no JSON."""
    lines = (line[5:] for line in event.split(b"\n") if line.startswith(_DATA))
    try:
        return json.loads(b"\n".join(lines).decode(), strict=False)
    except (ValueError, RecursionError):
        return None


def _usage_of(event: bytes) -> tuple[int | None, bool]:
    """The tokens that an event tells of, and whether it brings nothing else."""
    value = _json_of(event)
    return total_tokens(value), isinstance(value, dict) and not value.get("choices")


def total_tokens(answer: Any) -> int | None:
    """What an answer's ``usage`` counts, question and answer together; None where it tells nothing."""
    usage = answer.get("usage") if isinstance(answer, dict) else None
    if not isinstance(usage, dict):
        return None
    counts = [usage.get(name) for name in ("total_tokens", "prompt_tokens", "completion_tokens")]
    total, prompt, completion = (count if type(count) is int and 0 <= count < 1 << 40 else None for count in counts)
    if total is not None:
        return total
    return None if prompt is None and completion is None else (prompt or 0) + (completion or 0)


def renamed(answer: Any, shown: str) -> Any:
    """A whole answer under the name that the request used."""
    if isinstance(answer, dict) and isinstance(answer.get("model"), str):
        return {**answer, "model": shown}
    return answer


def server_words(body: bytes) -> str:
    """What a server's error answer says, in any of the shapes and encodings that servers have; "" for nothing."""
    unpacked = Unpacked(ERROR_BYTES)
    try:
        body = unpacked.feed(body[:ERROR_BYTES]) + unpacked.end()
    except (TooLong, ValueError):
        return ""
    return "" if body.strip() in (b"", b"{}", b"[]", b"null") else clean_lines(said_by(body), DETAIL_LIMIT)


def retry_after_s(header: str, now: float) -> float | None:
    """When a server wants to be asked again: seconds, or a date. None where it doesn't say, or nobody would wait."""
    if header.strip().isdecimal():
        wait = float(header)
    else:
        try:
            wait = parsedate_to_datetime(header).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return max(wait, 0.0) if wait <= LONGEST_WAIT_S else None
