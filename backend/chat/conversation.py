"""A conversation as a value: questions, the answers to them, and the settings they were asked with."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Any

from backend.chat.stats import AnswerStats
from backend.errors import InvalidInput, Message

SYSTEM_LIMIT = 100_000  # characters
QUESTION_LIMIT = 1_000_000  # characters; what a model takes is far less, and said by its context length
MAX_TOKENS_LIMIT = 1_000_000


class AnswerState(StrEnum):
    """``WAITING``: for its turn, or for the first token."""

    WAITING = "waiting"
    STREAMING = "streaming"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


ENDED = frozenset({AnswerState.DONE, AnswerState.STOPPED, AnswerState.FAILED})


@dataclass(frozen=True)
class Picture:
    """A checked picture in its visitor's own folder. ``id`` is its file's name there, ``name`` what the visitor
    called it.
    """

    id: str
    name: str
    width: int
    height: int


@dataclass(frozen=True)
class Question:
    """What a person asked."""

    text: str
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class ToolUse:
    """One call of a tool: what the model asked for (``arguments`` is JSON, as the model wrote it) and what came out."""

    id: str
    name: str
    arguments: str
    result: str = ""


@dataclass(frozen=True)
class Round:
    """A step on the way to an answer: the model wrote ``text`` (mostly none) and called tools."""

    text: str
    calls: tuple[ToolUse, ...]


@dataclass(frozen=True)
class Answer:
    """One server's answer. ``end`` says why it ended early: the length, a stop, the server gone; None where it is
    whole.
    """

    server_id: str
    server_name: str
    model_id: str
    state: AnswerState = AnswerState.WAITING
    text: str = ""
    thinking: str = ""
    rounds: tuple[Round, ...] = ()
    stats: AnswerStats = field(default_factory=AnswerStats)
    end: Message | None = None


@dataclass(frozen=True)
class Exchange:
    """A question and its answers, one a lane: the first server's, and the second's when two are compared."""

    question: Question
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True)
class Sampling:
    """How answers are made. ``max_tokens`` None leaves it to the server. InvalidInput where a value can't be."""

    system: str = ""
    temperature: float = 0.8
    top_p: float = 0.8
    max_tokens: int | None = 1024
    tools: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        wrong = []
        if len(self.system) > SYSTEM_LIMIT:
            limit = {"value": len(self.system), "limit": SYSTEM_LIMIT}
            wrong.append(Message("chat.error.system_long", limit, field="chat-system"))
        if not 0 <= self.temperature <= 2:
            wrong.append(Message("chat.error.temperature", {"value": self.temperature}, field="chat-temperature"))
        if not 0 < self.top_p <= 1:
            wrong.append(Message("chat.error.top_p", {"value": self.top_p}, field="chat-top-p"))
        if self.max_tokens is not None and not 1 <= self.max_tokens <= MAX_TOKENS_LIMIT:
            wrong.append(Message("chat.error.max_tokens", {"value": self.max_tokens}, field="chat-max-tokens"))
        if wrong:
            raise InvalidInput(*wrong)


@dataclass(frozen=True)
class Conversation:
    """All that was said, oldest first, and the settings last used."""

    exchanges: tuple[Exchange, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)

    def asked(self, question: Question, answers: tuple[Answer, ...], sampling: Sampling) -> "Conversation":
        """With one more question, its answers still to come."""
        return Conversation((*self.exchanges, Exchange(question, answers)), sampling)

    def without_last(self) -> "Conversation":
        """Without the last question and its answers."""
        return replace(self, exchanges=self.exchanges[:-1])

    def with_answer(self, lane: int, answer: Answer) -> "Conversation":
        """With the last question's answer in that lane replaced."""
        last = self.exchanges[-1]
        answers = (*last.answers[:lane], answer, *last.answers[lane + 1 :])
        return replace(self, exchanges=(*self.exchanges[:-1], Exchange(last.question, answers)))

    @property
    def pictures(self) -> frozenset[str]:
        """The ids of all pictures in it."""
        return frozenset(picture.id for exchange in self.exchanges for picture in exchange.question.pictures)


def split_thinking(text: str) -> tuple[str, str, bool]:
    """(thought, answer, whether the thought is over) of a text that may begin with ``<think>…</think>``."""
    start = text.lstrip()
    if not start.startswith("<think>"):
        return "", text, True
    thought, closed, answer = start.removeprefix("<think>").partition("</think>")
    return thought.strip(), answer.lstrip(), bool(closed)


def to_json(conversation: Conversation) -> dict[str, Any]:
    """As the store keeps it."""
    return dict(_adapter().dump_python(conversation, mode="json"))


def from_json(data: Mapping[str, Any]) -> Conversation:
    """From the store; ValueError where it isn't one. An answer that was under way then has been cut off."""
    conversation: Conversation = _adapter().validate_python(data)
    return replace(
        conversation,
        exchanges=tuple(replace(e, answers=tuple(map(_settled, e.answers))) for e in conversation.exchanges),
    )


def _settled(answer: Answer) -> Answer:
    if answer.state in ENDED:
        return answer
    return replace(answer, state=AnswerState.STOPPED, end=Message("chat.end.console", level="warning"))


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter  # takes a while to import

    return TypeAdapter(Conversation)
