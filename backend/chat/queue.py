"""Who is served next: one line per server, in the order of asking, each with its own limit.

A server that answers one request after another would let the others wait inside it, unseen. Here they wait in sight:
each knows its place. Someone who asks again goes to the end of the line, so that everyone gets a turn.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Line:
    """One server's line: tickets being served, and those that wait, first come first. ``at_once`` None = no limit."""

    at_once: int | None
    serving: tuple[int, ...] = ()
    waiting: tuple[int, ...] = ()

    def joined(self, ticket: int) -> "Line":
        """With the ticket at the end; served at once where there is room."""
        return replace(self, waiting=(*self.waiting, ticket))._moved_up()

    def left(self, ticket: int) -> "Line":
        """Without the ticket, whether it was served or waiting."""
        serving = tuple(t for t in self.serving if t != ticket)
        waiting = tuple(t for t in self.waiting if t != ticket)
        return replace(self, serving=serving, waiting=waiting)._moved_up()

    def place(self, ticket: int) -> int:
        """0 = being served, 1 = next, and so on."""
        return 0 if ticket in self.serving else self.waiting.index(ticket) + 1

    def _moved_up(self) -> "Line":
        room = len(self.waiting) if self.at_once is None else max(self.at_once - len(self.serving), 0)
        return replace(self, serving=(*self.serving, *self.waiting[:room]), waiting=self.waiting[room:])


@dataclass
class Ticket:
    """One request's place in a line. ``changed`` is set at every move."""

    number: int
    place: int = 0
    length: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Turns:
    """All lines. For one event loop."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._tickets: dict[int, Ticket] = {}
        self._next = 0

    @asynccontextmanager
    async def turn(self, server: str, at_once: int | None) -> AsyncIterator[Ticket]:
        """A place in the server's line; the turn has come when ``place`` is 0. Leaving the block gives it up."""
        self._next += 1
        ticket = self._tickets[self._next] = Ticket(self._next)
        line = self._lines.get(server) or Line(at_once)
        self._show(server, line.joined(ticket.number))
        try:
            yield ticket
        finally:
            self._show(server, self._lines[server].left(ticket.number))
            del self._tickets[ticket.number]

    def serving(self, server: str) -> int:
        """How many are being served there."""
        line = self._lines.get(server)
        return len(line.serving) if line else 0

    def _show(self, server: str, line: Line) -> None:
        self._lines[server] = line
        for number in (*line.serving, *line.waiting):
            ticket = self._tickets[number]
            place = line.place(number)
            if (place, len(line.waiting)) != (ticket.place, ticket.length):
                ticket.place, ticket.length = place, len(line.waiting)
                ticket.changed.set()
        if not line.serving and not line.waiting:
            del self._lines[server]


class Seat:
    """One answer's place with a server, which it may leave for a while: somebody is asked meanwhile. ``moved`` is told
    (place, length of the line) while it waits, then None."""

    def __init__(
        self, turns: Turns, server: str, at_once: int | None, moved: Callable[[tuple[int, int] | None], None]
    ) -> None:
        self._turns, self._server, self._at_once, self._moved = turns, server, at_once, moved
        self._held = AsyncExitStack()

    async def take(self) -> None:
        """Wait for the turn."""
        ticket = await self._held.enter_async_context(self._turns.turn(self._server, self._at_once))
        while ticket.place:
            self._moved((ticket.place, ticket.length))
            ticket.changed.clear()
            await ticket.changed.wait()
        self._moved(None)

    async def leave(self) -> None:
        """Let the next one in; nothing happens where it isn't held."""
        await self._held.aclose()
