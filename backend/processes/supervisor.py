"""Starts commands, watches them, stops them, and finds them again after the console was killed.

Each command runs under its own runner (runner.py). The supervisor remembers in the store who they are, and one thread
watches them. Processes outlive the console: ``close()`` leaves them running.
"""

import errno
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backend.errors import Conflict, Message, NotFound, Unavailable
from backend.processes import marked, runner
from backend.processes.command import CommandSpec
from backend.settings import Settings
from backend.store import ProcessRow, Store

DEFAULT_GRACE_S = 15.0
LEFTOVERS_GRACE_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """One command that was started, as it is now.

    Times are seconds since the epoch; ``ended_at`` is None while it (or anything it left behind) runs. ``pid`` is 0
    until the runner has started it. ``exit_code`` is negative for a signal, as subprocess has it; None while it runs,
    and after its end where nobody could see it (``problem`` says so). ``rung`` is the hardest signal that a stop had to
    send: "", "SIGTERM" or "SIGKILL". ``interrupted``: the machine was restarted while it ran. ``problem`` says why it
    couldn't be started, or why its exit code isn't known. ``about`` is what the starter gave to keep with it.
    """

    id: str
    kind: str
    name: str
    pid: int
    started_at: float
    ended_at: float | None
    exit_code: int | None
    rung: str
    stop_requested: bool
    interrupted: bool
    problem: Message | None
    log_path: Path
    folder: Path
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether the command and all that it started are gone."""
        return self.ended_at is not None


class Supervisor:
    """The one owner of all processes of a state directory. Every method is safe to call from any thread.

    Only one may exist for a state directory at a time: take the InstanceLock first.
    """

    def __init__(self, settings: Settings, store: Store, *, poll_s: float = 0.1) -> None:
        self._runs_dir = settings.runs_dir
        self._store = store
        self._poll_s = poll_s
        self._boot = runner.boot_id()
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._closed = False
        self._callbacks: list[Callable[[Run], None]] = []
        self._leftovers_since: dict[str, float] = {}
        try:
            self._runs_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(_no_folder(self._runs_dir, error)) from error
        self._rows = {row.id: row for row in store.processes()}
        self._find_unknown_runs()
        for row in list(self._rows.values()):
            if row.ended_at is None:
                self._look_at(row)
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def start(
        self,
        spec: CommandSpec,
        *,
        kind: str,
        name: str,
        run_id: str | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> Run:
        """Start the command under a runner and return at once. What it writes goes to the run's log.

        ``about`` (JSON) is kept with the run, also where the database gets lost. A command that can't be started gives
        a run that ends with a ``problem``. Raises Unavailable where the run's folder can't be written (a full disk) or
        the machine can't start any process, Conflict where the id is taken.
        """
        run_id = run_id or secrets.token_hex(6)
        with self._lock:
            if run_id in self._rows:
                raise Conflict(Message("servers.process.id-taken", {"id": run_id}))
            row = ProcessRow(run_id, kind, name, time.time(), self._boot, about=dict(about or {}))
            folder = self._folder(run_id)
            try:
                self._make_folder(folder, spec, row)
                self._store.save_process(row)
                pid = _start_runner(folder)
            except (OSError, Unavailable) as error:
                shutil.rmtree(folder, ignore_errors=True)
                with suppress(Unavailable):
                    self._store.delete_process(run_id)
                if isinstance(error, Unavailable):
                    raise
                raise Unavailable(_no_folder(folder, error)) from error
            # Nobody has waited for it yet, so there is an entry, if only a zombie's.
            fields = runner.stat_fields(pid)
            row = replace(row, runner_pid=pid, runner_start=0 if fields is None else int(fields[runner.START]))
            self._save(row)
        self._wake.set()
        self._announce(row)
        return self._run(row)

    def get(self, run_id: str) -> Run:
        """The run as it is now. Raises NotFound."""
        return self._run(self._row(run_id))

    def all(self, kind: str | None = None) -> tuple[Run, ...]:
        """Every run (of that kind), oldest first."""
        with self._lock:
            rows = sorted(self._rows.values(), key=lambda row: row.started_at)
        return tuple(self._run(row) for row in rows if kind in (None, row.kind))

    def stop(self, run_id: str, grace_s: float = DEFAULT_GRACE_S) -> None:
        """Ask the command's process group to end (SIGTERM), and after ``grace_s`` seconds kill it (SIGKILL).

        Returns at once. The wish is stored: a restarted console carries it out. A second call can shorten the time, not
        lengthen it. Nothing happens to a run that has ended. Raises NotFound.
        """
        with self._lock:
            row = self._row(run_id)
            if row.ended_at is not None:
                return
            kill_at = time.clock_gettime(time.CLOCK_BOOTTIME) + grace_s
            if row.stop_requested:
                kill_at = min(kill_at, row.kill_at)
            row = replace(row, stop_requested=True, kill_at=kill_at)
            self._save(row)
        self._wake.set()
        self._announce(row)

    def forget(self, run_id: str) -> None:
        """Remove an ended run with its folder and log. Raises NotFound, or Conflict while it runs."""
        with self._lock:
            row = self._row(run_id)
            if row.ended_at is None:
                raise Conflict(Message("servers.process.still-running", {"name": row.name}))
            # Without its spec the folder is never taken for a lost run, should the rest not be removable.
            with suppress(OSError):
                (self._folder(run_id) / runner.SPEC).unlink()
            shutil.rmtree(self._folder(run_id), ignore_errors=True)
            self._store.delete_process(run_id)
            del self._rows[run_id]

    def on_change(self, callback: Callable[[Run], None]) -> None:
        """Call ``callback(run)`` after every change of a run, from whichever thread changed it; it must be quick."""
        with self._lock:
            self._callbacks.append(callback)

    def close(self) -> None:
        """Stop watching. The processes go on."""
        self._closed = True
        self._wake.set()
        self._thread.join(timeout=10)

    # The watcher thread

    def _watch(self) -> None:
        while not self._closed:
            with self._lock:
                live = [row for row in self._rows.values() if row.ended_at is None]
            for row in live:
                try:
                    self._look_at(row)
                except Exception:  # one run's trouble (a full disk, say) must not end the watch over the others
                    log.exception("run %s", row.id)
            self._wake.wait(self._poll_s if live else None)
            self._wake.clear()

    def _look_at(self, row: ProcessRow) -> None:
        """Compare what is remembered with what is there, and take the next step of a stop."""
        with self._lock:
            before = self._rows.get(row.id)
            if before is None or before.ended_at is not None:
                return
            after = self._step(before)
            if after != before:
                self._save(after)
        if after != before:
            self._announce(after)

    def _step(self, row: ProcessRow) -> ProcessRow:
        if row.boot_id != self._boot:
            return self._ended(replace(row, interrupted=True))
        runner_alive = _is_alive(row.runner_pid, row.runner_start, reap=True)
        command_alive = _is_alive(row.pid, row.start)
        # Read after the look at the runner: one that has ended has written all that it ever will.
        if row.pid == 0 and (written := runner.read_result(self._folder(row.id), runner.PROCESS)) is not None:
            return replace(
                row,
                runner_pid=int(written["runner_pid"]),
                runner_start=int(written["runner_start"]),
                pid=int(written["pid"]),
                start=int(written["start"]),
            )
        if not runner_alive and not command_alive:
            return row if self._end_leftovers(row) else self._ended(row)
        if row.stop_requested and command_alive:
            return _climb(row)
        return row

    def _ended(self, row: ProcessRow) -> ProcessRow:
        folder = self._folder(row.id)
        status = runner.read_result(folder, runner.STATUS)
        if status is not None:
            return replace(
                row,
                ended_at=float(status["ended_at"]),
                exit_code=int(status["exit_code"]),
                problem=_not_started(status["error"]) if "error" in status else None,
                interrupted=False,  # where the machine was restarted, it had ended before
            )
        if row.interrupted:
            problem = Message("servers.process.interrupted", {"name": row.name}, level="warning")
            return replace(row, ended_at=_last_written(folder / runner.LOG, row.started_at), problem=problem)
        problem = Message("servers.process.exit-unknown", {"name": row.name}, level="warning")
        return replace(row, ended_at=time.time(), problem=problem)

    def _end_leftovers(self, row: ProcessRow) -> bool:
        """End what still belongs to a run whose runner and command are gone; whether anything is left.

        The runner does this itself, unless it was killed.
        """
        left = marked.find(row.id)
        if not left:
            self._leftovers_since.pop(row.id, None)
            return False
        since = self._leftovers_since.setdefault(row.id, time.monotonic())
        if time.monotonic() - since > LEFTOVERS_GRACE_S:
            marked.send_signal(left, signal.SIGKILL)
        elif row.runner_pid:  # an unknown runner may be about to say who it is
            marked.send_signal(left, signal.SIGTERM)
        return True

    # What is remembered

    def _row(self, run_id: str) -> ProcessRow:
        with self._lock:
            row = self._rows.get(run_id)
        if row is None:
            raise NotFound(Message("servers.process.not-found", {"id": run_id}))
        return row

    def _save(self, row: ProcessRow) -> None:
        """In memory first: a database that can't be written (a full disk) must not hide what is true."""
        self._rows[row.id] = row
        try:
            self._store.save_process(row)
        except Unavailable:
            log.exception("run %s could not be stored", row.id)

    def _announce(self, row: ProcessRow) -> None:
        run = self._run(row)
        for callback in tuple(self._callbacks):
            try:
                callback(run)
            except Exception:  # a listener's fault must not stop the watch
                log.exception("a listener failed on run %s", row.id)

    def _run(self, row: ProcessRow) -> Run:
        folder = self._folder(row.id)
        return Run(
            id=row.id,
            kind=row.kind,
            name=row.name,
            pid=row.pid,
            started_at=row.started_at,
            ended_at=row.ended_at,
            exit_code=row.exit_code,
            rung=row.rung,
            stop_requested=row.stop_requested,
            interrupted=row.interrupted,
            problem=row.problem,
            log_path=folder / runner.LOG,
            folder=folder,
            about=row.about,
        )

    def _folder(self, run_id: str) -> Path:
        return self._runs_dir / run_id

    def _make_folder(self, folder: Path, spec: CommandSpec, row: ProcessRow) -> None:
        content = {
            "id": row.id,
            "kind": row.kind,
            "name": row.name,
            "started_at": row.started_at,
            "boot_id": row.boot_id,
            "about": row.about,
            "argv": spec.launch_argv(),
            "env": dict(spec.env),
            "cwd": None if spec.cwd is None else str(spec.cwd),
            "leftovers_grace_s": LEFTOVERS_GRACE_S,
        }
        folder.mkdir(mode=0o700)
        runner.write_result(folder, runner.SPEC, content)
        runner.reserve(folder, runner.PROCESS)
        runner.reserve(folder, runner.STATUS)

    def _find_unknown_runs(self) -> None:
        """Take up runs that the database lost: it was corrupted, or the console was killed in the middle of a start."""
        names = ("id", "kind", "name", "started_at", "boot_id", "about")
        for folder in self._runs_dir.iterdir():
            spec = runner.read_result(folder, runner.SPEC)
            if spec is not None and spec["id"] == folder.name and folder.name not in self._rows:
                self._save(ProcessRow(**{name: spec[name] for name in names}))


