"""Conversations from files: this console's own JSON, and OpenAI messages as many programs write them. Pure.

Taken are ``{"messages": […]}``, a bare list of messages, lists of either, and one a line (JSONL). What is in a file is
text and nothing else: nothing of it is run or asked for on the network. What can't be taken is named.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from backend.chat.conversation import (
    CONVERSATION_LIMIT,
    EXCHANGES_LIMIT,
    QUESTION_LIMIT,
    SYSTEM_LIMIT,
    Answer,
    AnswerState,
    Conversation,
    Exchange,
    Picture,
    Question,
    Round,
    Sampling,
    ToolUse,
    from_json,
)
from backend.chat.export import FORMAT, VERSION
from backend.chat.import_forms import (
    FoundPicture,
    arguments_in,
    calls_in,
    content_of,
    is_message,
    messages_of,
    picture_in,
    read_picture,
    role_of,
    text_in,
    text_of_part,
    values_in,
)
from backend.chat.logprobs import MOST_TOKENS
from backend.errors import InvalidInput, Message, Value

MOST_BYTES = 64 << 20
MOST_CONVERSATIONS = 5_000
MOST_PICTURES = 2_000
TITLE_LENGTH = 120
DEEPEST = 4  # levels above a conversation
INNER = ("conversations", "chats", "sessions", "data", "items", "state")


@dataclass(frozen=True)
class FoundConversation:
    """``pictures``: by the id that stands for them in the conversation until they are kept."""

    title: str
    conversation: Conversation
    pictures: Mapping[str, FoundPicture] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """``notes`` say what couldn't be taken."""

    conversations: tuple[FoundConversation, ...]
    notes: tuple[Message, ...] = ()


