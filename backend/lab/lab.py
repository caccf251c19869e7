"""The Lab's parts, made once and wired to what they follow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backend.chat.conversation import Answer, Question
from backend.lab.benchmark.manager import Benchmarks
from backend.lab.history import History
from backend.lab.recorder import Recorder
from backend.lab.runs import Runs
from backend.machine.machine import Machine
from backend.memory.sampler import Sampler
from backend.processes.supervisor import Supervisor
from backend.quantization.manager import JobManager
from backend.servers.manager import ServerManager
from backend.settings import Settings
from backend.store import Store


@dataclass(frozen=True)
class Lab:
    """What the Lab tab shows. Safe to call from any thread."""

    runs: Runs
    recorder: Recorder
    history: History
    benchmarks: Benchmarks

    def answered(self, visitor: str, server_id: str, answer: Answer, question: Question) -> None:
        """An answer in a chat is whole."""
        self.recorder.answered(server_id, answer.stats.ttft_ms, answer.stats.tokens_per_s)

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
    machine: Callable[[], Machine],
    memory: Callable[[str], Mapping[str, Any] | None],
) -> Lab:
    """The Lab; it listens to the sampler from now on, and goes on with the benchmarks of the console before."""
    runs = Runs(store)
    recorder = Recorder(runs, servers.snapshot, jobs.snapshot, lambda: (servers.version, jobs.version), machine, memory)
    history = History(store)
    sampler.add_listener(recorder.listen)
    sampler.add_listener(history.listen)
    benchmarks = Benchmarks(settings, store, supervisor, servers, sampler, runs)
    benchmarks.begin()
    return Lab(runs, recorder, history, benchmarks)
