"""What a server sends as an answer to a chat completion, in whatever form it does: JSON values in, small events out.

Servers differ: pieces or whole messages, text as a string or as parts, thought in fields of many names, tool calls with
odd indexes, errors in any shape. What isn't understood is kept as ``left``, to be shown. Pure.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.chat.completion_values import (
    LEFT_LIMIT,
    ServerSaid,
    choices_of,
    content_of,
    count_of,
    error_in,
    json_values,
    piece_of,
    reason_of,
    status_in,
    whole_number,
    words,
)
from backend.chat.logprobs import Entry, entries_of
from backend.chat.tool_calls import CallDelta, CallReader

DONE = frozenset({"[DONE]", '"[DONE]"', "[done]", "DONE"})  # the API's own word for the end, and what becomes of it
DATA = "data:"
FINISHED = frozenset({"message_stop", "response.completed"})  # types of a last event without a reason
IDLE = frozenset({"", "ping", "[ping]", "pong", "keepalive", "keep-alive", "heartbeat", "processing"})
ORDINARY = frozenset({"id", "object", "created", "model", "choices", "usage", "system_fingerprint"})
OUTSIDE = frozenset({"output", "outputs", "result", "results", "data", "candidates"})  # where other APIs have it
SEPARATOR = "\n\n---\n\n"


@dataclass(frozen=True)
class Delta:
    """A piece of the answer, or of what a reasoning model thinks first."""

    text: str = ""
    thinking: str = ""
    pieces: int = 1  # as so many the server sent it


@dataclass(frozen=True)
class End:
    """The server ended the answer: its finish_reason ("stop", "length", "tool_calls") and its usage, None where not
    sent. ``left``: what else it sent, which isn't understood."""

    reason: str
    prompt_tokens: int | None
    answer_tokens: int | None
    left: str = ""


@dataclass(frozen=True)
class Weighed:
    """Tokens of the answer with their log-probabilities; their text comes as a Delta, sooner or later."""

    entries: tuple[Entry, ...]


Event = Delta | CallDelta | Weighed | End


