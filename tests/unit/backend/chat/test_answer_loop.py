"""An answer with tools: rounds, parallel calls, calls as text, a person's own, a limit, and a stop in between."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import pytest

from backend.chat.answer_loop import Task, write_answer
from backend.chat.client import Client
from backend.chat.completion import Delta, End, Event
from backend.chat.conversation import Answer, AnswerState, Conversation, Exchange, OwnTool, Question, Sampling, ToolUse
from backend.chat.prompt import NO_RESULT, chat_request
from backend.chat.stats import Meter
from backend.chat.tool_calls import CallDelta
from backend.chat.toolset import Toolset
from backend.errors import ConsoleError, InvalidInput, Message, Unavailable

STOP = End("stop", 5, 2)
CALLS = End("tool_calls", 5, 2)


class Told(Client):
    """A client whose server answers with these events, one list a request; an error is raised."""

    def __init__(self, answers: Sequence[Sequence[Event] | ConsoleError]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.requests: list[Mapping[str, Any]] = []

    async def stream(self, base_url: str, api_key: str, request: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, ConsoleError):
            raise answer
        for event in answer:
            yield event


def calls(*wanted: tuple[str, str]) -> list[Event]:
    return [*(CallDelta(place, f"id{place}", *call) for place, call in enumerate(wanted)), CALLS]


def task_of(sampling: Sampling, person: Any = None) -> Task:
    async def request(answer: Answer) -> Mapping[str, Any]:
        talk = Conversation((Exchange(Question("Compute (3+5)*2"), (answer,)),), sampling)
        return chat_request(talk, 0, "m", False, lambda picture: "")

    return Task("http://x/v1", "", Toolset(sampling, {}), request, person=person)


async def written(client: Client, task: Task) -> list[Answer]:
    return [one async for one in write_answer(client, task, Answer("s", "S", "m"), Meter(0.0))]


BOTH = Sampling(tools=("add", "mul"))
TEXT = "<tool_call>\n{}\n</tool_call>"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (calls(("add", '{"a": 3, "b": 5}')), calls(("mul", '{"a": 8, "b": 2}'))),
        (
            [Delta(TEXT.format('{"name": "add", "arguments": {"a": 3, "b": 5}}')), STOP],
            [Delta('Now:\n{"name": "mul", "parameters": {"a": 8, "b": 2}}'), STOP],
        ),
        (
            [Delta("<|action_start|><|plu"), Delta('gin|>{"name": "add", "parameters": {"a": 3, "b": 5}}'), STOP],
            [Delta('{"name": "mul", "parameters": {"a": 8, "b": 2}}'), STOP],
        ),
    ],
)
async def test_the_tutorials_sum_is_16_however_calls_come(first: list[Event], second: list[Event]) -> None:
    client = Told([first, second, [Delta("It is 16."), STOP]])
    *_, last = await written(client, task_of(BOTH))
    assert (last.state, last.text) == (AnswerState.DONE, "It is 16.")
    assert [(use.name, use.result) for step in last.rounds for use in step.calls] == [("add", "8"), ("mul", "16")]
    assert all(use.seconds is not None for step in last.rounds for use in step.calls)
    sent = client.requests[-1]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "assistant", "tool"]


async def test_a_server_without_a_parser_is_asked_so_that_it_needs_none() -> None:
    words = "Please launch the api_server with --tool-call-parser if you want to use tools."
    refusal = Unavailable(Message("chat.error.status", {"status": 400, "detail": words}))
    text = TEXT.format('{"name": "add", "arguments": {"a": 3, "b": 5}}')
    client = Told([refusal, [Delta(text), STOP], [Delta("8"), STOP]])
    *_, last = await written(client, task_of(BOTH))
    assert (last.text, last.rounds[0].calls[0].result) == ("8", "8")
    assert ["tool_choice" in request for request in client.requests] == [False, True, True]
    assert client.requests[1]["tool_choice"] == "none"
    assert client.requests[1]["tools"]
    with pytest.raises(ConsoleError):
        await written(Told([refusal, refusal]), task_of(BOTH))
    with pytest.raises(ConsoleError):
        await written(Told([InvalidInput(Message("chat.error.context", {"detail": "too long"}))]), task_of(BOTH))


async def test_parallel_calls_have_a_limit_and_none_is_dropped() -> None:
    many = calls(*(("add", f'{{"a": {n}, "b": 1}}') for n in range(18)))
    *_, last = await written(Told([many, [Delta("done"), STOP]]), task_of(BOTH))
    results = [use.result for use in last.rounds[0].calls]
    assert results[:16] == [str(n + 1) for n in range(16)]
    assert all(result.startswith("error: more than 16") for result in results[16:])


async def test_rounds_have_a_limit() -> None:
    client = Told([calls(("add", '{"a": 1, "b": 1}'))] * 9)
    *_, last = await written(client, task_of(BOTH))
    assert last.end is not None
    assert last.end.key == "chat.end.tool_rounds"
    assert len(last.rounds) == 8


MINE = OwnTool("weather", "of a city", '{"type": "object", "properties": {"city": {"type": "string"}}}')
OWN = Sampling(tools=("add",), own_tools=(MINE,))


async def test_a_person_is_the_function() -> None:
    asked: list[tuple[int, int, str]] = []
    gates = [asyncio.Event(), asyncio.Event()]

    async def person(number: int, place: int, use: ToolUse) -> str:
        asked.append((number, place, use.arguments))
        await gates[place - 1].wait()
        return f"sunny {place}"

    first = calls(("add", '{"a": 1, "b": 1}'), ("weather", '{"city": "A"}'), ("weather", '{"city": "B"}'))
    versions = write_answer(
        Told([first, [Delta("Nice."), STOP]]), task_of(OWN, person), Answer("s", "S", "m"), Meter(0.0)
    )
    states = []
    async for answer in versions:
        uses = answer.rounds[-1].calls if answer.rounds else ()
        states.append([("…" if use.waiting else use.result) for use in uses])
        if states[-1] == ["2", "…", "…"]:
            gates[1].set()  # the second is answered first
        if states[-1] == ["2", "…", "sunny 2"]:
            gates[0].set()
    assert asked == [(0, 1, '{"city": "A"}'), (0, 2, '{"city": "B"}')]
    assert states[-1] == ["2", "sunny 1", "sunny 2"]
    assert ["2", "…", "sunny 2"] in states
    assert answer.text == "Nice."


async def test_a_stop_while_a_person_is_asked_leaves_nothing_behind() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def person(number: int, place: int, use: ToolUse) -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    last = Answer("s", "S", "m")

    async def follow() -> None:
        nonlocal last
        async for answer in write_answer(Told([calls(("weather", "{}"))]), task_of(OWN, person), last, Meter(0.0)):
            last = answer

    following = asyncio.ensure_future(follow())
    async with asyncio.timeout(10):
        await begun.wait()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    async with asyncio.timeout(10):
        await ended.wait()
    talk = Conversation((Exchange(Question("Q"), (last,)),), OWN)
    assert chat_request(talk, 0, "m", False, lambda picture: "")["messages"][-1]["content"] == NO_RESULT


async def test_how_long_it_thought_is_known_once_it_writes() -> None:
    events: list[Event] = [Delta(thinking="Hm"), Delta(thinking=", so"), Delta("Yes"), Delta("."), STOP]
    versions = await written(Told([events]), task_of(Sampling()))
    known = [version.thinking_s is not None for version in versions]
    assert known == [False, False, True, True, True]
    assert len({version.thinking_s for version in versions[2:]}) == 1
    *_, plain = await written(Told([[Delta("Yes."), STOP]]), task_of(Sampling()))
    assert plain.thinking_s is None


async def test_calls_that_share_an_id_and_arguments_in_a_string_are_made_as_meant() -> None:
    both: list[Event] = [CallDelta(place, "same", "add", json.dumps('{"a": 1, "b": 2}')) for place in range(2)]
    client = Told([[*both, CALLS], [Delta("3"), STOP]])
    *_, last = await written(client, task_of(BOTH))
    assert [use.result for use in last.rounds[0].calls] == ["3", "3"]
    assert len({use.id for use in last.rounds[0].calls}) == 2
    assert (
        len({message["tool_call_id"] for message in client.requests[-1]["messages"] if message["role"] == "tool"}) == 2
    )


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "length", "sensitive"])
async def test_only_an_early_end_is_told(reason: str) -> None:
    *_, last = await written(Told([[Delta("Hi"), End(reason, 5, 2)]]), task_of(BOTH))
    told = {"length": "chat.end.length", "sensitive": "chat.end.reason"}.get(reason)
    assert (last.end and last.end.key) == told
