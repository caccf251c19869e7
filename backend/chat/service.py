"""The chat: everyone's conversations, the answers under way, and whose turn it is.

An answer is written by a task of its own, which a page only watches: a reload or a dropped connection loses nothing.
Where nobody has watched for a while, the task is ended, so that no closed page keeps a server busy. Everything here
belongs to one event loop, the page's.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.chat.abilities import check_able
from backend.chat.archive import Archive, gone
from backend.chat.attachments import Attachments, Looked, Upload
from backend.chat.branches import asked_anew, place, rewritten, set_aside, turned_to
from backend.chat.checks import check_fits, check_total
from backend.chat.client import Client, Deadlines
from backend.chat.context import Weight
from backend.chat.conversation import (
    ENDED,
    Answer,
    AnswerState,
    Conversation,
    Question,
    Sampling,
)
from backend.chat.desks import Desk, Desks
from backend.chat.form_probe import FormProbe
from backend.chat.in_turn import InTurn, Turn, check_turns, not_startable
from backend.chat.keeping import Keeping
from backend.chat.library import Library
from backend.chat.pace import Pace
from backend.chat.pictures import Pictures
from backend.chat.presets import Presets
from backend.chat.questions import Questions, Servers, question_with
from backend.chat.rooms import Rooms
from backend.chat.session import Room, View
from backend.chat.setup import Setup
from backend.chat.token_counter import TokenCounter
from backend.chat.writer import Writer
from backend.classroom.limits import Allowances
from backend.classroom.people import People
from backend.errors import Conflict, ConsoleError, InvalidInput, Message, NotFound
from backend.servers.server import ServerView
from backend.store import Store

ABANDONED_S = 20.0
HEARTBEAT_S = 1.0
STOP_S = 5.0
KEPT_LOOK_S = 2.0
RESULT_LENGTH = 100_000  # characters of what somebody types as a tool's result
OPENED = 50  # conversations that a browser is known to have opened
MOST_AT_ONCE = 4  # conversations of one visitor that are being answered

log = logging.getLogger(__name__)


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
        allowances: Allowances | None = None,
        deadlines: Deadlines | None = None,
        on_picture: Callable[[str], None] = lambda server_id: None,
        on_answer: Callable[[str, str, Answer, Question], None] = lambda visitor, server_id, answer, question: None,
        is_here: Callable[[str], bool] = lambda visitor: False,
        waiting: Callable[[str], int] = lambda server_id: 0,
    ) -> None:
        """``on_picture`` is told of every server that a picture is sent to, ``on_answer`` of every whole answer:
        visitor, server, answer, question; both must be quick. ``is_here``: whether a page of that visitor is open: an
        answer in a conversation that none of them shows goes on then. ``waiting``: how many requests wait inside a
        server, as it says."""
        self.people = people or People(store)
        self._allowances = allowances or Allowances(store, self.people.is_operator)
        self.pictures = Pictures(folder, self.people.circle)
        self._attachments = Attachments(self.pictures)
        self.archive = Archive(store)
        self._desks = Desks(store)
        self.presets = Presets(store, self.people)
        self._on_picture = on_picture
        self._is_here = is_here
        self._servers = servers
        self._store = store
        self._client = Client(deadlines)
        counter = TokenCounter(self._client)
        self._questions = Questions(servers, counter)
        self._forms = FormProbe(self._client, servers)
        self._writer = Writer(
            self._client,
            counter,
            self.pictures,
            self._woken,
            self._save,
            lambda visitor: self.library.changed(visitor),
            on_answer,
            lambda view: self.setup_of(view),
            self._allowances.spent,
            self._questions.why_gone,
            waiting,
        )
        self._rooms = Rooms(
            self.archive,
            self.people,
            self._desks,
            lambda found, owner, said: Room(found, owner, said, ABANDONED_S, self._abandoned),
        )
        self.tool_sources = self._writer.sources
        self.in_turn = InTurn(servers, self._writer, self._save, store)
        # The settings of a start that Lab keeps; called in a thread. Raises NotFound, InvalidInput.
        self.settings_of: Callable[[str], Turn] = not_startable
        # What a server runs with; called in a thread, as an answer ends.
        self.setup_of: Callable[[ServerView], Setup | None] = lambda view: None
        self.library = Library(self.archive, self._rooms, self.people, self.pictures, Keeping(store), self._stopped)
        self._pace = Pace()
        self._background: set[asyncio.Task[None]] = set()  # tasks that nobody waits for

    def _woken(self, server_id: str) -> Any:
        """The endpoint of a server that will be asked now: one that slept wakes up first."""
        self._servers.wake(server_id)
        return self._servers.endpoint(server_id)

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

    def look_at_forms(self, server_id: str) -> "asyncio.Task[None]":
        """Somebody wants a form of that server's answers: whether it takes one is found out in the task."""
        return self._in_background(self._forms.look(server_id))

    async def picked(self, visitor: str) -> tuple[str, ...]:
        """The servers that the visitor picked by hand, by lane; "" where none was."""
        return self._desks.of(visitor).picked

    async def pick(self, visitor: str, server_id: str, lane: int = 0) -> None:
        """Remember the server that the visitor picked by hand."""
        desk = self._desks.of(visitor)
        desk.picked = (*desk.picked[:lane], server_id, *desk.picked[lane + 1 :])

    async def watch(self, visitor: str, conversation: str = "") -> AsyncGenerator[View, None]:
        """The conversation now and at each change until the answers have ended; at least once a second, and at most
        every 50 ms (less often a long answer, or where many watch), but the first token and the end at once."""
        room = await self._room(visitor, conversation)
        with room.watched(), self._pace.watching():
            while True:
                shown_at, version, view = time.monotonic(), room.version, room.view()
                yield view
                if not view.active:
                    return
                await room.newer(version, HEARTBEAT_S)
                if view.characters:
                    pause = self._pace.pause_s(view.characters)
                    await room.rest(max(0.0, shown_at + pause - time.monotonic()))

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
        """Ask one server, or up to four to compare them; the answers come by ``watch``. Returns what to know of
        the files.

        ``instead_of``: the id of the exchange that this one takes the place of, ``replace_last``: of the last one. Its
        pictures and files go with the new one, and it stays as a branch. Raises a ConsoleError, and the conversation is
        as it was.
        """
        room = await self._room(visitor, conversation)
        if replace_last and not instead_of and room.conversation.exchanges:
            instead_of = room.conversation.exchanges[-1].id
        self._check_free(room)
        servers = self._questions.check(room, text, uploads, server_ids, instead_of)
        check_able(sampling, servers)
        with room.holding():
            counts = await self._attachments.count(uploads)
            planned = question_with(room, instead_of, text, (), ())
            self._questions.check_counts(planned, *counts, servers)
            self._allowances.check(visitor, len(servers), counts[0] + len(planned.pictures))
            taken = await self._attachments.take(room.visitor, uploads)
            question = question_with(room, instead_of, text, taken.pictures, taken.documents)
            await self._questions.check_room(question, sampling, server_ids)
        # Once more: another question may have come meanwhile. From here to its beginning nothing else can.
        self._check_free(room)
        servers = self._questions.check(room, text, uploads, server_ids, instead_of)
        question = question_with(room, instead_of, text, taken.pictures, taken.documents)
        self._questions.check_taken(room, question, servers)
        self._allowances.begin(visitor, len(servers), len(question.pictures))
        if instead_of:
            room.conversation = set_aside(room.conversation, place(room.conversation, instead_of))
        self._begin(visitor, room, question, sampling, servers)
        await self._save(room)
        return taken.notices

    async def ask_in_turn(
        self,
        visitor: str,
        text: str,
        uploads: Sequence[Upload],
        sampling: Sampling,
        runs: Sequence[str],
        *,
        instead_of: int = 0,
        conversation: str = "",
    ) -> tuple[Message, ...]:
        """As ``ask``, of servers that don't run: of the settings of these starts, which Lab keeps, one after another.
        For an operator alone."""
        room = await self._room(visitor, conversation)
        self._check_free(room)
        if not text.strip() and not uploads and not instead_of:
            raise InvalidInput(Message("chat.error.empty", field="question"))
        turns = [await asyncio.to_thread(self.settings_of, run) for run in runs]
        check_turns(turns)
        with room.holding():
            counts = await self._attachments.count(uploads)
            self._questions.check_counts(question_with(room, instead_of, text, (), ()), *counts, ())
            taken = await self._attachments.take(room.visitor, uploads)
        self._check_free(room)
        question = question_with(room, instead_of, text, taken.pictures, taken.documents)
        self._questions.check_taken(room, question, ())
        earlier = room.conversation
        if instead_of:
            earlier = set_aside(earlier, place(earlier, instead_of))
        self.in_turn.begin()
        room.conversation = earlier
        self._begin(visitor, room, question, sampling, (), turns)
        await self._save(room)
        return taken.notices

    async def weigh(
        self,
        visitor: str,
        text: str,
        uploads: Sequence[Upload],
        sampling: Sampling,
        server_id: str,
        *,
        instead_of: int = 0,
        conversation: str = "",
    ) -> tuple[Weight, tuple[Looked, ...]]:
        """What a question takes of the server's context before it is sent, and what each file is.

        ``Weight.files`` are those that can be read, in their order. Raises what finding conversation and server raises.
        """
        room = await self._room(visitor, conversation)
        looked = tuple([await self._attachments.look(upload) for upload in uploads])
        documents = tuple(one.document for one in looked if one.document is not None)
        number = place(room.conversation, instead_of) if instead_of else len(room.conversation.exchanges)
        earlier = Conversation(room.conversation.exchanges[:number], sampling)
        question = question_with(room, instead_of, text, (), documents)
        (server,) = self._questions.running((server_id,))
        return await self._questions.weighed(earlier, question, server), looked

    async def again(
        self,
        visitor: str,
        sampling: Sampling,
        server_ids: Sequence[str],
        *,
        exchange: int = 0,
        conversation: str = "",
        runs: Sequence[str] = (),
    ) -> None:
        """Ask a question once more, of any server: that of the exchange with this id, 0 = the last one. The answers
        before stay as a branch. With ``runs``, one after another (``ask_in_turn``)."""
        room = await self._room(visitor, conversation)
        self._check_free(room)
        if not room.conversation.exchanges:
            raise Conflict(Message("chat.error.nothing_asked"))
        number = place(room.conversation, exchange) if exchange else len(room.conversation.exchanges) - 1
        question = room.conversation.exchanges[number].question
        turns = [await asyncio.to_thread(self.settings_of, run) for run in runs]
        if turns:
            check_turns(turns)
            self._check_free(room)
        servers = () if turns else self._questions.running(server_ids)
        check_able(sampling, servers)
        check_fits(question, servers)
        check_total(room.conversation, question.characters)
        if turns:
            self.in_turn.begin()
        else:
            self._allowances.begin(visitor, len(servers), len(question.pictures))
        room.conversation = asked_anew(room.conversation, number)
        self._begin(visitor, room, question, sampling, servers, turns)
        await self._save(room)

    async def go_elsewhere(
        self, visitor: str, sampling: Sampling, server_id: str, words: str, lane: int, conversation: str = ""
    ) -> None:
        """Have one of several answers to the last question written by another server, since its own is gone: from
        where it was cut off (``words`` ask the model to), else from the beginning. The others stay."""
        room = await self._room(visitor, conversation)
        self._check_free(room)
        last = room.conversation.exchanges[-1:]
        if not last or lane not in range(len(last[0].answers)) or last[0].answers[lane].end is None:
            raise Conflict(Message("chat.error.nothing_cut_off"))
        (server,) = self._questions.running((server_id,))
        check_able(sampling, (server,))
        check_fits(last[0].question, (server,))
        check_total(room.conversation, 0)
        self._allowances.begin(visitor, 1, 0)
        old = last[0].answers[lane]
        cut = old.cut_off
        new = replace(
            old if cut else Answer("", "", "", form=old.form, tokens=None if old.tokens is None else ()),
            server_id=server.id,
            server_name=server.name,
            model_id=server.model_id,
            state=AnswerState.WAITING,
            end=None,
        )
        room.conversation = room.conversation.with_answer(lane, new)
        self._run(visitor, room, (server,), words if cut else "", lane=lane)
        await self._save(room)

    async def go_on(self, visitor: str, sampling: Sampling, server_id: str, words: str, conversation: str = "") -> None:
        """Go on with the last answer where it was cut off. ``words`` ask the model to."""
        room = await self._room(visitor, conversation)
        self._check_free(room)
        last = room.conversation.exchanges[-1:]
        if not last or len(last[0].answers) != 1 or not last[0].answers[0].cut_off:
            raise Conflict(Message("chat.error.nothing_cut_off"))
        (server,) = self._questions.running((server_id,))
        check_able(sampling, (server,))
        check_total(room.conversation, 0)
        self._allowances.begin(visitor, 1, 0)
        old = last[0].answers[0]
        new = replace(
            old,
            server_id=server.id,
            server_name=server.name,
            model_id=server.model_id,
            state=AnswerState.WAITING,
            end=None,
            tokens=() if sampling.logprobs and old.tokens is None else old.tokens,
        )
        room.conversation = replace(room.conversation.with_answer(0, new), sampling=sampling)
        self._run(visitor, room, (server,), words)
        await self._save(room)

    async def give(self, visitor: str, call: str, result: str, conversation: str = "") -> None:
        """The result of a tool that the visitor is: of the call with that key (``writer.call_key``)."""
        room = await self._room(visitor, conversation)
        if len(result) > RESULT_LENGTH:
            counts = {"count": len(result), "limit": RESULT_LENGTH}
            raise InvalidInput(Message("chat.error.result_long", counts, field="result"))
        wanted = room.wanted.get(call)
        if wanted is None or wanted.done():
            raise NotFound(Message("chat.error.call_gone"))
        wanted.set_result(result)

    async def vote(self, visitor: str, exchange: int, lane: int | None, conversation: str = "") -> None:
        """That lane's answer is the better one of those to that exchange's question; None takes it back."""
        room = await self._room(visitor, conversation)
        number = place(room.conversation, exchange)
        count = len(room.conversation.exchanges[number].answers)
        if count < 2 or (lane is not None and not 0 <= lane < count):
            raise NotFound(Message("chat.error.nothing_asked"))
        room.conversation = room.conversation.with_vote(number, lane)
        room.bump()
        await self._save(room)

    async def rewrite(self, visitor: str, exchange: int, lane: int, text: str, conversation: str = "") -> None:
        """Write an answer otherwise: that of the exchange with this id, in that lane. The model reads it as its own
        from now on; the earlier one stays as a branch. Raises InvalidInput, Conflict, NotFound."""
        room = await self._room(visitor, conversation)
        self._check_free(room)
        number = place(room.conversation, exchange)
        answers = room.conversation.exchanges[number].answers
        if not text.strip():
            raise InvalidInput(Message("chat.error.answer_empty"))
        if not 0 <= lane < len(answers):
            raise NotFound(Message("chat.error.exchange_gone"))
        check_total(room.conversation, text)
        if text != answers[lane].text:
            room.conversation = rewritten(room.conversation, number, lane, text)
            room.characters = room.conversation.characters
            room.bump()
            await self._save(room)
            self.library.changed(room.visitor)

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

    def being_answered(self) -> Mapping[str, int]:
        """How many answers of each visitor are under way. From any thread."""
        return Counter(room.visitor for room in self._rooms if room.active)

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
        self._attachments.close()

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
        """No page watches any more: the answers are ended, unless the visitor only looks at another conversation, or
        they take long."""
        if (room.unattended and room.active) or any(map(self._is_here, self.people.circle(room.visitor))):
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

    def _begin(
        self,
        visitor: str,
        room: Room,
        question: Question,
        sampling: Sampling,
        servers: Sequence[ServerView],
        turns: Sequence[Turn] = (),
    ) -> None:
        tokens = () if sampling.logprobs else None
        named = [("", one.name, "") for one in turns] or [(view.id, view.name, view.model_id) for view in servers]
        answers = tuple(Answer(*names, form=sampling.answer_form, tokens=tokens) for names in named)
        room.conversation = room.conversation.asked(question, answers, sampling)
        self._run(visitor, room, servers, turns=turns)

    def _run(
        self,
        visitor: str,
        room: Room,
        servers: Sequence[ServerView],
        go_on: str = "",
        turns: Sequence[Turn] = (),
        lane: int = 0,
    ) -> None:
        """Have the last question's answers written, from that lane on; with ``go_on``, from where they are; with
        ``turns``, in turn."""
        desk = self._desks.of(visitor)
        desk.open, desk.sampling = room.id, room.conversation.sampling
        self._desks.keep(visitor)
        room.characters = room.conversation.characters
        room.asked_at = time.monotonic()
        room.places = {}
        room.unattended = bool(turns)  # it takes minutes: a page that is closed meanwhile finds the answers
        if room.conversation.exchanges[-1].question.pictures:
            for view in servers:
                self._on_picture(view.id)
        work = [self._writer.write(room, number, view, go_on) for number, view in enumerate(servers, lane)]
        if turns:
            work = [self.in_turn.write(room, turns)]
        room.tasks = tuple(map(asyncio.create_task, work))
        if turns:
            room.tasks[0].add_done_callback(self.in_turn.ended)
        room.expect_watcher()
        room.bump()
        self.library.changed(room.visitor)
