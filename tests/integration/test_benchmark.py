"""Benchmarks with the real child, against scripted servers whose speed is known."""

import math
import statistics
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.engines.base import ServeConfig
from backend.errors import Conflict, InvalidInput
from backend.lab.benchmark.manager import Benchmarks
from backend.lab.benchmark.record import UNFINISHED, Benchmark, BenchmarkConfig, JobState
from backend.lab.benchmark.statistics import knee
from backend.lab.quality.questions import shipped
from backend.lab.runs import Runs
from backend.machine.machine import Environment
from backend.machine.nvml import Nvml
from backend.memory.live_source import LiveSource
from backend.memory.sampler import Sampler
from backend.models.catalog import DEMO_MODEL
from backend.models.checkpoint import ModelInfo
from backend.processes.command import CommandSpec, SecretFile
from backend.servers.transitions import ENDED
from backend.services import Services, build_services
from backend.settings import Settings
from tests.integration.test_servers import FakeEngine, World
from tests.support.scripted_server import CHILD, Scripted
from tests.support.waiting import wait_for
from tests.unit.backend.lab.test_runs import a_row
from ui.tabs.lab.benchmark_routes import as_markdown
from ui.tabs.lab.compared import compared_json, quality_csv, quality_markdown

DEADLINE_S = 60.0
TOKENS, RATE, FIRST_S = 60, 40.0, 0.5


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    made = build_services(settings)
    yield made
    for run in made.supervisor.all():  # a test that failed leaves a server
        made.supervisor.stop(run.id, grace_s=0)
    wait_for("all runs have ended", lambda: all(run.ended for run in made.supervisor.all()))
    made.close()


@pytest.fixture
def child() -> Iterator[Scripted]:
    made = Scripted("--watch")
    made.script(tokens=TOKENS, rate=RATE, first_s=FIRST_S)
    yield made
    made.close()


def connect(services: Services, child: Scripted, key: str = "") -> str:
    return services.servers.start(ServeConfig("external", "", address=child.address, api_key=key))


def ended(services: Services, benchmark_id: str) -> Benchmark:
    """The benchmark at its end; each of its steps, and each line that its servers write, has a deadline."""
    benchmarks = services.lab.benchmarks
    over = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)

    def seen() -> tuple[Benchmark, list[int]]:
        return benchmarks.get(benchmark_id), [size_of(run.log_path) for run in services.supervisor.all()]

    now = seen()
    while now[0].state not in over:

        def moved(before: Any = now) -> Any:
            return (new := seen()) != before and new

        now = wait_for("the next step", moved, DEADLINE_S)
    return now[0]


