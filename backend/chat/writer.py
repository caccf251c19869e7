"""Writes one answer into its conversation: waits for its turn, asks the server, and says how it ended."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.chat.abilities import calls_as_text, no_logprobs
from backend.chat.answer_loop import Task, write_answer
from backend.chat.checks import at_once
from backend.chat.client import Client
from backend.chat.context import parts_of_last, rough_tokens
from backend.chat.conversation import Answer, AnswerState, Question
from backend.chat.pictures import Pictures
from backend.chat.prompt import chat_request
from backend.chat.questions import DIED
from backend.chat.queue import Seat, Turns
from backend.chat.session import Crowd, Room
from backend.chat.setup import Setup
from backend.chat.stats import Meter
from backend.chat.thinking import template_tags, thinking_switch
from backend.chat.token_counter import TokenCounter
from backend.chat.toolset import Run, Toolset
from backend.errors import ConsoleError, Message, Unavailable
from backend.models.chat_template import template_of
from backend.servers import refusal
from backend.servers.server import ServerView

# Ends whose cause stands in the server's own log, where that is the console's.
WHY_IN_LOG = frozenset(
    {"chat.error.status", "chat.error.said", "chat.error.garbage", "chat.end.gone", "chat.end.gone_said"}
)
# Ends that a server which was stopped, or ended by itself, has.
WHEN_GONE = frozenset({"chat.end.gone", "chat.end.gone_said", "chat.error.unreachable", "chat.end.silent"})
COUNTED_FROM = 0.4  # of the context, by the rough count: below, everything has room however far off that is
PERSON_S = 900.0  # for a person to type a result

log = logging.getLogger(__name__)


def call_key(lane: int, number: int, place: int) -> str:
    """One call of a tool within a conversation's last question: its lane, round and place."""
    return f"{lane}/{number}/{place}"


