"""The conversations that are in memory: those that somebody looks at or asks in, and the latest of the others."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from backend.chat.archive import Archive, gone, unreadable
from backend.chat.conversation import Conversation, from_json
from backend.chat.desks import Desks, is_id
from backend.chat.session import Room
from backend.classroom.people import People
from backend.errors import Conflict, Message, NotFound

MOST_AT_ONCE = 4  # conversations of one visitor that are being answered
REMEMBERED = 100  # idle conversations in memory, some 0.1 MB each; the others are in the store
MOST_VACANT = 10_000
MOST_VACANT_EACH = 20  # of one visitor: who opens one page after another keeps nobody else's out
REMEMBERED_CHARACTERS = 100_000_000  # of all of them

log = logging.getLogger(__name__)


class Rooms:
    """For one event loop. ``make`` makes the room of a conversation: its id, its visitor, what was said."""

    def __init__(
        self, archive: Archive, people: People, desks: Desks, make: Callable[[str, str, Conversation], Room]
    ) -> None:
        self._archive = archive
        self._people = people
        self._desks = desks
        self._make = make
        self._rooms: OrderedDict[str, Room] = OrderedDict()
        self._vacant: OrderedDict[str, str] = OrderedDict()  # may begin anew, and who may; the latest

    def __iter__(self) -> Iterator[Room]:
        return iter(tuple(self._rooms.values()))

    def get(self, conversation: str) -> Room | None:
        """The room where it is in memory."""
        return self._rooms.get(conversation)

    def forget(self, conversation: str, visitor: str) -> None:
        """It was deleted. A page that still shows it, empty by now, may begin a new one in its place."""
        self._rooms.pop(conversation, None)
        self._vacate(conversation, visitor)

    async def claim(self, visitor: str, conversation: str) -> Room:
        """As ``find``, of the conversation that a page of theirs shows. One of which nothing is known at all hadn't
        begun when the console was started anew: it is theirs."""
        try:
            return await self.find(visitor, conversation)
        except NotFound:
            taken = conversation in self._rooms or conversation in self._vacant or self._desks.has_open(conversation)
            if taken or not is_id(conversation) or await asyncio.to_thread(self._archive.exists, conversation):
                raise
        self._vacate(conversation, visitor)
        return await self.find(visitor, conversation)

    def _vacate(self, conversation: str, visitor: str) -> None:
        self._vacant.setdefault(conversation, visitor)  # another may have been faster
        theirs = [one for one, who in self._vacant.items() if who == visitor]
        for one in theirs[:-MOST_VACANT_EACH]:
            del self._vacant[one]
        while len(self._vacant) > MOST_VACANT:
            self._vacant.popitem(last=False)

    async def find(self, visitor: str, conversation: str = "") -> Room:
        """The conversation of that id, "" = the one that the visitor's browser has open, which may not have begun.

        NotFound where it isn't theirs, or isn't there.
        """
        desk = self._desks.of(visitor)
        wanted = conversation or desk.open
        room = self._rooms.get(wanted)
        if room is None:
            try:
                room = await self._stored(visitor, wanted)
            except NotFound:
                if wanted != desk.open and self._vacant.get(wanted) not in self._people.circle(visitor):
                    raise
                room = self._make(wanted, visitor, Conversation(sampling=desk.sampling))
            room = self._rooms.setdefault(wanted, room)  # another request may have been faster
        if room.visitor not in self._people.circle(visitor):
            raise gone()
        with suppress(KeyError):  # deleted meanwhile
            self._rooms.move_to_end(wanted)
        self._forget_idle(room)
        return room

    def check_free(self, room: Room) -> None:
        """Something new may begin in it. Conflict where an answer is under way, or too many elsewhere; NotFound where
        it was deleted."""
        if room.deleted:
            raise gone()
        if room.active:
            raise Conflict(Message("chat.error.busy"))
        busy = sum(other.active for other in self if other.visitor == room.visitor)
        if busy >= MOST_AT_ONCE:
            raise Conflict(Message("chat.error.busy_elsewhere", {"count": busy}))

    async def _stored(self, visitor: str, conversation: str) -> Room:
        entry = await asyncio.to_thread(self._archive.entry, conversation, self._people.circle(visitor))
        stored = await asyncio.to_thread(self._archive.value, entry.id)
        try:
            value = await asyncio.to_thread(from_json, stored if isinstance(stored, Mapping) else {})
        except ValueError:
            log.warning("the stored conversation %s can't be read", entry.id)
            raise unreadable(entry) from None
        return self._make(entry.id, entry.visitor, value)

    def _forget_idle(self, wanted: Room) -> None:
        """Only so many conversations stay in memory, the latest; where all are busy there are more for a while."""
        characters = sum(room.characters for room in self._rooms.values())
        for key, room in tuple(self._rooms.items()):
            if len(self._rooms) <= REMEMBERED and characters <= REMEMBERED_CHARACTERS:
                return
            if room is not wanted and room.idle:
                characters -= room.characters
                del self._rooms[key]
