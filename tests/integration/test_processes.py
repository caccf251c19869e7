"""The supervisor with real commands: started, stopped, killed from under it, found again."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.console.instance_lock import InstanceLock, RunningInstance
from backend.errors import Conflict, NotFound, Unavailable
from backend.processes import runner
from backend.processes.command import CommandSpec
from backend.processes.log_file import read_chunk
from backend.processes.supervisor import Run, Supervisor
from backend.settings import Settings
from backend.store import FILE_NAME, Store
from tests.support.waiting import wait_for

CHILDREN = Path(__file__).parents[1] / "children"


def misbehave(*words: str | int | Path, **changes: Any) -> CommandSpec:
    return CommandSpec((sys.executable, str(CHILDREN / "misbehave.py"), *map(str, words)), **changes)


class World:
    """A state directory, its supervisor, and the means to replace the supervisor as a restart does."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.open()

    def open(self) -> None:
        self.store = Store(self.settings.state_dir)
        self.supervisor = Supervisor(self.settings, self.store, poll_s=0.02)

    def close(self) -> None:
        self.supervisor.close()
        self.store.close()

    def reopen(self) -> None:
        self.close()
        self.open()

    def start(self, *words: str | int | Path, run_id: str = "run", **changes: Any) -> Run:
        return self.supervisor.start(misbehave(*words, **changes), kind="test", name=run_id, run_id=run_id)

    def until(self, what: str, state: Callable[[Run], Any], run_id: str = "run") -> Run:
        def probe() -> Run | None:
            run = self.supervisor.get(run_id)
            return run if state(run) else None

        run = wait_for(f"{run_id} {what}", probe)
        assert run is not None
        return run

    def until_ended(self, run_id: str = "run") -> Run:
        return self.until("ended", lambda run: run.ended, run_id)

    def until_says(self, text: str, run_id: str = "run") -> Run:
        return self.until(f"says {text}", lambda run: run.pid and text in read_chunk(run.log_path, 0).text, run_id)


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    made = World(settings)
    yield made
    for run in made.supervisor.all():
        made.supervisor.stop(run.id, grace_s=0)
    for run in made.supervisor.all():
        made.until_ended(run.id)
    made.close()


@pytest.fixture
def console(settings: Settings) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a console in a process of its own, to be killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*orders: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(CHILDREN / "console.py"), str(settings.state_dir), *orders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        return process

    yield start
    for process in started:
        kill(process)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(30)


