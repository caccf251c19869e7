"""Weeks of memory and servers: thinned with age, bounded, through restarts and a clock that jumps."""

from pathlib import Path
from typing import Any

import pytest

from backend.lab.history import DAY, SPANS, History
from backend.machine.host import HostReading
from backend.machine.nvml import GpuReading
from backend.memory.readings import CacheUse, GpuSample, Owner, Reading, Sample
from backend.store import Store

GIB = 1024**3
HOST = HostReading(16 * GIB, 4 * GIB, limited=False)


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Any:
    made = Store(tmp_path)
    yield made
    made.close()


def tell(history: History, used: int, speed: float | None = 100.0) -> None:
    gpu = GpuSample(GpuReading("0", "u", "Card", 24 * GIB, used, 0, power_watts=100.0), {"s": used}, 0)
    sample = Sample(1, 0.0, HOST, (gpu,), {}, {"s": CacheUse(0.25, 2, 1, speed, ttft_s=0.05)})
    history.listen(Reading(0.0, HOST, owners=(Owner("s", "demo", "server", "running"),)), sample)


def test_a_row_has_the_peak_and_the_mean(store: Store) -> None:
    clock = Clock()
    history = History(store, clock)
    for used, speed in ((5 * GIB, 100.0), (9 * GIB, 300.0), (2 * GIB, None)):
        tell(history, used, speed)
        clock.now += 2
    history.close()
    store.settle()
    step, rows = history.since(3600)
    assert step == 10
    assert [value for _, value in rows] == [
        {
            "host": 4 * GIB, "gpus": {"0": [9 * GIB, 100.0]}, "shares": {"s": 9 * GIB},
            "servers": {"s": [250, 2, 1, 200.0, 50.0]}, "names": {"s": "demo"},
        }
    ]  # fmt: skip


def test_it_thins_with_age_and_stays_small(store: Store) -> None:
    clock = Clock()
    history = History(store, clock, {10: 600.0, 60: 6000.0, 600: 60_000.0})
    for _ in range(900):
        tell(history, GIB)
        clock.now += 10
    history.close()
    store.settle()
    counts = dict(store.rows("SELECT step, COUNT(*) FROM lab_history GROUP BY step"))
    assert 60 <= counts[10] <= 120
    assert 100 <= counts[60] <= 160
    assert counts[600] == 16
    assert (history.since(300)[0], history.since(3000)[0]) == (10, 60)
    step, all_of_it = history.since(60_000)
    assert (step, len(all_of_it)) == (600, 16)
    assert all(span / step <= 10_080 for step, span in SPANS.items())


def test_a_clock_that_jumps_spoils_nothing(store: Store) -> None:
    clock = Clock()
    history = History(store, clock)
    tell(history, GIB)
    clock.now += 40 * DAY
    tell(history, 2 * GIB)
    clock.now -= 40 * DAY - 30
    tell(history, 3 * GIB)
    history.close()
    store.settle()
    assert [value["host"] for _, value in history.since(3600)[1]] == [4 * GIB, 4 * GIB]
