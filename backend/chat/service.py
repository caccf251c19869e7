"""The chat: everyone's conversation, the answers under way, and whose turn it is.

An answer is written by a task of its own, which a page only watches: a reload or a dropped connection loses nothing.
Where nobody has watched for a while, the task is ended, so that no closed page keeps a server busy. Everything here
belongs to one event loop, the page's.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from backend.chat.answering import Task, write_answer
from backend.chat.client import Client, Deadlines
from backend.chat.conversation import (
    QUESTION_LIMIT,
    Answer,
    AnswerState,
    Conversation,
    Question,
    Sampling,
    from_json,
)
from backend.chat.pictures import Pictures
from backend.chat.prompt import chat_request
from backend.chat.room import AREA, Documents, Room, View
from backend.chat.stats import Meter
from backend.chat.turns import Turns
from backend.errors import Conflict, ConsoleError, InvalidInput, Message, NotFound, Unavailable, Value
from backend.servers.view import ServerState, ServerView

FIELD = "chat-input"
MAX_PICTURES = 8  # a question
ABANDONED_S = 20.0
COALESCE_S = 0.05
LONG_ANSWER = 6000  # characters: drawing one takes a browser longer, so it is drawn half as often
HEARTBEAT_S = 1.0
STOP_S = 5.0
REMEMBERED = 500  # conversations in memory; the others are in the store
ONE_AT_A_TIME = frozenset({"transformers"})  # engines that answer one request after another

log = logging.getLogger(__name__)


class Servers(Protocol):
    """What the chat needs of the server manager."""

    def snapshot(self) -> tuple[ServerView, ...]:
        """All servers, the newest first."""

    def get(self, server_id: str, /) -> ServerView:
        """One of them; NotFound."""

    def endpoint(self, server_id: str, /) -> Any:
        """base_url, api_key, model_id, takes_images, context_length."""


@dataclass(frozen=True)
class Upload:
    """A file that a visitor added: where it lies, and its name there."""

    path: Path
    name: str


class Chat:
    """Every method takes the visitor, and touches that visitor's conversation alone."""

    def __init__(
        self,
        servers: Servers,
        store: Documents,
        folder: Path,
        *,
        deadlines: Deadlines | None = None,
        on_picture: Callable[[str], None] = lambda server_id: None,
    ) -> None:
        """``on_picture`` is told of every server that a picture is sent to."""
        self.pictures = Pictures(folder)
        self._on_picture = on_picture
        self._servers = servers
        self._store = store
        self._client = Client(deadlines)
        self._turns = Turns()
        self._rooms: OrderedDict[str, Room] = OrderedDict()
        self._preparing: set[asyncio.Task[None]] = set()

    async def view(self, visitor: str) -> View:
        """The conversation as it is now."""
        return (await self._room(visitor)).view()

    def prepare(self, server_id: str) -> "asyncio.Task[None]":
        """A question to that server may come soon: what takes time once is done meanwhile, in the task."""
        task = asyncio.create_task(self._prepare(server_id))
        self._preparing.add(task)
        task.add_done_callback(self._preparing.discard)
        return task

    async def _prepare(self, server_id: str) -> None:
        try:
            endpoint = await asyncio.to_thread(self._servers.endpoint, server_id)
        except ConsoleError:
            return
        await self._client.prepare(endpoint.base_url, endpoint.api_key)

    async def picked(self, visitor: str) -> tuple[str, str]:
        """The servers that the visitor picked by hand, by lane; "" where none was."""
        return (await self._room(visitor)).picked

    async def pick(self, visitor: str, server_id: str, lane: int = 0) -> None:
        """Remember the server that the visitor picked by hand."""
        room = await self._room(visitor)
        room.picked = (server_id, room.picked[1]) if lane == 0 else (room.picked[0], server_id)

    async def watch(self, visitor: str) -> AsyncGenerator[View, None]:
        """The conversation now and at each change until the answers have ended; at least once a second, and at most
        every 50 ms, but the first token at once."""
        room = await self._room(visitor)
        with room.watched():
            while True:
                shown_at, version, view = time.monotonic(), room.version, room.view()
                yield view
                if not view.active:
                    return
                await room.newer(version, HEARTBEAT_S)
                if view.characters:
                    pause = COALESCE_S if view.characters < LONG_ANSWER else 2 * COALESCE_S
                    await asyncio.sleep(max(0.0, shown_at + pause - time.monotonic()))

    async def ask(
        self,
        visitor: str,
        text: str,
        uploads: Sequence[Upload],
        sampling: Sampling,
        server_ids: Sequence[str],
        *,
        replace_last: bool = False,
    ) -> tuple[Message, ...]:
        """Ask one server, or two to compare them; the answers come by ``watch``. Returns what to know of the pictures.

        ``replace_last``: the last question is taken back, and its pictures go with the new one. Raises a
        ConsoleError, and the conversation is as it was.
        """
        room = await self._room(visitor)
        async with room.lock:
            self._check_free(room)
            if not text.strip() and not uploads and not replace_last:
                raise InvalidInput(Message("chat.error.empty", field=FIELD))
            servers = self._check_servers(server_ids)
            last = room.conversation.exchanges[-1].question if replace_last and room.conversation.exchanges else None
            kept = last.pictures if last else ()
            if not text.strip() and not uploads and not kept:
                raise InvalidInput(Message("chat.error.empty", field=FIELD))
            if len(uploads) + len(kept) > MAX_PICTURES:
                count = {"count": len(uploads) + len(kept), "limit": MAX_PICTURES}
                raise InvalidInput(Message("chat.error.picture_count", count, field=FIELD))
            check_fits(text, bool(uploads or kept), servers)
            pictures, notices = list(kept), list[Message]()
            for upload in uploads:
                picture, told = await asyncio.to_thread(self.pictures.keep, visitor, upload.path, upload.name)
                pictures.append(picture)
                notices.extend(told)
            if last:
                room.conversation = room.conversation.without_last()
            self._begin(visitor, room, Question(text.strip(), tuple(pictures)), sampling, servers)
        await self._save(visitor, room)
        return tuple(notices)

    async def again(self, visitor: str, sampling: Sampling, server_ids: Sequence[str]) -> None:
        """Ask the last question once more, of any server; its answers are replaced."""
        room = await self._room(visitor)
        async with room.lock:
            self._check_free(room)
            if not room.conversation.exchanges:
                raise Conflict(Message("chat.error.nothing_asked"))
            question = room.conversation.exchanges[-1].question
            servers = self._check_servers(server_ids)
            check_fits(question.text, bool(question.pictures), servers)
            room.conversation = room.conversation.without_last()
            self._begin(visitor, room, question, sampling, servers)
        await self._save(visitor, room)

    async def stop(self, visitor: str) -> None:
        """End the answers under way; what was written stays."""
        await self._end(await self._room(visitor), Message("chat.end.stopped", level="info"))

    async def clear(self, visitor: str) -> None:
        """Forget the conversation and its pictures; the settings stay."""
        room = await self._room(visitor)
        async with room.lock:
            await self._end(room, Message("chat.end.stopped", level="info"))
            room.conversation = Conversation(sampling=room.conversation.sampling)
            room.bump()
        await self._save(visitor, room)
        await asyncio.to_thread(self.pictures.forget, visitor)

    async def close(self) -> None:
        """End everything under way and close the connections."""
        for room in self._rooms.values():
            await self._end(room, Message("chat.end.console", level="warning"))
        for task in tuple(self._preparing):
            task.cancel()
        await self._client.close()

    # -- one visitor's room ----------------------------------------------------------------------------------------

    async def _room(self, visitor: str) -> Room:
        if visitor not in self._rooms:
            stored = await asyncio.to_thread(self._store.get_json, AREA, visitor)
            conversation = Conversation()
            if isinstance(stored, Mapping):
                try:
                    conversation = from_json(stored)
                except ValueError:
                    log.warning("a stored conversation can't be read; it begins anew")
            self._rooms.setdefault(visitor, Room(conversation, ABANDONED_S, self._abandoned))
        self._rooms.move_to_end(visitor)
        while len(self._rooms) > REMEMBERED and (idle := next((v for v, r in self._rooms.items() if r.idle), None)):
            del self._rooms[idle]
        return self._rooms[visitor]

    async def _save(self, visitor: str, room: Room) -> None:
        try:
            await room.save(visitor, self._store)
        except ConsoleError as error:  # a full disk: the chat goes on, and says that it isn't kept
            room.problem = error.messages[0]
            room.bump()

    async def _end(self, room: Room, why: Message) -> None:
        tasks = [task for task in room.tasks if not task.done()]
        room.why_ended = why
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)

    def _abandoned(self, room: Room) -> None:
        """No page watches any more: the answers are ended."""
        room.why_ended = Message("chat.end.left", level="warning")
        for task in room.tasks:
            task.cancel()

    # -- asking ----------------------------------------------------------------------------------------------------

    def _check_free(self, room: Room) -> None:
        if room.active:
            raise Conflict(Message("chat.error.busy"))

    def _check_servers(self, server_ids: Sequence[str]) -> tuple[ServerView, ...]:
        if not server_ids or not server_ids[0]:
            raise InvalidInput(Message("chat.error.no_server", field="chat-server"))
        views = []
        for server_id in server_ids:
            try:
                view = self._servers.get(server_id)
            except NotFound:
                raise InvalidInput(Message("chat.error.server_unknown", field="chat-server")) from None
            if view.state is not ServerState.RUNNING:
                raise Unavailable(Message("chat.error.server_not_running", {"name": view.name}, field="chat-server"))
            views.append(view)
        return tuple(views)

    def _begin(
        self, visitor: str, room: Room, question: Question, sampling: Sampling, servers: Sequence[ServerView]
    ) -> None:
        answers = tuple(Answer(view.id, view.name, view.model_id) for view in servers)
        room.conversation = room.conversation.asked(question, answers, sampling)
        room.asked_at = time.monotonic()
        room.places = {}
        if question.pictures:
            for view in servers:
                self._on_picture(view.id)
        room.tasks = tuple(
            asyncio.create_task(self._write(visitor, room, lane, view)) for lane, view in enumerate(servers)
        )
        room.expect_watcher()
        room.bump()

    async def _write(self, visitor: str, room: Room, lane: int, server: ServerView) -> None:
        meter = Meter(queued_at=time.monotonic())
        try:
            async with self._turns.turn(server.id, at_once(server)) as ticket:
                while ticket.place:
                    room.places[lane] = (ticket.place, ticket.length)
                    room.bump()
                    ticket.changed.clear()
                    await ticket.changed.wait()
                room.places.pop(lane, None)
                room.bump()
                task = await asyncio.to_thread(self._task, visitor, room, lane, server)
                await self._client.prepare(task.base_url, task.api_key)
                answer = room.answer(lane)
                async with aclosing(write_answer(self._client, task, answer, meter)) as versions:
                    async for answer in versions:
                        room.show(lane, answer)
                        if room.save_due:
                            await self._save(visitor, room)
        except asyncio.CancelledError:
            room.settle(lane, AnswerState.STOPPED, room.why_ended, meter)
            raise
        except ConsoleError as error:
            room.settle(lane, AnswerState.FAILED, error.messages[0], meter)
        except Exception as error:
            log.exception("an answer failed")
            unexpected = Message("common.unexpected", {"error": type(error).__name__})
            room.settle(lane, AnswerState.FAILED, unexpected, meter)
        finally:
            room.places.pop(lane, None)
            with suppress(asyncio.CancelledError):
                await self._save(visitor, room)

    def _task(self, visitor: str, room: Room, lane: int, server: ServerView) -> Task:
        endpoint = self._servers.endpoint(server.id)

        async def request(answer: Answer) -> Mapping[str, Any]:
            conversation = room.conversation.with_answer(lane, answer)
            return await asyncio.to_thread(
                chat_request,
                conversation,
                lane,
                endpoint.model_id,
                endpoint.takes_images,
                lambda picture: self.pictures.data_url(visitor, picture.id),
            )

        return Task(endpoint.base_url, endpoint.api_key, room.conversation.sampling.tools, request)


