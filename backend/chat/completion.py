"""What a server sends as an answer to a chat completion, in whatever form it does: JSON values in, small events out.

Servers differ: pieces or whole messages, text as a string or as parts, thought in fields of many names, tool calls with
odd indexes, errors in any shape. What isn't understood is kept as ``left``, to be shown. Pure.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.chat.choices import Choices
from backend.chat.completion_values import (
    BESIDE,
    LEFT_LIMIT,
    choices_of,
    count_of,
    more_of,
    pieces_of,
    unread_of,
    wrapped_in,
)
from backend.chat.finish_reasons import reason_of
from backend.chat.json_text import UNSEEN, json_values
from backend.chat.logprobs import Entry, entries_of
from backend.chat.server_errors import ServerSaid, choice_error, error_in, says_fine, words
from backend.chat.tool_calls import CallDelta, CallReader
from backend.chat.written import Written

DONE_WORDS = frozenset({"done", "end", "eof", "eos", "stop", "finish", "finished", "complete", "completed"})
LONGEST_DONE = 16
ASKED = ("prompt_tokens", "input_tokens", "prompt_eval_count")
ANSWERED = ("completion_tokens", "output_tokens", "eval_count")
COUNTS = frozenset({*ASKED, *ANSWERED})
AROUND = f" \t\r\n\f\v{UNSEEN}"
DATA = "data:"
FINISHED = frozenset({"message_stop", "response.completed"})  # types of a last event without a reason
IDLE = frozenset({"", "ping", "[ping]", "pong", "keepalive", "keep-alive", "heartbeat", "processing"})
ORDINARY = frozenset({"id", "object", "created", "model", "choices", "usage", "system_fingerprint"})
OUTSIDE = frozenset({"output", "outputs", "result", "results", "data", "candidates"})  # where other APIs have it

_NO_LETTERS = re.compile("[^a-z]+")


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
    ``cut``: it is known not to be; ``seen``: something that is an answer's came."""

    def __init__(self) -> None:
        self.done = False
        self.finished = False
        self.cut = False
        self.seen = False
        self._reason = ""
        self._kept_reason = ""  # of what is held back
        self._reason_alone = False  # it came in a chunk without text
        self._reasons_mean_nothing = False  # text came after one that stood beside text
        self._usage_alone = False  # the last chunk was nothing but usage
        self._prompt_tokens: int | None = None
        self._answer_tokens: int | None = None
        self._left: list[str] = []
        self._left_size = 0
        self._said_beside = ""
        self._aside: list[str] = []  # to be shown only where nothing else came
        self._calls = CallReader()
        self._choices = Choices()
        self._written = Written()
        self._weighed = 0  # tokens that came with their log-probabilities

    @property
    def left(self) -> str:
        """What came and isn't understood, cut short."""
        empty = not (self._written.text or self._written.thinking or self._calls.count)
        return "\n".join((*self._left, *self._aside) if empty else self._left)

    @property
    def ended(self) -> bool:
        """Whether the end was seen, one way or another."""
        reason = self._reason and (self._reason_alone or not self._reasons_mean_nothing)
        return not self.cut and (self.finished or bool(reason))

    @property
    def ended_surely(self) -> bool:
        """Whether more text would be a surprise: some servers give a reason with each piece, or usage in between."""
        return self.ended and (self.finished or self._reason_alone or self._usage_alone)

    def close(self) -> None:
        """The stream ended by itself: a reason or usage alone, as weak as they may be, are then its end."""
        self._reason = self._reason or self._kept_reason
        self.finished = self.finished or self._usage_alone or bool(self._reason)

    def data(self, text: str, kind: str = "") -> Iterator[Event]:
        """A server-sent event's data, or a line of JSON. Raises ServerSaid."""
        if kind and kind.lower() in DONE_WORDS:
            self.finished = self.finished or self.seen
        while text:
            text = text.strip(AROUND)
            while text.startswith(DATA):  # a program between wrote its own in front of the server's
                text = text.removeprefix(DATA).lstrip()
            if text[:1] != "{" and is_done(text):
                self.done = self.finished = True
                return
            values, rest = json_values(text)
            for value in values:
                try:
                    yield from self.value(value, kind)
                except RecursionError:  # it can be read, but not written
                    self._leave(text)
            if not values:
                break
            text = rest
        if text:
            if kind.lower() == "error":
                raise ServerSaid(text)
            self._leave(text)

    def stray(self, text: str) -> Iterator[Event]:
        """A line that belongs to no event: an error that a program wrote into the stream, or a chunk without
        ``data:`` or with another spelling of it. Raises ServerSaid."""
        line = text.strip().strip(UNSEEN)
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
            self._goes_on()
            self._choices.take_first()
            self._written.add(text, "", False)
            yield Delta(text)
            return
        if isinstance(value, str) and value.lstrip()[:1] == "{":  # JSON in JSON
            value, rest = json_values(value)
            if rest:
                self._leave(rest)
        if isinstance(value, list):
            for item in value:
                yield from self.value(item, kind)
            return
        if not isinstance(value, Mapping):
            if kind.lower() == "error":
                raise ServerSaid(words(value))
            if value is not None:
                self._leave(words(value))
            return
        error = error_in(value, kind) if kind or not value.get("choices") or value.keys() - ORDINARY else None
        inner = wrapped_in(value) if error is None and not value.get("choices") else None
        self._usage(value)
        if inner is not None:
            yield from self.value(inner, kind)
            return
        self._beside(value)
        choices = choices_of(value)
        if error is not None:
            yield from self._read(choices if value.get("choices") and choices else [], value)
            raise error
        if str(value.get("type")) in FINISHED:
            self.finished = self.finished or self.seen
        if choices is not None:
            self.seen = True
            yield from self._read(choices, value)
        elif says_fine(value):
            self._set_aside(json.dumps(value, ensure_ascii=False))
        elif not self._known(value, kind):
            self._leave(json.dumps(value, ensure_ascii=False))

    def rest(self) -> list[Event]:
        """What was held back: it may have been of another answer."""
        events: list[Event] = [Delta(text, thought) for text, thought in self._choices.rest()]
        for holder in self._choices.rest_of_calls():
            if self._calls.count:
                self._leave(json.dumps(holder, ensure_ascii=False))
            else:
                events += self._calls.read(holder)
        return events

    def end(self) -> list[Event]:
        """No more comes: what was held back, and the End."""
        events = [*self.rest(), *self._calls.end()]
        reason = self._reason or ("tool_calls" if self._calls.count else "stop")
        return [*events, End(reason, self._prompt_tokens, self._answer_tokens, self.left)]

    def _goes_on(self) -> None:
        """More of the answer comes: what seemed to be its end was none."""
        if self._reason and not self._reason_alone:
            self._reasons_mean_nothing = True
        self._reason, self._reason_alone, self._usage_alone = "", False, False
        self.finished = self.done

    def _read(self, choices: Sequence[Any], whole: Mapping[str, Any]) -> Iterator[Event]:
        for position, choice in enumerate(choices):
            if isinstance(choice, str):
                choice = {"text": choice}
            if not isinstance(choice, Mapping):
                if choice:
                    self._leave(words(choice))
                continue
            reason = reason_of(choice) or reason_of(choice.get("delta")) or reason_of(choice.get("message"))
            error = choice_error(choice, reason)
            if error is not None and not isinstance(choice.get("message"), Mapping):
                choice = {name: inner for name, inner in choice.items() if name != "message"}
            yield from self._take(choice, position, len(choices), reason or reason_of(whole), whole)
            if error is not None:
                raise error

    def _take(
        self, choice: Mapping[str, Any], position: int, of: int, reason: str, whole: Mapping[str, Any]
    ) -> Iterator[Event]:
        self._usage(choice)
        (text, thinking), is_whole, calls = pieces_of(choice)
        if not self._choices.is_main(choice.get("index"), position, of, text, thinking):
            self._choices.keep(text, thinking, calls)
            self._kept_reason = reason or self._kept_reason
            return
        if is_whole:
            text, thinking = self._written.beyond(text, thinking)
        call_deltas = self._calls.read(calls)
        if text or thinking or any(call.id or call.name or call.arguments for call in call_deltas):
            self._goes_on()
        if text or thinking:
            for more in (*self._choices.released(), (text, thinking)):
                self._written.add(*more, is_whole)
                yield Delta(*more)
        yield from call_deltas
        yield from self._weigh(choice.get("logprobs"), is_whole)
        for holder in (choice, choice.get("delta"), choice.get("message")):
            self._beside(holder)
        if not (text or thinking or call_deltas) and (unread := unread_of(choice)):
            self._set_aside(json.dumps(unread, ensure_ascii=False, default=str))
        if reason:
            self._reason, self._reason_alone = reason, not (text or thinking)
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
            if not isinstance(usage, Mapping) or COUNTS.isdisjoint(usage):
                continue
            asked = count_of(usage, *ASKED)
            answered = count_of(usage, *ANSWERED)
            self._prompt_tokens = self._prompt_tokens if asked is None else asked
            self._answer_tokens = self._answer_tokens if answered is None else answered
            if usage is not value and not value.get("choices") and "choices" in value and answered is not None:
                self._usage_alone = self.seen

    def _known(self, value: Mapping[str, Any], kind: str) -> bool:
        """A chunk without choices that has nothing for a person in it."""
        if (kind.lower() in IDLE and kind) or str(value.get("type")) in ("ping", "keepalive", *FINISHED):
            return True
        if "usage" in value and value.keys() & OUTSIDE:
            return False
        if value.get("done") is True:
            self.finished = self.finished or self.seen
            return True
        return not value or "choices" in value or "usage" in value

    def _beside(self, holder: object) -> None:
        """Sources and pictures, which some servers send with each chunk once more."""
        if isinstance(holder, Mapping) and not BESIDE.isdisjoint(holder) and (more := more_of(holder)):
            text = json.dumps(more, ensure_ascii=False, default=str)
            if text != self._said_beside:
                self._said_beside = text
                self._leave(text)

    def _set_aside(self, text: str) -> None:
        if not self._aside:
            self._aside.append(text[:LEFT_LIMIT])

    def _leave(self, text: str) -> None:
        if text.strip().lower() in IDLE or self._left_size > LEFT_LIMIT:
            return
        room = LEFT_LIMIT - self._left_size
        self._left.append(text if len(text) <= room else text[:room] + "…")
        self._left_size += len(text)


def is_done(text: str) -> bool:
    """Whether it is the API's own word for the end, ``[DONE]``, or what programs between make of that."""
    return 0 < len(text) <= LONGEST_DONE and "{" not in text and _NO_LETTERS.sub("", text.lower()) in DONE_WORDS


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


def joined(events: Iterable[Event]) -> tuple[str, str]:
    """(text, thought) of all events."""
    deltas = [event for event in events if isinstance(event, Delta)]
    return "".join(delta.text for delta in deltas), "".join(delta.thinking for delta in deltas)
