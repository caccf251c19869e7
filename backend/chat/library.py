"""What can be done with conversations as a whole: listed, found, renamed, pinned, deleted, kept as files, taken from
files. For one event loop, save ``revision``."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakValueDictionary

from backend.chat.archive import PAGE, Archive, Entry
from backend.chat.conversation import Conversation, Picture, to_json
from backend.chat.desks import new_id
from backend.chat.export import Exported, exported
from backend.chat.imports import Found, read_file
from backend.chat.keeping import Keeping
from backend.chat.pictures import Pictures
from backend.chat.quota import Quota
from backend.chat.rooms import Rooms
from backend.chat.session import Room
from backend.classroom.people import People
from backend.disk import is_full
from backend.errors import ConsoleError, InvalidInput, Message, Unavailable

SWEEP_S = 3600.0
MOST_KEPT = 20_000  # conversations of one visitor

log = logging.getLogger(__name__)


class Library:
    """Every method takes the visitor, and touches conversations alone that are theirs (People.circle)."""

    def __init__(
        self,
        archive: Archive,
        rooms: Rooms,
        people: People,
        pictures: Pictures,
        keeping: Keeping,
        end: Callable[[Room], Awaitable[None]],
    ) -> None:
        """``end`` ends what is being written in a conversation."""
        self._archive = archive
        self._rooms = rooms
        self._people = people
        self._pictures = pictures
        self._end = end
        self.keeping = keeping
        self.quota = Quota(archive, pictures, people.is_operator)
        # Told, in a thread, whose conversations were deleted: other places may hold what was sent in them.
        self.on_deleted: Callable[[frozenset[str]], None] = lambda visitors: None
        self._revisions: dict[str, int] = {}
        self._searchers = ThreadPoolExecutor(2, "search")
        self._searches = WeakValueDictionary[str, asyncio.Lock]()  # by the visitor who searches
        self._began = time.time_ns()

    # -- the list --------------------------------------------------------------------------------------------------

    def revision(self, visitor: str) -> str:
        """Another one after every change of the visitor's list. From any thread, at no cost."""
        return f"{self._began:x}-{self._revisions.get(self._people.name(visitor), 0)}"

    def changed(self, visitor: str) -> None:
        """That visitor's list isn't what it was."""
        name = self._people.name(visitor)
        self._revisions[name] = self._revisions.get(name, 0) + 1

    async def listed(
        self, visitor: str, query: str = "", skip: int = 0, limit: int = PAGE
    ) -> tuple[tuple[Entry, ...], int]:
        """A part of the visitor's list or of what is found in it, and how many there are.

        A visitor's searches take turns, in threads of their own: nobody's list waits for them.
        """
        circle = self._people.circle(visitor)
        if not query.strip():
            return await asyncio.to_thread(self._archive.listed, circle, "", skip, limit)
        turn = self._searches.setdefault(visitor, asyncio.Lock())
        async with turn:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._searchers, self._archive.listed, circle, query, skip, limit)

    def under_way(self, conversation: str) -> bool:
        """Whether an answer is being written in it."""
        room = self._rooms.get(conversation)
        return room is not None and room.active

    def version(self, conversation: str) -> int:
        """Grows whenever it changes; 0 where it isn't in memory."""
        room = self._rooms.get(conversation)
        return room.version if room is not None else 0

    async def rename(self, visitor: str, conversation: str, name: str) -> str:
        """Give it a name, "" = its first question's; returns it."""
        entry = await self._entry(visitor, conversation)
        title = await asyncio.to_thread(self._archive.rename, entry, name)
        self.changed(entry.visitor)
        return title

    async def pin(self, visitor: str, conversation: str, pinned: bool) -> None:
        """To the top of the list, or back."""
        entry = await self._entry(visitor, conversation)
        await asyncio.to_thread(self._archive.pin, entry, pinned)
        self.changed(entry.visitor)

    async def _entry(self, visitor: str, conversation: str) -> Entry:
        return await asyncio.to_thread(self._archive.entry, conversation, self._people.circle(visitor))

    # -- deleting --------------------------------------------------------------------------------------------------

    async def delete(self, visitor: str, conversation: str) -> None:
        """Remove it with its pictures; what is being written in it ends. Raises Unavailable: then it is still there."""
        entry = await self._entry(visitor, conversation)
        await self._delete((entry.id,))

    async def delete_all(self, visitor: str) -> int:
        """Remove all of the visitor's; how many there were."""
        ids = await asyncio.to_thread(self._archive.ids, self._people.circle(visitor))
        await self._delete(ids)
        return len(ids)

    async def sweep(self) -> int:
        """Remove the class's conversations that nobody has changed for as long as they are kept; how many."""
        if self.keeping.days is None:
            return 0
        ids = await asyncio.to_thread(self._archive.older, self._people.guests(), self.keeping.days * 86400.0)
        ids = tuple(found for found in ids if not self.under_way(found))
        await self._delete(ids)
        return len(ids)

    async def keep_sweeping(self) -> None:
        """Until it is cancelled: now and every hour."""
        while True:
            try:
                await self.sweep()
            except ConsoleError as error:  # a full disk: later
                log.warning("conversations of the class can't be removed: %s", error)
            await asyncio.sleep(SWEEP_S)

    async def _delete(self, ids: Sequence[str]) -> None:
        if not ids:
            return
        rooms = [room for found in ids if (room := self._rooms.get(found)) is not None]
        for room in rooms:
            await self._end(room)
            await room.delete()
        try:
            removed = await asyncio.to_thread(self._remove, ids)
        except ConsoleError:
            for room in rooms:
                room.deleted = False
            raise
        for found, visitor in removed:
            self._rooms.forget(found, visitor)
        for room in rooms:
            room.conversation = Conversation(sampling=room.conversation.sampling)
            room.bump()
        for visitor in {visitor for _, visitor in removed}:
            self.changed(visitor)

    def _remove(self, ids: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Those that were there, each with its visitor. In a thread."""
        found = self._archive.owners(ids)
        self._archive.delete(ids)
        for _, visitor, pictures in found:
            self._take_back(visitor, pictures)
        self.on_deleted(frozenset(visitor for _, visitor, _ in found))
        return tuple((conversation, visitor) for conversation, visitor, _ in found)

    # -- files -----------------------------------------------------------------------------------------------------

    async def export(self, visitor: str, conversation: str, form: str) -> Exported:
        """One as a file, or all of them ("") as one file. Raises InvalidInput for an unknown form, NotFound."""
        circle = self._people.circle(visitor)
        if conversation:
            ids: Sequence[str] = (conversation,)
        else:
            ids = await asyncio.to_thread(self._archive.ids, circle)
        return await asyncio.to_thread(self._exported, visitor, ids, form, not conversation)

    def _exported(self, visitor: str, ids: Sequence[str], form: str, several: bool) -> Exported:
        circle = self._people.circle(visitor)
        whole = [(self._archive.entry(found, circle), self._archive.value(found) or {}) for found in ids]
        return exported(whole, form, several, lambda owner, picture: self._pictures.data_url(owner, picture))

    async def take(self, visitor: str, data: bytes, name: str) -> tuple[tuple[str, ...], tuple[Message, ...]]:
        """Take the conversations of a file in; their ids, and what of it couldn't be taken. Raises InvalidInput where
        there is none in it or it doesn't fit, Unavailable where they can't be stored: then none of them is."""
        found = await asyncio.to_thread(read_file, data, name)
        _, total = await self.listed(visitor, limit=0)
        if total + len(found.conversations) > MOST_KEPT:
            counts = {"count": len(found.conversations), "total": total, "most": MOST_KEPT}
            raise InvalidInput(Message("chat.import.many", counts))
        ids, notes = await asyncio.to_thread(self._take, visitor, found)
        self.changed(visitor)
        return ids, (*found.notes, *notes)

    def _take(self, visitor: str, found: Found) -> tuple[tuple[str, ...], tuple[Message, ...]]:
        new, notes, pictures = list[tuple[str, Mapping[str, Any], str]](), list[Message](), set[str]()
        try:
            for one in found.conversations:
                conversation = one.conversation
                for placeholder, picture in one.pictures.items():
                    kept: Picture | None = None
                    try:
                        kept, told = self._pictures.keep_bytes(visitor, picture.data, picture.name)
                        pictures.add(kept.id)
                    except InvalidInput as error:
                        told = error.messages
                    notes += [message for message in told if message not in notes]
                    conversation = conversation.with_picture(placeholder, kept)
                new.append((new_id(), to_json(conversation), one.title))
            with self.quota.room_for(visitor) as fits:
                self._archive.add(visitor, new, fits)
        except OSError as error:
            self._take_back(visitor, pictures)
            raise cannot_keep(error) from error
        except ConsoleError:
            self._take_back(visitor, pictures)
            raise
        return tuple(conversation_id for conversation_id, _, _ in new), tuple(notes)

    def _take_back(self, visitor: str, pictures: Iterable[str]) -> None:
        """Pictures that nothing shows."""
        shown = self._shown()
        for picture in pictures:
            if (visitor, picture) not in shown:
                self._pictures.remove(visitor, picture)

    def _shown(self) -> frozenset[tuple[str, str]]:
        """All pictures in all conversations, as (visitor, picture's id)."""
        in_memory = (
            (room.visitor, name) for room in self._rooms if not room.deleted for name in room.conversation.pictures
        )
        return self._archive.pictures() | frozenset(in_memory)


def cannot_keep(error: OSError) -> Unavailable:
    """Pictures can't be written: where the disk is full, that is said."""
    key = "chat.import.full" if is_full(error) else "chat.import.unwritable"
    return Unavailable(Message(key, {"error": error.strerror or str(error)}))