class Writer:
    """For one event loop. ``endpoint`` is the server manager's; ``save`` stores a conversation; ``changed`` is told of
    the visitor whose conversation has a whole answer; ``on_answer``, ``setup_of``: see ``Chat``; ``spent`` is told of
    the visitor and of every answer's tokens, whole or not; ``why_gone``: why a server, by its id, is gone, None while
    it runs; ``waiting``: how many requests wait inside it."""

    def __init__(
        self,
        client: Client,
        counter: TokenCounter,
        pictures: Pictures,
        endpoint: Callable[[str], Any],
        save: Callable[[Room], Awaitable[None]],
        changed: Callable[[str], None],
        on_answer: Callable[[str, str, Answer, Question], None],
        setup_of: Callable[[ServerView], Setup | None],
        spent: Callable[[str, int], None],
        why_gone: Callable[[str], Message | None],
        waiting: Callable[[str], int],
    ) -> None:
        self._client = client
        self._counter = counter
        self._pictures = pictures
        self._endpoint = endpoint
        self._save = save
        self._changed = changed
        self._on_answer = on_answer
        self._setup_of = setup_of
        self._spent = spent
        self._why_gone = why_gone
        self._waiting = waiting
        self._turns = Turns()
        self.sources: dict[str, Run] = {}  # what this console has for tools that ask it

    async def write(self, room: Room, lane: int, server: ServerView, go_on: str = "") -> None:
        """The last question's answer in that lane; with ``go_on``, from where it is."""
        meter = Meter(queued_at=time.monotonic())
        log_mark = refusal.LogMark(None)

        most = at_once(server)

        def moved(place: tuple[int, int] | None) -> None:
            room.places.pop(lane, None)
            if place is not None:
                room.places[lane] = place
            room.bump()

        seat = Seat(self._turns, server.id, most, moved)
        room.crowds[lane] = lambda: Crowd(self._turns.serving(server.id) - 1, self._waiting(server.id), most)
        try:
            await seat.take()
            if (gone := self._why_gone(server.id)) is not None:  # while this one waited for its turn
                raise Unavailable(gone)
            task = await asyncio.to_thread(self._task, room, lane, server, go_on, seat)
            log_mark = await asyncio.to_thread(refusal.mark, server.log_path)
            await self._client.prepare(task.base_url, task.api_key)
            answer = room.answer(lane)
            if answer.tokens is not None and (why := no_logprobs(server)) is not None:
                answer = replace(answer, no_logprobs=why)
                room.show(lane, answer)
            if left_out := await self._left_out(room, lane, server, task):
                answer = replace(answer, left_out=left_out)
                room.show(lane, answer)
            async with aclosing(write_answer(self._client, task, answer, meter)) as versions:
                async for answer in versions:
                    if answer.state is AnswerState.DONE and len(room.conversation.exchanges[-1].answers) > 1:
                        answer = replace(answer, setup=await asyncio.to_thread(self._setup_of, server))
                    room.show(lane, answer)
                    if room.save_due:
                        await self._save(room)
            self._tell(room, server, answer)
        except asyncio.CancelledError:
            room.settle(lane, AnswerState.STOPPED, room.why_ended, meter)
            raise
        except ConsoleError as error:
            end = error.messages[0]
            try:
                end = await self._why(server, end, log_mark)
            finally:
                room.settle(lane, AnswerState.FAILED, end, meter)
        except Exception as error:
            log.exception("an answer failed")
            unexpected = Message("common.unexpected", {"error": type(error).__name__})
            room.settle(lane, AnswerState.FAILED, unexpected, meter)
        finally:
            room.places.pop(lane, None)
            room.crowds.pop(lane, None)
            self._spent(room.visitor, room.answer(lane).stats.tokens)
            await seat.leave()
            with suppress(asyncio.CancelledError):
                await self._save(room)
            self._changed(room.visitor)

    async def _why(self, server: ServerView, end: Message, log_mark: refusal.LogMark) -> Message:
        """Why the answer broke off: the server was stopped, or what stands in its log, or that it died."""

        def gone() -> Message | None:
            return self._why_gone(server.id) if end.key in WHEN_GONE else None

        why = gone()
        if why is None or why.key == DIED:
            found = await refusal.cause(log_mark) if end.key in WHY_IN_LOG else None
            why = gone()  # it takes a moment until the console sees that a process has ended
            if why is None or why.key == DIED:
                return found or why or end
        return why

    def _tell(self, room: Room, server: ServerView, answer: Answer) -> None:
        try:
            self._on_answer(room.visitor, server.id, answer, room.conversation.exchanges[-1].question)
        except Exception:
            log.exception("an answer wasn't counted")  # it is whole all the same

    async def _left_out(self, room: Room, lane: int, server: ServerView, task: Task) -> int:
        """How many of the oldest questions have no room in the model's context."""
        context = server.context_length
        if not context or len(room.conversation.exchanges) < 2:
            return 0
        parts = parts_of_last(room.conversation, lane)
        about = sum(map(rough_tokens, parts.texts)) + sum(parts.earlier_pictures) + parts.pictures
        if about + (room.conversation.sampling.max_tokens or 0) < context * COUNTED_FROM:
            return 0
        weight = await self._counter.weigh(
            server.id, task.base_url, task.api_key, parts, room.conversation, context, lane
        )
        return weight.left_out

    async def _person(self, room: Room, lane: int, seat: Seat, number: int, place: int) -> str:
        """What a person types as the result of that call; others may be served meanwhile."""
        await seat.leave()
        key = call_key(lane, number, place)
        wanted = room.wanted[key] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(PERSON_S):
                result = str(await wanted)
        except TimeoutError:
            result = f"error: nobody gave a result within {PERSON_S / 60:.0f} minutes"
        finally:
            room.wanted.pop(key, None)
        if not any(other.startswith(f"{lane}/") for other in room.wanted):
            await seat.take()
        return result

    def _task(self, room: Room, lane: int, server: ServerView, go_on: str, seat: Seat) -> Task:
        endpoint = self._endpoint(server.id)
        begun = room.answer(lane)
        template = template_of(Path(server.model_path))
        switch = thinking_switch(template)

        async def request(answer: Answer) -> Mapping[str, Any]:
            conversation = room.conversation.with_answer(lane, answer)
            if answer.no_logprobs is not None:
                conversation = replace(conversation, sampling=replace(conversation.sampling, logprobs=False))
            return await asyncio.to_thread(
                chat_request,
                conversation,
                lane,
                endpoint.model_id,
                endpoint.takes_images,
                lambda picture: self._pictures.data_url(room.visitor, picture.id),
                (begun, go_on) if go_on else None,
                server.config.engine,
                switch,
            )

        tags = template_tags(template)
        return Task(
            endpoint.base_url,
            endpoint.api_key,
            Toolset(room.conversation.sampling, self.sources),
            request,
            tags,
            begun.text if go_on else "",
            calls_as_text(server),
            lambda number, place, use: self._person(room, lane, seat, number, place),
        )
