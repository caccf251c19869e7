"""A server's answer on its way back: its model's name replaced, its tokens counted, its errors read. Pure."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

DETAIL_LIMIT = 500  # characters of a server's own words
_EVENT_END = re.compile(rb"\r?\n\r?\n")
_HAS_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_DATA = b"data:"
_NOTHING = re.compile(rb"(?!)")
_DONE = re.compile(rb"(?:^|\n)data: ?\[DONE\]")


class StreamRewriter:
    """Server-sent events in, the same events out, whole ones only.

    ``shown`` is the model's name in the request; what the server calls it is read from its first event, since it may
    call it otherwise than its list of models does. With ``hide_usage`` an event that brings nothing but the usage,
    which the console asked for and the client didn't, is left out.
    """

    def __init__(self, shown: str, *, hide_usage: bool) -> None:
        self._own: re.Pattern[bytes] | None = None
        self._shown = b'"model":' + json.dumps(shown).encode().replace(b"\\", rb"\\")  # a template of re's
        self._hide_usage = hide_usage
        self._rest = b""
        self.events = 0
        self.tokens: int | None = None
        self.done = False

    def feed(self, chunk: bytes) -> bytes:
        """What can be passed on now."""
        whole = self._rest + chunk
        if whole.endswith((b"\n\n", b"\r\n\r\n")):  # nearly always: servers send an event at a time
            self._rest = b""
        else:
            ends = [whole.rfind(end) + len(end) for end in (b"\n\n", b"\r\n\r\n") if end in whole]
            end = max(ends, default=0)
            whole, self._rest = whole[:end], whole[end:]
            if not whole:
                return b""
        self.events += whole.count(_DATA)
        if b"[DONE]" in whole and _DONE.search(whole):
            self.done = True
        if self._own is None:
            self._own = _model_pattern(whole)
        if self._own is not None:
            whole = self._own.sub(self._shown, whole)
        if b'"usage"' in whole and _HAS_USAGE.search(whole):
            whole = self._read_usage(whole)
        return whole

    def rest(self) -> bytes:
        """What came after the last whole event, at the end of the stream."""
        return self._rest

    def _read_usage(self, whole: bytes) -> bytes:
        kept = []
        for event in _events(whole):
            if not event.strip():
                continue
            usage, alone = _usage_of(event) if _HAS_USAGE.search(event) else (None, False)
            if usage is not None:
                self.tokens = usage
            if not (usage is not None and alone and self._hide_usage):
                kept.append(event + b"\n\n")
        return b"".join(kept)


def _model_pattern(events: bytes) -> re.Pattern[bytes] | None:
    """The model's name as the first event with data has it; nothing else of an event is changed. None: no data yet."""
    for event in _events(events):
        value = _json_of(event)
        if isinstance(value, dict):
            own = value.get("model")
            if not isinstance(own, str):
                return _NOTHING
            return _named(own)
    return None


@lru_cache(maxsize=256)
def _named(own: str) -> re.Pattern[bytes]:
    """Finds the model's name as the server may write it."""
    names = {json.dumps(own, ensure_ascii=ascii_only).encode("utf-8", "replace") for ascii_only in (True, False)}
    return re.compile(b'"model"\\s*:\\s*(?:' + b"|".join(re.escape(name) for name in names) + b")")


def _events(whole: bytes) -> list[bytes]:
    return _EVENT_END.split(whole) if b"\r" in whole else whole.split(b"\n\n")


def _json_of(event: bytes) -> Any:
    """What an event's data holds; None where that is no JSON."""
    try:
        return json.loads(b"\n".join(line[5:] for line in event.splitlines() if line.startswith(_DATA)).decode())
    except ValueError:
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
    """What a server's error answer says, in any of the shapes that servers have."""
    text = body.decode("utf-8", "replace").strip()
    try:
        value = json.loads(text)
    except ValueError:
        return "" if text.startswith("<") else text[:DETAIL_LIMIT]
    return _words(value)[:DETAIL_LIMIT]


def _words(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        for name in ("error", "message", "detail", "msg"):
            if value.get(name):
                return _words(value[name])
    if isinstance(value, list):
        return "; ".join(filter(None, (_words(item) for item in value[:5])))
    return ""