class Left:
    """Counts what can't be taken, by why."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, key: str, what: str = "") -> None:
        """One more; ``what``: of which kind."""
        self._counts[key, what[:60]] += 1

    def messages(self) -> tuple[Message, ...]:
        """One a kind."""
        return tuple(
            Message(f"chat.import.left_{key}", {"name": self._name, "count": count, "what": what}, level="warning")
            for (key, what), count in self._counts.items()
        )


def read_file(data: bytes, name: str) -> Found:
    """What stands in the file. Raises InvalidInput where it holds no conversation, or too much."""
    name = name[:120] or "?"
    if len(data) > MOST_BYTES:
        sizes: dict[str, Value] = {"size": f"{len(data) >> 20} MiB", "limit": f"{MOST_BYTES >> 20} MiB"}
        raise InvalidInput(Message("chat.import.large", {"name": name, **sizes}))
    left = Left(name)
    found: list[FoundConversation] = []
    for value in _values(data, name, left):
        for one in _conversations(value, left, 0):
            if len(found) >= MOST_CONVERSATIONS:
                left.note("many")
            else:
                found.append(one)
    if not found:
        raise InvalidInput(Message("chat.import.none", {"name": name}), *left.messages())
    return Found(tuple(found), left.messages())


def _values(data: bytes, name: str, left: Left) -> Iterator[Any]:
    """The JSON value in the file, or one a line."""
    try:
        text = text_in(data)
    except UnicodeDecodeError:
        raise InvalidInput(Message("chat.import.no_text", {"name": name})) from None
    try:
        yield _parsed(text)
        return
    except (ValueError, RecursionError) as error:
        first = error
    if behind := values_in(text):
        yield from _together(behind)
        return
    # Not splitlines(): what is said may hold what Python takes for a line's end.
    lines = [line for line in text.split("\n") if line.strip()]
    values = []
    for line in lines:
        try:
            values.append(_parsed(line))
        except (ValueError, RecursionError):
            left.note("lines")
    if len(lines) < 2 or not any(isinstance(value, (dict, list)) for value in values):
        why = str(first)[:120] if isinstance(first, json.JSONDecodeError) else type(first).__name__
        raise InvalidInput(Message("chat.import.no_json", {"name": name, "error": why})) from None
    yield from _together(values)


def _together(values: list[Any]) -> list[Any]:
    """Messages one behind another are one conversation."""
    return [values] if all(is_message(value) for value in values) else values


def _parsed(text: str) -> Any:
    return json.loads(text)


def _conversations(value: Any, left: Left, depth: int) -> Iterator[FoundConversation]:
    if isinstance(value, Mapping) and value.get("format") == FORMAT:
        yield from _own(value, left)
    elif isinstance(value, Mapping) and (messages := messages_of(value)) is not None:
        yield from _foreign(messages, value, left)
    elif isinstance(value, list) and value and all(is_message(item) for item in value):
        yield from _foreign(value, {}, left)
    elif isinstance(value, list) and depth < DEEPEST:
        for item in value:
            yield from _conversations(item, left, depth + 1)
    elif isinstance(value, Mapping) and depth < DEEPEST and (inner := _inner(value)) is not None:
        yield from _conversations(inner, left, depth + 1)
    else:
        left.note("unknown")


def _inner(value: Mapping[str, Any]) -> Any:
    """A list of conversations below a name; a browser's store has its program's name before it."""
    return next((value[name] for name in value if name in INNER or str(name).endswith("-store")), None)


# -- this console's own ------------------------------------------------------------------------------------------------


def _own(value: Mapping[str, Any], left: Left) -> Iterator[FoundConversation]:
    if not isinstance(value.get("version"), int) or value["version"] > VERSION:
        left.note("version", str(value.get("version")))
        return
    listed = value.get("conversations")
    for one in listed if isinstance(listed, list) else ():
        try:
            conversation = from_json(one["conversation"])
            _check(conversation)
        except (ValueError, TypeError, KeyError, RecursionError, InvalidInput):
            left.note("broken", str(one.get("title", "")) if isinstance(one, Mapping) else "")
            continue
        stored = one.get("pictures")
        stored = stored if isinstance(stored, Mapping) else {}
        known = {
            picture.id: picture.name for exchange in conversation.everything for picture in exchange.question.pictures
        }
        pictures = {}
        for picture_id, name in known.items():
            found = read_picture(stored.get(picture_id), name)
            if found is None:
                left.note("pictures")
                conversation = conversation.with_picture(picture_id, None)
            else:
                pictures[picture_id] = found
        title = str(one.get("title") or "")[:TITLE_LENGTH] if one.get("named") is True else ""
        yield FoundConversation(title, conversation, pictures)


def _check(conversation: Conversation) -> None:
    """Raises InvalidInput, ValueError where no such conversation could have been made here."""
    ids = [exchange.id for exchange in conversation.everything]
    if len(set(ids)) != len(ids) or min(ids, default=1) < 1 or not ids:
        raise ValueError("the exchanges aren't counted")
    known = {0, *ids}
    if any(not aside.exchanges or aside.after not in known for aside in conversation.asides):
        raise ValueError("a branch leaves from nowhere")
    if conversation.characters > CONVERSATION_LIMIT or len(ids) > EXCHANGES_LIMIT:
        raise ValueError("too long")
    answers = (answer for exchange in conversation.everything for answer in exchange.answers)
    if any(len(answer.tokens or ()) > MOST_TOKENS for answer in answers):
        raise ValueError("too many tokens")


# -- OpenAI messages ---------------------------------------------------------------------------------------------------


class _Reader:
    """Messages, one after another, as a conversation."""

    def __init__(self, model: str, left: Left) -> None:
        self._left = left
        self._model = model
        self.system: list[str] = []
        self.exchanges: list[Exchange] = []
        self.pictures: dict[str, FoundPicture] = {}
        self._calls: dict[str, tuple[int, int]] = {}  # a call's id → its round and place
        self._rounds: list[Round] = []

    def read(self, message: Any) -> None:
        role = role_of(message) if isinstance(message, Mapping) else ""
        if not role:
            self._left.note("messages", str(message.get("role", "")) if isinstance(message, Mapping) else "")
            return
        text, thought, pictures = self._content(content_of(message), role)
        if role in ("system", "developer"):
            if self.exchanges:
                self._left.note("late_system")
            self.system.append(text)
        elif role == "user":
            self._ask(text, pictures)
        elif role == "assistant":
            self._answer(message, text, thought)
        else:
            self._result(message, text)

    def _ask(self, text: str, pictures: tuple[Picture, ...]) -> None:
        self._rounds = []
        if not text and not pictures:
            self._left.note("empty")
            return
        self.exchanges.append(Exchange(Question(text, pictures), (), len(self.exchanges) + 1))

    def _answer(self, message: Mapping[str, Any], text: str, thought: str) -> None:
        if not self.exchanges:  # a greeting: it needs a question to answer
            self.exchanges.append(Exchange(Question("…"), (), 1))
        calls = self._uses(calls_in(message))
        last = self.exchanges[-1]
        said = last.answers[0] if last.answers else None
        named = (message.get(name) for name in ("reasoning_content", "reasoning", "thinking"))
        thinking = next((one for one in named if isinstance(one, str) and one), thought)
        if calls:
            self._rounds.append(Round(text, calls))
            for place, use in enumerate(calls):
                self._calls[use.id] = (len(self._rounds) - 1, place)
            text = ""
        elif said is not None and said.text:  # two answers in a row
            text = f"{said.text}\n\n{text}"
        model = message.get("model") if isinstance(message.get("model"), str) else self._model
        answer = Answer("", str(model or "")[:120], str(model or "")[:120], AnswerState.DONE, text)
        answer = replace(answer, thinking=thinking, rounds=tuple(self._rounds))
        self.exchanges[-1] = replace(last, answers=(answer,))

    def _uses(self, calls: Any) -> tuple[ToolUse, ...]:
        uses = list[ToolUse]()
        for call in calls if isinstance(calls, list) else ():
            function = call.get("function") if isinstance(call, Mapping) else None
            if not isinstance(function, Mapping) or not function.get("name"):
                self._left.note("calls")
                continue
            name = str(function.get("name") or "")
            uses.append(ToolUse(str(call.get("id") or f"call_{len(uses)}"), name, arguments_in(function)))
        return tuple(uses)

    def _result(self, message: Mapping[str, Any], text: str) -> None:
        place = self._calls.get(str(message.get("tool_call_id") or message.get("name") or ""))
        if place is None or not self.exchanges or not self.exchanges[-1].answers:
            self._left.note("results")
            return
        number, at = place
        if number >= len(self._rounds) or at >= len(self._rounds[number].calls):
            self._left.note("results")
            return
        step = self._rounds[number]
        calls = (*step.calls[:at], replace(step.calls[at], result=text), *step.calls[at + 1 :])
        self._rounds[number] = replace(step, calls=calls)
        answer = replace(self.exchanges[-1].answers[0], rounds=tuple(self._rounds))
        self.exchanges[-1] = replace(self.exchanges[-1], answers=(answer,))

    def _content(self, content: Any, role: str) -> tuple[str, str, tuple[Picture, ...]]:
        """Text, thought and pictures."""
        if content is None:
            return "", "", ()
        if isinstance(content, str):
            return content, "", ()
        if not isinstance(content, list):
            self._left.note("parts", type(content).__name__)
            return "", "", ()
        texts, thoughts, pictures = list[str](), list[str](), list[Picture]()
        for part in content:
            kind = part.get("type", part.get("content_type", "")) if isinstance(part, Mapping) else ""
            if isinstance(part, str):
                texts.append(part)
            elif isinstance(part, Mapping) and (text := text_of_part(part)) is not None:
                texts.append(text)
            elif kind == "thinking" and isinstance(part.get("thinking"), str):
                thoughts.append(part["thinking"])
            elif role == "user" and isinstance(part, Mapping) and (url := picture_in(part)) is not None:
                picture = self._shown(url)
                pictures += [picture] if picture is not None else []
            else:
                self._left.note("parts", str(kind) or type(part).__name__)
        return "\n".join(texts), "\n".join(thoughts), tuple(pictures)

    def _shown(self, url: Any) -> Picture | None:
        name = f"picture-{len(self.pictures) + 1}"
        found = read_picture(url, name)
        if found is None or len(self.pictures) >= MOST_PICTURES:
            is_address = isinstance(url, str) and not url.lower().startswith("data:")
            self._left.note("addresses" if is_address else "pictures")
            return None
        self.pictures[name] = found
        return Picture(name, name, 0, 0)


def _foreign(messages: Sequence[Any], about: Mapping[str, Any], left: Left) -> Iterator[FoundConversation]:
    model = about.get("model")
    reader = _Reader(model if isinstance(model, str) else "", left)
    for message in messages:
        reader.read(message)
    if not reader.exchanges:
        left.note("empty_conversations")
        return
    system = "\n\n".join(text for text in reader.system if text.strip())
    try:
        conversation = Conversation(tuple(reader.exchanges), Sampling(system=system[:SYSTEM_LIMIT]))
        _check(conversation)
        if any(len(exchange.question.text) > QUESTION_LIMIT for exchange in conversation.exchanges):
            raise ValueError("a question is too long")
    except (ValueError, InvalidInput):
        left.note("long")
        return
    if len(system) > SYSTEM_LIMIT:
        left.note("system_cut")
    title = about.get("title") or about.get("name")
    title = " ".join(title.split())[:TITLE_LENGTH] if isinstance(title, str) else ""
    yield FoundConversation(title, conversation, reader.pictures)
