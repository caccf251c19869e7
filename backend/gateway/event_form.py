"""A streamed answer's body, in whatever form it comes, as server-sent events that every client reads. Pure.

Servers leave out the empty line behind an event or the name of the content type, end lines with CR alone, compress
unasked, send a JSON object a line, or one document although a stream was asked for. Bytes in, cut anywhere; whole
events out, each with its empty line.
"""

import json
import re
from typing import Any

from backend.chat.answer_reader import kind_of, text_of
from backend.chat.event_stream import LIMIT, EventReader, ServerEvent, Stray, TooLong
from backend.chat.unpacking import TooMuch, Unpacker
from backend.gateway.whole_answer import as_chunk

LEFT_LIMIT = 4000  # characters of what is no event's
DONE = "[DONE]"
_EXACT = re.compile(rb"(?:(?:data: |:).*\n\n)+")  # events as most servers write them
_COMMENTS = re.compile(rb"(?::[^\r\n]*[\r\n]+)+")
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)")


class Unpacked:
    """Takes the compression off that a server wasn't asked for, by the bytes themselves; plain bytes stay."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._unpacker: Unpacker | None = None
        self._head = b""

    def feed(self, data: bytes) -> bytes:
        """What these bytes hold. Raises TooLong, and ValueError where they are damaged."""
        if self._unpacker is None:
            self._head = data = self._head + data
            if len(data) < 2:  # too few to see
                return b""
            self._unpacker = Unpacker(data, self._limit)
        try:
            return self._unpacker.feed(data)
        except TooMuch:
            raise TooLong from None

    def end(self) -> bytes:
        """No more bytes come."""
        if self._unpacker is not None:
            return b""
        self._unpacker = Unpacker(self._head, self._limit)
        return self._head


class EventForm:
    """``feed`` and ``end`` give whole events. Both raise TooLong, and ValueError where the bytes can't be unpacked.

    ``left`` is what stands in the body and is no event: a server that breaks off may say why. ``document``: it was one
    JSON document with an answer in it, and came as a whole.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._unpacked = Unpacked(limit)
        self._kind = ""  # as kind_of says
        self._head = bytearray()
        self._blanks = 0  # bytes before the body
        self._reader = EventReader(limit, of_json=True)
        self._between = True  # nothing of an event lies in the reader
        self._part: list[bytes] = []  # the last line so far: a long one comes in many pieces
        self._part_size = 0
        self._tail = b""
        self._goes_on = False  # an event over several lines of data
        self.left = ""
        self.document = False

    def feed(self, data: bytes) -> bytes:
        """The events that these bytes complete."""
        data = self._unpacked.feed(data)
        return self._events(data) if self._kind == "events" else self._begun(data)

    def end(self) -> bytes:
        """No more bytes come: the events that were left without an end of their own."""
        found = self.feed(data) if (data := self._unpacked.end()) else b""
        if self._kind != "events":
            text = text_of(bytes(self._head)).strip()
            value = _json(text)
            found += b"".join(map(_as_event, _objects(value)))
            self.document = any("choices" in one for one in _objects(value))
            self._leave("" if value is not None else text)
        items = [*self._reader.feed(b"".join(self._part)), *self._reader.end()]
        return found + self._read([item for item in items if not _is_cut(item)])

    def _begun(self, data: bytes) -> bytes:
        """The body's beginning, until it says what it is."""
        if not self._head:
            self._blanks += len(data) - len(data := data.lstrip(b" \t\r\n"))
        self._head += data
        if len(self._head) + self._blanks > self._limit:
            raise TooLong
        if not self._kind:
            self._kind = kind_of(bytes(self._head[:4096]))
        if self._kind == "json" and b"\n" in data:
            first, end, _ = bytes(self._head).lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
            if end:  # a JSON object a line, or one that goes over lines
                self._kind = "events" if _json(first.strip()) is not None else "document"
        if self._kind != "events":
            return b""
        data, self._head = bytes(self._head), bytearray()
        return self._events(data)

    def _events(self, data: bytes) -> bytes:
        if self._between and b"\r" not in data:
            if data.startswith(b"data: ") and data.find(b"\n") == len(data) - 2 and data.endswith(b"\n\n"):
                return data  # one event, as nearly always
            if _EXACT.fullmatch(data):
                return data
        data = self._lines(data)
        self._tail = (self._tail + data)[-2:]
        self._between = self._tail == b"\n\n" and not self._part
        found = self._read(self._reader.feed(b"".join(map(self._ended, _LINE.findall(data)))))
        return found or (b":\n\n" if _COMMENTS.fullmatch(data) else b"")  # keeps connections open

    def _lines(self, data: bytes) -> bytes:
        """The lines that these bytes complete."""
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        whole = b"".join((*self._part, data[:end])) if end else b""
        if end:
            self._part, self._part_size = [], 0
        if end < len(data):
            self._part.append(data[end:])
            self._part_size += len(data) - end
            if self._part_size > self._limit:
                raise TooLong
        return whole

    def _ended(self, line: bytes) -> bytes:
        """The line, with an empty one where it is a whole event: where one follows after all, it is one more."""
        text = line.rstrip(b"\r\n")
        if not text.startswith(b"data:"):
            self._goes_on = self._goes_on and bool(text)
            return line
        data = text[5:].strip()
        whole = data == DONE.encode() or (data.endswith(b"}") and _json(data) is not None)
        if whole and not self._goes_on:
            return line + line[-1:]
        self._goes_on = True
        return line

    def _read(self, found: list[ServerEvent | Stray]) -> bytes:
        written = []
        for item in found:
            if isinstance(item, ServerEvent):
                written.append(_written(item.data, item.type))
                continue
            text = item.text.strip("\ufeff \t,")
            if text == DONE:
                written.append(_written(text))
            elif chunks := _objects(_json(text)):
                written += map(_as_event, chunks)
            else:
                self._leave(text)
        return b"".join(written)

    def _leave(self, text: str) -> None:
        self.left = f"{self.left}\n{text}".strip()[:LEFT_LIMIT]


def _objects(value: Any) -> list[dict[str, Any]]:
    """An object, or those of a list."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _as_event(value: dict[str, Any]) -> bytes:
    return _written(dumped(as_chunk(value)).decode())


def dumped(value: Any) -> bytes:
    """As JSON. Raises ValueError for what is nested more deeply than can be written."""
    try:
        return json.dumps(value).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _written(data: str, kind: str = "") -> bytes:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return (f"event: {kind}\n{lines}\n" if kind else f"{lines}\n").encode("utf-8", "replace")


def _json(text: str | bytes) -> Any:
    """The object or list that the text is; None where it is neither."""
    try:
        value = json.loads(text, strict=False) if text[:1] in ("{", "[", b"{", b"[") else None
    except (ValueError, RecursionError):
        return None
    return value


def _is_cut(item: ServerEvent | Stray) -> bool:
    """Whether it is the beginning of an event whose rest never came."""
    text = (item.text if isinstance(item, Stray) else item.data).strip()
    return (text.startswith("{") and _json(text) is None) or (isinstance(item, Stray) and "data".startswith(text))