class CompletionReader:
    """Adds up one answer. ``done``: the server said that no more comes; ``finished``: it is known to be whole;
    ``seen``: something that is an answer's came."""

    def __init__(self) -> None:
        self.done = False
        self.finished = False
        self.seen = False
        self._reason = ""
        self._prompt_tokens: int | None = None
        self._answer_tokens: int | None = None
        self._left: list[str] = []
        self._left_size = 0
        self._calls = CallReader()
        self._choices = _Choices()
        self._written = _Written()
        self._weighed = 0  # tokens that came with their log-probabilities

    @property
    def left(self) -> str:
        """What came and isn't understood, cut short."""
        return "\n".join(self._left)

    @property
    def ended(self) -> bool:
        """Whether the end was seen, one way or another."""
        return self.finished or bool(self._reason)

    def data(self, text: str, kind: str = "") -> Iterator[Event]:
        """A server-sent event's data, or a line of JSON. Raises ServerSaid."""
        text = text.strip()
        while text.startswith(DATA):  # a program between wrote its own in front of the server's
            text = text.removeprefix(DATA).lstrip()
        if text in DONE:
            self.done = self.finished = True
            return
        values, rest = json_values(text)
        for value in values:
            yield from self.value(value, kind)
        if rest:
            if kind == "error":
                raise ServerSaid(rest)
            self._leave(rest)

    def stray(self, text: str) -> Iterator[Event]:
        """A line that belongs to no event: an error that a program wrote into the stream, or a chunk without
        ``data:`` or with another spelling of it. Raises ServerSaid."""
        line = text.strip()
        if line[:1] in ("{", "["):
            yield from self.data(line)
        elif line[: len(DATA)].lower() == DATA:
            yield from self.data(line[len(DATA) :])
        else:
            self._leave(text)

    def value(self, value: object, kind: str = "") -> Iterator[Event]:
        """One JSON value: a chunk, a whole answer, an error. Raises ServerSaid."""
        if not kind and type(value) is dict and self._choices.single and (text := ordinary_text(value)):
            self.seen = True
            self._choices.take_first()
            self._written.add(text, "", False)
            yield Delta(text)
            return
        if isinstance(value, list):
            for item in value:
                yield from self.value(item, kind)
            return
        if not isinstance(value, Mapping):
            if kind == "error":
                raise ServerSaid(words(value))
            if value is not None:
                self._leave(words(value))
            return
        error = error_in(value, kind)
        if error is not None:
            raise error
        self._usage(value)
        choices = choices_of(value)
        if str(value.get("type")) in FINISHED:
            self.finished = self.finished or self.seen
        if choices is not None:
            self.seen = True
            yield from self._read(choices, value)
        elif not self._known(value, kind):
            self._leave(json.dumps(value, ensure_ascii=False))

    def end(self) -> list[Event]:
        """No more comes: what was held back, and the End."""
        events: list[Event] = [Delta(text, thought) for text, thought in self._choices.rest()]
        reason = self._reason or ("tool_calls" if self._calls.count else "stop")
        return [*events, End(reason, self._prompt_tokens, self._answer_tokens, self.left)]

    def _read(self, choices: Sequence[Any], whole: Mapping[str, Any]) -> Iterator[Event]:
        for position, choice in enumerate(choices):
            if not isinstance(choice, Mapping):
                if isinstance(choice, str) and choice:
                    yield Delta(choice)
                elif choice:
                    self._leave(words(choice))
                continue
            if choice.get("error"):
                raise ServerSaid(words(choice["error"]), status_in(choice["error"]))
            self._usage(choice)
            piece, is_whole = piece_of(choice)
            text, thinking = content_of(piece)
            if not self._choices.is_main(choice.get("index"), position, len(choices), bool(text or thinking)):
                self._choices.keep(text, thinking)
                continue
            if is_whole:
                text, thinking = self._written.beyond(text, thinking)
            if text or thinking:
                for more in (*self._choices.released(), (text, thinking)):
                    self._written.add(*more, is_whole)
                    yield Delta(*more)
            yield from self._calls.read(piece)
            yield from self._weigh(choice.get("logprobs"), is_whole)
            self._reason = reason_of(choice) or reason_of(piece) or self._reason
            if is_whole and whole.get("object") == "chat.completion":
                self.finished = True

    def _weigh(self, logprobs: object, is_whole: bool) -> Iterator[Event]:
        entries = entries_of(logprobs)
        if is_whole and self._written.in_pieces:  # they came with the pieces
            entries = entries[self._weighed :]
        self._weighed += len(entries)
        if entries:
            yield Weighed(entries)

    def _usage(self, value: Mapping[str, Any]) -> None:
        for usage in (value.get("usage"), value.get("x_groq"), value):
            if isinstance(usage, Mapping) and "usage" in usage and usage is not value:
                usage = usage["usage"]
            if not isinstance(usage, Mapping):
                continue
            asked = count_of(usage, "prompt_tokens", "input_tokens", "prompt_eval_count")
            answered = count_of(usage, "completion_tokens", "output_tokens", "eval_count")
            self._prompt_tokens = self._prompt_tokens if asked is None else asked
            self._answer_tokens = self._answer_tokens if answered is None else answered
            if usage is not value and not value.get("choices") and "choices" in value and answered is not None:
                self.finished = self.finished or self.seen  # usage alone is the stream's last chunk

    def _known(self, value: Mapping[str, Any], kind: str) -> bool:
        """A chunk without choices that has nothing for a person in it."""
        if (kind.lower() in IDLE and kind) or str(value.get("type")) in ("ping", "keepalive", *FINISHED):
            return True
        if "usage" in value and value.keys() & OUTSIDE:
            return False
        return not value or "choices" in value or "usage" in value or value.get("done") is True

    def error_left(self) -> None:
        """Raises ServerSaid where what wasn't understood piece by piece is an error as a whole: JSON over lines."""
        text = self.left.strip()
        if text.startswith("{") and not self.ended:
            values, rest = json_values(text)
            for value in values if not rest else ():
                if isinstance(value, Mapping) and (error := error_in(value, "")):
                    raise error

    def _leave(self, text: str) -> None:
        if text.strip().lower() in IDLE or self._left_size > LEFT_LIMIT:
            return
        room = LEFT_LIMIT - self._left_size
        self._left.append(text if len(text) <= room else text[:room] + "…")
        self._left_size += len(text)


