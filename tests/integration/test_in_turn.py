"""A question to settings one after another: Lab's starts, the real manager, and servers that are really started."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from backend.chat import service
from backend.chat.conversation import AnswerState, Sampling
from backend.chat.service import Chat
from backend.chat.session import View
from backend.chat.setup import Setup
from backend.chat.startable import RUNNING, settings_of, startable
from backend.engines.base import ServeConfig
from backend.errors import Conflict, ConsoleError, InvalidInput, NotFound
from backend.lab.runs import Runs
from backend.servers.server import ServerState
from backend.servers.transitions import ENDED
from backend.settings import Settings
from tests.integration.test_benchmark import ScriptedEngine
from tests.integration.test_servers import World
from tests.support.waiting import wait_for
from tests.unit.backend.lab.test_runs import a_row

DEADLINE_S = 90.0
ME = "a" * 32


class Machine:
    """A chat with a real manager, and the starts that Lab keeps."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.world = World(settings, engines={"fake": ScriptedEngine()})
        self.runs = Runs(self.world.store)
        self.chat = Chat(self.world.manager, self.world.store, folder)
        self.chat.asking.settings_of = lambda run: settings_of(self.runs, self.world.manager.get, run)
        self.chat.setup_of = lambda view: Setup(4, 8, 1 << 30)
        self.most = 0

    def keep(self, number: int, *extra: str) -> str:
        row = a_row(number, engine="fake", settings=f"kind {number}")
        config = ServeConfig("fake", "org/name", extra=("--tokens", "10", *extra))
        self.runs.keep(replace(row, detail={"config": asdict(config)}))
        return row.id

    @property
    def alive(self) -> int:
        return sum(view.state not in ENDED for view in self.world.manager.snapshot())

    async def watched(self) -> View:
        """To the end of the answers; how many servers there were at most is counted."""
        async with asyncio.timeout(DEADLINE_S):
            async for _ in self.chat.watch(ME):
                self.most = max(self.most, self.alive)
        return await self.chat.view(ME)


@pytest.fixture
async def machine(settings: Settings, tmp_path: Path) -> AsyncIterator[Machine]:
    made = Machine(settings, tmp_path / "pictures")
    yield made
    await made.chat.close()
    made.world.close()


async def test_each_is_started_asked_and_stopped(machine: Machine) -> None:
    chat, runs = machine.chat, [machine.keep(1), machine.keep(2, "--nonsense"), machine.keep(3)]
    assert list(startable(machine.runs)) == [f"demo · fake · kind {number}" for number in (3, 2, 1)]
    await chat.asking.ask_in_turn(ME, "Who?", (), Sampling(logprobs=True), runs)
    with pytest.raises(Conflict):
        await chat.asking.ask_in_turn("b" * 32, "Me too?", (), Sampling(), runs)
    view = await machine.watched()
    assert [answer.state for answer in view.answers] == [AnswerState.DONE, AnswerState.FAILED, AnswerState.DONE]
    assert [answer.server_name for answer in view.answers] == [f"demo · fake · kind {number}" for number in (1, 2, 3)]
    assert view.answers[0].text.startswith("The fox")
    assert view.answers[0].setup == Setup(4, 8, 1 << 30)
    assert view.answers[0].stats.tokens_per_s is not None
    assert machine.most == 1
    await asyncio.to_thread(wait_for, "all to end", lambda: machine.alive == 0, DEADLINE_S)
    # It is kept, and so is who was better.
    await chat.changes.vote(ME, view.conversation.exchanges[0].id, 2)
    again = Chat(machine.world.manager, machine.world.store, machine.world.settings.state_dir / "pictures")
    kept = (await again.view(ME)).conversation.exchanges[0]
    assert (kept.better, [answer.state for answer in kept.answers]) == (2, [answer.state for answer in view.answers])
    await again.close()


async def test_stop_leaves_nothing_running(machine: Machine) -> None:
    chat, runs = machine.chat, [machine.keep(1, "--rate", "1"), machine.keep(2)]
    await chat.asking.ask_in_turn(ME, "Who?", (), Sampling(), runs)
    async with asyncio.timeout(DEADLINE_S):
        async for view in chat.watch(ME):
            if view.answers[0].text:
                break
    assert view.doing[1].key == "chat.turn.later"
    await chat.stop(ME)
    view = await chat.view(ME)
    assert [answer.state for answer in view.answers] == [AnswerState.STOPPED] * 2
    assert view.answers[0].text
    await asyncio.to_thread(wait_for, "all to end", lambda: machine.alive == 0, DEADLINE_S)
    # The machine is free again once that is so.
    await asyncio.to_thread(wait_for, "the machine", lambda: not chat.in_turn.busy, DEADLINE_S)
    await chat.asking.ask_in_turn(ME, "Again?", (), Sampling(), [machine.keep(3), machine.keep(4)])
    view = await machine.watched()
    assert [answer.state for answer in view.answers] == [AnswerState.DONE] * 2


