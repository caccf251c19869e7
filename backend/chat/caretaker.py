"""What happens to conversations by itself: they are saved, and what nobody waits for is ended."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from backend.chat.archive import KIND, Archive
from backend.chat.session import Room
from backend.classroom.people import People
from backend.errors import ConsoleError, Message
from backend.store import Store

STOP_S = 5.0
KEPT_LOOK_S = 2.0


class Caretaker:
    """For one event loop. ``is_here``: whether a page of that visitor is open."""

    def __init__(self, archive: Archive, store: Store, people: People, is_here: Callable[[str], bool]) -> None:
        self._archive = archive
        self._store = store
        self._people = people
        self._is_here = is_here
        self._background: set[asyncio.Task[None]] = set()  # tasks that nobody waits for

    def in_background(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A task that nobody waits for; the event loop alone wouldn't keep it alive."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def close(self) -> None:
        """End those tasks."""
        for task in tuple(self._background):
            task.cancel()

    async def save(self, room: Room) -> None:
        """Write it to the archive; where that can't be done, it is said for as long as it is so."""
        try:
            await room.save(self._archive)
        except ConsoleError as error:  # a full disk: the chat goes on, and says that it isn't kept
            if room.problem is None:
                self.in_background(self._until_kept(room))
            room.problem = error.messages[0]
            room.bump()

    async def _until_kept(self, room: Room) -> None:
        """It is said for as long as it is so."""
        while room.problem is not None:
            await asyncio.sleep(KEPT_LOOK_S)
            if room.id not in self._store.waiting(KIND):
                room.problem = None
                room.bump()

    async def stop(self, room: Room) -> None:
        """End the answers under way, as a person wants it; what was written stays."""
        await self.end(room, Message("chat.end.stopped", level="info"))

    async def end(self, room: Room, why: Message) -> None:
        """End the answers under way, and wait for that."""
        tasks = [task for task in room.tasks if not task.done()]
        room.why_ended = why
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)

    def abandoned(self, room: Room) -> None:
        """No page watches any more: the answers are ended, unless the visitor only looks at another conversation, or
        they take long."""
        if (room.unattended and room.active) or any(map(self._is_here, self._people.circle(room.visitor))):
            room.expect_watcher()
            return
        room.why_ended = Message("chat.end.left", level="warning")
        for task in room.tasks:
            task.cancel()
