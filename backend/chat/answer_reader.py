"""The body of an answer, whatever its content type says: an event stream, one JSON document, JSON lines, or text.

Bytes in, cut anywhere; events out. Pure.
"""

import json
import zlib
from collections.abc import Iterator

from backend.chat.completion import CompletionReader, Event
from backend.chat.completion_values import json_values
from backend.chat.event_stream import LIMIT, EventReader, ServerEvent, Stray, TooLong
from backend.outside_text import decode

GZIP = b"\x1f\x8b"
UTF8_MARK = b"\xef\xbb\xbf"


class NotAnAnswer(Exception):
    """What came is no answer, and holds no error either; ``text`` is what it is, cut short."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class BrokeOff(Exception):
    """The answer isn't whole. ``text`` is what else the server said, which may be why."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class AnswerReader:
    """``feed`` and ``end`` raise ServerSaid, NotAnAnswer, BrokeOff and TooLong, after what came before."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.completion = CompletionReader()
        self._limit = limit
        self._events = EventReader(limit, apart=_two_chunks)
        self._unzip: zlib._Decompress | None = None
        self._kind = ""  # "", "json", "lines" or "events"
        self._head = bytearray()
        self._begun = False

    @property
    def done(self) -> bool:
        """Whether the server said that no more comes."""
        return self.completion.done

    def feed(self, data: bytes) -> Iterator[Event]:
        """What these bytes bring."""
        if not self._begun:
            self._head += data
            if len(self._head) < len(UTF8_MARK):  # too few to see how it is packed or written
                return
            data = self._begin()
        yield from self._unpacked(data)

    def _begin(self) -> bytes:
        self._begun = True
        data, self._head = bytes(self._head), bytearray()
        if data.startswith(GZIP):  # compressed without a word of it
            self._unzip = zlib.decompressobj(wbits=31)
        return data

    def _unpacked(self, data: bytes) -> Iterator[Event]:
        if self._unzip is not None:
            try:
                data = self._unzip.decompress(data, self._limit)
            except zlib.error as error:
                raise NotAnAnswer(str(error)) from error
        if self._kind != "events":
            self._head += data
            if len(self._head) > self._limit:
                raise TooLong
            self._kind = self._kind or kind_of(bytes(self._head))
            if self._kind == "json" and b"\n" in self._head:
                first = bytes(self._head).lstrip().partition(b"\n")[0]
                self._kind = "lines" if _is_json(first) else "document"
            if self._kind == "lines":
                yield from self._lines()
            if self._kind != "events":
                return
            data, self._head = bytes(self._head), bytearray()
        yield from self._read(self._events.feed(data))

    def end(self) -> Iterator[Event]:
        """No more bytes come: what they held to the last, then the End."""
        if not self._begun:
            yield from self._unpacked(self._begin())
        if self._kind != "events":
            yield from self._whole()
        yield from self._read([item for item in self._events.end() if not _is_cut(item)])
        yield from self.conclusion()

    def conclusion(self) -> Iterator[Event]:
        """What was held back, and the End, where the answer is whole."""
        completion = self.completion
        completion.error_left()
        if not completion.seen:
            raise NotAnAnswer(completion.left)
        if not completion.ended:
            raise BrokeOff(completion.left)
        yield from completion.end()

    def _lines(self) -> Iterator[Event]:
        *lines, rest = bytes(self._head).split(b"\n")
        self._head = bytearray(rest)
        for line in lines:
            yield from self.completion.stray(line.decode("utf-8", "replace").strip())

    def _whole(self) -> Iterator[Event]:
        """A document that is there as a whole: JSON, or what a web server says."""
        data, self._head = bytes(self._head), bytearray()
        text = text_of(data).strip()
        if text[:1] in ("{", "["):
            values, rest = json_values(text)
            for value in values:
                yield from self.completion.value(value)
            if not rest and self.completion.seen and self._kind in ("json", "document"):
                self.completion.finished = True
            text = rest
        if text:
            yield from self._read(self._events.feed(text.encode("utf-8", "replace")))

    def _read(self, found: list[ServerEvent | Stray]) -> Iterator[Event]:
        for item in found:
            if isinstance(item, Stray):
                yield from self.completion.stray(item.text)
            else:
                yield from self.completion.data(item.data, item.type)


def kind_of(head: bytes) -> str:
    """What the body is by its first bytes; "" while they say nothing."""
    start = head.removeprefix(UTF8_MARK).lstrip()
    if not start:
        return ""
    if start[:1] in (b"{", b"["):
        return "document" if b"\0" in start[:4] else "json"
    if start.startswith((b"\xff\xfe", b"\xfe\xff", b"\0")):
        return "document"  # UTF-16 or UTF-32: never an event stream
    return "events"


def text_of(data: bytes) -> str:
    """The text of a body, whatever it is written in."""
    return decode(data).removeprefix("\ufeff")


def read_all(data: bytes) -> Iterator[Event]:
    """The events of a whole body, for an answer that was asked for in one piece."""
    reader = AnswerReader()
    yield from reader.feed(data)
    yield from reader.end()


def _is_cut(item: ServerEvent | Stray) -> bool:
    """Whether it is the beginning of a chunk whose rest never came, which tells a person nothing."""
    stray = isinstance(item, Stray)
    text = (item.text if isinstance(item, Stray) else item.data).strip()
    half_json = text.startswith("{") and bool(json_values(text)[1])
    return half_json or (stray and "data".startswith(text))


def _two_chunks(data: str, more: str) -> bool:
    """Whether a line of data begins another chunk: what stands before it is whole. A chunk may go on over lines."""
    return more.lstrip()[:1] in ("{", "[") and _is_json(data)


def _is_json(text: bytes | str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False
