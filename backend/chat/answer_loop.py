"""Writes one answer: streams it, runs the tools that the model calls, and goes on until it is whole."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from backend.chat.client import Client
from backend.chat.completion import End
from backend.chat.conversation import Answer, AnswerState, Round, ToolUse
from backend.chat.stats import AnswerStats, Meter
from backend.chat.thinking import Tag, ThoughtReader
from backend.chat.tool_calls import CallDelta
from backend.chat.tools import MAX_CALLS, MAX_ROUNDS, run_tool
from backend.errors import ConsoleError, Message, Unavailable

MAX_CHARACTERS = 4_000_000  # a server that never ends is ended


@dataclass(frozen=True)
class Task:
    """What to ask and whom. ``request`` makes the body from the answer so far, which holds the tools' results.
    ``tags``: what else the model's template takes for thought. ``begun``: the text that the answer goes on from."""

    base_url: str
    api_key: str
    tools: tuple[str, ...]
    request: Callable[[Answer], Awaitable[Mapping[str, Any]]]
    tags: tuple[Tag, ...] = ()
    begun: str = ""


async def write_answer(client: Client, task: Task, answer: Answer, meter: Meter) -> AsyncGenerator[Answer, None]:
    """Yield the answer as it grows; the last one is DONE. Raises what Client.stream raises."""
    begun = task.begun
    while True:
        request = await task.request(answer)
        meter.sent(time.monotonic())
        calls: dict[int, ToolUse] = {}
        thoughts = ThoughtReader(task.tags)
        thinking = answer.thinking
        async with aclosing(client.stream(task.base_url, task.api_key, request)) as events:
            try:
                async for event in events:
                    now = time.monotonic()
                    if isinstance(event, End):
                        meter.ended(event.prompt_tokens, event.answer_tokens)
                        end = event
                        break
                    meter.token(now)
                    if isinstance(event, CallDelta):
                        calls[event.index] = _grown(calls.get(event.index), event)
                        continue
                    thinking += event.thinking
                    if event.text:
                        thoughts.read(event.text)
                    answer = _written(answer, thinking, thoughts, begun, meter.stats(now))
                    if len(answer.text) + len(answer.thinking) > MAX_CHARACTERS:
                        raise Unavailable(Message("chat.end.endless", {"limit": MAX_CHARACTERS}))
                    yield answer
            except ConsoleError:
                thoughts.end()
                yield _written(answer, thinking, thoughts, begun, meter.stats(time.monotonic()))
                raise
        thoughts.end()
        answer = _written(answer, thinking, thoughts, begun, meter.stats(time.monotonic()))
        if not calls:
            yield replace(answer, state=AnswerState.DONE, end=_reason(end, answer))
            return
        if len(answer.rounds) >= MAX_ROUNDS:
            limit = Message("chat.end.tool_rounds", {"limit": MAX_ROUNDS}, level="warning")
            yield replace(answer, state=AnswerState.DONE, end=limit)
            return
        begun = ""
        answer = replace(answer, text="", rounds=(*answer.rounds, _run(answer.text, calls, task.tools)))
        yield answer


def _written(answer: Answer, known: str, thoughts: ThoughtReader, begun: str, stats: AnswerStats) -> Answer:
    """The answer with what was written so far. ``known``: the thought that came as such."""
    own = thoughts.thinking
    thinking = f"{known}\n\n{own}" if known and own else known or own
    return replace(answer, state=AnswerState.STREAMING, text=begun + thoughts.text, thinking=thinking, stats=stats)


def _grown(use: ToolUse | None, delta: CallDelta) -> ToolUse:
    use = use or ToolUse("", "", "")
    if len(use.arguments) + len(delta.arguments) > MAX_CHARACTERS:
        raise Unavailable(Message("chat.end.endless", {"limit": MAX_CHARACTERS}))
    return ToolUse(use.id or delta.id, use.name + delta.name, use.arguments + delta.arguments)


def _run(text: str, calls: Mapping[int, ToolUse], tools: tuple[str, ...]) -> Round:
    done = []
    for index, use in sorted(calls.items())[:MAX_CALLS]:
        result = run_tool(use.name, use.arguments, tools)
        done.append(replace(use, id=use.id or f"call_{index}", result=result))
    return Round(text, tuple(done))


def _reason(end: End, answer: Answer) -> Message | None:
    """Why the answer ended early, or None: the model ended it by itself."""
    if end.left:
        return Message("chat.end.left_over", {"detail": end.left}, level="warning")
    if end.reason == "length":
        key = "chat.end.length" if answer.text or answer.thinking else "chat.end.length_empty"
        return Message(key, {"tokens": end.answer_tokens or 0}, level="warning")
    if end.reason in ("stop", "eos", "tool_calls", "function_call"):
        return None if answer.text or answer.thinking else Message("chat.end.empty", level="warning")
    return Message("chat.end.reason", {"reason": end.reason[:80]}, level="warning")
