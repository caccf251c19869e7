"""The chat: everyone's conversations, the answers under way, and whose turn it is.

An answer is written by a task of its own, which a page only watches: a reload or a dropped connection loses nothing.
Where nobody has watched for a while, the task is ended, so that no closed page keeps a server busy. Everything here
belongs to one event loop, the page's.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from backend.chat.answer_loop import Task, write_answer
from backend.chat.archive import Archive, gone
from backend.chat.branches import asked_anew, place, set_aside, turned_to
from backend.chat.checks import FIELD, at_once, check_fits, check_total
from backend.chat.client import Client, Deadlines
from backend.chat.conversation import (
    ENDED,
    Answer,
    AnswerState,
    Picture,
    Question,
    Sampling,
)
from backend.chat.desks import Desk, Desks
from backend.chat.keeping import Keeping
from backend.chat.library import Library
from backend.chat.pictures import Pictures
from backend.chat.prompt import chat_request
from backend.chat.queue import Turns
from backend.chat.rooms import Rooms
from backend.chat.session import Room, View
from backend.chat.stats import Meter
from backend.chat.thinking import template_tags
from backend.classroom.people import People
from backend.errors import Conflict, ConsoleError, InvalidInput, Message, NotFound, Unavailable
from backend.models.chat_template import template_of
from backend.servers import refusal
from backend.servers.server import ServerState, ServerView
from backend.store import Store

MAX_PICTURES = 8  # a question
ABANDONED_S = 20.0
COALESCE_S = 0.05
LONG_ANSWER = 6000  # characters: drawing one takes a browser longer, so it is drawn half as often
HEARTBEAT_S = 1.0
STOP_S = 5.0
KEPT_LOOK_S = 2.0
OPENED = 50  # conversations that a browser is known to have opened
MOST_AT_ONCE = 4  # conversations of one visitor that are being answered
# Ends whose cause stands in the server's own log, where that is the console's.
WHY_IN_LOG = frozenset(
    {"chat.error.status", "chat.error.said", "chat.error.garbage", "chat.end.gone", "chat.end.gone_said"}
)

log = logging.getLogger(__name__)


class Servers(Protocol):
    """What the chat needs of the server manager."""

    def snapshot(self) -> tuple[ServerView, ...]:
        """All servers, the newest first."""

    def get(self, server_id: str, /) -> ServerView:
        """One of them; NotFound."""

    def wake(self, server_id: str, /) -> None:
        """Before a question: it is woken where it sleeps. May block; NotFound, Unavailable."""

    def endpoint(self, server_id: str, /) -> Any:
        """base_url, api_key, model_id, takes_images, context_length."""


@dataclass(frozen=True)
class Upload:
    """A file that a visitor added: where it lies, and its name there."""

    path: Path
    name: str


class Chat:
    """Every method takes the visitor, and touches conversations alone that are theirs (People.circle).

    ``conversation`` is a conversation's id; "" = the one that this visitor's browser opened last.
    """

    def __init__(
        self,
        servers: Servers,
        store: Store,
        folder: Path,
        *,
        people: People | None = None,
        deadlines: Deadlines | None = None,
        on_picture: Callable[[str], None] = lambda server_id: None,
        on_answer: Callable[[str, str, Answer, Question], None] = lambda visitor, server_id, answer, question: None,
        is_here: Callable[[str], bool] = lambda visitor: False,
    ) -> None:
        """``on_picture`` is told of every server that a picture is sent to, ``on_answer`` of every whole answer:
        visitor, server, answer, question; both must be quick. ``is_here``: whether a page of that visitor is open: an
        answer in a conversation that none of them shows goes on then."""
        self.people = people or People(store)
        self.pictures = Pictures(folder, self.people.circle)
        self.archive = Archive(store)
        self._desks = Desks(store)
        self._on_picture = on_picture
        self._on_answer = on_answer
        self._is_here = is_here
        self._servers = servers
        self._store = store
        self._client = Client(deadlines)
        self._turns = Turns()
        self._rooms = Rooms(
            self.archive,
            self.people,
            self._desks,
            lambda found, owner, said: Room(found, owner, said, ABANDONED_S, self._abandoned),
        )
        self.library = Library(self.archive, self._rooms, self.people, self.pictures, Keeping(store), self._stopped)
        self._background: set[asyncio.Task[None]] = set()  # tasks that nobody waits for

    async def view(self, visitor: str, conversation: str = "") -> View:
        """The conversation as it is now."""
        return (await self._room(visitor, conversation)).view()

    async def open(self, visitor: str, conversation: str) -> View:
        """From now on it is the one that this browser has open. NotFound."""
        room = await self._room(visitor, conversation)
        desk = self._desks.of(visitor)
        desk.open = room.id
        desk.opened[room.id] = None
        while len(desk.opened) > OPENED:
            del desk.opened[next(iter(desk.opened))]
        self._desks.keep(visitor)
        return room.view()

    async def picture(self, visitor: str, picture_id: str) -> Path:
        """Where a picture lies that this browser sent, or that stands in a conversation which it has opened. NotFound
        for every other."""
        desk = self._desks.of(visitor)
        for conversation in ("", *reversed(desk.opened)):
            try:
                room = await self._room(visitor, conversation)
            except ConsoleError:
                continue
            if room.visitor != visitor and picture_id in room.conversation.pictures:
                return self.pictures.path(room.visitor, picture_id)
        return self.pictures.path(visitor, picture_id, own=True)

    def prepare(self, server_id: str) -> "asyncio.Task[None]":
        """A question to that server may come soon: what takes time once is done meanwhile, in the task."""
        return self._in_background(self._prepare(server_id))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A task that nobody waits for; the event loop alone wouldn't keep it alive."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _prepare(self, server_id: str) -> None:
        try:
            endpoint = await asyncio.to_thread(self._servers.endpoint, server_id)
        except ConsoleError:
            return
        await self._client.prepare(endpoint.base_url, endpoint.api_key)

    async def picked(self, visitor: str) -> tuple[str, str]:
        """The servers that the visitor picked by hand, by lane; "" where none was."""
        return self._desks.of(visitor).picked

    async def pick(self, visitor: str, server_id: str, lane: int = 0) -> None:
        """Remember the server that the visitor picked by hand."""
        desk = self._desks.of(visitor)
        desk.picked = (server_id, desk.picked[1]) if lane == 0 else (desk.picked[0], server_id)

    async def watch(self, visitor: str, conversation: str = "") -> AsyncGenerator[View, None]:
        """The conversation now and at each change until the answers have ended; at least once a second, and at most
        every 50 ms, but the first token at once."""
        room = await self._room(visitor, conversation)
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
        instead_of: int = 0,
        conversation: str = "",
    ) -> tuple[Message, ...]:
        """Ask one server, or two to compare them; the answers come by ``watch``. Returns what to know of the pictures.

        ``instead_of``: the id of the exchange that this one takes the place of, ``replace_last``: of the last one. Its
        pictures go with the new one, and it stays as a branch. Raises a ConsoleError, and the conversation is as it
        was.
        """
        room = await self._room(visitor, conversation)
        if replace_last and not instead_of and room.conversation.exchanges:
            instead_of = room.conversation.exchanges[-1].id
        self._check_question(room, text, uploads, server_ids, instead_of)
        pictures, notices = list[Picture](), list[Message]()
        with room.holding():
            for upload in uploads:
                picture, told = await self.pictures.keep_in_turn(room.visitor, upload.path, upload.name)
                pictures.append(picture)
                notices.extend(told)
        # Once more: another question may have come meanwhile. From here to its beginning nothing else can.
        servers, old = self._check_question(room, text, uploads, server_ids, instead_of)
        if old:
            room.conversation = set_aside(room.conversation, place(room.conversation, instead_of))
        kept = old.pictures if old else ()
        self._begin(visitor, room, Question(text.strip(), (*kept, *pictures)), sampling, servers)
        await self._save(room)
        return tuple(notices)

    async def again(
        self,
        visitor: str,
        sampling: Sampling,
        server_ids: Sequence[str],
        *,
        exchange: int = 0,
        conversation: str = "",
    ) -> None:
        """Ask a question once more, of any server: that of the exchange with this id, 0 = the last one. The answers
        before stay as a branch."""
        room = await self._room(visitor, conversation)
        self._check_free(room)
        if not room.conversation.exchanges:
            raise Conflict(Message("chat.error.nothing_asked"))
        number = place(room.conversation, exchange) if exchange else len(room.conversation.exchanges) - 1
        question = room.conversation.exchanges[number].question
        servers = self._check_servers(server_ids)
        check_fits(question.text, bool(question.pictures), servers)
        check_total(room.conversation, question.text)
        room.conversation = asked_anew(room.conversation, number)
        self._begin(visitor, room, question, sampling, servers)
        await self._save(room)

    async def go_on(self, visitor: str, sampling: Sampling, server_id: str, words: str, conversation: str = "") -> None:
        """Go on with the last answer where it was cut off. ``words`` ask the model to."""
        room = await self._room(visitor, conversation)
        self._check_free(room)
        last = room.conversation.exchanges[-1:]
        if not last or len(last[0].answers) != 1 or not last[0].answers[0].cut_off:
            raise Conflict(Message("chat.error.nothing_cut_off"))
        (server,) = self._check_servers((server_id,))
        check_total(room.conversation, "")
        old = last[0].answers[0]
        new = replace(
            old,
            server_id=server.id,
            server_name=server.name,
            model_id=server.model_id,
            state=AnswerState.WAITING,
            end=None,
        )
        room.conversation = replace(room.conversation.with_answer(0, new), sampling=sampling)
        self._run(visitor, room, (server,), words)
        await self._save(room)

    async def turn_to(self, visitor: str, exchange: int, conversation: str = "") -> None:
        """Show the branch of the exchange with that id."""
        room = await self._room(visitor, conversation)
        self._check_free(room)
        room.conversation = turned_to(room.conversation, exchange)
        room.bump()
        await self._save(room)
        self.library.changed(room.visitor)

    def answering(self, server_id: str = "", without: str = "") -> int:
        """How many answers are under way, of that server or of all, but for that visitor's. From any thread."""
        theirs = self.people.circle(without) if without else ()
        rooms = [room for room in self._rooms if room.visitor not in theirs]
        last = [room.conversation.exchanges[-1:] for room in rooms]
        answers = [answer for exchanges in last for exchange in exchanges for answer in exchange.answers]
        return sum(answer.state not in ENDED and server_id in ("", answer.server_id) for answer in answers)

    def begin_sweeping(self) -> None:
        """From now on until the end, what was kept for long enough is removed."""
        self._in_background(self.library.keep_sweeping())

    async def _stopped(self, room: Room) -> None:
        await self._end(room, Message("chat.end.stopped", level="info"))

    async def stop(self, visitor: str, conversation: str = "") -> None:
        """End the answers under way; what was written stays."""
        await self._stopped(await self._room(visitor, conversation))

    async def clear(self, visitor: str, conversation: str = "") -> str:
        """Begin a new conversation, with the settings of the one before, which is kept; the new one's id."""
        desk = self._desks.of(visitor)
        room = await self._room(visitor, conversation)
        if room.conversation.exchanges:
            desk.sampling = room.conversation.sampling
            desk.open = Desk().open
            room = await self._room(visitor, "")
        else:
            desk.open = room.id
        self._desks.keep(visitor)
        return room.id

    async def close(self) -> None:
        """End everything under way and close the connections."""
        for room in self._rooms:
            await self._end(room, Message("chat.end.console", level="warning"))
        for task in tuple(self._background):
            task.cancel()
        await self._client.close()
        self.pictures.close()

    # -- one room -----------------------------------------------------------------------------------------------------

    async def _room(self, visitor: str, conversation: str = "") -> Room:
        return await self._rooms.find(visitor, conversation)

    async def _save(self, room: Room) -> None:
        try:
            await room.save(self.archive)
        except ConsoleError as error:  # a full disk: the chat goes on, and says that it isn't kept
            if room.problem is None:
                self._in_background(self._until_kept(room))
            room.problem = error.messages[0]
            room.bump()

    async def _until_kept(self, room: Room) -> None:
        """It is said for as long as it is so."""
        while room.problem is not None:
            await asyncio.sleep(KEPT_LOOK_S)
            if self._store.unsaved is None:
                room.problem = None
                room.bump()

    async def _end(self, room: Room, why: Message) -> None:
        tasks = [task for task in room.tasks if not task.done()]
        room.why_ended = why
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)

    def _abandoned(self, room: Room) -> None:
        """No page watches any more: the answers are ended, unless the visitor only looks at another conversation."""
        if any(map(self._is_here, self.people.circle(room.visitor))):
            room.expect_watcher()
            return
        room.why_ended = Message("chat.end.left", level="warning")
        for task in room.tasks:
            task.cancel()

    # -- asking ----------------------------------------------------------------------------------------------------

    def _check_free(self, room: Room) -> None:
        if room.deleted:
            raise gone()
        if room.active:
            raise Conflict(Message("chat.error.busy"))
        busy = sum(other.active for other in self._rooms if other.visitor == room.visitor)
        if busy >= MOST_AT_ONCE:
            raise Conflict(Message("chat.error.busy_elsewhere", {"count": busy}))

    def _check_question(
        self, room: Room, text: str, uploads: Sequence[Upload], server_ids: Sequence[str], instead_of: int
    ) -> tuple[tuple[ServerView, ...], Question | None]:
        """The servers that will be asked, and the question that this one takes the place of. Raises a ConsoleError."""
        self._check_free(room)
        if not text.strip() and not uploads and not instead_of:
            raise InvalidInput(Message("chat.error.empty", field=FIELD))
        servers = self._check_servers(server_ids)
        last: Question | None = None
        if instead_of:
            last = room.conversation.exchanges[place(room.conversation, instead_of)].question
        check_total(room.conversation, text)
        kept = last.pictures if last else ()
        if not text.strip() and not uploads and not kept:
            raise InvalidInput(Message("chat.error.empty", field=FIELD))
        if len(uploads) + len(kept) > MAX_PICTURES:
            count = {"count": len(uploads) + len(kept), "limit": MAX_PICTURES}
            raise InvalidInput(Message("chat.error.picture_count", count, field=FIELD))
        check_fits(text, bool(uploads or kept), servers)
        return servers, last

    def _check_servers(self, server_ids: Sequence[str]) -> tuple[ServerView, ...]:
        if not server_ids or not server_ids[0]:
            raise InvalidInput(Message("chat.error.no_server", field="server"))
        views = []
        for server_id in server_ids:
            try:
                view = self._servers.get(server_id)
            except NotFound:
                raise InvalidInput(Message("chat.error.server_unknown", field="server")) from None
            if view.state is not ServerState.RUNNING:
                raise Unavailable(Message("chat.error.server_not_running", {"name": view.name}, field="server"))
            views.append(view)
        return tuple(views)

    def _begin(
        self, visitor: str, room: Room, question: Question, sampling: Sampling, servers: Sequence[ServerView]
    ) -> None:
        answers = tuple(Answer(view.id, view.name, view.model_id) for view in servers)
        room.conversation = room.conversation.asked(question, answers, sampling)
        self._run(visitor, room, servers)

    def _run(self, visitor: str, room: Room, servers: Sequence[ServerView], go_on: str = "") -> None:
        """Have the last question's answers written; with ``go_on``, from where they are."""
        desk = self._desks.of(visitor)
        desk.open, desk.sampling = room.id, room.conversation.sampling
        self._desks.keep(visitor)
        room.characters = room.conversation.characters
        room.asked_at = time.monotonic()
        room.places = {}
        if room.conversation.exchanges[-1].question.pictures:
            for view in servers:
                self._on_picture(view.id)
        room.tasks = tuple(
            asyncio.create_task(self._write(room, lane, view, go_on)) for lane, view in enumerate(servers)
        )
        room.expect_watcher()
        room.bump()
        self.library.changed(room.visitor)

    async def _write(self, room: Room, lane: int, server: ServerView, go_on: str = "") -> None:
        meter = Meter(queued_at=time.monotonic())
        log_mark = refusal.LogMark(None)
        try:
            async with self._turns.turn(server.id, at_once(server)) as ticket:
                while ticket.place:
                    room.places[lane] = (ticket.place, ticket.length)
                    room.bump()
                    ticket.changed.clear()
                    await ticket.changed.wait()
                room.places.pop(lane, None)
                room.bump()
                task = await asyncio.to_thread(self._task, room, lane, server, go_on)
                log_mark = await asyncio.to_thread(refusal.mark, server.log_path)
                await self._client.prepare(task.base_url, task.api_key)
                answer = room.answer(lane)
                async with aclosing(write_answer(self._client, task, answer, meter)) as versions:
                    async for answer in versions:
                        room.show(lane, answer)
                        if room.save_due:
                            await self._save(room)
                self._on_answer(room.visitor, server.id, answer, room.conversation.exchanges[-1].question)
        except asyncio.CancelledError:
            room.settle(lane, AnswerState.STOPPED, room.why_ended, meter)
            raise
        except ConsoleError as error:
            end = error.messages[0]
            try:
                end = await refusal.cause(log_mark) or end if end.key in WHY_IN_LOG else end
            finally:
                room.settle(lane, AnswerState.FAILED, end, meter)
        except Exception as error:
            log.exception("an answer failed")
            unexpected = Message("common.unexpected", {"error": type(error).__name__})
            room.settle(lane, AnswerState.FAILED, unexpected, meter)
        finally:
            room.places.pop(lane, None)
            with suppress(asyncio.CancelledError):
                await self._save(room)
            self.library.changed(room.visitor)

    def _task(self, room: Room, lane: int, server: ServerView, go_on: str) -> Task:
        self._servers.wake(server.id)
        endpoint = self._servers.endpoint(server.id)
        begun = room.answer(lane)

        async def request(answer: Answer) -> Mapping[str, Any]:
            conversation = room.conversation.with_answer(lane, answer)
            return await asyncio.to_thread(
                chat_request,
                conversation,
                lane,
                endpoint.model_id,
                endpoint.takes_images,
                lambda picture: self.pictures.data_url(room.visitor, picture.id),
                (begun, go_on) if go_on else None,
            )

        tags = template_tags(template_of(Path(server.model_path)))
        return Task(
            endpoint.base_url,
            endpoint.api_key,
            room.conversation.sampling.tools,
            request,
            tags,
            begun.text if go_on else "",
        )
