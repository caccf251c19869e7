"""The Lab's parts, made once and wired to what they follow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.chat.conversation import Answer, Question
from backend.classroom.names import Names
from backend.classroom.people import People
from backend.lab.benchmark.compared import summary_of
from backend.lab.benchmark.manager import Benchmarks
from backend.lab.benchmark.record import Benchmark
from backend.lab.benchmark.tables import Tables
from backend.lab.history import History
from backend.lab.lessons.book import Lessons
from backend.lab.lessons.states import Facts
from backend.lab.recorder import Recorder
from backend.lab.runs import Runs
from backend.machine.machine import Machine
from backend.memory.sampler import Sampler
from backend.memory_plan.planner import Planner
from backend.models.catalog import Catalog
from backend.processes.supervisor import Supervisor
from backend.quantization.manager import JobManager
from backend.servers.manager import ServerManager
from backend.settings import Settings
from backend.store import Store

DEMO_MODEL = Path(__file__).parents[2] / "assets" / "demo_model"


@dataclass(frozen=True)
class Lab:
    """What the Lab tab shows. Safe to call from any thread."""

    runs: Runs
    recorder: Recorder
    history: History
    benchmarks: Benchmarks
    tables: Tables
    lessons: Lessons

    def answered(self, visitor: str, server_id: str, answer: Answer, question: Question) -> None:
        """An answer in a chat is whole."""
        self.recorder.answered(server_id, answer.stats.ttft_ms, answer.stats.tokens_per_s)
        called = ("tool",) if any(step.calls for step in answer.rounds) else ()
        seen = ("picture",) if question.pictures else ()
        self.lessons.note(visitor, "chat", *called, *seen)

    def close(self) -> None:
        """Keeps what isn't kept yet; a benchmark goes on."""
        self.benchmarks.close()
        self.recorder.look()
        self.history.close()


def build_lab(
    settings: Settings,
    store: Store,
    supervisor: Supervisor,
    servers: ServerManager,
    jobs: JobManager,
    sampler: Sampler,
    planner: Planner,
    catalog: Catalog,
    machine: Callable[[], Machine],
    memory: Callable[[str], Mapping[str, Any] | None],
    people: People,
    api_used_at: Callable[[str], float],
    names: Names,
) -> Lab:
    """The Lab; it listens to the sampler from now on, and goes on with the benchmarks of the console before.

    ``api_used_at``: when a visitor last asked at the console's own address, in seconds since the epoch.
    """
    runs = Runs(store)
    recorder = Recorder(runs, servers.snapshot, jobs.snapshot, lambda: (servers.version, jobs.version), machine, memory)
    history = History(store)
    sampler.add_listener(recorder.listen)
    sampler.add_listener(history.listen)
    tables = Tables(catalog, planner, lambda: [view.job for view in jobs.snapshot()])

    def answers_are_in(server_id: str, benchmark: Benchmark, place: int) -> None:
        recorder.compared(server_id, summary_of(benchmark, place))

    benchmarks = Benchmarks(settings, store, supervisor, servers, sampler, runs, tables.targets, answers_are_in)
    benchmarks.begin()

    def facts(visitor: str, did: frozenset[str], begun_at: float) -> Facts:
        return Facts(
            servers=servers.snapshot(),
            jobs=[view.job for view in jobs.snapshot()],
            environments=machine().environments,
            models=catalog.models(),
            measured=recorder.measured(),
            did=did | ({"api"} if api_used_at(visitor) >= begun_at else frozenset()),
            begun_at=begun_at,
        )

    own = settings.state_dir / "lessons"
    lessons = Lessons(store, own, facts, planner, lambda: str(DEMO_MODEL), people.name, names=names)
    return Lab(runs, recorder, history, benchmarks, tables, lessons)
