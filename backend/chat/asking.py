"""Asking: a question to one server or several, at once or one after another; once more, elsewhere, or on from where an
answer was cut off. What is written then is a task of the room's, which a page only watches."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from backend.chat.abilities import check_able
from backend.chat.attachments import Attachments, Looked, Upload
from backend.chat.branches import asked_anew, place, set_aside
from backend.chat.caretaker import Caretaker
from backend.chat.checks import check_fits, check_total
from backend.chat.context import Weight
from backend.chat.conversation import Answer, AnswerState, Conversation, Question, Sampling
from backend.chat.desks import Desks
from backend.chat.in_turn import InTurn, Turn, check_turns, not_startable
from backend.chat.library import Library
from backend.chat.questions import Questions, question_with
from backend.chat.rooms import Rooms
from backend.chat.session import Room
from backend.chat.writer import Writer
from backend.classroom.limits import Allowances
from backend.errors import Conflict, InvalidInput, Message, NotFound
from backend.servers.server import ServerView

RESULT_LENGTH = 100_000  # characters of what somebody types as a tool's result


class Asking:
    """For one event loop. Visitor and ``conversation`` as in ``Chat``. ``on_picture`` is told of every server that a
    picture is sent to. ``settings_of``: the settings of a start that Lab keeps; called in a thread, raises NotFound,
    InvalidInput."""

    def __init__(
        self,
        rooms: Rooms,
        desks: Desks,
        caretaker: Caretaker,
        library: Library,
        attachments: Attachments,
        questions: Questions,
        allowances: Allowances,
        writer: Writer,
        in_turn: InTurn,
        on_picture: Callable[[str], None],
    ) -> None:
        self._rooms = rooms
        self._desks = desks
        self._caretaker = caretaker
        self._library = library
        self._attachments = attachments
        self._questions = questions
        self._allowances = allowances
        self._writer = writer
        self._in_turn = in_turn
        self._on_picture = on_picture
        self.settings_of: Callable[[str], Turn] = not_startable

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
        room = await self._rooms.find(visitor, conversation)
        instead_of = instead_of or (_last(room) if replace_last else 0)
        self._rooms.check_free(room)
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
        self._rooms.check_free(room)
        servers = self._questions.check(room, text, uploads, server_ids, instead_of)
        question = question_with(room, instead_of, text, taken.pictures, taken.documents)
        self._questions.check_taken(room, question, servers)
        self._allowances.begin(visitor, len(servers), len(question.pictures))
        if instead_of:
            room.conversation = set_aside(room.conversation, place(room.conversation, instead_of))
        self._begin(visitor, room, question, sampling, servers)
        await self._caretaker.save(room)
        return taken.notices

    async def ask_in_turn(
        self,
        visitor: str,
        text: str,
        uploads: Sequence[Upload],
        sampling: Sampling,
        runs: Sequence[str],
        *,
        replace_last: bool = False,
        instead_of: int = 0,
        conversation: str = "",
    ) -> tuple[Message, ...]:
        """As ``ask``, of servers that don't run: of the settings of these starts, which Lab keeps, one after another.
        For an operator alone."""
        room = await self._rooms.find(visitor, conversation)
        instead_of = instead_of or (_last(room) if replace_last else 0)
        self._rooms.check_free(room)
        if not text.strip() and not uploads and not instead_of:
            raise InvalidInput(Message("chat.error.empty", field="question"))
        turns = [await asyncio.to_thread(self.settings_of, run) for run in runs]
        check_turns(turns)
        with room.holding():
            counts = await self._attachments.count(uploads)
            self._questions.check_counts(question_with(room, instead_of, text, (), ()), *counts, ())
            taken = await self._attachments.take(room.visitor, uploads)
        self._rooms.check_free(room)
        question = question_with(room, instead_of, text, taken.pictures, taken.documents)
        self._questions.check_taken(room, question, ())
        earlier = room.conversation
        if instead_of:
            earlier = set_aside(earlier, place(earlier, instead_of))
        self._in_turn.begin()
        room.conversation = earlier
        self._begin(visitor, room, question, sampling, (), turns)
        await self._caretaker.save(room)
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
        room = await self._rooms.find(visitor, conversation)
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
        room = await self._rooms.find(visitor, conversation)
        self._rooms.check_free(room)
        if not room.conversation.exchanges:
            raise Conflict(Message("chat.error.nothing_asked"))
        number = place(room.conversation, exchange) if exchange else len(room.conversation.exchanges) - 1
        question = room.conversation.exchanges[number].question
        turns = [await asyncio.to_thread(self.settings_of, run) for run in runs]
        if turns:
            check_turns(turns)
            self._rooms.check_free(room)
        servers = () if turns else self._questions.running(server_ids)
        check_able(sampling, servers)
        check_fits(question, servers)
        check_total(room.conversation, question.characters)
        if turns:
            self._in_turn.begin()
        else:
            self._allowances.begin(visitor, len(servers), len(question.pictures))
        room.conversation = asked_anew(room.conversation, number)
        self._begin(visitor, room, question, sampling, servers, turns)
        await self._caretaker.save(room)

    async def go_elsewhere(
        self, visitor: str, sampling: Sampling, server_id: str, words: str, lane: int, conversation: str = ""
    ) -> None:
        """Have one of several answers to the last question written by another server, since its own is gone: from
        where it was cut off (``words`` ask the model to), else from the beginning. The others stay."""
        room = await self._rooms.find(visitor, conversation)
        self._rooms.check_free(room)
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
        await self._caretaker.save(room)

    async def go_on(self, visitor: str, sampling: Sampling, server_id: str, words: str, conversation: str = "") -> None:
        """Go on with the last answer where it was cut off. ``words`` ask the model to."""
        room = await self._rooms.find(visitor, conversation)
        self._rooms.check_free(room)
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
        await self._caretaker.save(room)

    async def give(self, visitor: str, call: str, result: str, conversation: str = "") -> None:
        """The result of a tool that the visitor is: of the call with that key (``writer.call_key``)."""
        room = await self._rooms.find(visitor, conversation)
        if len(result) > RESULT_LENGTH:
            counts = {"count": len(result), "limit": RESULT_LENGTH}
            raise InvalidInput(Message("chat.error.result_long", counts, field="result"))
        wanted = room.wanted.get(call)
        if wanted is None or wanted.done():
            raise NotFound(Message("chat.error.call_gone"))
        wanted.set_result(result)

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
            work = [self._in_turn.write(room, turns)]
        room.tasks = tuple(map(asyncio.create_task, work))
        if turns:
            room.tasks[0].add_done_callback(self._in_turn.ended)
        room.expect_watcher()
        room.bump()
        self._library.changed(room.visitor)


def _last(room: Room) -> int:
    """The id of the last exchange; 0 where there is none."""
    exchanges = room.conversation.exchanges
    return exchanges[-1].id if exchanges else 0
