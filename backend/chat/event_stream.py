"""Reads a stream of server-sent events by the standard: bytes in, events out, wherever they were cut. Pure.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation. Only CR, LF and CRLF end a
line: U+2028, U+2029 and U+0085 are text like any other. What the standard ignores is kept as ``Stray``: a server that
breaks off in the middle of a stream may say why in plain text.
"""

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass

LIMIT = 32 * 1024 * 1024  # characters of one line, and of one event's data

_LINE_END = re.compile("\r\n|\r|\n")


class TooLong(ValueError):
    """A line or an event without end."""


@dataclass(frozen=True)
class ServerEvent:
    """``type`` is "" where the server named none; ``id`` is the last one that it gave."""

    data: str
    type: str = ""
    id: str = ""


@dataclass(frozen=True)
class Stray:
    """A line that is no event stream's, as it came."""

    text: str


class EventReader:
    """Give it bytes as they come; ``end`` gives what an end without an empty line left behind.

    ``apart`` tells of an event's data so far and one more line of data whether they are two events, although the empty
    line between them is missing: some servers never write one.
    """

    def __init__(self, limit: int = LIMIT, apart: Callable[[str, str], bool] | None = None) -> None:
        self._limit = limit
        self._apart = apart
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = False
        self._after_cr = False
        self._part: list[str] = []  # the line so far: a long one comes in many pieces
        self._part_size = 0
        self._data: list[str] = []
        self._data_size = 0
        self._type = ""
        self._id = ""

    def feed(self, data: bytes) -> list[ServerEvent | Stray]:
        """What these bytes complete. Raises TooLong."""
        return self._take(self._decoder.decode(data))

    def end(self) -> list[ServerEvent | Stray]:
        """No more bytes come. The standard drops an event that no empty line ended; whether its data was whole is for
        the caller to see, so it is given too."""
        events = self._take(self._decoder.decode(b"", True))
        if self._part:
            self._line("".join(self._part), events)
            self._part, self._part_size = [], 0
        self._line("", events)
        return events

    def _take(self, text: str) -> list[ServerEvent | Stray]:
        events: list[ServerEvent | Stray] = []
        if not text:
            return events
        if not self._begun:
            self._begun = True
            text = text.removeprefix("\ufeff")
        if self._after_cr and text.startswith("\n"):  # the second half of a line end that was cut in two
            text = text[1:]
            self._after_cr = False
        if not text:
            return events
        self._after_cr = text.endswith("\r")
        *lines, rest = _LINE_END.split(text)
        for line in lines:
            if self._part:
                line, self._part, self._part_size = "".join((*self._part, line)), [], 0
            self._line(line, events)
        if rest:
            self._part.append(rest)
            self._part_size += len(rest)
            if self._part_size > self._limit:
                raise TooLong
        return events

    def _line(self, line: str, found: list[ServerEvent | Stray]) -> None:
        if not line:
            if self._data:
                found.append(ServerEvent("\n".join(self._data), self._type, self._id))
            self._data, self._data_size, self._type = [], 0, ""
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            if self._data and self._apart is not None and self._apart("\n".join(self._data), value):
                self._line("", found)
            self._data.append(value)
            self._data_size += len(value) + 1
            if self._data_size > self._limit:
                raise TooLong
        elif name == "event":
            self._type = value
        elif name == "id":
            if "\0" not in value:
                self._id = value
        elif name and name != "retry":  # nobody connects again; without a name it is a comment
            found.append(Stray(line))
