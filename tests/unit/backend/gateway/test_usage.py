"""Counting and limiting."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.errors import Message
from backend.gateway import usage
from backend.gateway.errors import Refusal
from backend.gateway.keys import Grant, Limits
from backend.gateway.usage import Bodies, Meter
from backend.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


def grant(name: str = "a", **limits: int) -> Grant:
    return Grant(name, name, "key", Limits(**limits))  # type: ignore[arg-type]  # numbers alone


def refusal(meter: Meter, asked: Grant) -> Refusal:
    with pytest.raises(Refusal) as refused:
        meter.begin(asked)
    assert refused.value.status == 429
    assert refused.value.retry_after_s
    return refused.value


def test_requests_a_minute(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    meter, mine = Meter(store), grant(requests_a_minute=2)
    for _ in range(2):
        meter.begin(mine)
        meter.end(mine, 1)
    assert refusal(meter, mine).message.key == "gateway.limit-minute"
    meter.begin(grant("b", requests_a_minute=2))  # others aren't held up
    clock[0] += 60.5
    meter.begin(mine)


def test_minutes_are_counted_where_they_are_limited(store: Store) -> None:
    meter = Meter(store)
    for number in range(100):
        meter.begin(grant(f"class-{number}"))
        meter.end(grant(f"class-{number}"), 1)
    meter.begin(grant("limited", requests_a_minute=5))
    assert list(meter._recent) == ["limited"]
    meter.forget("limited")
    assert not meter._recent


def test_tokens_a_day_survive_a_restart_and_end_at_midnight(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    meter, mine = Meter(store), grant(tokens_a_day=10)
    meter.begin(mine)
    meter.end(mine, 12)
    meter.save()
    meter = Meter(store)
    assert meter.of("a").tokens == 12
    assert refusal(meter, mine).message.key == "gateway.limit-day"
    monkeypatch.setattr(time, "strftime", lambda form: "2099-01-01")
    meter.begin(mine)
    assert (meter.of("a").tokens_today, meter.of("a").tokens) == (0, 12)


def test_requests_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "AT_ONCE_EACH", 2)
    monkeypatch.setattr(usage, "AT_ONCE", 3)
    meter, mine, other = Meter(store), grant("a"), grant("b")
    meter.begin(mine)
    meter.begin(mine)
    refusal(meter, mine)
    meter.begin(other)
    refusal(meter, other)
    meter.end(mine, 0)
    meter.begin(other)
    assert meter.open_requests() == 3


def test_others_never_shut_the_operator_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "AT_ONCE_EACH", 2)
    monkeypatch.setattr(usage, "AT_ONCE", 3)
    meter, operator = Meter(store), Grant("operator", "operator", "operator")
    for name in ("a", "a", "b"):
        meter.begin(grant(name))
    assert refusal(meter, grant("a")).message.key == "gateway.limit-at-once"
    assert refusal(meter, grant("c")).message == Message("gateway.limit-all", {"most": 3})
    meter.begin(operator)
    meter.begin(operator)
    assert refusal(meter, operator).message.key == "gateway.limit-at-once"
    monkeypatch.setattr(usage, "AT_ONCE_EACH", 9)
    monkeypatch.setattr(usage, "AT_ONCE_OPERATOR", 2)
    assert refusal(meter, operator).message == Message("gateway.limit-all", {"most": 5})


def test_bodies_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "BODIES_EACH", 10)
    monkeypatch.setattr(usage, "BODIES", 15)
    bodies, mine, other = Bodies(), grant("a"), grant("b")
    with bodies.of(mine) as first, bodies.of(mine) as second, bodies.of(other) as third:
        first(6)
        with pytest.raises(Refusal) as refused:
            second(5)  # a key's own share
        assert (refused.value.status, refused.value.message.key) == (429, "gateway.limit-bodies")
        second(4)
        third(5)
        with pytest.raises(Refusal):
            third(1)  # everybody's together
    with bodies.of(mine) as again:
        again(10)  # all of it was given back, what was refused, too