def size_of(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def test_a_server_of_known_speed_is_measured_within_one_percent(services: Services, child: Scripted) -> None:
    """Held against the server's own times of the same requests: what the machine is busy with delays both alike."""
    child.script(key="secret-key", tokens=TOKENS, rate=RATE, first_s=FIRST_S)
    server = connect(services, child, "secret-key")
    config = BenchmarkConfig((server,), users=(1, 8), answer_tokens=TOKENS, seconds=8)
    with pytest.raises(Conflict) as caught:  # somebody else's server: asked first
        services.lab.benchmarks.start(config)
    assert caught.value.messages[0].key == "lab.benchmark.ask_external"
    assert child.requests() == []
    done = ended(services, services.lab.benchmarks.start(config, confirmed=True))
    assert done.state is JobState.SUCCEEDED, done.targets[0].problem
    served = [one for one in child.requests() if one["body"]["max_tokens"] == TOKENS]
    late_ms = child.late_ms()
    for level in done.targets[0].levels:
        begun, over = level["began_at"], level["began_at"] + level["seconds"]
        mine = [one for one in served if begun <= one["at"] <= over and one["end"] == "whole"]
        first = statistics.median(one["first_at"] - one["at"] for one in mine) * 1000
        pause = statistics.median((one["ended_at"] - one["first_at"]) / (TOKENS - 1) for one in mine) * 1000
        inside = sum(
            sum(
                1
                for n in range(TOKENS)
                if one["first_at"] + n * (one["ended_at"] - one["first_at"]) / (TOKENS - 1) <= over
            )
            for one in mine
        )
        assert level["requests"] == len(mine)
        # On a busy machine server and client come late to what has arrived, and say by how much. The server's own times
        # begin when it came.
        assert level["ttft_ms"][0] == pytest.approx(first, rel=0.01, abs=4 + late_ms + level["client_lag_ms"])
        assert level["tpot_ms"][0] == pytest.approx(pause, rel=0.01)
        assert level["tokens_per_s"] == pytest.approx(inside / level["seconds"], rel=0.01)
        assert level["tokens_per_s"] == pytest.approx(level["users"] * RATE * 0.75, rel=0.25)
        assert level["failed"] == 0
    assert knee([(one["users"], one["tokens_per_s"]) for one in done.targets[0].levels]) is None
    assert len({one["body"]["messages"][0]["content"][:12] for one in served}) == len(served)
    # The key is gone with the measurement, and stood nowhere else.
    folder = services.settings.state_dir / "benchmarks" / done.id
    assert not [path for path in folder.rglob("*") if path.is_file() and b"secret-key" in path.read_bytes()]


def test_with_pictures_each_request_has_one(services: Services, child: Scripted) -> None:
    server = connect(services, child)
    config = BenchmarkConfig((server,), users=(1,), answer_tokens=5, seconds=2, picture=True)
    child.script(tokens=5, rate=0, first_s=0.0)
    services.servers.change(server, lambda view: replace(view, takes_images=False))
    with pytest.raises(InvalidInput) as caught:
        services.lab.benchmarks.start(config, confirmed=True)
    assert caught.value.messages[0].key == "lab.benchmark.no_pictures"
    services.servers.change(server, lambda view: replace(view, takes_images=True))
    done = ended(services, services.lab.benchmarks.start(config, confirmed=True))
    assert done.state is JobState.SUCCEEDED, done.targets[0].problem
    asked = [one["body"]["messages"][0]["content"] for one in child.requests() if one["body"]["max_tokens"] == 5]
    assert asked
    for text, picture in asked:
        assert text["type"] == "text"
        assert picture["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert len({text["text"][:12] for text, _ in asked}) == len(asked)
    assert "a picture in each request" in as_markdown(done)
    without = services.lab.benchmarks.start(replace(config, picture=False), confirmed=True)
    assert "picture" not in as_markdown(ended(services, without))
    assert isinstance(child.requests()[-1]["body"]["messages"][0]["content"], str)


@pytest.mark.parametrize(
    ("fault", "key"), [("die", "dead"), ("refuse", "errors"), ("error", "errors"), ("html", "errors")]
)
def test_a_server_that_dies_or_answers_errors_is_said(
    services: Services, child: Scripted, fault: str, key: str
) -> None:
    server = connect(services, child)
    config = BenchmarkConfig((server,), users=(1, 2), answer_tokens=20, seconds=4)
    if fault == "die":  # in the middle, after a level that is kept
        benchmark_id = services.lab.benchmarks.start(config, confirmed=True)
        wait_for("a level", lambda: services.lab.benchmarks.get(benchmark_id).targets[0].levels, DEADLINE_S)
        child.close()
    else:
        child.script(fault=fault)
        benchmark_id = services.lab.benchmarks.start(config, confirmed=True)
    done = ended(services, benchmark_id)
    problem = done.targets[0].problem
    assert done.state is JobState.FAILED
    assert problem is not None
    assert problem.key == f"lab.benchmark.stopped.{key}"
    assert problem.params["text"]
    if fault == "refuse":
        assert "out of memory" in str(problem.params["text"])
    services.lab.benchmarks.forget(benchmark_id)
    assert services.lab.benchmarks.all() == ()


def test_it_goes_on_without_its_console_and_is_found_again(settings: Settings, child: Scripted) -> None:
    services = build_services(settings)
    server = connect(services, child)
    config = BenchmarkConfig((server,), users=(1, 2), answer_tokens=TOKENS, seconds=5)
    benchmark_id = services.lab.benchmarks.start(config, confirmed=True)
    second = services.lab.benchmarks.start(replace(config, users=(1,)), confirmed=True)

    def process() -> int:
        return next((run.pid for run in services.supervisor.all("benchmark")), 0)

    wait_for("the child", process, DEADLINE_S)
    pid = process()
    services.close()
    assert psutil.pid_exists(pid)
    later = build_services(settings)
    try:
        done = ended(later, benchmark_id)
        assert done.state is JobState.SUCCEEDED, done.targets[0].problem
        assert [one["users"] for one in done.targets[0].levels] == [1, 2]
        # The other one's turn came; it is cancelled in the middle.
        wait_for("the second", lambda: later.lab.benchmarks.get(second).targets[0].stage == "measuring", DEADLINE_S)
        later.lab.benchmarks.cancel(second)
        assert ended(later, second).state is JobState.CANCELLED
    finally:
        later.close()


def test_answers_and_texts_are_compared_and_kept_with_the_run(services: Services, child: Scripted) -> None:
    """A 16-bit server, one that differs, one that knows nothing of perplexity."""
    others = [Scripted(), Scripted()]
    own = "Why is the sky blue?"
    told = {one.text: "936" for one in shipped("en") if one.id == "add"}
    try:
        child.script(ppl=2.0, answers={own: "Light is scattered by air.", **told}, text="no idea", key="secret-key")
        others[0].script(ppl=2.1, shift=1, answers={own: "Light is scattered in air."}, text="no idea")
        others[1].script(answers={own: "Light is scattered by air."}, text="no idea")
        servers = (connect(services, child, "secret-key"), *(connect(services, one) for one in others))
        config = BenchmarkConfig(servers, users=(), questions="en", question=own, text="one two three four " * 40)
        assert services.lab.benchmarks.look(config)[1] < 600
        done = ended(services, services.lab.benchmarks.start(config, confirmed=True))
    finally:
        for one in others:
            one.close()
    assert done.state is JobState.SUCCEEDED, [target.problem for target in done.targets]
    asked = [one["body"] for one in child.requests()]
    assert all(body["temperature"] == 0.0 for body in asked if body["max_tokens"] == config.reply_tokens)
    compared = compared_json(services, done, "en")
    first, differs, plain = (server["figures"] for server in compared["servers"])
    assert (first["right"], first["scored"], first["answered"]) == (1, 14, 15)
    assert (first["perplexity"], first["perplexity_tokens"]) == (pytest.approx(math.exp(2.0)), 160)
    assert (differs["right"], differs["same"], differs["agreement"]) == (0, 13, 0.0)
    assert (plain["perplexity"], plain["agreement"], plain["same"]) == (None, None, 14)
    assert set(compared["servers"][2]["problems"]) == {"perplexity", "likeliest"}
    answers = compared["answers"][-1]["answers"]
    assert (answers[1]["same"], answers[1]["rest"]) == ("Light is scattered ", "in air.")
    assert (answers[2]["differs"], compared["table"]) == (False, None)
    assert "| ✓ 936 | ✗ ⟦≠⟧no idea |" in quality_markdown(compared, "en")
    assert "why is the sky" in quality_csv(compared, "en").lower()
    # Kept with the run of the server.
    services.lab.recorder.look()
    row = services.lab.runs.get(servers[1])
    assert row.perplexity == pytest.approx(math.exp(2.1))
    assert row.detail["quality"]["against"] == done.targets[0].name


def test_the_table_without_a_gpu_is_the_demo_models_16_bit_line(services: Services) -> None:
    """The real CPU engine; what needs a GPU says so, and nothing is made up for it."""
    config = BenchmarkConfig(
        table=str(DEMO_MODEL), users=(1, 2), answer_tokens=16, seconds=2, questions="en", reply_tokens=16
    )
    targets, seconds, asked = services.lab.benchmarks.look(config)
    assert [target.line for target in targets if target.skipped is None] == ["plain"]
    assert (asked, seconds > 60) == ((), True)
    done = ended(services, services.lab.benchmarks.start(config))
    assert done.state is JobState.SUCCEEDED, done.targets[0].problem
    assert all(view.state in ENDED for view in services.servers.snapshot())
    services.lab.recorder.look()
    plain, *others = compared_json(services, done, "zh")["table"]
    assert plain["speed"] > 0
    assert plain["speed_many"] > 0
    assert plain["scored"] == 14
    for line in others:
        assert "GPU" in line["skipped"]
        assert [line[name] for name in ("measured_bytes", "speed", "perplexity", "tokens")] == [None] * 4


class ScriptedEngine(FakeEngine):
    """Starts the scripted server."""

    def command(
        self, config: ServeConfig, model: ModelInfo | None, environment: Environment, port: int, key_file: Path
    ) -> CommandSpec:
        argv: tuple[str | SecretFile, ...] = (sys.executable, str(port), "--key", SecretFile(key_file), *config.extra)
        return CommandSpec(argv, secret_entry=(sys.executable, str(CHILD)))

    def model_id(self, config: ServeConfig, model: ModelInfo | None) -> str:
        return "scripted"


def test_settings_are_started_one_after_another_and_stopped_again(settings: Settings) -> None:
    world = World(settings, engines={"fake": ScriptedEngine()})
    source = LiveSource(Nvml(), world.manager.snapshot, lambda: (), lambda server_id: ("", ""))
    runs, sampler = Runs(world.store), Sampler(source)
    benchmarks = Benchmarks(settings, world.store, world.supervisor, world.manager, sampler, runs)
    most = [0]
    try:
        for number, extra in ((1, ("--rate", "40")), (2, ("--nonsense",)), (3, ("--rate", "80"))):
            row = a_row(number, engine="fake", settings=" ".join(extra))
            detail = {"config": asdict(ServeConfig("fake", "org/name", extra=("--tokens", "10", *extra)))}
            runs.keep(replace(row, detail=detail))
        runs.keep(a_row(4, engine="fake"))  # its settings can't be read
        benchmarks.begin()
        config = BenchmarkConfig((), ("r1", "r2", "r4", "r3"), users=(2,), answer_tokens=10, seconds=2)
        benchmark_id = benchmarks.start(config)

        def over() -> bool:
            alive = [view for view in world.manager.snapshot() if view.state not in ENDED]
            most[0] = max(most[0], len(alive))
            return benchmarks.get(benchmark_id).state not in UNFINISHED

        wait_for("the end", over, DEADLINE_S)
        first, wrong, bare, last = benchmarks.get(benchmark_id).targets
        assert benchmarks.get(benchmark_id).state is JobState.FAILED
        assert wrong.problem is not None
        assert bare.problem is not None
        assert bare.problem.key == "lab.error.no_settings"
        assert (first.problem, last.problem, wrong.levels) == (None, None, ())
        assert 0 < first.levels[0]["tokens_per_s"] < last.levels[0]["tokens_per_s"]
        assert most[0] == 1
        assert all(view.state in ENDED for view in world.manager.snapshot())
    finally:
        benchmarks.close()
        world.close()
