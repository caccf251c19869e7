"""What a visitor of a class may use: windows that move, what outlives a restart, and for whom nothing holds."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.classroom.limits import Allowances, ClassLimits, LimitReached, Used
from backend.store import Store

LI, TEACHER = "a" * 32, "b" * 32


class World:
    def __init__(self, store: Store) -> None:
        self.store, self.now = store, 1_000_000.0
        self.allowances = self.again()

    def again(self) -> Allowances:
        self.allowances = Allowances(self.store, lambda visitor: visitor == TEACHER, lambda: self.now)
        return self.allowances

    def refused(self, requests: int = 1, pictures: int = 0) -> tuple[str, float]:
        """The message's key, and after how many seconds it is allowed again."""
        before = self.allowances.used()
        with pytest.raises(LimitReached) as reached:
            self.allowances.begin(LI, requests, pictures)
        assert self.allowances.used() == before  # nothing is counted that was refused
        return reached.value.messages[0].key.removeprefix("classroom.limit."), reached.value.wait_s


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = Store(tmp_path)
    yield World(store)
    store.close()


def test_requests_a_minute_move_with_the_time(world: World) -> None:
    world.allowances.set_limits(ClassLimits(requests_a_minute=3))
    for _ in range(3):
        world.allowances.begin(LI)
        world.now += 10
    assert world.refused() == ("requests_a_minute", 30.0)  # the first was 30 s ago
    world.now += 30
    world.allowances.begin(LI)
    assert world.refused() == ("requests_a_minute", 10.0)
    assert world.refused(requests=2) == ("requests_a_minute", 20.0)
    assert world.refused(requests=4) == ("requests_a_minute.never", math.inf)


def test_tokens_and_pictures_an_hour(world: World) -> None:
    world.allowances.set_limits(ClassLimits(None, 1000, 4, 5))
    world.allowances.begin(LI, pictures=3)
    world.allowances.spent(LI, 700)
    world.now += 600
    assert world.refused(pictures=3) == ("pictures_an_hour", 3000.0)
    assert world.refused(pictures=5) == ("pictures_a_question", math.inf)
    world.allowances.begin(LI, pictures=2)
    world.allowances.spent(LI, 600)  # what an answer takes isn't known before: the next question is refused
    assert world.refused() == ("tokens_an_hour", 3000.0)
    world.now += 3000
    world.allowances.begin(LI)
    assert world.allowances.used() == {LI: Used(1, 600, 2)}


def test_limits_and_what_was_used_outlive_the_console(world: World) -> None:
    limits = ClassLimits(2, 500, None, 7)
    world.allowances.set_limits(limits)
    world.allowances.begin(LI, pictures=1)
    world.allowances.spent(LI, 500)
    world.again()
    assert world.allowances.limits == limits
    assert world.refused()[0] == "tokens_an_hour"
    world.now += 3601
    assert world.again().used() == {}
    assert world.store.all("class_used") == {}  # nothing stays of who asked yesterday


def test_nothing_holds_for_the_operator(world: World) -> None:
    world.allowances.set_limits(ClassLimits(1, 1, 1, 1))
    for _ in range(3):
        world.allowances.check(TEACHER, 5, 9)
        world.allowances.begin(TEACHER, 5, 9)
        world.allowances.spent(TEACHER, 10**6)
    assert world.allowances.used() == {}


def test_a_clock_that_is_set_back_locks_nobody_out(world: World) -> None:
    world.allowances.set_limits(ClassLimits(requests_a_minute=1))
    world.allowances.begin(LI)
    world.now -= 86400
    world.allowances.begin(LI)


@pytest.mark.parametrize(
    "stored", [[], "x", {"requests_a_minute": "7"}, {"tokens_an_hour": -1, "requests_a_minute": 5}]
)
def test_limits_that_cannot_be_read_are_as_they_begin(world: World, stored: object) -> None:
    world.store.put_json("setting", "class_limits", stored)
    world.store.put_json("class_used", LI, {"requests": "many"})
    limits = world.again().limits
    assert limits.tokens_an_hour is None
    assert limits.requests_a_minute in (60, 5)


def test_many_visitors_are_forgotten_once_they_have_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.classroom.limits.FORGET_ABOVE", 3)
    for number in range(3):
        world.allowances.begin(f"{number}")
    world.now += 3601
    world.allowances.begin("new")
    assert set(world.allowances.used()) == {"new"}
    assert set(world.store.all("class_used")) == {"new"}