def at_once(server: ServerView) -> int | None:
    """How many requests the server works on at the same time; None = as many as come."""
    alone = server.config.engine in ONE_AT_A_TIME and "--continuous-batching" not in server.config.extra
    return 1 if alone else None


def check_fits(text: str, pictures: bool, servers: Sequence[ServerView]) -> None:
    """InvalidInput where a server takes no pictures, or the text alone is far beyond its context."""
    if len(text) > QUESTION_LIMIT:
        raise InvalidInput(Message("chat.error.too_long", {"count": len(text), "limit": QUESTION_LIMIT}, field=FIELD))
    for server in servers:
        if pictures and not server.takes_images:
            raise InvalidInput(Message("chat.error.no_pictures", {"name": server.name}, field=FIELD))
        tokens = rough_tokens(text)
        if 0 < server.context_length < tokens // 2:
            sizes: dict[str, Value] = {"tokens": tokens, "context": server.context_length, "name": server.name}
            raise InvalidInput(Message("chat.error.context_sure", sizes, field=FIELD))


def rough_tokens(text: str) -> int:
    """About how many tokens a text has: four ASCII characters a token, or one and a half of any other script.

    Off by up to a factor of two either way; the server counts exactly, and refuses what is too long by itself.
    """
    ascii_count = sum(character.isascii() for character in text)
    return round(ascii_count / 4 + (len(text) - ascii_count) / 1.5)
