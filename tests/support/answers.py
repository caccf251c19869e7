"""Answers as a server sends them, and what the reader makes of them."""

import json
from typing import Any

from backend.chat.answer_reader import AnswerReader
from backend.chat.completion import Event
from backend.chat.tool_calls import CallDelta


def read(data: bytes, size: int = 0) -> list[Event]:
    reader = AnswerReader()
    events: list[Event] = []
    for at in range(0, len(data), size or len(data) or 1):
        events += reader.feed(data[at : at + (size or len(data))])
    return [*events, *(reader.conclusion() if reader.done else reader.end())]


def collect(data: bytes, size: int, events: list[Event]) -> None:
    """Read it, keeping what came before an error."""
    reader = AnswerReader()
    for at in range(0, len(data), size or len(data)):
        for event in reader.feed(data[at : at + (size or len(data))]):
            events.append(event)
    for event in reader.end():
        events.append(event)


def sse(*chunks: object, done: bool = True, end: str = "\n") -> bytes:
    data = [chunk if isinstance(chunk, str) else json.dumps(chunk, ensure_ascii=False) for chunk in chunks]
    return "".join(f"data: {text}{end}{end}" for text in [*data, *(["[DONE]"] if done else [])]).encode()


def piece(finish: str | None = None, index: object = 0, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]}


def calls_of(data: bytes) -> list[tuple[str, str, str]]:
    calls: dict[int, list[str]] = {}
    for event in read(data, 1):
        if isinstance(event, CallDelta):
            known = calls.setdefault(event.index, ["", "", ""])
            for place, more in enumerate((event.id, event.name, event.arguments)):
                known[place] += more
    return [(known[0], known[1], known[2]) for _, known in sorted(calls.items())]
