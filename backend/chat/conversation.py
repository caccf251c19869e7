"""A conversation as a value: questions, the answers to them, and the settings they were asked with."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from typing import Any

from backend.chat.setup import Setup
from backend.chat.stats import AnswerStats
from backend.errors import InvalidInput, Message, Value

SYSTEM_LIMIT = 100_000  # characters
QUESTION_LIMIT = 1_000_000  # characters; what a model takes is far less, and said by its context length
CONVERSATION_LIMIT = 4_000_000  # characters of all questions and answers
EXCHANGES_LIMIT = 2_000
MAX_TOKENS_LIMIT = 1_000_000
TOP_K_LIMIT = 1024  # TurboMind's
SEED_LIMIT = 2**53 - 1  # what a browser's numbers hold
STOPS_LIMIT = 8
LANES = 4  # servers that can be compared
STOP_LENGTH = 100  # characters


class AnswerState(StrEnum):
    """``WAITING``: for its turn, or for the first token."""

    WAITING = "waiting"
    STREAMING = "streaming"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


# Ends after which an answer can go on; the others would only come again.
GOES_ON = frozenset(
    {"chat.end.length", "chat.end.stopped", "chat.end.left", "chat.end.console", "chat.end.gone", "chat.end.gone_said",
     "chat.end.silent", "chat.end.server_stopped", "chat.end.server_died", "chat.end.server_removed"}
)  # fmt: skip
# Ends after which another server could go on.
OTHERS_CAN = GOES_ON - {"chat.end.length", "chat.end.stopped", "chat.end.left", "chat.end.console"} | {
    "chat.error.unreachable", "servers.not-running",
}  # fmt: skip
ENDED = frozenset({AnswerState.DONE, AnswerState.STOPPED, AnswerState.FAILED})


@dataclass(frozen=True)
class Picture:
    """A checked picture in its visitor's own folder: ``id`` is its file there, ``name`` what the visitor calls it."""

    id: str
    name: str
    width: int
    height: int


@dataclass(frozen=True)
class Document:
    """A file that is sent as its text. ``pages`` of ``of_pages`` were taken; both are 0 where it has none."""

    name: str
    text: str
    pages: int = 0
    of_pages: int = 0


@dataclass(frozen=True)
class Question:
    """What a person asked."""

    text: str
    pictures: tuple[Picture, ...] = ()
    documents: tuple[Document, ...] = ()

    @property
    def characters(self) -> int:
        """How long it is, with its files' texts."""
        return len(self.text) + sum(len(document.text) for document in self.documents)


@dataclass(frozen=True)
class ToolUse:
    """One call of a tool: what the model asked for (``arguments`` is JSON, as the model wrote it) and what came out.

    ``waiting``: a person shall type the result. ``seconds``: how long that took, None = not known.
    """

    id: str
    name: str
    arguments: str
    result: str = ""
    waiting: bool = False
    seconds: float | None = None


@dataclass(frozen=True)
class Round:
    """A step on the way to an answer: the model wrote ``text`` (mostly none) and called tools."""

    text: str
    calls: tuple[ToolUse, ...]


@dataclass(frozen=True)
class AnswerForm:
    """What form an answer shall have: ``kind`` "schema" (``text`` is a JSON schema) or "regex"."""

    kind: str
    text: str


