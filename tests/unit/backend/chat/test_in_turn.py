"""Settings asked one after another: what is started is asked and stopped before the next, whatever happens."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from backend.chat import in_turn
from backend.chat.conversation import Answer, AnswerState, Conversation, Exchange, Picture, Question
from backend.chat.in_turn import InTurn, Turn, check_turns
from backend.chat.session import Room
from backend.engines.base import ServeConfig
from backend.errors import Conflict, ConsoleError, InvalidInput, Message, NotFound, Unavailable
from backend.servers.server import ServerState, ServerView
from tests.support.servers_of import server

DEADLINE_S = 20.0
TURNS = tuple(Turn(name, ServeConfig("turbomind", f"/m/{name}")) for name in ("one", "two", "three"))


class Machine:
    """Servers that load for two looks, and end at the second look after Stop. At most one has the memory."""

    def __init__(self, **faults: str) -> None:
        self.faults = faults  # by model: "refused", "died", "loads" (for ever)
        self.views: dict[str, ServerView] = {}
        self.looks: dict[str, int] = {}
        self.happened: list[str] = []
        self.most = 0

    def start(self, config: ServeConfig) -> str:
        name = config.model.rpartition("/")[2]
        self.happened.append(f"start {name}")
        if self.faults.get(name) == "refused":
            raise Unavailable(Message("servers.no-gpu"))
        self.views[name] = server(name, state=ServerState.STARTING, takes_images=False)
        self.looks[name] = 0
        self.most = max(self.most, sum(view.state is not ServerState.STOPPED for view in self.views.values()))
        return name

    def get(self, server_id: str) -> ServerView:
        if server_id not in self.views:
            raise NotFound(Message("servers.gone"))
        view = self.views[server_id]
        self.looks[server_id] += 1
        if self.looks[server_id] >= 2:
            if view.state is ServerState.STARTING and self.faults.get(server_id) != "loads":
                died = self.faults.get(server_id) == "died"
                self.set(server_id, ServerState.FAILED if died else ServerState.RUNNING)
            elif view.state is ServerState.STOPPING:
                self.set(server_id, ServerState.STOPPED)
        return replace(self.views[server_id], progress=0.5)

    def stop(self, server_id: str) -> None:
        self.happened.append(f"stop {server_id}")
        if self.views[server_id].state in (ServerState.STARTING, ServerState.RUNNING):
            self.set(server_id, ServerState.STOPPING)

    def set(self, server_id: str, state: ServerState) -> None:
        reason = Message("causes.died") if state is ServerState.FAILED else None
        self.views[server_id] = replace(self.views[server_id], state=state, reason=reason)
        self.looks[server_id] = 0


class Asking:
    """Writes an answer at once; that of the server of the gate's name when it is let."""

    def __init__(self, machine: Machine, gates: dict[str, asyncio.Event]) -> None:
        self.machine, self.gates = machine, gates

    async def write(self, room: Room, lane: int, view: ServerView) -> None:
        self.machine.happened.append(f"ask {view.name}")
        if view.name in self.gates:
            await self.gates[view.name].wait()
        room.show(lane, replace(room.answer(lane), state=AnswerState.DONE, text=f"from {view.name}"))


WHO = Question("Who?")


def room_of(question: Question = WHO) -> Room:
    answers = tuple(Answer("", settings.name, "") for settings in TURNS)
    return Room("id", "me", Conversation((Exchange(question, answers),)), 60.0, lambda room: None)


def turn(machine: Machine, **gates: asyncio.Event) -> InTurn:
    async def save(room: Room) -> None:
        machine.happened.append("save")

    kept: Any = Asking(machine, gates)
    servers: Any = machine
    return InTurn(servers, kept, save)


def states(room: Room) -> list[str]:
    return [str(answer.state) for answer in room.conversation.exchanges[-1].answers]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_turn, "LOOK_S", 0.005)


