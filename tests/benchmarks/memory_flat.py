"""What answers and days leave in memory: flat (± 20 MB) over 5,000 answers and over 24 hours of sampling.

The answers are asked by 20 visitors, some at a time, of a scripted server, through the page's own handlers and stream;
each conversation has ten turns and is left for a new one. The hours are simulated: a reading a second of five servers,
their metrics and a job, servers that end and come anew each ten minutes, with the history that listens.

    python -m tests.benchmarks.memory_flat [answers] [hours]
"""

import gc
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from backend.engines.base import ServeConfig
from backend.lab.history import History
from backend.machine.host import HostReading
from backend.machine.nvml import GpuReading
from backend.memory.load_log import LoadFacts
from backend.memory.readings import CacheUse, Event, Owner, Reading
from backend.memory.sampler import Sampler
from backend.store import Store
from backend.units import GIB
from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.scripted_server import Scripted

LIMIT_MB = 20.0
VISITORS, AT_ONCE, TURNS = 20, 4, 10
ANSWERS_WARM_UP = 500
HOURS_WARM_UP = 2  # an hour is kept at full rate
HOUR_S = 3600
TEXT = "The fox found a watermelon . 狐狸 滚 🍉 home ok . " * 8


class Hours:
    """A source of readings without a machine: everything in it is new at each reading, as it would be."""

    def __init__(self) -> None:
        self.now = 0.0

    def facts(self, server: str) -> LoadFacts:
        return LoadFacts()

    def read(self) -> Reading:
        at, turn = int(self.now), int(self.now) // 600
        owners = tuple(Owner(f"s{turn}-{n}", f"internlm2-chat {n}", "server", "running", ("0",)) for n in range(5))
        uses = {
            owner.id: CacheUse(at % 100 / 100, at % 7, at % 3, float(at % 90), 4 * GIB, at % 50 / 100)
            for owner in owners
        }
        events = [Event(self.now, "vram.event.running", owner.id, owner.name) for owner in owners]
        gpu = GpuReading(
            id="0", uuid="GPU-0", name="NVIDIA H100", total_bytes=80 * GIB, used_bytes=(at % 70) * GIB,
            power_watts=float(at % 300),
        )  # fmt: skip
        return Reading(
            at=self.now,
            host=HostReading(64 * GIB, (at % 60) * GIB, limited=False),
            gpus=(gpu,),
            owners=owners,
            resident={owner.id: at * 1000 for owner in owners},
            caches=uses,
            events=tuple(events) if at % 600 == 0 else (),
        )


def ask(visitor: Visitor, server: str, turns: int) -> None:
    """A conversation of so many answers, then an empty one."""
    for _ in range(turns):
        lines = list(visitor.ask(server, "Hi", temperature=0.0))
        assert lines, "no answer came"
    *_, left = visitor.call("chat_clear", [])
    assert left["success"], left


def answers(count: int) -> float:
    """How much the console's memory grew, in MB; prints it as it goes."""
    with tempfile.TemporaryDirectory() as folder:
        console, child = Console(Path(folder) / "state").ready(), Scripted()
        try:
            child.script(text=TEXT, rate=0.0)
            visitors = [Visitor(console) for _ in range(VISITORS)]
            server = visitors[0].start(ServeConfig("external", "", address=child.address))
            visitors[0].ready(server, 30)
            process, begun, held, done = psutil.Process(console.process.pid), time.monotonic(), list[float](), 0
            with ThreadPoolExecutor(AT_ONCE) as pool:
                while done < count:
                    list(pool.map(lambda visitor: ask(visitor, server, TURNS), visitors))
                    done += VISITORS * TURNS
                    child.script(text=TEXT, rate=0.0)  # it remembers what it was asked
                    held += report(
                        process, f"{done} answers, {time.monotonic() - begun:.0f} s", done >= ANSWERS_WARM_UP
                    )
            for visitor in visitors:
                visitor.client.close()
        finally:
            console.close()
            child.close()
    return grown(held)


def hours(count: int) -> float:
    """How much this process's memory grew, in MB; prints it as it goes."""
    with tempfile.TemporaryDirectory() as folder:
        source, held = Hours(), list[float]()
        store = Store(Path(folder))
        history = History(store, wall=lambda: 1.8e9 + source.now)
        sampler = Sampler(source, clock=lambda: source.now, wall=lambda: 1.8e9 + source.now)
        sampler.add_listener(history.listen)
        for hour in range(1, count + 1):
            for _ in range(HOUR_S):
                source.now += 1.0
                sampler.sample_once()
            gc.collect()
            held += report(psutil.Process(), f"{hour} hours", hour >= HOURS_WARM_UP)
        history.close()
        store.close()
    return grown(held)


def report(process: psutil.Process, what: str, counts: bool) -> list[float]:
    """Prints the memory in MB, and gives it where it counts."""
    mb = process.memory_info().rss / 1e6
    print(f"{what}: {mb:.0f} MB", flush=True)
    return [mb] if counts else []


def grown(held: Sequence[float]) -> float:
    return max(held, default=0.0) - held[0] if held else 0.0


def main() -> int:
    """Prints both; 1 where one grew by more than the limit."""
    by_answers = answers(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
    by_hours = hours(int(sys.argv[2]) if len(sys.argv) > 2 else 24)
    print(f"grown by {by_answers:.1f} MB in answers, by {by_hours:.1f} MB in hours (limit {LIMIT_MB:.0f})")
    return int(max(by_answers, by_hours) > LIMIT_MB)


if __name__ == "__main__":
    raise SystemExit(main())
