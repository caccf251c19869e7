"""What happens while nothing can be stored, or the clock is set: nothing stands, nothing is false, nobody waits."""

import asyncio
import json
import os
import shlex
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.chat.service import Chat
from backend.downloads.sources import Source
from backend.downloads.tokens import Tokens
from backend.errors import Unavailable
from backend.machine.machine import Environment
from backend.processes import runner
from backend.quantization.base import QuantConfig
from backend.quantization.job import JobState
from backend.servers.server import ServerState
from backend.settings import Settings
from backend.store import FILE_NAME, Store
from tests.conftest import make_settings
from tests.integration.test_quantize import FAKE, Jobs
from tests.integration.test_servers import World, config
from tests.support.tiny_models import fake_model
from tests.support.waiting import wait_for

HOLDER = Path(__file__).parents[1] / "children" / "hold_database.py"
QUICK_S = 0.25  # what a page may wait, on a machine that is busy with something else


@contextmanager
def held(state_dir: Path) -> Iterator[None]:
    """Another program holds the database."""
    argv = [sys.executable, str(HOLDER), str(state_dir / FILE_NAME)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            yield
        finally:
            holder.kill()


def fill(folder: Path) -> Path:
    """The file that leaves nothing of the disk."""
    file = folder / "others"
    with file.open("wb", buffering=0) as stream, suppress(OSError):
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while stream.write(bytes(size)):
                    pass
    return file


def slowest(ask: Callable[[], Any], until: Callable[[], Any]) -> float:
    """The longest that ``ask`` took, asked again and again until then."""
    times = [0.0]

    def asked() -> Any:
        began = time.perf_counter()
        ask()
        times.append(time.perf_counter() - began)
        return until()

    wait_for("what is waited for", asked, 120)
    return max(times)


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    made = World(settings)
    yield made
    end(made)


def end(world: World) -> None:
    for run in world.supervisor.all():
        world.supervisor.stop(run.id, grace_s=0)
    wait_for("all runs have ended", lambda: all(run.ended for run in world.supervisor.all()))
    world.close()


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An environment whose lmdeploy is tests/children/fake_auto_awq.py."""
    folder = tmp_path / "environment"
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    script = folder / "lmdeploy"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(FAKE))} "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return Environment("fake", "fake", folder / "python", "console", "0.18.0", "5.23.0", "2.12.1")


def job_config(tmp_path: Path, behave: str, name: str) -> QuantConfig:
    folder = fake_model(tmp_path / "models" / name)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "behave").write_text(behave)
    return QuantConfig(model=str(folder), output=f"{folder}-w4a16", dataset="none", group_size=64)


# Another program holds the database


def test_servers_go_on_while_another_program_holds_the_database(world: World, tmp_path: Path) -> None:
    old = world.manager.start(config("--model", "old"))
    world.until(old, ServerState.RUNNING)
    assert world.store.settle()
    with held(world.settings.state_dir):
        began = time.perf_counter()
        world.manager.start(config("--model", "new"))
        world.manager.stop(old)
        assert time.perf_counter() - began < 2  # it was 10 s for each
        views: list[ServerState] = []

        def look() -> None:
            assert world.manager.version
            views[:] = [view.state for view in world.manager.snapshot()]

        reached = [ServerState.RUNNING, ServerState.STOPPED]
        assert slowest(look, lambda: views == reached) < QUICK_S
        unsaved = wait_for("it is said", lambda: world.store.unsaved)
        assert unsaved is not None
        assert (unsaved.key, unsaved.level) == ("servers.store.unsaved-busy", "warning")
        with pytest.raises(Unavailable) as caught:  # what a person sets now is refused, not kept for later
            world.manager.set_ready_timeout(77)
        assert caught.value.messages[0].key == "servers.store.busy"
    wait_for("it is stored", lambda: world.store.unsaved is None)
    world.reopen()
    assert [view.state for view in world.manager.snapshot()] == reached
    assert world.manager.get(old).stop_signal == "SIGTERM"
    assert world.manager.ready_timeout_s == 1800


def test_a_console_killed_before_anything_was_stored_finds_everything(world: World) -> None:
    with held(world.settings.state_dir):
        lives, ends = world.manager.start(config("--model", "a")), world.manager.start(config("--model", "b"))
        world.until(lives, ServerState.RUNNING)
        world.until(ends, ServerState.RUNNING)
        world.manager.stop(ends)
        world.until(ends, ServerState.STOPPED)
        world.close()  # and couldn't store a thing
    world.open()
    assert world.store.processes()
    world.until(lives, ServerState.RUNNING)
    assert world.until(ends, ServerState.STOPPED).reason is None


def test_the_queue_goes_on_while_another_program_holds_the_database(
    settings: Settings, environment: Environment, tmp_path: Path
) -> None:
    jobs = Jobs(settings, environment)
    try:
        first = jobs.manager.start(job_config(tmp_path, "wait", "a"))
        jobs.wait_for_log(first, "half written")
        with held(settings.state_dir):
            second = jobs.manager.start(job_config(tmp_path, "ok", "b"))
            (tmp_path / "models" / "a" / "go").touch()

            def done() -> bool:
                return all(view.job.state is JobState.SUCCEEDED for view in jobs.manager.snapshot())

            assert slowest(lambda: (jobs.manager.version, jobs.manager.snapshot()), done) < QUICK_S
        wait_for("it is stored", lambda: jobs.store.unsaved is None)
        jobs.close()
        jobs = Jobs(settings, environment)
        assert {jobs.job(first).state, jobs.job(second).state} == {JobState.SUCCEEDED}
    finally:
        wait_for("every run's end", lambda: all(run.ended for run in jobs.supervisor.all()))
        jobs.close()


# The disk is full


def test_a_server_stopped_on_a_full_disk_was_stopped(tiny_disk: Path, settings: Settings) -> None:
    world = World(replace(settings, state_dir=tiny_disk))
    try:
        server_id = world.manager.start(config())
        world.until(server_id, ServerState.RUNNING)
        assert world.store.settle()
        others = fill(tiny_disk)
        world.manager.stop(server_id)
        world.until(server_id, ServerState.STOPPED)
        # A start on a full disk names it.
        with pytest.raises(Unavailable) as caught:
            world.manager.start(config())
        assert [message.key for message in caught.value.messages] == ["servers.process.disk-full"]
        world.close()
        others.unlink()
        world.open()
        view = world.until(server_id, ServerState.STOPPED)
        assert view.reason is None
    finally:
        end(world)


def test_a_server_that_died_of_a_full_disk_says_so_later(tiny_disk: Path, settings: Settings) -> None:
    """Nobody watched: the console was gone, and came back once there was room."""
    world = World(replace(settings, state_dir=tiny_disk))
    try:
        server_id = world.manager.start(config())
        folder = world.settings.runs_dir / server_id
        pid = world.until(server_id, ServerState.RUNNING).pid
        world.close()
        others = fill(tiny_disk)
        os.kill(pid, signal.SIGKILL)
        wait_for("its end", lambda: runner.read_result(folder, runner.STATUS))
        others.unlink()
        world.open()
        view = world.until(server_id, ServerState.FAILED)
        assert view.reason is not None
        assert view.reason.key == "servers.disk-full"
        assert view.exit_code == -signal.SIGKILL
    finally:
        end(world)


@pytest.mark.parametrize("tiny_disk", ["4m"], indirect=True)
def test_what_happened_on_a_full_disk_is_stored_later(
    tiny_disk: Path, environment: Environment, tmp_path: Path
) -> None:
    settings = make_settings(tiny_disk / "state")
    jobs = Jobs(settings, environment)
    try:
        first = jobs.manager.start(job_config(tmp_path, "wait", "a"))
        jobs.wait_for_log(first, "half written")
        second = jobs.manager.start(job_config(tmp_path, "ok", "b"))
        third = jobs.manager.start(job_config(tmp_path, "wait", "c"))
        assert jobs.store.settle()
        others = fill(tiny_disk)
        jobs.manager.cancel(third)
        (tmp_path / "models" / "a" / "go").touch()
        assert jobs.wait(first, JobState.SUCCEEDED)
        # The next one's turn comes at once; it has no room for its log, and says so.
        failed = jobs.wait(second, JobState.FAILED)
        assert failed.diagnosis is not None
        assert failed.diagnosis.reason.key == "servers.process.disk-full"
        others.unlink()
        wait_for("it is stored", lambda: jobs.store.unsaved is None)
        jobs.close()
        jobs = Jobs(settings, environment)
        states = [jobs.job(job_id).state for job_id in (first, second, third)]
        assert states == [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED]
    finally:
        wait_for("every run's end", lambda: all(run.ended for run in jobs.supervisor.all()))
        jobs.close()


def test_a_token_that_cannot_be_replaced_stays(tiny_disk: Path) -> None:
    source, tokens = Source("huggingface", "https://huggingface.co"), Tokens(tiny_disk)
    tokens.keep(source, "hf_old")
    others = fill(tiny_disk)
    with pytest.raises(Unavailable) as caught:
        tokens.keep(source, "hf_new")
    assert [message.key for message in caught.value.messages] == ["servers.process.disk-full"]
    assert tokens.file(source).read_text() == "hf_old"
    others.unlink()
    tokens.keep(source, "hf_new")
    assert tokens.file(source).read_text() == "hf_new"
    assert {file.name for file in tiny_disk.iterdir()} == {tokens.file(source).name}


# The clock


@pytest.mark.parametrize("jump_s", [7 * 86400.0, -7 * 86400.0])
def test_a_clock_that_jumps_ends_no_starting_server(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    gate = tmp_path / "gate"
    server_id = world.manager.start(config("--gate", gate))
    world.until(server_id, ServerState.STARTING)
    world.close()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump_s)
    world.open()
    wait_for("it was looked at", lambda: world.manager.get(server_id).pid)
    gate.write_text("200")
    view = world.until(server_id, ServerState.RUNNING)
    assert view.reason is None


def test_the_deadline_goes_on_counting_over_a_restart(settings: Settings, tmp_path: Path) -> None:
    world = World(settings, ready_timeout_s=3.0)
    try:
        server_id = world.manager.start(config("--gate", tmp_path / "gate"))
        [record] = [document for key, document in world.store.all("server").items() if key == server_id]
        world.close()
        # As if the console had been away for longer.
        world.open()
        view = world.until(server_id, ServerState.FAILED)
        assert view.reason is not None
        assert view.reason.key == "servers.not-ready-in-time"
        assert record["started"]["seconds"] <= time.monotonic()
    finally:
        end(world)


def test_a_queue_keeps_its_order_where_the_clock_was_set_back(
    settings: Settings, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = Jobs(settings, environment)
    real = time.time
    try:
        first = jobs.manager.start(job_config(tmp_path, "wait", "a"))
        jobs.wait_for_log(first, "half written")
        ids = []
        for number, name in enumerate("bcd"):
            monkeypatch.setattr(time, "time", lambda number=number: real() - number * 86400)
            ids.append(jobs.manager.start(job_config(tmp_path, "ok", name)))
        assert [view.job.id for view in jobs.manager.snapshot()] == [first, *ids]
        (tmp_path / "models" / "a" / "go").touch()
        done = jobs.wait(first, JobState.SUCCEEDED)
        assert done.result is not None
        assert 0 < done.result.seconds < 120  # by a clock that wasn't set
        for job_id in ids:
            jobs.wait(job_id, JobState.SUCCEEDED)
    finally:
        wait_for("every run's end", lambda: all(run.ended for run in jobs.supervisor.all()))
        jobs.close()


# A flood of output


def test_200_megabytes_in_one_line_stop_nothing(settings: Settings, environment: Environment, tmp_path: Path) -> None:
    jobs = Jobs(settings, environment)
    try:
        job_id = jobs.manager.start(job_config(tmp_path, "flood", "a"))

        def look() -> None:
            assert jobs.manager.version
            jobs.manager.snapshot()

        assert slowest(look, lambda: jobs.job(job_id).progress.calibrated == 3) < QUICK_S
        assert jobs.job(job_id).progress.peak_gpu_bytes == int(3.25 * (1 << 30))
        jobs.close()
        jobs = Jobs(settings, environment)  # reads it all anew, and makes nobody wait
        assert slowest(look, lambda: jobs.job(job_id).progress.calibrated == 3) < QUICK_S
        (tmp_path / "models" / "a" / "go").touch()
        jobs.wait(job_id, JobState.SUCCEEDED)
    finally:
        wait_for("every run's end", lambda: all(run.ended for run in jobs.supervisor.all()))
        jobs.close()


async def test_a_conversation_is_stored_once_the_database_is_free(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chat goes on, says that it isn't kept for as long as that is so, and then it is."""
    monkeypatch.setattr("backend.chat.caretaker.KEPT_LOOK_S", 0.05)
    settings.state_dir.mkdir(exist_ok=True)
    store = Store(settings.state_dir)
    chat = Chat(None, store, settings.state_dir / "pictures")  # type: ignore[arg-type]  # it asks no server here
    room = await chat._rooms.find("visitor")
    room.conversation = replace(room.conversation, sampling=replace(room.conversation.sampling, max_tokens=77))
    try:
        with held(settings.state_dir):
            await chat._caretaker.save(room)
            assert room.problem is not None
            assert not room.idle
        async with asyncio.timeout(30):
            while room.problem is not None:
                await room.newer(room.version, 1.0)
        assert store.settle()
        with sqlite3.connect(settings.state_dir / FILE_NAME) as file:
            (value,) = file.execute("SELECT value FROM conversation_value").fetchone()
        file.close()
        assert json.loads(value)["sampling"]["max_tokens"] == 77
    finally:
        await chat.close()
        store.close()
