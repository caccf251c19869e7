"""What takes long to make, made in a thread, once for all who ask for it meanwhile; those asked for last are kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

Made = TypeVar("Made")


class MadeOnce(Generic[Made]):
    """For one event loop. ``most`` are kept."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Made] = OrderedDict()
        self._coming: dict[Hashable, asyncio.Task[Made]] = {}

    async def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """What was made for that key, or is now. What ``make`` raises is raised to all who wait, and tried anew."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        task = self._coming.get(key)
        if task is None:
            task = self._coming[key] = asyncio.get_running_loop().create_task(self._make(key, make))
        # Shielded: one who goes away ends only their own waiting.
        return await asyncio.shield(task)

    async def _make(self, key: Hashable, make: Callable[[], Made]) -> Made:
        try:
            made = await run_in_threadpool(make)
        finally:
            del self._coming[key]
        self._kept[key] = made
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return made
