"""The ring buffer, with a source and clocks that go as they are told."""

from dataclasses import replace
from itertools import pairwise

import pytest

from backend.machine.host import HostReading
from backend.machine.nvml import GpuReading
from backend.memory.load_log import LoadFacts
from backend.memory.readings import Event, Owner, Reading, Sample
from backend.memory.sampler import HOUR, MAX_INTERVAL, MIN_INTERVAL, Sampler
from tests.support.waiting import wait_for

GIB = 1024**3
HOST = HostReading(16 * GIB, 4 * GIB, limited=False)


class Script:
    """A source: every reading is ``step`` seconds after the one before."""

    def __init__(self, step: float = 1.0) -> None:
        self.now = 1000.0
        self.step = step
        self.reading = Reading(0, HOST)
        self.error: Exception | None = None

    def read(self) -> Reading:
        self.now += self.step
        if self.error is not None:
            raise self.error
        return replace(self.reading, at=self.now)

    def facts(self, server: str) -> LoadFacts:
        return LoadFacts()

    def clock(self) -> float:
        return self.now


def sampler_of(script: Script, wall: float = 0.0) -> Sampler:
    return Sampler(script, clock=script.clock, wall=lambda: script.now + wall)


def with_used(script: Script, used: int) -> None:
    script.reading = replace(script.reading, gpus=(GpuReading("0", "u", "card", 24 * GIB, used, 24 * GIB - used),))


def test_an_hour_at_full_rate_and_a_day_at_one_a_minute() -> None:
    script = Script(step=10)
    sampler = sampler_of(script)
    for _ in range(9000):  # 25 hours and more
        sampler.sample_once()
    hour = sampler.since(0, HOUR).samples
    day = sampler.since(0, 86400).samples
    assert len(hour) == 361
    assert len(day) == 1440
    assert {round(b.at - a.at) for a, b in pairwise(day)} == {60}


def test_a_page_asks_for_what_came_since() -> None:
    script = Script()
    sampler = sampler_of(script)
    for _ in range(10):
        sampler.sample_once()
    batch = sampler.since(7, 300)
    assert [sample.number for sample in batch.samples] == [8, 9, 10]
    assert sampler.since(batch.upto, 300).samples == ()
    assert [sample.number for sample in sampler.since(0, 3).samples] == [7, 8, 9, 10]


def test_thinned_lines_keep_their_peaks_and_miss_nothing() -> None:
    script = Script()
    sampler = sampler_of(script)
    upto = 0
    seen: list[Sample] = []
    for number in range(1, 61):
        with_used(script, 20 * GIB if number == 33 else GIB)
        sampler.sample_once()
        batch = sampler.since(upto, HOUR, step=6)  # a page that polls at every sample
        upto = batch.upto
        seen += batch.samples
    assert [sample.number for sample in seen] == [s.number for s in sampler.since(0, HOUR, step=6).samples]
    assert {round(b.at // 6 - a.at // 6) for a, b in pairwise(seen)} == {1}
    assert 33 in [sample.number for sample in seen]


def test_a_clock_that_jumps_moves_no_sample() -> None:
    script = Script()
    jump = 0.0
    sampler = Sampler(script, clock=script.clock, wall=lambda: script.now + jump)
    first = sampler.sample_once()
    assert sampler.epoch_offset() == 0
    jump = -7200.0
    assert sampler.sample_once().at == first.at + 1
    assert sampler.epoch_offset() == -7200  # the page sees it, and draws everything anew


def test_events_and_marks_stand_in_order() -> None:
    script = Script()
    sampler = sampler_of(script)
    owner = Owner("s", "server", "server", "running", ("0",))
    script.reading = replace(script.reading, owners=(owner,))
    sampler.sample_once()
    sampler.mark_picture("s")
    sampler.mark_picture("s")  # only the first counts
    script.reading = replace(script.reading, events=(Event(script.now - 0.5, "vram.event.running", "s", "server"),))
    sampler.sample_once()
    assert [(event.key, event.name) for event in sampler.events()] == [
        ("vram.event.running", "server"),
        ("vram.event.picture", "server"),
    ]
    assert sampler.event_count == 2
    assert sampler.owner("s") == owner


def test_shares_are_inferred_where_processes_are_hidden() -> None:
    script = Script()
    sampler = sampler_of(script)
    with_used(script, GIB)
    script.reading = replace(script.reading, hidden=True)
    sampler.sample_once()
    with_used(script, 5 * GIB)
    script.reading = replace(script.reading, owners=(Owner("s", "s", "server", "running", ("0",)),))
    sample = sampler.sample_once()
    assert sample.gpus[0].shares == {"s": 4 * GIB}
    assert sample.gpus[0].inferred
    assert sampler.hidden


def test_the_interval_stays_within_its_limits() -> None:
    sampler = sampler_of(Script())
    assert sampler.set_interval(0.001) == MIN_INTERVAL
    assert sampler.set_interval(99) == MAX_INTERVAL
    assert sampler.interval == MAX_INTERVAL


def test_the_thread_goes_on_after_a_bad_reading(caplog: pytest.LogCaptureFixture) -> None:
    script = Script()
    script.error = RuntimeError("the driver fell over")
    sampler = sampler_of(script)
    sampler.set_interval(MIN_INTERVAL)
    sampler.start()
    try:
        wait_for("the bad reading", lambda: "the driver fell over" in caplog.text)
        assert sampler.latest() is None
        script.error = None
        assert wait_for("a good reading", sampler.latest).number >= 1
    finally:
        sampler.close()