def _start_runner(folder: Path) -> int:
    """The pid of a new runner, in a session of its own, its output in the run's log."""
    log_file = os.open(folder / runner.LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", runner.__file__, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            env={**os.environ, runner.RUN_MARK: folder.name},
            start_new_session=True,
        )
    finally:
        os.close(log_file)
    process.returncode = 0  # it is meant to outlive this object, which would warn otherwise; _reap waits for it
    return process.pid


def _is_alive(pid: int, start: int, *, reap: bool = False) -> bool:
    """Whether that very process runs. A zombie doesn't; ``reap`` waits for it, if it is a child of this process.

    (A runner is, until the console is restarted.)
    """
    fields = runner.stat_fields(pid) if pid else None
    if fields is None or int(fields[runner.START]) != start:
        return False
    if fields[runner.STATE] not in runner.ENDED_STATES:
        return True
    if reap:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return False


def _climb(row: ProcessRow) -> ProcessRow:
    """The next rung of a stop, if it is time for it. The command leads its own process group."""
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    rung = "SIGKILL" if now >= row.kill_at else "SIGTERM"
    if row.rung in (rung, "SIGKILL"):
        return row
    try:
        os.killpg(row.pid, signal.Signals[rung])
    except (ProcessLookupError, PermissionError):  # it has just ended, or became another user's
        return row
    return replace(row, rung=rung)


def _not_started(error: Mapping[str, Any]) -> Message:
    params = {"path": error["path"], "error": error["text"]}
    if error["errno"] in (errno.ENOENT, errno.ENOTDIR):
        return Message("servers.process.no-folder" if error["folder"] else "servers.process.no-program", params)
    if error["errno"] in (errno.EACCES, errno.EPERM):
        return Message("servers.process.no-permission", params)
    return Message("servers.process.not-started", params)


def _no_folder(folder: Path, error: OSError) -> Message:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    params = {"path": str(folder), "error": error.strerror or str(error)}
    return Message("servers.process.disk-full" if full else "servers.process.no-run-folder", params)


def _last_written(path: Path, otherwise: float) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return otherwise
