"""What takes long to make."""

import asyncio
import threading

import pytest

from ui.web.made_once import MadeOnce


async def test_who_goes_away_spoils_nothing_and_a_failure_is_tried_anew() -> None:
    made, begun, go, count = MadeOnce[int](2), threading.Event(), threading.Event(), 0

    def make() -> int:
        nonlocal count
        count += 1
        begun.set()
        assert go.wait(30)
        if count == 1:
            raise ValueError
        return count

    first, second = (asyncio.ensure_future(made.get("a", make)) for _ in range(2))
    await asyncio.to_thread(begun.wait, 30)
    first.cancel()
    go.set()
    with pytest.raises(ValueError):
        await second
    assert [await made.get("a", make) for _ in range(3)] == [2, 2, 2]


async def test_those_asked_for_last_are_kept() -> None:
    made, asked = MadeOnce[str](2), list[str]()

    def make_of(key: str) -> str:
        asked.append(key)
        return key

    for key in "ababcab":
        assert await made.get(key, lambda key=key: make_of(key)) == key  # type: ignore[misc]
    assert "".join(asked) == "abcab"
