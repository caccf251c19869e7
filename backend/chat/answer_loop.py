"""Writes one answer: streams it, runs the tools that the model calls, and goes on until it is whole."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from backend.chat.client import Client
from backend.chat.completion import End, Weighed
from backend.chat.conversation import Answer, AnswerState, Round, ToolUse
from backend.chat.logprobs import TokenReader
from backend.chat.stats import AnswerStats, Meter
from backend.chat.text_calls import calls_in
from backend.chat.thinking import Tag, ThoughtReader
from backend.chat.tool_calls import CallDelta, once_decoded
from backend.chat.tools import MAX_CALLS, MAX_ROUNDS
from backend.chat.toolset import Toolset
from backend.errors import ConsoleError, Message, Unavailable
from backend.outside_text import clean

REASON_LIMIT = 300  # characters of a server's own reason
LATELY = 2000  # characters in which a token that has just come stands
MAX_CHARACTERS = 4_000_000  # a server that never ends is ended


@dataclass(frozen=True)
class Task:
    """What to ask and whom. ``request`` makes the body from the answer so far, which holds the tools' results and
    whether the server gives log-probabilities.
    ``tags``: what else the model's template takes for thought. ``begun``: the text that the answer goes on from.
    ``person`` gives the result of a person's own tool, which may take minutes; its round and place tell calls apart.
    ``as_text`` is said where calls come as plain text.
    """

    base_url: str
    api_key: str
    tools: Toolset
    request: Callable[[Answer], Awaitable[Mapping[str, Any]]]
    tags: tuple[Tag, ...] = ()
    begun: str = ""
    as_text: Message | None = None
    person: Callable[[int, int, ToolUse], Awaitable[str]] | None = None


async def write_answer(client: Client, task: Task, answer: Answer, meter: Meter) -> AsyncGenerator[Answer, None]:
    """Yield the answer as it grows; the last one is DONE. Raises what Client.stream raises."""
    begun = task.begun
    unparsed = False  # the server has no parser for calls: they come as text
    weighing = answer.tokens is not None and answer.no_logprobs is None  # log-probabilities were asked for
    while True:
        request = await task.request(answer)
        if unparsed:
            request = {**request, "tool_choice": "none"}
        heard = False
        sent_at = time.monotonic()
        meter.sent(sent_at)
        calls: dict[int, ToolUse] = {}
        thoughts = ThoughtReader(task.tags)
        thinking = answer.thinking
        reader, lately = TokenReader(answer.tokens or ()), ""
        async with aclosing(client.stream(task.base_url, task.api_key, request)) as events:
            try:
                async for event in events:
                    now = time.monotonic()
                    heard = True
                    if isinstance(event, End):
                        meter.ended(event.prompt_tokens, event.answer_tokens)
                        end = event
                        break
                    if isinstance(event, Weighed):
                        if weighing:
                            reader.add(event.entries, lately)
                            answer = replace(answer, tokens=reader.tokens)
                        continue
                    meter.token(now, 1 if isinstance(event, CallDelta) else event.pieces)
                    if isinstance(event, CallDelta):
                        calls[event.index] = _grown(calls.get(event.index), event)
                        continue
                    thinking += event.thinking
                    lately = (lately + event.thinking + event.text)[-LATELY:]
                    if event.text:
                        thoughts.read(event.text)
                    answer = _timed(_written(answer, thinking, thoughts, begun, meter.stats(now)), now - sent_at)
                    if len(answer.text) + len(answer.thinking) > MAX_CHARACTERS:
                        raise Unavailable(Message("chat.end.endless", {"limit": MAX_CHARACTERS}))
                    yield answer
            except ConsoleError as error:
                if not heard and not unparsed and wants_parser(error):
                    unparsed = True
                    continue
                if not heard and weighing and "logprob" in _detail(error):
                    weighing = False
                    told = Message("chat.logprobs.refused", dict(error.messages[0].params), level="info")
                    answer = replace(answer, no_logprobs=told)
                    continue
                thoughts.end()
                yield _written(answer, thinking, thoughts, begun, meter.stats(time.monotonic()))
                raise
        thoughts.end()
        answer = _written(answer, thinking, thoughts, begun, meter.stats(time.monotonic()))
        found = [replace(use, arguments=once_decoded(use.arguments)) for _, use in sorted(calls.items())]
        if not found and task.tools.names:
            rest, written = calls_in(answer.text, task.tools.names)
            if written:
                answer = replace(answer, text=rest, as_text=task.as_text)
                found = [ToolUse("", call.name, call.arguments) for call in written]
        if not found:
            if weighing and not answer.tokens and answer.no_logprobs is None:
                answer = replace(answer, no_logprobs=Message("chat.logprobs.none", level="info"))
            yield replace(answer, state=AnswerState.DONE, end=_reason(end, answer))
            return
        if len(answer.rounds) >= MAX_ROUNDS:
            limit = Message("chat.end.tool_rounds", {"limit": MAX_ROUNDS}, level="warning")
            yield replace(answer, state=AnswerState.DONE, end=limit)
            return
        begun = ""
        number = len(answer.rounds)
        uses = tuple(
            replace(use, id=f"call_{number}_{place}" if use.id in ("", *(one.id for one in found[:place])) else use.id)
            for place, use in enumerate(found)
        )
        answer = replace(answer, text="", rounds=(*answer.rounds, Round(answer.text, uses)))
        async with aclosing(_results(answer, task)) as versions:
            async for answer in versions:
                yield answer


def _written(answer: Answer, known: str, thoughts: ThoughtReader, begun: str, stats: AnswerStats) -> Answer:
    """The answer with what was written so far. ``known``: the thought that came as such."""
    own = thoughts.thinking
    thinking = f"{known}\n\n{own}" if known and own else known or own
    return replace(answer, state=AnswerState.STREAMING, text=begun + thoughts.text, thinking=thinking, stats=stats)


def _timed(answer: Answer, seconds: float) -> Answer:
    """With the time that it thought, from the question on, once it writes."""
    over = answer.thinking_s is None and answer.thinking and answer.text.strip()
    return replace(answer, thinking_s=seconds) if over else answer


def _grown(use: ToolUse | None, delta: CallDelta) -> ToolUse:
    use = use or ToolUse("", "", "")
    if len(use.arguments) + len(delta.arguments) > MAX_CHARACTERS:
        raise Unavailable(Message("chat.end.endless", {"limit": MAX_CHARACTERS}))
    return ToolUse(use.id or delta.id, use.name + delta.name, use.arguments + delta.arguments)


def wants_parser(error: ConsoleError) -> bool:
    """Whether a server refused tools since it was started without a parser for calls."""
    detail = _detail(error)
    return "tool-call-parser" in detail or "tool_call_parser" in detail


def _detail(error: ConsoleError) -> str:
    return str(error.messages[0].params.get("detail", "")).lower()


async def _results(answer: Answer, task: Task) -> AsyncGenerator[Answer, None]:
    """Yield the answer as the last round's results come: the console's at once, one after another, then a person's, in
    whatever order they are typed."""
    number = len(answer.rounds) - 1
    uses = list(answer.rounds[-1].calls)

    def now() -> Answer:
        return replace(answer, rounds=(*answer.rounds[:-1], replace(answer.rounds[-1], calls=tuple(uses))))

    mine = [place for place, use in enumerate(uses[:MAX_CALLS]) if use.name in task.tools.own and task.person]
    for place, use in enumerate(uses):
        if place >= MAX_CALLS:
            uses[place] = replace(use, result=f"error: more than {MAX_CALLS} calls at once aren't carried out")
        elif place in mine:
            uses[place] = replace(use, waiting=True)
        else:
            result, seconds = await task.tools.run(use.name, use.arguments)
            uses[place] = replace(use, result=result, seconds=seconds)
            yield now()
    yield now()
    if not mine or task.person is None:
        return
    began = time.monotonic()
    asked = {asyncio.ensure_future(task.person(number, place, uses[place])): place for place in mine}
    try:
        while waiting := [one for one in asked if not one.done() or uses[asked[one]].waiting]:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                place = asked[one]
                seconds = time.monotonic() - began
                uses[place] = replace(uses[place], result=one.result(), waiting=False, seconds=seconds)
            yield now()
    finally:
        for one in asked:
            one.cancel()


def _reason(end: End, answer: Answer) -> Message | None:
    """Why the answer ended early, or None: the model ended it by itself."""
    if end.left:
        return Message("chat.end.left_over", {"detail": end.left}, level="warning")
    if end.reason == "length":
        key = "chat.end.length" if answer.text or answer.thinking else "chat.end.length_empty"
        return Message(key, {"tokens": end.answer_tokens or 0}, level="warning")
    if end.reason in ("stop", "tool_calls"):
        return None if answer.text or answer.thinking else Message("chat.end.empty", level="warning")
    return Message("chat.end.reason", {"reason": clean(end.reason, REASON_LIMIT)}, level="warning")