def ordinary_text(value: dict[str, Any]) -> str:
    """The text of a chunk that brings nothing else, as nearly all do: the short way past all that servers may send.
    "" for every other one."""
    choices = value.get("choices")
    if type(choices) is not list or len(choices) != 1 or not value.keys() <= ORDINARY or value.get("usage"):
        return ""
    choice = choices[0]
    if type(choice) is not dict or type(delta := choice.get("delta")) is not dict:
        return ""
    text = delta.get("content")
    if type(text) is not str or type(choice.get("index")) is not int or choice["index"] != 0:
        return ""
    plain = all(choice[name] is None for name in choice.keys() - {"index", "delta"})
    return text if plain and all(delta[name] is None for name in delta.keys() - {"role", "content"}) else ""


class _Written:
    """What the answer says so far, as far as a repeated whole must be told from more."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.thinking: list[str] = []
        self.in_pieces = False

    def add(self, text: str, thinking: str, whole: bool) -> None:
        self.text.append(text)
        self.thinking.append(thinking)
        self.in_pieces = self.in_pieces or not whole

    def beyond(self, text: str, thinking: str) -> tuple[str, str]:
        """Some servers send the whole message once more at the end, or a longer one each time."""
        return self._beyond("".join(self.text), text), self._beyond("".join(self.thinking), thinking)

    def _beyond(self, before: str, now: str) -> str:
        again = self.in_pieces or len(now) > max(len(before), 1)  # else it may be the same word twice
        return now[len(before) :] if before and again and now.startswith(before) else now


class _Choices:
    """Tells the answer from further choices. Servers that were asked for one may number it oddly: 7, always another
    number, or none at all."""

    def __init__(self) -> None:
        self._main: object = None
        self._others: dict[object, list[tuple[str, str]]] = {}
        self._counting = False  # each chunk has a number of its own: all are one answer
        self._together = False
        self._last: object = None

    @property
    def single(self) -> bool:
        """Whether there was nothing but one answer, numbered 0."""
        return self._main in (None, 0) and not (self._others or self._counting or self._together)

    def take_first(self) -> None:
        """A piece of the answer that is numbered 0."""
        self._main = self._last = 0

    def is_main(self, index: object, position: int, of: int, has_text: bool) -> bool:
        key = whole_number(index)
        if of > 1:
            self._together = True
            key = position if key is None else key
        elif key is None or self._counting:
            return True
        if self._main is None:
            self._main = key
        self._last = key
        if key == self._main:
            return True
        if not has_text and not self._together:
            return key not in self._others  # the end of one that counts
        if not self._together and key not in self._others and len(self._others) >= 2:
            self._counting = all(len(pieces) == 1 for pieces in self._others.values())
            return self._counting
        return False

    def keep(self, text: str, thinking: str) -> None:
        if text or thinking:
            self._others.setdefault(self._last, []).append((text, thinking))

    def released(self) -> list[tuple[str, str]]:
        """What was held back and turns out to be the answer's own."""
        if not self._counting or not self._others:
            return []
        pieces = [piece for kept in self._others.values() for piece in kept]
        self._others = {}
        return pieces

    def rest(self) -> list[tuple[str, str]]:
        """What is still held back: further answers, one behind another, or the pieces of one that counted."""
        others, self._others = self._others, {}
        if not self._together and len(others) <= 2 and all(len(kept) == 1 for kept in others.values()):
            return [piece for kept in others.values() for piece in kept]
        pieces = []
        for kept in others.values():
            text, thinking = ("".join(part) for part in zip(*kept, strict=True))
            pieces.append((SEPARATOR + text if text else "", thinking))
        return pieces


def joined(events: Iterable[Event]) -> tuple[str, str]:
    """(text, thought) of all events."""
    deltas = [event for event in events if isinstance(event, Delta)]
    return "".join(delta.text for delta in deltas), "".join(delta.thinking for delta in deltas)
