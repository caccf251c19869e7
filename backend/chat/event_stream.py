"""Reads a stream of server-sent events by the standard: bytes in, events out, wherever they were cut. Pure.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation. Only CR, LF and CRLF end a
line: U+2028, U+2029 and U+0085 are text like any other. What the standard ignores is kept as ``Stray``: a server that
breaks off in the middle of a stream may say why in plain text.
"""

import codecs
import re
from dataclasses import dataclass

from backend.chat.json_text import UNSEEN, JsonScanner, is_json

SHORT = 64
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

    ``of_json``: the data are JSON values, so that two events are told apart although the empty line between them is
    missing, as some servers never write one, and a value may go on in lines that aren't marked as data.
    """

    def __init__(self, limit: int = LIMIT, *, of_json: bool = False) -> None:
        self._limit = limit
        self._of_json = of_json
        self._json = JsonScanner()
        self._scanned = 0  # lines of the data: nearly all events have one, which nobody need look through
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = False
        self._after_cr = False
        self._part: list[str] = []  # the line so far: a long one comes in many pieces
        self._part_size = 0
        self._data: list[str] = []
        self._data_size = 0
        self._type = ""
        self._id = ""
        self._loose: list[str] = []  # lines of the data that aren't marked as such
        self._unmarked = False  # the data began with one

    @property
    def pending(self) -> str:
        """The data so far of an event that hasn't ended, where they are short."""
        if not (self._data or self._part):
            return ""
        last = "".join(self._part) if self._part_size < SHORT else ""
        data = [*self._data, last.strip(UNSEEN).removeprefix("data:")] if len(self._data) < 2 else []
        return "\n".join(data).strip()

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
            self._dispatch(found)
            return
        if line[0] in UNSEEN:  # before each event, not only the first
            line = line.lstrip(UNSEEN)
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data" or (self._of_json and name.strip().lower() == "data"):
            if self._data and self._of_json:
                begins = value.lstrip(f" {UNSEEN}")[:1] in ("{", "[")
                if self._unmarked or (begins and self._so_far().whole):
                    self._dispatch(found)
            self._add(value)
        elif name == "event":
            self._type = value
        elif name == "id":
            if "\0" not in value:
                self._id = value
        elif name and name != "retry":  # nobody connects again; without a name it is a comment
            if not self._goes_on(line):
                found.append(Stray(line))
                return
            self._loose.append(line)
            self._add(line)
            if self._unmarked and self._so_far().whole:
                self._dispatch(found)

    def _dispatch(self, found: list[ServerEvent | Stray]) -> None:
        if self._loose and self._so_far().unfinished:  # they were no part of it after all
            self._data = self._data[: len(self._data) - len(self._loose)]
            found += [Stray(line) for line in self._loose]
        if self._data:
            found.append(ServerEvent("\n".join(self._data), self._type, self._id))
        self._data, self._data_size, self._type, self._loose, self._unmarked = [], 0, "", [], False
        if self._scanned:
            self._json, self._scanned = JsonScanner(), 0

    def _goes_on(self, line: str) -> bool:
        """Whether a line that is no field's belongs to a JSON value over several lines."""
        if not self._of_json:
            return False
        if self._data:
            return self._so_far().unfinished
        self._unmarked = line.lstrip()[:1] == "{" and not is_json(line)
        return self._unmarked

    def _so_far(self) -> JsonScanner:
        """The data, looked through to its last line."""
        for line in self._data[self._scanned :]:
            self._json.feed(f"{line}\n")
        self._scanned = len(self._data)
        return self._json

    def _add(self, value: str) -> None:
        self._data.append(value)
        self._data_size += len(value) + 1
        if self._data_size > self._limit:
            raise TooLong