async def until(room: Room, so: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not so():
            await room.newer(room.version, 0.01)


async def test_each_is_started_asked_and_stopped_before_the_next() -> None:
    machine, room = Machine(), room_of()
    await turn(machine).write(room, TURNS)
    did = [what for what in machine.happened if what != "save"]
    assert did == [f"{what} {name}" for name in ("one", "two", "three") for what in ("start", "ask", "stop")]
    assert machine.most == 1  # never two in the memory
    assert states(room) == ["done"] * 3
    assert [answer.text for answer in room.conversation.exchanges[-1].answers] == ["from one", "from two", "from three"]
    assert [answer.server_name for answer in room.conversation.exchanges[-1].answers] == ["one", "two", "three"]
    assert room.doing == {}
    assert machine.happened.count("save") >= 3


@pytest.mark.parametrize(("fault", "key"), [("refused", "servers.no-gpu"), ("died", "causes.died")])
async def test_one_that_doesnt_start_doesnt_keep_the_next_from_its_turn(fault: str, key: str) -> None:
    machine, room = Machine(two=fault), room_of()
    await turn(machine).write(room, TURNS)
    assert states(room) == ["done", "failed", "done"]
    end = room.answer(1).end
    assert end is not None
    assert end.key == key
    assert ("stop two" in machine.happened) == (fault == "died")


async def test_a_picture_is_never_left_out_in_silence() -> None:
    machine, room = Machine(), room_of(Question("What?", (Picture("a.png", "a.png", 1, 1),)))
    await turn(machine).write(room, TURNS)
    assert states(room) == ["failed"] * 3
    end = room.answer(0).end
    assert end is not None
    assert end.key == "chat.error.no_pictures"
    assert [what for what in machine.happened if what.startswith("stop")] == ["stop one", "stop two", "stop three"]


async def test_progress_is_told() -> None:
    machine, room, gate = Machine(), room_of(), asyncio.Event()
    task = asyncio.create_task(turn(machine, one=gate).write(room, TURNS))
    await until(room, lambda: "ask one" in machine.happened)
    assert {lane: what.key for lane, what in room.view().doing.items()} == {1: "chat.turn.later", 2: "chat.turn.later"}
    assert room.doing[2].params["count"] == 2
    gate.set()
    seen: set[str] = set()

    def second() -> bool:
        seen.update(what.key for what in room.doing.values())
        return task.done()

    await until(room, second)
    assert "chat.turn.starting" in seen or "chat.turn.loading" in seen


@pytest.mark.parametrize("moment", ["start one", "ask one", "ask two"])
async def test_stop_ends_what_was_started_and_whoever_waits(moment: str) -> None:
    what, name = moment.split()
    machine, room = Machine(**({name: "loads"} if what == "start" else {})), room_of()
    asking = turn(machine, **({name: asyncio.Event()} if what == "ask" else {}))
    asking.begin()
    room.why_ended = Message("chat.end.stopped", level="info")
    task = asyncio.create_task(asking.write(room, TURNS))
    task.add_done_callback(asking.ended)
    await until(room, lambda: moment in machine.happened)
    with pytest.raises(Conflict):
        asking.begin()  # two would take the memory from each other
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(answer.state in ("done", "stopped") for answer in room.conversation.exchanges[-1].answers)
    assert room.answer(2).end == room.why_ended
    assert room.doing == {}
    started = {what.removeprefix("start ") for what in machine.happened if what.startswith("start ")}
    assert started == {what.removeprefix("stop ") for what in machine.happened if what.startswith("stop ")}
    assert all(view.state in (ServerState.STOPPED, ServerState.STOPPING) for view in machine.views.values())
    asking.begin()


@pytest.mark.parametrize("count", [0, 1, 5])
def test_too_few_or_too_many_cant_be_compared(count: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_turns([TURNS[0]] * count)
    assert caught.value.messages[0].key == "chat.turn.count"
    check_turns(TURNS)


def test_errors_are_the_consoles() -> None:
    with pytest.raises(ConsoleError) as caught:
        in_turn.not_startable("mine")
    assert caught.value.messages[0].params == {"name": "mine"}