async def test_it_takes_the_place_of_the_last_question(machine: Machine) -> None:
    chat, runs = machine.chat, [machine.keep(1, "--rate", "1"), machine.keep(2)]
    for text in ("Who?", "Who are you?"):
        await chat.asking.ask_in_turn(ME, text, (), Sampling(), runs, replace_last=True)
        await chat.stop(ME)
        await asyncio.to_thread(wait_for, "the machine", lambda: not chat.in_turn.busy, DEADLINE_S)
    (exchange,) = (await chat.view(ME)).conversation.exchanges
    assert exchange.question.text == "Who are you?"


async def test_it_goes_on_though_nobody_looks(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "ABANDONED_S", 0.05)
    await machine.chat.asking.ask_in_turn(ME, "Who?", (), Sampling(), [machine.keep(1), machine.keep(2)])
    await asyncio.to_thread(wait_for, "the end", lambda: not machine.chat.in_turn.busy, DEADLINE_S)
    view = await machine.chat.view(ME)
    assert [answer.state for answer in view.answers] == [AnswerState.DONE] * 2


async def test_what_cant_be_asked_in_turn_is_refused(machine: Machine) -> None:
    one, other = machine.keep(1), machine.keep(2)
    machine.runs.keep(a_row(7, engine="external"))
    machine.runs.keep(a_row(8, engine="fake"))  # its settings can't be read
    refused: list[tuple[list[str], str, type[ConsoleError], str]] = [
        ([one], "Hi", InvalidInput, "chat.turn.count"),
        ([one] * 5, "Hi", InvalidInput, "chat.turn.count"),
        ([one, "gone"], "Hi", NotFound, "lab.error.run_gone"),
        ([one, "r7"], "Hi", InvalidInput, "chat.turn.not_startable"),
        ([one, "r8"], "Hi", InvalidInput, "chat.turn.not_startable"),
        ([one, other], "  ", InvalidInput, "chat.error.empty"),
    ]
    for runs, text, kind, key in refused:
        with pytest.raises(kind) as caught:
            await machine.chat.asking.ask_in_turn(ME, text, (), Sampling(), runs)
        assert caught.value.messages[0].key == key
    assert (await machine.chat.view(ME)).conversation.exchanges == ()
    assert machine.alive == 0


async def test_a_server_that_runs_is_asked_between_others_and_goes_on(machine: Machine) -> None:
    chat, manager = machine.chat, machine.world.manager
    runs = manager.start(ServeConfig("fake", "org/name", model_name="mine", extra=("--tokens", "10")))
    await asyncio.to_thread(wait_for, "it to run", lambda: manager.get(runs).state is ServerState.RUNNING, DEADLINE_S)
    await chat.asking.ask_in_turn(ME, "Who?", (), Sampling(), [machine.keep(1), RUNNING + runs, machine.keep(2)])
    view = await machine.watched()
    assert [answer.state for answer in view.answers] == [AnswerState.DONE] * 3
    assert view.answers[1].server_id == runs
    assert manager.get(runs).state is ServerState.RUNNING
    await asyncio.to_thread(wait_for, "the others to end", lambda: machine.alive == 1, DEADLINE_S)
    # Once more: the answers before stay as a branch. It was stopped meanwhile: the others have their turn all the same.
    await asyncio.to_thread(wait_for, "the machine", lambda: not chat.in_turn.busy, DEADLINE_S)
    asked_again = [machine.keep(3), RUNNING + runs, machine.keep(4)]
    await chat.asking.again(ME, Sampling(), (), runs=asked_again)
    manager.stop(runs)
    view = await machine.watched()
    assert len(view.conversation.exchanges) == 1
    assert view.answers[0].state is view.answers[2].state is AnswerState.DONE
    await asyncio.to_thread(wait_for, "the machine", lambda: not chat.in_turn.busy, DEADLINE_S)
    for refused in ([machine.keep(5)], [machine.keep(5), RUNNING + runs], [machine.keep(5), RUNNING + "gone"]):
        with pytest.raises((InvalidInput, NotFound)):
            await chat.asking.again(ME, Sampling(), (), runs=refused)
    assert not chat.in_turn.busy


async def test_what_a_killed_console_had_started_is_stopped_when_it_is_back(machine: Machine) -> None:
    chat, manager = machine.chat, machine.world.manager
    mine = manager.start(ServeConfig("fake", "org/name", model_name="mine"))
    await chat.asking.ask_in_turn(ME, "Who?", (), Sampling(), [machine.keep(1, "--rate", "1"), machine.keep(2)])
    async with asyncio.timeout(DEADLINE_S):
        async for view in chat.watch(ME):
            if view.answers[0].text:
                break
    # Another console over the same store, as it is after a kill.
    back = Chat(manager, machine.world.store, machine.world.settings.state_dir / "pictures")
    cut = (await back.view(ME)).answers
    assert [answer.end and answer.end.key for answer in cut] == ["chat.end.console", "chat.end.console_before"]
    assert all(answer.server_name for answer in cut)
    left = await asyncio.to_thread(back.in_turn.stop_left)
    assert len(left) == 1
    assert left != (mine,)
    ended = lambda: manager.get(left[0]).state in ENDED  # noqa: E731
    await asyncio.to_thread(wait_for, "its end", ended, DEADLINE_S)
    assert manager.get(mine).state not in ENDED
    assert await asyncio.to_thread(back.in_turn.stop_left) == ()
    await back.close()
    manager.stop(mine)