@dataclass(frozen=True)
class Answer:
    """One server's answer. ``end`` says why it ended early (length, stop, server gone); None where it is whole.

    ``left_out``: so many of the oldest questions weren't sent with it, since the model's context had no room for them.
    ``form`` is what was asked for. ``thinking_s``: how long it thought, None while it does or where it didn't.
    ``tokens``: all that it wrote, thought and calls too, with log-probabilities (``logprobs.unpacked``); None where
    these weren't asked for, and ``no_logprobs`` says why none came. ``setup``: what the server ran with.
    ``edited``: a person wrote it otherwise. ``as_text``: what to say where the server gave its calls as plain text.
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
    left_out: int = 0
    thinking_s: float | None = None
    form: AnswerForm | None = None
    tokens: tuple[str, ...] | None = None
    no_logprobs: Message | None = None
    setup: Setup | None = None
    edited: bool = False
    as_text: Message | None = None

    @property
    def cut_off(self) -> bool:
        """Whether it ended early with something to go on from: its length, Stop, a server or console that was gone."""
        return self.state in ENDED and self.end is not None and bool(self.text.strip()) and self.end.key in GOES_ON

    @property
    def characters(self) -> int:
        """How long it is, with what was thought and called on the way."""
        rounds = sum(
            len(step.text) + sum(len(use.arguments) + len(use.result) for use in step.calls) for step in self.rounds
        )
        return len(self.text) + len(self.thinking) + rounds


@dataclass(frozen=True)
class Exchange:
    """A question and its answers, one a lane: the first server's, and the others' where some are compared.

    ``id`` counts a conversation's exchanges from 1 on, in the order in which they were asked. ``better``: the lane
    whose answer a person found better, None = nobody said.
    """

    question: Question
    answers: tuple[Answer, ...] = ()
    id: int = 0
    better: int | None = None

    @property
    def characters(self) -> int:
        """How long it is: all that was asked, thought, called and answered."""
        return self.question.characters + sum(answer.characters for answer in self.answers)


@dataclass(frozen=True)
class Aside:
    """Exchanges that were asked anew or otherwise: they follow on the exchange ``after``, 0 = on nothing."""

    after: int
    exchanges: tuple[Exchange, ...]


@dataclass(frozen=True)
class OwnTool:
    """A tool whose result a person types; ``parameters`` is its JSON schema as JSON."""

    name: str
    description: str
    parameters: str


@dataclass(frozen=True)
class Sampling:
    """How answers are made. None leaves a value to the server. InvalidInput where one can't be.

    ``stop``: words before which an answer ends. ``thinking``: whether to think first, where the model's template lets
    one choose. ``logprobs``: whether to ask how sure the model is of each token.
    """

    system: str = ""
    temperature: float = 0.8
    top_p: float = 0.8
    max_tokens: int | None = 1024
    tools: tuple[str, ...] = ()
    top_k: int | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    own_tools: tuple[OwnTool, ...] = ()
    thinking: bool | None = None
    answer_form: AnswerForm | None = None
    logprobs: bool = False

    def __post_init__(self) -> None:
        wrong = []
        if len(self.system) > SYSTEM_LIMIT:
            limit = {"value": len(self.system), "limit": SYSTEM_LIMIT}
            wrong.append(Message("chat.error.system_long", limit, field="system"))
        if not 0 <= self.temperature <= 2:
            wrong.append(Message("chat.error.temperature", {"value": self.temperature}, field="temperature"))
        if not 0 < self.top_p <= 1:
            wrong.append(Message("chat.error.top_p", {"value": self.top_p}, field="top_p"))
        if self.max_tokens is not None and not 1 <= self.max_tokens <= MAX_TOKENS_LIMIT:
            wrong.append(Message("chat.error.max_tokens", {"value": self.max_tokens}, field="max_tokens"))
        if self.top_k is not None and not 1 <= self.top_k <= TOP_K_LIMIT:
            wrong.append(Message("chat.error.top_k", {"value": self.top_k, "limit": TOP_K_LIMIT}, field="top_k"))
        if self.repetition_penalty is not None and not 0 < self.repetition_penalty <= 2:
            value = {"value": self.repetition_penalty}
            wrong.append(Message("chat.error.repetition_penalty", value, field="repetition_penalty"))
        if self.seed is not None and not 0 <= self.seed <= SEED_LIMIT:
            wrong.append(Message("chat.error.seed", {"value": self.seed, "limit": SEED_LIMIT}, field="seed"))
        if len(self.stop) > STOPS_LIMIT:
            counts = {"value": len(self.stop), "limit": STOPS_LIMIT}
            wrong.append(Message("chat.error.stop_count", counts, field="stop"))
        for word in self.stop:
            if not 0 < len(word) <= STOP_LENGTH:
                sizes: dict[str, Value] = {"value": word[:40], "limit": STOP_LENGTH}
                wrong.append(Message("chat.error.stop_long", sizes, field="stop"))
        if wrong:
            raise InvalidInput(*wrong)


@dataclass(frozen=True)
class Conversation:
    """What is shown of all that was said, oldest first; the settings last used; the branches that aren't shown."""

    exchanges: tuple[Exchange, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    asides: tuple[Aside, ...] = ()

    def __post_init__(self) -> None:
        if any(not exchange.id for exchange in self.exchanges):  # from before they were counted
            object.__setattr__(self, "exchanges", _counted(self.exchanges, self._last_id))

    def asked(self, question: Question, answers: tuple[Answer, ...], sampling: Sampling) -> "Conversation":
        """With one more question, its answers still to come."""
        asked = Exchange(question, answers, self._last_id + 1)
        return replace(self, exchanges=(*self.exchanges, asked), sampling=sampling)

    def without_last(self) -> "Conversation":
        """Without the last question and its answers."""
        return replace(self, exchanges=self.exchanges[:-1])

    def with_answer(self, lane: int, answer: Answer) -> "Conversation":
        """With the last question's answer in that lane replaced."""
        last = self.exchanges[-1]
        answers = (*last.answers[:lane], answer, *last.answers[lane + 1 :])
        return replace(self, exchanges=(*self.exchanges[:-1], replace(last, answers=answers)))

    def with_vote(self, number: int, lane: int | None) -> "Conversation":
        """With that lane's answer to the question at that place the better one; None = nobody says any more."""
        exchanges = list(self.exchanges)
        exchanges[number] = replace(exchanges[number], better=lane)
        return replace(self, exchanges=tuple(exchanges))

    def with_picture(self, picture_id: str, new: Picture | None) -> "Conversation":
        """With another picture in the place of that one, or none."""

        def changed(exchange: Exchange) -> Exchange:
            pictures = (new if picture.id == picture_id else picture for picture in exchange.question.pictures)
            question = replace(exchange.question, pictures=tuple(filter(None, pictures)))
            return replace(exchange, question=question)

        asides = tuple(replace(aside, exchanges=tuple(map(changed, aside.exchanges))) for aside in self.asides)
        return replace(self, exchanges=tuple(map(changed, self.exchanges)), asides=asides)

    @property
    def everything(self) -> tuple[Exchange, ...]:
        """All exchanges, those of other branches too."""
        return (*self.exchanges, *(exchange for aside in self.asides for exchange in aside.exchanges))

    @property
    def _last_id(self) -> int:
        return max((exchange.id for exchange in self.everything), default=0)

    @property
    def characters(self) -> int:
        """How long it is with all its branches."""
        return sum(exchange.characters for exchange in self.everything)

    @property
    def pictures(self) -> frozenset[str]:
        """The ids of all pictures in it."""
        return frozenset(picture.id for exchange in self.everything for picture in exchange.question.pictures)


def _counted(exchanges: tuple[Exchange, ...], last: int) -> tuple[Exchange, ...]:
    counted = []
    for exchange in exchanges:
        last = last if exchange.id else last + 1
        counted.append(exchange if exchange.id else replace(exchange, id=last))
    return tuple(counted)


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
    asides = tuple(replace(aside, exchanges=_all_settled(aside.exchanges)) for aside in conversation.asides)
    return replace(conversation, exchanges=_all_settled(conversation.exchanges), asides=asides)


def _all_settled(exchanges: tuple[Exchange, ...]) -> tuple[Exchange, ...]:
    return tuple(replace(exchange, answers=tuple(map(_settled, exchange.answers))) for exchange in exchanges)


def _settled(answer: Answer) -> Answer:
    if answer.state in ENDED:
        return answer
    # Of settings that are asked one after another, a server's id stands there once its turn has come.
    end = "chat.end.console" if answer.server_id else "chat.end.console_before"
    return replace(answer, state=AnswerState.STOPPED, end=Message(end, level="warning"))


def sampling_from_json(data: Any) -> Sampling:
    """Settings as they were stored or sent; ValueError or InvalidInput where they are none."""
    from pydantic import TypeAdapter

    found: Sampling = TypeAdapter(Sampling).validate_python(data)
    return found


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter  # takes a while to import

    return TypeAdapter(Conversation)
