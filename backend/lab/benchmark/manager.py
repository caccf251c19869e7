"""The benchmarks: checked, queued one at a time (two would measure each other), run by children that outlive the
console, found again after a restart."""

import json
import logging
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend import disk
from backend.errors import Conflict, ConsoleError, InvalidInput, Message, NotFound
from backend.lab.benchmark.checks import estimate_s
from backend.lab.benchmark.plan import plan_of, problem_of, read_measured
from backend.lab.benchmark.record import UNFINISHED, Benchmark, BenchmarkConfig, JobState, Target, from_json
from backend.lab.quality.questions import questions_of
from backend.lab.row import SERVER, config_of, serve_config
from backend.lab.runs import Runs
from backend.machine.clients import route
from backend.memory.sampler import HOUR, Sampler
from backend.private_folders import make_private
from backend.processes.command import CommandSpec
from backend.processes.supervisor import Run, Supervisor
from backend.records import Records
from backend.servers import external
from backend.servers.manager import ServerManager
from backend.servers.server import ServerState, ServerView
from backend.servers.transitions import ENDED
from backend.settings import Settings
from backend.store import Store
from backend.whole_file import write_whole

AREA = "benchmark"
KIND = "benchmark"  # of the supervised runs
CHILD = Path(__file__).parents[1] / "children" / "load.py"
PLAN, OUT = "plan.json", "measured.json"
LOOK_S = 0.5
CANCEL_GRACE_S = 3.0
MOST_KEPT = 200

log = logging.getLogger(__name__)