def order(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{text}\n")
    process.stdin.flush()
    assert process.stdout.readline().strip() == "ok"


def pids_in(path: Path) -> list[int]:
    return wait_for(f"{path.name}", lambda: path.exists() and json.loads(path.read_text()))


def is_running(pid: int) -> bool:
    fields = runner.stat_fields(pid)
    return fields is not None and fields[runner.STATE] not in runner.ENDED_STATES


def runner_pid(run: Run) -> int:
    written = runner.read_result(run.folder, runner.PROCESS)
    assert written is not None
    return int(written["runner_pid"])


def test_a_command_that_ends_leaves_its_output_and_exit_code(world: World) -> None:
    started = world.start("leave", 3, "好的")
    assert not started.ended
    run = world.until_ended()
    assert (run.exit_code, run.stop_signal, run.stop_requested, run.problem) == (3, "", False, None)
    assert read_chunk(run.log_path, 0).text == "好的\n"


def test_nothing_of_a_run_can_be_read_by_others(world: World) -> None:
    run = world.start("leave", 0)
    world.until_ended()
    assert run.folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in run.folder.iterdir())
    assert (world.settings.state_dir / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_command_gets_a_session_a_log_and_nothing_else_of_the_console(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "模型 '\"\n--x"
    folder.mkdir()
    os.environ["REMOVED"] = "1"
    with open(tmp_path / "open", "w") as held:
        os.set_inheritable(held.fileno(), True)
        spec = misbehave("report", tmp_path / "facts", env=(("ADDED", "a b"), ("REMOVED", None)), cwd=folder)
        run = world.supervisor.start(spec, kind="test", name="run", run_id="run")
        world.until_ended()
    del os.environ["REMOVED"]
    facts = json.loads((tmp_path / "facts").read_text())
    assert facts["cwd"] == str(folder)
    assert facts["environment"]["ADDED"] == "a b"
    assert "REMOVED" not in facts["environment"]
    assert facts["session"] == facts["group"] == facts["pid"] == world.supervisor.get("run").pid
    assert facts["descriptors"] == {"0": "/dev/null", "1": str(run.log_path), "2": str(run.log_path)}
    assert facts["descriptor_count"] == 0
    assert facts["default_signals"]


def test_stop_ends_the_command_by_sigterm(world: World) -> None:
    world.start("wait")
    world.until_says("waiting")
    world.supervisor.stop("run")
    run = world.until_ended()
    assert (run.exit_code, run.stop_signal, run.stop_requested) == (-signal.SIGTERM, "SIGTERM", True)


def test_stop_kills_a_command_that_ignores_sigterm(world: World) -> None:
    world.start("deaf")
    pid = world.until_says("deaf").pid
    world.supervisor.stop("run", grace_s=60)
    world.until("was asked", lambda run: run.stop_signal == "SIGTERM")
    assert is_running(pid)
    world.supervisor.stop("run", grace_s=0)
    run = world.until_ended()
    assert (run.exit_code, run.stop_signal) == (-signal.SIGKILL, "SIGKILL")


def test_stop_before_the_command_has_begun(world: World) -> None:
    world.start("deaf")
    world.supervisor.stop("run", grace_s=0)
    assert world.until_ended().stop_signal == "SIGKILL"


@pytest.mark.parametrize("stays", ["yes", "no"])
@pytest.mark.parametrize("own_session", ["yes", "no"])
def test_what_a_command_started_ends_with_it(world: World, tmp_path: Path, own_session: str, stays: str) -> None:
    world.start("family", tmp_path / "pids", own_session, "no", stays)
    pids = pids_in(tmp_path / "pids")
    if stays == "yes":
        world.supervisor.stop("run")
    run = world.until_ended()
    assert run.exit_code == (-signal.SIGTERM if stays == "yes" else 7)
    assert not [pid for pid in pids if is_running(pid)]


def test_grandchildren_that_ignore_sigterm_are_killed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.processes.supervisor.LEFTOVERS_GRACE_S", 0.2)
    world.start("family", tmp_path / "pids", "yes", "yes", "no")
    pids = pids_in(tmp_path / "pids")
    assert world.until_ended().exit_code == 7
    assert not [pid for pid in pids if is_running(pid)]


@pytest.mark.parametrize(
    ("argv", "cwd", "key", "exit_code"),
    [
        (("/nowhere/program",), None, "servers.process.no-program", 127),
        (("no-such-program-on-path",), None, "servers.process.no-program", 127),
        ((str(CHILDREN / "misbehave.py"),), None, "servers.process.no-permission", 126),
        ((sys.executable,), Path("/nowhere/folder"), "servers.process.no-folder", 127),
        ((sys.executable, "nul\0in it"), None, "servers.process.not-started", 126),
    ],
)
def test_a_command_that_cannot_start_says_why(
    world: World, argv: tuple[str, ...], cwd: Path | None, key: str, exit_code: int
) -> None:
    world.supervisor.start(CommandSpec(argv, cwd=cwd), kind="test", name="run", run_id="run")
    run = world.until_ended()
    assert run.problem is not None
    assert (run.problem.key, run.exit_code, run.pid) == (key, exit_code, 0)
    assert read_chunk(run.log_path, 0).text


def test_a_killed_console_loses_nothing(
    console: Callable[..., subprocess.Popen[str]], settings: Settings, tmp_path: Path
) -> None:
    process = console("lives:wait", "ends:wait", "leaves:leave:5")
    kill(process)
    end = settings.runs_dir / "ends" / runner.PROCESS
    identity = wait_for("the command is known", lambda: end.exists() and json.loads(end.read_text()))
    os.kill(identity["pid"], signal.SIGTERM)
    wait_for("its runner has ended", lambda: not is_running(identity["runner_pid"]))
    world = World(settings)
    try:
        ended = world.until_ended("ends")
        assert (ended.exit_code, ended.stop_signal, ended.stop_requested) == (-signal.SIGTERM, "", False)
        assert world.until_ended("leaves").exit_code == 5
        lives = world.until_says("waiting", "lives")
        assert is_running(lives.pid)
        world.supervisor.stop("lives")
        assert world.until_ended("lives").exit_code == -signal.SIGTERM
        assert not is_running(lives.pid)
    finally:
        world.close()


def test_a_stop_goes_on_after_the_console_was_killed(
    console: Callable[..., subprocess.Popen[str]], settings: Settings
) -> None:
    process = console("run:deaf")
    log = settings.runs_dir / "run" / runner.LOG
    wait_for("the command is deaf", lambda: "deaf" in log.read_text())
    order(process, "stop run 1")
    kill(process)
    world = World(settings)
    try:
        run = world.until_ended()
        assert (run.exit_code, run.stop_signal, run.stop_requested) == (-signal.SIGKILL, "SIGKILL", True)
    finally:
        world.close()


def test_two_consoles_never_share_a_state_directory(
    console: Callable[..., subprocess.Popen[str]], settings: Settings
) -> None:
    process = console()
    lock = InstanceLock(settings.state_dir)
    assert lock.acquire() == RunningInstance("http://127.0.0.1:1/", process.pid)
    kill(process)
    assert lock.acquire() is None
    lock.release()


def test_a_command_does_not_hold_the_lock_of_its_console(
    console: Callable[..., subprocess.Popen[str]], settings: Settings
) -> None:
    kill(console("run:wait"))
    lock = InstanceLock(settings.state_dir)
    assert lock.acquire() is None
    world = World(settings)
    try:
        world.supervisor.stop("run")
        world.until_ended()
    finally:
        world.close()
        lock.release()


def test_a_command_whose_runner_was_killed_is_still_stopped(world: World, tmp_path: Path) -> None:
    world.start("family", tmp_path / "pids", "yes", "no", "yes")
    pids = pids_in(tmp_path / "pids")
    run = world.until("is known", lambda run: run.pid)
    os.kill(runner_pid(run), signal.SIGKILL)
    wait_for("the runner is gone", lambda: not psutil.pid_exists(runner_pid(run)))
    assert not world.supervisor.get("run").ended
    assert all(is_running(pid) for pid in pids)
    world.supervisor.stop("run")
    run = world.until_ended()
    assert run.problem is not None
    assert (run.problem.key, run.exit_code, run.stop_signal) == ("servers.process.exit-unknown", None, "SIGTERM")
    assert not [pid for pid in pids if is_running(pid)]


def test_another_consoles_run_of_the_same_id_is_left_alone(world: World, tmp_path: Path) -> None:
    """A copied state folder has the same ids."""
    world.start("wait")
    run = world.until_says("waiting")
    folders = {name: tmp_path / name / "run" for name in ("other", "old")}
    waits = [sys.executable, str(CHILDREN / "misbehave.py"), "wait"]
    marks = {name: runner.marks(folder) for name, folder in folders.items()}
    del marks["old"][runner.RUNS_MARK]
    left = {name: subprocess.Popen(waits, env={**os.environ, **mark}) for name, mark in marks.items()}
    try:
        os.kill(runner_pid(run), signal.SIGKILL)
        world.supervisor.stop("run")
        world.until_ended()
        assert left["old"].wait(30) == -signal.SIGTERM  # says nothing of its console
        assert left["other"].poll() is None
    finally:
        for process in left.values():
            process.kill()
            process.wait(30)


def test_a_runner_ignores_signals_meant_for_others(world: World) -> None:
    world.start("wait")
    run = world.until_says("waiting")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        os.kill(runner_pid(run), number)
    os.kill(run.pid, signal.SIGINT)
    assert world.until_ended().exit_code == -signal.SIGINT


def test_a_process_from_before_a_reboot_is_never_adopted(world: World) -> None:
    world.start("wait")
    run = world.until_says("waiting")
    world.close()
    store = Store(world.settings.state_dir)
    (row,) = store.processes()
    store.save_process(replace(row, boot_id="another boot"))
    store.close()
    world.open()
    found = world.supervisor.get("run")
    assert found.interrupted
    assert found.ended
    assert (found.exit_code, found.problem and found.problem.key) == (None, "servers.process.interrupted")
    world.supervisor.stop("run")
    assert is_running(run.pid)
    os.kill(run.pid, signal.SIGKILL)
    os.waitpid(runner_pid(run), 0)


def test_another_process_with_the_same_pid_is_never_adopted(world: World) -> None:
    world.start("leave", 0)
    world.until_ended()
    world.close()
    store = Store(world.settings.state_dir)
    (row,) = store.processes()
    me = os.getpid()
    other = replace(row, ended_at=None, exit_code=None, pid=me, start=1, runner_pid=me, runner_start=1)
    store.save_process(other)
    store.close()
    world.open()
    assert world.until_ended().exit_code == 0


def test_a_zombie_counts_as_ended(world: World) -> None:
    child = subprocess.Popen([sys.executable, str(CHILDREN / "misbehave.py"), "leave", "0"])
    fields = wait_for("zombie", lambda: (f := runner.stat_fields(child.pid)) is not None and f[0] == "Z" and f)
    assert isinstance(fields, list)
    world.start("leave", 4)
    world.until_ended()
    world.close()
    store = Store(world.settings.state_dir)
    (row,) = store.processes()
    start = int(fields[runner.START])
    store.save_process(replace(row, ended_at=None, pid=child.pid, start=start, runner_pid=0, runner_start=0))
    store.close()
    world.open()
    assert world.until_ended().exit_code == 4
    child.wait(30)


def test_a_runner_tells_another_machine_that_it_lives(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice a minute, by a timer: to another machine that shares the disk, nothing else of it is there."""
    world.start("wait")
    run = world.until_says("waiting")
    world.close()
    beat = run.folder / runner.PROCESS
    os.utime(beat, (1.0, 1.0))
    os.kill(runner_pid(run), signal.SIGALRM)  # as its timer does
    wait_for("it says so", lambda: beat.stat().st_mtime > 1.0)
    here = runner.machine()
    with monkeypatch.context() as another:
        another.setattr(runner, "boot_id", lambda: "another boot")
        another.setattr(runner, "machine", lambda: {"name": "another machine", "id": ""})
        store = Store(world.settings.state_dir)
        with pytest.raises(Unavailable) as caught:
            Supervisor(world.settings, store)
        store.close()
    assert caught.value.messages[0].params["machine"] == here["name"]
    world.open()
    assert world.supervisor.get("run").pid == run.pid
    assert not world.supervisor.get("run").ended
    world.supervisor.stop("run")
    assert world.until_ended().exit_code == -signal.SIGTERM


def test_a_corrupted_database_is_put_aside_and_the_processes_found_again(world: World) -> None:
    world.start("wait", run_id="lives")
    world.start("leave", 6, run_id="ended")
    pid = world.until_says("waiting", "lives").pid
    world.until_ended("ended")
    world.close()
    path = world.settings.state_dir / FILE_NAME
    path.write_bytes(b"no database" * 1000)
    world.open()
    assert world.store.problem is not None
    assert world.store.problem.key == "servers.store.corrupted"
    assert Path(str(world.store.problem.params["kept"])).read_bytes().startswith(b"no database")
    assert world.until("is found", lambda run: run.pid, "lives").pid == pid
    assert world.until_ended("ended").exit_code == 6
    world.supervisor.stop("lives")
    assert world.until_ended("lives").exit_code == -signal.SIGTERM


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"exit_code": 0'])
def test_a_status_that_cannot_be_read_is_no_status(world: World, content: str) -> None:
    run = world.start("leave", 0)
    world.until_ended()
    world.close()
    (run.folder / runner.STATUS).write_text(content)
    store = Store(world.settings.state_dir)
    store.save_process(replace(store.processes()[0], ended_at=None, exit_code=None))
    store.close()
    world.open()
    ended = world.until_ended()
    assert ended.exit_code is None
    assert ended.problem is not None
    assert ended.problem.key == "servers.process.exit-unknown"


def test_fifty_starts_and_stops_leave_nothing_behind(world: World) -> None:
    world.start("leave", 0, run_id="first")
    world.until_ended("first")
    descriptors, children = len(os.listdir("/proc/self/fd")), set(psutil.Process().children())
    for number in range(50):
        world.start("wait" if number % 2 else "leave", run_id=f"run{number}")
        world.supervisor.stop(f"run{number}", grace_s=60)
    ids = [f"run{number}" for number in range(50)]
    pids = [world.until_ended(run_id).pid for run_id in ids]
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert set(psutil.Process().children()) <= children
    assert not [pid for pid in pids if pid and is_running(pid)]
    for run_id in ids:
        world.supervisor.forget(run_id)
    assert [path.name for path in world.settings.runs_dir.iterdir()] == ["first"]


def test_forget_removes_an_ended_run_only(world: World) -> None:
    run = world.start("wait")
    with pytest.raises(Conflict):
        world.supervisor.forget("run")
    world.supervisor.stop("run")
    world.until_ended()
    world.supervisor.forget("run")
    assert not run.folder.exists()
    world.reopen()
    assert world.supervisor.all() == ()
    for action in (world.supervisor.get, world.supervisor.stop, world.supervisor.forget):
        with pytest.raises(NotFound):
            action("run")


def test_an_id_is_taken_once(world: World) -> None:
    world.start("wait")
    with pytest.raises(Conflict):
        world.start("leave", 0)
    assert not world.supervisor.get("run").ended


def test_listeners_hear_every_change_and_one_that_fails_stops_nobody(world: World) -> None:
    heard: list[tuple[bool, str]] = []

    def fail(run: Run) -> None:
        raise RuntimeError(run.id)

    world.supervisor.on_change(fail)
    world.supervisor.on_change(lambda run: heard.append((run.ended, run.stop_signal)))
    world.start("wait")
    world.until_says("waiting")
    world.supervisor.stop("run")
    world.until_ended()
    wait_for("the end is heard", lambda: heard[-1:] == [(True, "SIGTERM")])
    assert heard[0] == (False, "")


def test_a_flood_goes_to_the_log(world: World) -> None:
    world.start("flood", 4_000_000)
    run = world.until_ended()
    assert (run.exit_code, run.log_path.stat().st_size) == (0, 4_000_000)


def test_a_log_that_may_not_grow_hides_no_exit_status(world: World) -> None:
    """A limit on the command's files (RLIMIT_FSIZE) ends it at its first write beyond."""
    script = 'ulimit -f 1; exec "$0" "$@"'
    argv = ("sh", "-c", script, sys.executable, str(CHILDREN / "misbehave.py"), "flood", "100000")
    world.supervisor.start(CommandSpec(argv), kind="test", name="run", run_id="run")
    run = world.until_ended()
    assert run.exit_code is not None
    assert run.exit_code != 0
    assert run.problem is None


def test_a_full_disk_hides_no_exit_status_and_starts_nothing_more(tiny_disk: Path, settings: Settings) -> None:
    world = World(replace(settings, state_dir=tiny_disk))
    try:
        world.start("wait", run_id="lives")
        world.until_says("waiting", "lives")
        world.start("flood", 4_000_000, run_id="floods")
        floods = world.until_ended("floods")
        assert floods.exit_code not in (0, None)
        assert floods.problem is None
        with pytest.raises(Unavailable) as caught:
            world.start("wait", run_id="more")
        assert caught.value.messages[0].key in ("servers.process.disk-full", "servers.store.full")
        assert not (world.settings.runs_dir / "more").exists()
        world.supervisor.stop("lives")
        assert world.until_ended("lives").exit_code == -signal.SIGTERM
        floods.log_path.write_bytes(b"")
        world.start("leave", 0, run_id="later")
        assert world.until_ended("later").exit_code == 0
    finally:
        world.close()
