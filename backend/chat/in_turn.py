"""One question to several settings whose servers don't fit at once: each is started, asked and stopped in its turn.

A server that a person started is left alone: one that runs is asked when its turn comes, and goes on. What is under
way stands in ``Room.doing``; which server was started for it is kept, so that a console that was killed meanwhile stops
it when it is back.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NoReturn

from backend.chat.checks import check_fits
from backend.chat.conversation import ENDED, LANES, AnswerState
from backend.chat.questions import Servers
from backend.chat.session import Room
from backend.chat.stats import Meter
from backend.chat.writer import Writer
from backend.engines.base import ServeConfig
from backend.errors import Conflict, ConsoleError, InvalidInput, Message, Unavailable, Value
from backend.servers import transitions
from backend.servers.server import ServerState, ServerView
from backend.store import Store

LOOK_S = 0.3
START_S = 3600.0  # a large model from a slow disk
STOP_S = 120.0
STARTED = "turn_server"  # in the store: what was started for a turn and not stopped yet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Turn:
    """What a server is started with, and what a person calls that; or, with ``server_id``, one that runs."""

    name: str
    config: ServeConfig
    server_id: str = ""


def check_turns(turns: Sequence[Turn]) -> None:
    """InvalidInput where they are too few to compare, or too many."""
    if not 2 <= len(turns) <= LANES:
        raise InvalidInput(Message("chat.turn.count", {"count": len(turns), "most": LANES}, field="server"))


class InTurn:
    """For one event loop. ``busy``: a question has the machine."""

    def __init__(
        self, servers: Servers, writer: Writer, save: Callable[[Room], Awaitable[None]], store: Store | None = None
    ) -> None:
        self._servers = servers
        self._writer = writer
        self._save = save
        self._store = store
        self.busy = False

    def stop_left(self) -> tuple[str, ...]:
        """Stop what a console that ended in the middle of a turn had started: its ids. For the console's beginning."""
        if self._store is None:
            return ()
        stopped: list[str] = []
        started: list[str] = []
        with suppress(ConsoleError):
            started = list(self._store.all(STARTED))
        for server_id in started:
            with suppress(ConsoleError):
                if self._servers.get(server_id).state not in transitions.ENDED:
                    self._servers.stop(server_id)
                    stopped.append(server_id)
            self._store.drop_json(STARTED, server_id)
        if stopped:
            log.warning("stopped what a comparison had started before the console ended: %s", ", ".join(stopped))
        return tuple(stopped)

    def begin(self) -> None:
        """The machine is one question's until ``ended``. Conflict where it is another one's still: two would take the
        memory from each other."""
        if self.busy:
            raise Conflict(Message("chat.turn.busy"))
        self.busy = True

    def ended(self, task: object = None) -> None:
        """The next question may begin."""
        self.busy = False

    async def write(self, room: Room, turns: Sequence[Turn]) -> None:
        """The answers to the last question, one a lane. One that can't be had doesn't keep the next from its
        turn."""
        try:
            for lane, settings in enumerate(turns):
                for later in range(lane + 1, len(turns)):
                    ahead: dict[str, Value] = {"count": later - lane, "name": settings.name}
                    self._tell(room, later, Message("chat.turn.later", ahead, level="info"))
                try:
                    await self._one(room, lane, settings)
                except ConsoleError as error:
                    room.settle(lane, AnswerState.FAILED, error.messages[0], Meter(time.monotonic()))
                finally:
                    room.doing.pop(lane, None)
                await self._save(room)
        except asyncio.CancelledError:
            self._give_up(room, AnswerState.STOPPED, room.why_ended)
            raise
        except Exception as error:
            log.exception("settings in turn failed")
            unexpected = Message("common.unexpected", {"error": type(error).__name__})
            self._give_up(room, AnswerState.FAILED, unexpected)
        finally:
            await self._save(room)

    def _give_up(self, room: Room, state: AnswerState, why: Message | None) -> None:
        """Nobody waits any more for what hasn't been written."""
        room.doing.clear()
        for lane, answer in enumerate(room.conversation.exchanges[-1].answers):
            if answer.state not in ENDED:
                room.settle(lane, state, why, Meter(time.monotonic()))

    async def _one(self, room: Room, lane: int, settings: Turn) -> None:
        if settings.server_id:
            view = self._servers.get(settings.server_id)
            if view.state is not ServerState.RUNNING:
                raise Unavailable(Message("servers.not-running", {"name": settings.name}))
            await self._asked(room, lane, settings, view)
            return
        self._tell(room, lane, Message("chat.turn.starting", {"name": settings.name}, level="info"))
        # Whatever happens meanwhile, its id is needed: it is stopped then.
        starting = asyncio.ensure_future(asyncio.to_thread(self._servers.start, settings.config))
        server_id = ""
        try:
            try:
                server_id = await asyncio.shield(starting)
            except asyncio.CancelledError:
                with suppress(ConsoleError):
                    server_id = await starting
                raise
            self._keep(server_id)
            await self._asked(room, lane, settings, await self._running(room, lane, server_id, settings.name))
        except asyncio.CancelledError:  # said at once: the server's end takes a while
            self._give_up(room, AnswerState.STOPPED, room.why_ended)
            raise
        finally:
            if server_id:
                await self._stopped(server_id)

    def _keep(self, server_id: str) -> None:
        if self._store is not None:
            self._store.keep_json(STARTED, server_id, {})

    async def _asked(self, room: Room, lane: int, settings: Turn, view: ServerView) -> None:
        check_fits(room.conversation.exchanges[-1].question, (view,))
        room.doing.pop(lane, None)
        answer = replace(room.answer(lane), server_id=view.id, server_name=settings.name, model_id=view.model_id)
        room.show(lane, answer)
        await self._save(room)  # a console that is killed now knows whose turn had come
        await self._writer.write(room, lane, view)

    async def _running(self, room: Room, lane: int, server_id: str, name: str) -> ServerView:
        """The server, once it runs. Raises Unavailable with why it doesn't."""
        deadline = time.monotonic() + START_S
        while (view := self._servers.get(server_id)).state is not ServerState.RUNNING:
            if view.state in transitions.ENDED or time.monotonic() > deadline:
                raise Unavailable(view.reason or Message("chat.turn.not_started", {"name": name}))
            if view.progress is not None:
                share = {"name": name, "percent": f"{view.progress * 100:.0f}"}
                self._tell(room, lane, Message("chat.turn.loading", share, level="info"))
            await asyncio.sleep(LOOK_S)
        return view

    async def _stopped(self, server_id: str) -> None:
        """The next one is started when this one has given its memory back; one that doesn't end is waited for no
        longer than that."""
        with suppress(ConsoleError):
            await asyncio.shield(asyncio.to_thread(self._servers.stop, server_id))
            if self._store is not None:
                self._store.drop_json(STARTED, server_id)
            for _ in range(int(STOP_S / LOOK_S)):
                if self._servers.get(server_id).state in transitions.ENDED:
                    return
                await asyncio.sleep(LOOK_S)

    def _tell(self, room: Room, lane: int, what: Message) -> None:
        if room.doing.get(lane) != what:
            room.doing[lane] = what
            room.bump()


def not_startable(name: str) -> NoReturn:
    """Nothing can be started from that. Raises InvalidInput."""
    raise InvalidInput(Message("chat.turn.not_startable", {"name": name}, field="server"))
