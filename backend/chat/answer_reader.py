"""The body of an answer, whatever its content type says: an event stream, one JSON document, JSON lines, or text.

Bytes in, cut anywhere; events out. Pure.
"""

from collections.abc import Iterator

from backend.chat.completion import CompletionReader, Event
from backend.chat.completion_values import is_piece
from backend.chat.event_stream import LIMIT, EventReader, ServerEvent, Stray, TooLong
from backend.chat.json_text import UNSEEN, JsonScanner, cut_value, is_json, json_values
from backend.chat.server_errors import ServerSaid
from backend.chat.unpacking import NotPacked, TooMuch, Unpacker
from backend.outside_text import decode

UTF8_MARK = b"\xef\xbb\xbf"
WIDTHLESS = b"\xe2\x80\x8b"  # U+200B, which some put where a mark would be
DONE = "[done]"
MOST_TRIES = 3
BLANK = b" \t\r\n\f\v"


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
    """``feed``, ``end`` and ``broken`` raise ServerSaid, NotAnAnswer, BrokeOff and TooLong, after what came before."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.completion = CompletionReader()
        self._limit = limit
        self._events = EventReader(limit, of_json=True)
        self._unpacker: Unpacker | None = None
        self._kind = ""  # "", "json", "document", "lines" or "events"
        self._head = bytearray()
        self._blanks = 0
        self._scanner = JsonScanner()
        self._tries = 0  # to read a document that seems whole
        self._documents: list[object] = []

    @property
    def done(self) -> bool:
        """Whether the server said that no more comes."""
        return self.completion.done

    def feed(self, data: bytes) -> Iterator[Event]:
        """What these bytes bring."""
        if self.done:
            return
        if self._unpacker is None:
            self._head += data
            if len(self._head) < len(UTF8_MARK):  # too few to see how it is packed or written
                return
            data = self._begin()
        yield from self._with_the_rest(self._unpacked(self._unpacker, data))

    def end(self) -> Iterator[Event]:
        """No more bytes come, and they weren't cut off: what they held to the last, then the End."""
        yield from self._with_the_rest(self._flush())
        self.completion.close()
        yield from self.conclusion()

    def broken(self, error: Exception) -> Iterator[Event]:
        """The connection broke: what was held to the last, then the End where the answer is whole all the same, else
        what the server said, or the error."""
        yield from self._with_the_rest(self._flush())
        if not (self.completion.ended or (self.completion.left and not isinstance(error, TimeoutError))):
            yield from self.completion.rest()
            raise error
        yield from self.conclusion()

    def conclusion(self) -> Iterator[Event]:
        """What was held back, and the End, where the answer is whole."""
        completion = self.completion
        if completion.seen and completion.ended:
            yield from completion.end()
            return
        yield from completion.rest()
        if not completion.seen:
            raise NotAnAnswer(completion.left)
        raise BrokeOff(completion.left)

    def _with_the_rest(self, events: Iterator[Event]) -> Iterator[Event]:
        """What an error would drop that was held back comes before it."""
        try:
            yield from events
        except (ServerSaid, NotAnAnswer, TooLong):
            yield from self.completion.rest()
            raise

    def _begin(self) -> bytes:
        data, self._head = bytes(self._head), bytearray()
        self._unpacker = Unpacker(data, self._limit)
        return data

    def _unpacked(self, unpacker: Unpacker | None, data: bytes) -> Iterator[Event]:
        try:
            data = unpacker.feed(data) if unpacker else data
        except NotPacked as error:
            raise NotAnAnswer(str(error)) from error
        except TooMuch as error:
            raise TooLong from error
        if self._kind != "events":
            yield from self._document(data)
            if self._kind != "events":
                return
            data, self._head = bytes(self._head), bytearray()
        yield from self._read(self._events.feed(data))
        if self._events.pending.lower() == DONE:  # without the line end, for which nobody waits
            yield from self._read(self._events.end())

    def _document(self, data: bytes) -> Iterator[Event]:
        """Bytes of what is no event stream, as far as is known."""
        if not self._head and not self._kind:
            self._blanks += len(data) - len(data := data.lstrip(BLANK))
        self._head += data
        if len(self._head) + self._blanks > self._limit:
            raise TooLong
        self._kind = self._kind or kind_of(bytes(self._head))
        if self._kind == "json" and b"\n" in data:
            first = _marks_off(bytes(self._head)).partition(b"\n")[0]
            self._kind = "lines" if is_json(first) else "document"
        if self._kind == "lines":
            if b"\n" in data:
                yield from self._lines()
        elif self._kind in ("json", "document"):
            self._scanner.feed(data.decode("latin-1"))  # whatever it is written in: its brackets are ASCII's
            if self._scanner.whole and self._tries < MOST_TRIES:
                self._tries += 1
                if not json_values(text_of(bytes(self._head)))[1]:
                    yield from self._whole()
                    self.completion.finished |= self.completion.ended and not is_piece(self._documents[-1])

    def _flush(self) -> Iterator[Event]:
        if self._unpacker is None:
            yield from self._unpacked(self._unpacker, self._begin())
        if self._kind != "events":
            yield from self._whole()
        yield from self._read([item for item in self._events.end() if not _is_cut(item)])
        if len(self._documents) == 1 and self.completion.seen and not self.completion.left:
            self.completion.finished = self.completion.finished or not is_piece(self._documents[0])

    def _lines(self) -> Iterator[Event]:
        *lines, rest = bytes(self._head).split(b"\n")
        self._head = bytearray(rest)
        for line in lines:
            text = line.decode("utf-8", "replace").strip().strip(UNSEEN)
            if text:
                if len(self._documents) < 2:
                    self._documents += json_values(text)[0]
                yield from self.completion.stray(text)

    def _whole(self) -> Iterator[Event]:
        """A document that is there as a whole: JSON, or what a web server says."""
        data, self._head, self._scanner, self._tries = bytes(self._head), bytearray(), JsonScanner(), 0
        text = text_of(data).strip()
        if text[:1] in ("{", "["):
            values, rest = json_values(text)
            if not values and (cut := cut_value(text)) is not None:
                values, rest, self.completion.cut = [cut], "", True
            self._documents += values
            for value in values:
                try:
                    yield from self.completion.value(value)
                except RecursionError:  # it can be read, but not written
                    rest = rest or text
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
    start = _marks_off(head)
    if not start:
        return ""
    if start[:1] in (b"{", b"["):
        return "document" if b"\0" in start[:4] else "json"
    if start.startswith((b"\xff\xfe", b"\xfe\xff", b"\0")):
        return "document"  # UTF-16 or UTF-32: never an event stream
    return "events"


def _marks_off(head: bytes) -> bytes:
    """Without the marks and blanks before the text itself."""
    while (start := head.removeprefix(UTF8_MARK).removeprefix(WIDTHLESS).lstrip(BLANK)) != head:
        head = start
    return head


def text_of(data: bytes) -> str:
    """The text of a body, whatever it is written in."""
    return decode(data).lstrip(UNSEEN)


def read_all(data: bytes) -> Iterator[Event]:
    """The events of a whole body, for an answer that was asked for in one piece."""
    reader = AnswerReader()
    yield from reader.feed(data)
    yield from reader.end()


def _is_cut(item: ServerEvent | Stray) -> bool:
    """Whether it is the beginning of a chunk or of the end whose rest never came, which tells a person nothing."""
    stray = isinstance(item, Stray)
    text = (item.text if isinstance(item, Stray) else item.data).strip()
    values, rest = json_values(text) if text.startswith("{") else ([], "")
    half_end = text.lower() != DONE and DONE.startswith(text.lower())
    return bool(rest and not values) or half_end or (stray and "data".startswith(text))
