"""The chat: everyone's conversations, the answers under way, and whose turn it is.

An answer is written by a task of its own, which a page only watches: a reload or a dropped connection loses nothing.
Where nobody has watched for a while, the task is ended, so that no closed page keeps a server busy. Everything here
belongs to one event loop, the page's.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

from backend.chat.archive import Archive
from backend.chat.asking import Asking
from backend.chat.attachments import Attachments
from backend.chat.caretaker import Caretaker
from backend.chat.changes import Changes
from backend.chat.client import Client, Deadlines
from backend.chat.conversation import ENDED, Answer, Question
from backend.chat.desks import Desks, new_id
from backend.chat.form_probe import FormProbe
from backend.chat.in_turn import InTurn
from backend.chat.keeping import Keeping
from backend.chat.library import Library
from backend.chat.pace import Pace
from backend.chat.pictures import Pictures
from backend.chat.presets import Presets
from backend.chat.questions import Questions, Servers
from backend.chat.rooms import Rooms
from backend.chat.session import Room, View
from backend.chat.setup import Setup
from backend.chat.token_counter import TokenCounter
from backend.chat.writer import Writer
from backend.classroom.limits import Allowances
from backend.classroom.people import People
from backend.errors import ConsoleError, Message
from backend.servers.server import ServerView
from backend.store import Store

ABANDONED_S = 20.0
HEARTBEAT_S = 1.0
OPENED = 50  # conversations that a browser is known to have opened


class Chat:
    """Every method takes the visitor, and touches conversations alone that are theirs (People.circle).

    ``conversation`` is a conversation's id; "" = the one that this visitor's browser opened last. Here they are opened
    and watched; ``asking`` asks in them, ``changes`` changes what was said, ``library`` lists and finds them.
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
        self.pictures = Pictures(folder, self.people.circle)
        self.archive = Archive(store)
        self.presets = Presets(store, self.people)
        # What a server runs with; called in a thread, as an answer ends.
        self.setup_of: Callable[[ServerView], Setup | None] = lambda view: None
        self._servers = servers
        self._client = Client(deadlines)
        self._forms = FormProbe(self._client, servers)
        self._pace = Pace()
        self._attachments = Attachments(self.pictures)
        self._desks = Desks(store)
        self._caretaker = Caretaker(self.archive, store, self.people, is_here)
        self._rooms = Rooms(
            self.archive,
            self.people,
            self._desks,
            lambda found, owner, said: Room(found, owner, said, ABANDONED_S, self._caretaker.abandoned),
        )
        self.library = Library(
            self.archive, self._rooms, self.people, self.pictures, Keeping(store), self._caretaker.stop
        )
        allowances = allowances or Allowances(store, self.people.is_operator)
        counter = TokenCounter(self._client)
        questions = Questions(servers, counter)
        writer = Writer(
            self._client,
            counter,
            self.pictures,
            self._woken,
            self._caretaker.save,
            self.library.changed,
            on_answer,
            lambda view: self.setup_of(view),
            allowances.spent,
            questions.why_gone,
            waiting,
        )
        self.tool_sources = writer.sources
        self.in_turn = InTurn(servers, writer, self._caretaker.save, store)
        self.asking = Asking(
            self._rooms,
            self._desks,
            self._caretaker,
            self.library,
            self._attachments,
            questions,
            allowances,
            writer,
            self.in_turn,
            on_picture,
        )
        self.changes = Changes(self._rooms, self._caretaker, self.library)

    def _woken(self, server_id: str) -> Any:
        """The endpoint of a server that will be asked now: one that slept wakes up first."""
        self._servers.wake(server_id)
        return self._servers.endpoint(server_id)

    def roles(self) -> Mapping[str, str]:
        """The stored role of every visitor that has been here, "" where it isn't known."""
        return dict.fromkeys(self._desks.visitors(), "") | self.people.roles()

    async def view(self, visitor: str, conversation: str = "") -> View:
        """The conversation as it is now."""
        return (await self._rooms.find(visitor, conversation)).view()

    async def at(self, visitor: str, conversation: str) -> View:
        """The conversation that a page of theirs shows; one that hadn't begun when the console was started anew is
        theirs again. NotFound."""
        return (await self._rooms.claim(visitor, conversation)).view()

    async def open(self, visitor: str, conversation: str) -> View:
        """From now on it is the one that this browser has open. NotFound."""
        room = await self._rooms.find(visitor, conversation)
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
                room = await self._rooms.find(visitor, conversation)
            except ConsoleError:
                continue
            if room.visitor != visitor and picture_id in room.conversation.pictures:
                return self.pictures.path(room.visitor, picture_id)
        return self.pictures.path(visitor, picture_id, own=True)

    def prepare(self, server_id: str) -> "asyncio.Task[None]":
        """A question to that server may come soon: what takes time once is done meanwhile, in the task."""
        return self._caretaker.in_background(self._prepare(server_id))

    async def _prepare(self, server_id: str) -> None:
        try:
            endpoint = await asyncio.to_thread(self._servers.endpoint, server_id)
        except ConsoleError:
            return
        await self._client.prepare(endpoint.base_url, endpoint.api_key)

    def look_at_forms(self, server_id: str) -> "asyncio.Task[None]":
        """Somebody wants a form of that server's answers: whether it takes one is found out in the task."""
        return self._caretaker.in_background(self._forms.look(server_id))

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
        room = await self._rooms.find(visitor, conversation)
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
        self._caretaker.in_background(self.library.keep_sweeping())

    async def stop(self, visitor: str, conversation: str = "") -> None:
        """End the answers under way; what was written stays."""
        await self._caretaker.stop(await self._rooms.find(visitor, conversation))

    async def clear(self, visitor: str, conversation: str = "") -> str:
        """Begin a new conversation, with the settings of the one before, which is kept; the new one's id."""
        desk = self._desks.of(visitor)
        room = await self._rooms.find(visitor, conversation)
        if room.conversation.exchanges:
            desk.sampling = room.conversation.sampling
            desk.open = new_id()
            room = await self._rooms.find(visitor, "")
        else:
            desk.open = room.id
        self._desks.keep(visitor)
        return room.id

    async def close(self) -> None:
        """End everything under way and close the connections."""
        for room in self._rooms:
            await self._caretaker.end(room, Message("chat.end.console", level="warning"))
        self._caretaker.close()
        await self._client.close()
        self.pictures.close()
        self._attachments.close()
