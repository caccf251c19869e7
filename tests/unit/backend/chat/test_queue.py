"""Whose turn it is."""

import asyncio
from collections import defaultdict

from backend.chat.queue import Line, Seat, Turns


def test_one_at_a_time_in_the_order_of_asking() -> None:
    line = Line(1).joined(1).joined(2).joined(3)
    assert [line.place(ticket) for ticket in (1, 2, 3)] == [0, 1, 2]
    line = line.left(1)
    assert [line.place(ticket) for ticket in (2, 3)] == [0, 1]
    line = line.joined(4).left(3)
    assert [line.place(ticket) for ticket in (2, 4)] == [0, 1]
    assert line.left(4).left(2) == Line(1)


def test_several_at_once_and_without_a_limit() -> None:
    line = Line(2).joined(1).joined(2).joined(3)
    assert (line.serving, line.waiting) == ((1, 2), (3,))
    free = Line(None)
    for ticket in range(100):
        free = free.joined(ticket)
    assert not free.waiting


async def test_thirty_people_each_get_their_turn() -> None:
    turns, order, serving, most = Turns(), [], 0, 0

    async def student(number: int) -> None:
        nonlocal serving, most
        async with turns.turn("server", 1) as ticket:
            while ticket.place:
                ticket.changed.clear()
                await ticket.changed.wait()
            serving += 1
            most = max(most, serving)
            order.append(number)
            await asyncio.sleep(0)
            serving -= 1

    async with asyncio.timeout(10):
        await asyncio.gather(*(student(number) for number in range(30)))
    assert order == list(range(30))
    assert most == 1


async def test_who_gives_up_makes_room_and_servers_have_lines_of_their_own() -> None:
    turns = Turns()
    async with turns.turn("a", 1) as first, turns.turn("b", 1) as elsewhere:
        assert (first.place, elsewhere.place) == (0, 0)
        waiting = asyncio.Event()

        async def wait() -> None:
            async with turns.turn("a", 1):
                waiting.set()
                await asyncio.Event().wait()

        impatient = asyncio.create_task(wait())
        await waiting.wait()
        async with turns.turn("a", 1) as last:
            assert (last.place, last.length) == (2, 2)
            last.changed.clear()
            impatient.cancel()
            await last.changed.wait()
            assert (last.place, last.length) == (1, 1)
    assert not turns._lines


async def test_a_seat_is_left_while_a_person_is_asked() -> None:
    turns = Turns()
    places: list[tuple[str, tuple[int, int] | None]] = []
    told: defaultdict[tuple[str, tuple[int, int] | None], asyncio.Event] = defaultdict(asyncio.Event)

    def moved(name: str, place: tuple[int, int] | None) -> None:
        places.append((name, place))
        told[name, place].set()

    first = Seat(turns, "s", 1, lambda place: moved("first", place))
    second = Seat(turns, "s", 1, lambda place: moved("second", place))
    await first.take()
    waiting = asyncio.ensure_future(second.take())
    async with asyncio.timeout(10):
        await told["second", (1, 1)].wait()
        await first.leave()  # a person types a result
        await waiting
        again = asyncio.ensure_future(first.take())
        await told["first", (1, 1)].wait()
        await second.leave()
        await again
    await first.leave()
    await first.leave()  # held no more: nothing happens
    assert places == [("first", None), ("second", (1, 1)), ("second", None), ("first", (1, 1)), ("first", None)]
