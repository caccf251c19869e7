"""Writes one answer: streams it, runs the tools that the model calls, and goes on until it is whole."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from backend.chat.client import CallDelta, Client, Delta, End
from backend.chat.conversation import Answer, AnswerState, Round, ToolUse
from backend.chat.stats import Meter
from backend.chat.tools import MAX_CALLS, MAX_ROUNDS, run_tool
from backend.errors import Message, Unavailable

MAX_CHARACTERS = 4_000_000  # a server that never ends is ended


@dataclass(frozen=True)
class Task:
    """What to ask and whom. ``request`` makes the body from the answer so far, which holds the tools' results."""

    base_url: str
    api_key: str
    tools: tuple[str, ...]
    request: Callable[[Answer], Awaitable[Mapping[str, Any]]]


async def write_answer(client: Client, task: Task, answer: Answer, meter: Meter) -> AsyncGenerator[Answer, None]:
    """Yield the answer as it grows; the last one is DONE. Raises what Client.stream raises."""
    while True:
        request = await task.request(answer)
        meter.sent(time.monotonic())
        calls: dict[int, ToolUse] = {}
        async with aclosing(client.stream(task.base_url, task.api_key, request)) as events:
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
                answer = _written(answer, event, meter, now)
                if len(answer.text) + len(answer.thinking) > MAX_CHARACTERS:
                    raise Unavailable(Message("chat.end.endless", {"limit": MAX_CHARACTERS}))
                yield answer
        answer = replace(answer, stats=meter.stats(time.monotonic()))
        if not calls:
            yield replace(answer, state=AnswerState.DONE, end=_reason(end, answer))
            return
        if len(answer.rounds) >= MAX_ROUNDS:
            limit = Message("chat.end.tool_rounds", {"limit": MAX_ROUNDS}, level="warning")
            yield replace(answer, state=AnswerState.DONE, end=limit)
            return
        answer = replace(answer, text="", rounds=(*answer.rounds, _run(answer.text, calls, task.tools)))
        yield answer


def _written(answer: Answer, delta: Delta, meter: Meter, now: float) -> Answer:
    return replace(
        answer,
        state=AnswerState.STREAMING,
        text=answer.text + delta.text,
        thinking=answer.thinking + delta.thinking,
        stats=meter.stats(now),
    )


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
    if end.reason == "length":
        key = "chat.end.length" if answer.text or answer.thinking else "chat.end.length_empty"
        return Message(key, {"tokens": end.answer_tokens or 0}, level="warning")
    if end.reason in ("stop", "eos", "tool_calls", "function_call"):
        return None if answer.text or answer.thinking else Message("chat.end.empty", level="warning")
    return Message("chat.end.reason", {"reason": end.reason[:80]}, level="warning")
