"""How much of a model's context a conversation takes, and which of its oldest questions have no room in it. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from backend.chat.conversation import Answer, Conversation, Exchange, Picture, Question, Sampling, split_thinking
from backend.chat.documents import document_text
from backend.chat.toolset import tool_schemas

ANSWER_TOKENS = 512  # kept free for an answer whose length isn't set
MARKS = 8  # tokens that a chat template puts around a message, where the server can't say
PICTURE_PIXELS = 28 * 28  # a token, with Qwen2-VL and its kin
PICTURE_TOKENS = (64, 4096)


@dataclass(frozen=True)
class Parts:
    """The texts of a request, in order: the settings', each earlier exchange's, and the question's own, its files
    first. An earlier exchange that isn't sent has no texts."""

    settings: tuple[str, ...]
    earlier: tuple[tuple[str, ...], ...]
    files: tuple[str, ...]
    question: tuple[str, ...]
    earlier_pictures: tuple[int, ...] = ()
    pictures: int = 0

    @property
    def texts(self) -> tuple[str, ...]:
        """All of them, as they are counted."""
        return (*self.settings, *(text for one in self.earlier for text in one), *self.files, *self.question)


@dataclass(frozen=True)
class Weight:
    """Tokens. ``context`` is the model's, 0 = not known; ``answer`` is kept free. ``left_out``: so many of the earlier
    exchanges have no room, the oldest ones. ``exact``: the server counted, and no picture is in it."""

    settings: int
    earlier: tuple[int, ...]
    files: tuple[int, ...]
    question: int
    pictures: int
    context: int
    answer: int
    left_out: int
    exact: bool

    @property
    def total(self) -> int:
        """What will be sent."""
        return self.needed + sum(self.earlier[self.left_out :])

    @property
    def needed(self) -> int:
        """What is sent in any case."""
        return self.settings + sum(self.files) + self.question + self.pictures

    @property
    def fits(self) -> bool:
        """Whether it has room, without the earlier ones if need be."""
        return not self.context or self.needed < self.context


def parts_of(
    earlier: Sequence[Exchange], question: Question, sampling: Sampling, lane: int, answer: Answer | None = None
) -> Parts:
    """``answer``: what stands of the answer already, where one goes on with it."""
    settings = [sampling.system] if sampling.system.strip() else []
    if tools := tool_schemas(sampling):
        settings.append(json.dumps(tools))
    asked = tuple(_said(exchange, lane) for exchange in earlier)
    begun = _answer_texts(answer) if answer is not None else ()
    return Parts(
        tuple(settings),
        asked,
        tuple(map(document_text, question.documents)),
        (question.text, *begun),
        tuple(
            _pictures(exchange.question.pictures) if said else 0 for exchange, said in zip(earlier, asked, strict=True)
        ),
        _pictures(question.pictures),
    )


def parts_of_last(conversation: Conversation, lane: int) -> Parts:
    """Of the last question, which has been asked."""
    *earlier, last = conversation.exchanges
    answer = last.answers[lane] if len(last.answers) > lane else None
    return parts_of(earlier, last.question, conversation.sampling, lane, answer)


def weighed(
    parts: Parts, counts: Sequence[int], exact: bool, context: int, max_tokens: int | None, marks: int = MARKS
) -> Weight:
    """``counts`` are the tokens of ``parts.texts``; ``marks`` stand around each of them in the prompt."""
    left = list(counts)

    def taken(number: int) -> list[int]:
        first = left[:number]
        del left[:number]
        return first

    settings = sum(taken(len(parts.settings))) + marks * len(parts.settings)
    pictures = parts.earlier_pictures or (0,) * len(parts.earlier)
    earlier = tuple(
        sum(taken(len(texts))) + marks * len(texts) + shown
        for texts, shown in zip(parts.earlier, pictures, strict=True)
    )
    files = tuple(taken(len(parts.files)))
    question = sum(taken(len(parts.question))) + marks * (1 + len(parts.question))
    answer = min(max_tokens or ANSWER_TOKENS, context // 4) if context else max_tokens or ANSWER_TOKENS
    needed = settings + sum(files) + question + parts.pictures
    left_out = 0
    while context and left_out < len(earlier) and needed + sum(earlier[left_out:]) + answer > context:
        left_out += 1
    return Weight(
        settings,
        earlier,
        files,
        question,
        parts.pictures,
        context,
        answer,
        left_out,
        exact and not parts.pictures and not any(pictures),
    )


def rough_tokens(text: str) -> int:
    """About how many tokens a text has: four ASCII characters a token, or one and a half of any other script.

    Off by up to a factor of two either way; the server counts exactly, and refuses what is too long by itself.
    """
    ascii_count = len(text.encode("ascii", "ignore"))
    return round(ascii_count / 4 + (len(text) - ascii_count) / 1.5)


def scale(conversation: Conversation, lane: int) -> float:
    """By how much the rough count is off, as the server's count of the newest answered question tells; else 1."""
    for number in range(len(conversation.exchanges) - 1, -1, -1):
        exchange = conversation.exchanges[number]
        answer = exchange.answers[lane] if len(exchange.answers) > lane else None
        if answer is None or answer.stats.prompt_tokens is None or answer.rounds or answer.left_out:
            continue
        earlier = conversation.exchanges[:number]
        parts = parts_of(earlier, exchange.question, conversation.sampling, lane)
        if parts.pictures or any(parts.earlier_pictures):
            continue
        rough = sum(map(rough_tokens, parts.texts)) + MARKS * len(parts.texts)
        return min(max(answer.stats.prompt_tokens / max(rough, 1), 0.3), 3.0)
    return 1.0


def _said(exchange: Exchange, lane: int) -> tuple[str, ...]:
    answer = exchange.answers[min(lane, len(exchange.answers) - 1)] if exchange.answers else None
    if answer is None or not answer.text.strip():
        return ()
    files = (document_text(document) for document in exchange.question.documents)
    return (*files, exchange.question.text, *_answer_texts(answer))


def _answer_texts(answer: Answer) -> tuple[str, ...]:
    calls = (f"{use.name} {use.arguments} {use.result}" for step in answer.rounds for use in step.calls)
    texts = (*(step.text for step in answer.rounds), *calls, split_thinking(answer.text)[1])
    return tuple(text for text in texts if text)


def _pictures(pictures: Sequence[Picture]) -> int:
    low, high = PICTURE_TOKENS
    return sum(min(max(one.width * one.height // PICTURE_PIXELS, low), high) for one in pictures)