class Benchmarks:
    """All benchmarks of this console, and the thread that moves them on. Safe to call from any thread."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        supervisor: Supervisor,
        servers: ServerManager,
        sampler: Sampler,
        runs: Runs,
        tables: Callable[[BenchmarkConfig], tuple[Target, ...]] = lambda config: (),
        noted: Callable[[str, Benchmark, int], None] = lambda server_id, benchmark, place: None,
    ) -> None:
        """``tables`` gives the targets of the tutorials' table; ``noted`` is told of a server whose answers are in."""
        self._tables, self._noted = tables, noted
        self._supervisor, self._servers, self._sampler, self._runs = supervisor, servers, sampler, runs
        self._folder = settings.state_dir / "benchmarks"
        self._records = Records[Benchmark](store, AREA, Benchmark.to_json)
        self._records.load(from_json, {})
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="benchmarks", daemon=True)
        supervisor.on_change(self._run_changed)

    def begin(self) -> None:
        """Start the thread: what the console before had begun goes on."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; what measures goes on."""
        self._closed = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    # What a page asks for

    def all(self) -> tuple[Benchmark, ...]:
        """Every benchmark, newest first."""
        return tuple(sorted(self._records.all(), key=lambda one: one.created_at, reverse=True))

    def get(self, benchmark_id: str) -> Benchmark:
        """One. Raises NotFound."""
        found = self._records.get(benchmark_id)
        if found is None:
            raise NotFound(Message("lab.benchmark.gone"))
        return found

    def look(self, config: BenchmarkConfig) -> tuple[tuple[Target, ...], float, tuple[Message, ...]]:
        """The targets, the seconds that it takes, about, and what has to be asked first. Raises InvalidInput, NotFound
        or Conflict for what can't be measured."""
        views = [self._running(server_id, config) for server_id in config.servers]
        targets = [Target(view.name, view.config.engine, view.id) for view in views]
        rows = [self._runs.get(run_id) for run_id in config.runs]
        for row in rows:
            if row.kind != SERVER or row.engine in (external.ENGINE, "proxy"):
                raise InvalidInput(Message("lab.benchmark.not_startable", {"name": row.name}, "servers"))
            targets.append(
                Target(f"{row.model} · {row.settings}" if row.settings else row.model, row.engine, run=row.id)
            )
        loads = [row.load_s for row in rows]
        if config.table:
            lines = self._tables(config)
            targets += lines
            loads += [None for line in lines if line.skipped is None]
        asked = [_question(view.name, config) for view in views if view.config.engine == external.ENGINE]
        return tuple(targets), estimate_s(config, loads), tuple(asked)

    def start(self, config: BenchmarkConfig, *, confirmed: bool = False) -> str:
        """Queue it; its id. Raises as ``look``; Conflict with what has to be confirmed first."""
        targets, seconds, asked = self.look(config)
        if asked and not confirmed:
            raise Conflict(*asked)
        made = Benchmark(
            id=secrets.token_hex(6),
            name=", ".join(dict.fromkeys(target.name for target in targets if target.skipped is None)),
            config=config,
            state=JobState.QUEUED,
            created_at=time.time(),
            targets=targets,
            estimate_s=seconds,
        )
        self._records.put(made.id, made)
        for old in self._records.all()[:-MOST_KEPT]:
            if old.state not in UNFINISHED:
                self.forget(old.id)
        self._wake.set()
        return made.id

    def cancel(self, benchmark_id: str) -> None:
        """End it; what was measured stays. Raises NotFound, Conflict where it is over."""
        if self.get(benchmark_id).state not in UNFINISHED:
            raise Conflict(Message("lab.benchmark.over"))
        self._records.change(benchmark_id, lambda now: replace(now, cancelled=True))
        self._wake.set()

    def forget(self, benchmark_id: str) -> None:
        """Take it from the list. Raises NotFound, Conflict while it runs."""
        found = self.get(benchmark_id)
        if found.state in UNFINISHED:
            raise Conflict(Message("lab.benchmark.not_over"))
        self._records.remove(benchmark_id)
        for target in found.targets:
            if target.child:
                with suppress(NotFound, Conflict):
                    self._supervisor.forget(target.child)
        shutil.rmtree(self._folder / benchmark_id, ignore_errors=True)

    # The thread's life

    def _work(self) -> None:
        """Look, pause, look again; without anything to do, wait to be woken."""
        while not self._closed:
            try:
                busy = self.step()
            except Exception:  # one benchmark's trouble must not end the others
                log.exception("benchmarks")
                busy = True
            self._wake.wait(LOOK_S if busy else None)
            self._wake.clear()

    def step(self) -> bool:
        """One step of the oldest that isn't over; whether there is one."""
        # What was begun comes first, whatever order the store gives them back in.
        unfinished = [one for one in self._records.all() if one.state in UNFINISHED]
        now = min(unfinished, key=lambda one: (one.state is JobState.QUEUED, one.created_at), default=None)
        if now is None:
            return False
        if now.state is JobState.QUEUED:
            state = JobState.CANCELLED if now.cancelled else JobState.RUNNING
            ended = time.time() if now.cancelled else 0.0
            self._change(now.id, state=state, started_at=time.time(), ended_at=ended)
            return True
        for place, target in enumerate(now.targets):
            if target.stage != "over":
                self._move(now, place, target)
                return True
        failed = any(target.problem is not None for target in now.targets)
        state = JobState.CANCELLED if now.cancelled else JobState.FAILED if failed else JobState.SUCCEEDED
        self._change(now.id, state=state, ended_at=time.time())
        return True

    def _move(self, now: Benchmark, place: int, target: Target) -> None:
        """The next step of a target."""
        try:
            if target.stage == "waiting":
                new = replace(target, stage="over") if now.cancelled else self._begun(now, place, target)
            elif target.stage == "starting":
                new = self._started(now, place, target)
            elif target.stage == "measuring":
                new = self._measured(now, place, target)
            else:
                new = self._stopped(target)
        except ConsoleError as error:
            new = self._ending(replace(target, problem=error.messages[0]))
        except OSError as error:  # a full disk
            new = self._ending(replace(target, problem=disk.cannot_write(self._folder, error).messages[0]))
        if new != target:
            self._put(now.id, place, new)

    def _begun(self, now: Benchmark, place: int, target: Target) -> Target:
        if not target.is_started:
            return self._launched(now, place, target)
        try:
            config = config_of(target.config) if target.config is not None else serve_config(self._runs.get(target.run))
        except (KeyError, TypeError, ValueError):  # of another version
            raise InvalidInput(Message("lab.error.no_settings", {"name": target.name})) from None
        server_id = self._servers.start(config)
        return replace(target, server=server_id, stage="starting")

    def _started(self, now: Benchmark, place: int, target: Target) -> Target:
        view = self._servers.get(target.server)
        if now.cancelled:
            return self._ending(target)
        if view.state in ENDED:
            why = view.reason or Message("lab.benchmark.not_started", {"name": view.name})
            return replace(target, problem=why, stage="over")
        return self._launched(now, place, target) if view.state is ServerState.RUNNING else target

    def _launched(self, now: Benchmark, place: int, target: Target) -> Target:
        """Start the child that measures."""
        endpoint = self._servers.endpoint(target.server)
        if now.config.picture and not endpoint.takes_images:
            raise InvalidInput(Message("lab.benchmark.no_pictures", {"name": target.name}, "picture"))
        proxy = route(endpoint.base_url, with_key=bool(endpoint.api_key)).proxy
        if proxy.startswith("socks"):
            raise InvalidInput(Message("lab.benchmark.socks", {"name": target.name}))
        folder = self._folder / now.id / str(place)
        make_private(folder)
        key_file = folder / "key"
        if endpoint.api_key:
            write_whole(key_file, endpoint.api_key)
        plan = plan_of(now.config, target, endpoint, proxy)
        plan |= {"key_file": str(key_file) if endpoint.api_key else "", "out": str(folder / OUT)}
        (folder / OUT).unlink(missing_ok=True)
        write_whole(folder / PLAN, json.dumps(plan))
        command = CommandSpec((sys.executable, str(CHILD), str(folder / PLAN)))
        # Its id is known before it is started: a console that is killed in between finds it by that.
        child = f"{now.id}{place:x}{secrets.token_hex(2)}"
        self._put(now.id, place, replace(target, child=child, stage="measuring"))
        self._supervisor.start(command, kind=KIND, name=f"benchmark {target.name}", run_id=child)
        return replace(target, child=child, stage="measuring")

    def _measured(self, now: Benchmark, place: int, target: Target) -> Target:
        """Read what the child has written; take note of its end."""
        folder = self._folder / now.id / str(place)
        run = self._run(target.child)
        if now.cancelled and run is not None and not run.ended:
            self._supervisor.stop(run.id, CANCEL_GRACE_S)
        result = read_measured(folder / OUT)
        if run is None and not result:  # the console was killed as it started the child
            return replace(target, stage="over") if now.cancelled else self._launched(now, place, target)
        levels = [one for one in result.get("levels", ()) if isinstance(one, dict)]
        new = [self._observed(one, target.server) for one in levels[len(target.levels) :]]
        quality = result.get("quality") or target.quality
        target = replace(target, levels=(*target.levels, *new), quality=quality)
        if run is not None and not run.ended:
            return target
        (folder / "key").unlink(missing_ok=True)
        if not now.cancelled:
            target = replace(target, problem=problem_of(result, target.name, run))
        if target.quality is not None:
            self._put(now.id, place, target)
            self._noted(target.server, self.get(now.id), place)
        return self._ending(target)

    def _ending(self, target: Target) -> Target:
        """Stop the server that was started for it; one that ran before goes on."""
        if not target.is_started or not target.server:
            return replace(target, stage="over")
        with suppress(ConsoleError):
            self._servers.stop(target.server)
        return replace(target, stage="stopping")

    def _stopped(self, target: Target) -> Target:
        """The next one is started when this one has given its memory back."""
        with suppress(NotFound):
            if self._servers.get(target.server).state not in ENDED:
                return target
        return replace(target, stage="over")

    def _observed(self, level: Mapping[str, Any], server_id: str) -> Mapping[str, Any]:
        """The level with what the console itself saw meanwhile."""
        offset = self._sampler.epoch_offset()
        begun, ended = level["began_at"] - offset, level["ended_at"] - offset
        samples = [one for one in self._sampler.since(0, HOUR).samples if begun <= one.at <= ended]
        uses = [one.caches[server_id].usage for one in samples if server_id in one.caches]
        held = [sum(gpu.shares.get(server_id, 0) for gpu in one.gpus) for one in samples]
        watts = [
            sum(gpu.reading.power_watts or 0.0 for gpu in one.gpus if gpu.shares.get(server_id)) for one in samples
        ]
        return {
            **level,
            "kv_usage": max(uses, default=None),
            "gpu_bytes": max(held, default=0) or None,
            "watts": sum(watts) / len(watts) if any(watts) else None,
        }

    # Parts

    def _running(self, server_id: str, config: BenchmarkConfig) -> ServerView:
        view = self._servers.get(server_id)
        if view.state is not ServerState.RUNNING:
            raise Conflict(Message("lab.benchmark.not_running", {"name": view.name}, "servers"))
        if config.picture and not view.takes_images:
            raise InvalidInput(Message("lab.benchmark.no_pictures", {"name": view.name}, "picture"))
        needed = config.prompt_tokens + config.answer_tokens if config.users else 0
        if view.context_length and needed > view.context_length:
            params: dict[str, str | int] = {"name": view.name, "needed": needed, "length": view.context_length}
            raise InvalidInput(Message("lab.benchmark.context", params, "prompt_tokens"))
        return view

    def _run(self, run_id: str) -> Run | None:
        with suppress(NotFound):
            return self._supervisor.get(run_id)
        return None

    def _change(self, benchmark_id: str, **changes: Any) -> None:
        self._records.change(benchmark_id, lambda now: replace(now, **changes))

    def _put(self, benchmark_id: str, place: int, target: Target) -> None:
        def changed(now: Benchmark) -> Benchmark:
            targets = list(now.targets)
            targets[place] = target
            return replace(now, targets=tuple(targets))

        self._records.change(benchmark_id, changed)

    def _run_changed(self, run: Run) -> None:
        if run.kind == KIND and run.ended:
            self._wake.set()


def _question(name: str, config: BenchmarkConfig) -> Message:
    """What is asked before a server that may be somebody else's is measured."""
    if config.users:
        params: dict[str, str | int] = {"name": name, "users": max(config.users)}
        return Message("lab.benchmark.ask_external", params, "servers", "warning")
    count = len(questions_of(config.questions, config.question))
    return Message("lab.quality.ask_external", {"name": name, "count": count}, "servers", "warning")
