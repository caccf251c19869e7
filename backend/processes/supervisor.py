"""Starts commands, watches them, stops them, and finds them again after the console was killed.

Each command runs under its own runner (runner.py). The supervisor remembers in the store who they are, and one thread
watches them. Processes outlive the console: ``close()`` leaves them running.
"""

import errno
import logging
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from backend import disk
from backend.errors import Conflict, Message, NotFound, Unavailable
from backend.outside_text import clean
from backend.private_folders import make_private
from backend.processes import control, orphans, runner
from backend.processes.command import CommandSpec
from backend.settings import Settings
from backend.store import Store
from backend.store_rows import ProcessRow

DEFAULT_GRACE_S = 15.0
LEFTOVERS_GRACE_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """One command that was started, as it is now.

    Times are seconds since the epoch; ``ended_at`` is None while it (or anything it left behind) runs. ``pid`` is 0
    until the runner has started it. ``exit_code`` is negative for a signal, as subprocess has it; None while it runs,
    and after its end where nobody could see it (``problem`` says so). ``stop_signal`` is the hardest that a stop had to
    send: "", "SIGTERM" or "SIGKILL". ``interrupted``: the machine was restarted while it ran. ``problem`` says why it
    couldn't be started, or why its exit code isn't known. ``about`` is what the starter gave to keep with it.
    ``command_ended``: the command itself is gone; what it left behind may take some seconds more to end.
    """

    id: str
    kind: str
    name: str
    pid: int
    started_at: float
    ended_at: float | None
    exit_code: int | None
    stop_signal: str
    stop_requested: bool
    interrupted: bool
    problem: Message | None
    log_path: Path
    folder: Path
    about: Mapping[str, Any] = field(default_factory=dict)
    command_ended: bool = False

    @property
    def ended(self) -> bool:
        """Whether the command and all that it started are gone."""
        return self.ended_at is not None


class Supervisor:
    """The one owner of all processes of a state directory. Every method is safe to call from any thread.

    Only one may exist for a state directory at a time: take the InstanceLock first. Raises Unavailable where its folder
    can't be written, or its runs live on another machine.
    """

    def __init__(self, settings: Settings, store: Store, *, poll_s: float = 0.1) -> None:
        self._runs_dir = settings.runs_dir
        self._store = store
        self._poll_s = poll_s
        self._boot = runner.boot_id()
        # Guards what is in memory. Nothing that waits (a disk, a process, a listener) is done while it is held.
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._callbacks: list[Callable[[Run], None]] = []
        self._leftovers_since: dict[str, float] = {}
        self._command_ended: set[str] = set()  # runs whose command is gone
        self._starting: set[str] = set()
        try:
            make_private(self._runs_dir)
            folders = list(self._runs_dir.iterdir())
        except OSError as error:
            raise disk.cannot_write(self._runs_dir, error) from error
        self._rows = {row.id: row for row in store.processes()}
        self._find_unknown_runs(folders)
        self._refuse_another_machine()
        for row in list(self._rows.values()):
            if row.ended_at is None:
                self._rows[row.id] = self._with_stored_stop(row)
        self._look_at_all()
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
        the machine can't start any process, Conflict where the id is taken. The database isn't needed: the folder says
        everything that a restarted console must know.
        """
        run_id = run_id or secrets.token_hex(6)
        with self._lock:
            if run_id in self._rows or run_id in self._starting:
                raise Conflict(Message("servers.process.id-taken", {"id": run_id}))
            self._starting.add(run_id)
        try:
            row = self._started(ProcessRow(run_id, kind, name, time.time(), self._boot, about=dict(about or {})), spec)
            with self._lock:
                self._rows[run_id] = row
                self._store.keep_process(row)
        finally:
            with self._lock:
                self._starting.discard(run_id)
        self._wake.set()
        self._announce(row)
        return self._run(row)

    def _started(self, row: ProcessRow, spec: CommandSpec) -> ProcessRow:
        """The row with its runner, which is running by now."""
        folder = self._folder(row.id)
        try:
            self._make_folder(folder, spec, row)
            pid = control.start_runner(folder)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise disk.cannot_write(folder, error) from error
        # Nobody has waited for it yet, so there is an entry, if only a zombie's.
        fields = runner.stat_fields(pid)
        return replace(row, runner_pid=pid, runner_start=0 if fields is None else int(fields[runner.START]))

    def get(self, run_id: str) -> Run:
        """The run as it is now. Raises NotFound."""
        with self._lock:
            row = self._row(run_id)
        return self._run(row)

    def all(self, kind: str | None = None) -> tuple[Run, ...]:
        """Every run (of that kind), oldest first."""
        with self._lock:
            rows = sorted(self._rows.values(), key=lambda row: row.started_at)
        return tuple(self._run(row) for row in rows if kind in (None, row.kind))

    def stop(self, run_id: str, grace_s: float = DEFAULT_GRACE_S) -> None:
        """Ask the command's process group to end (SIGTERM), and after ``grace_s`` seconds kill it (SIGKILL).

        Returns at once. The wish is stored: a restarted console carries it out. A second call can shorten the time, not
        lengthen it. Nothing happens to a run whose command has ended: how it ended is no longer anybody's wish, and
        what it left behind is being ended already. Raises NotFound.
        """
        with self._lock:
            row = self._row(run_id)
            if row.ended_at is not None or run_id in self._command_ended:
                return
            kill_at = time.clock_gettime(time.CLOCK_BOOTTIME) + grace_s
            if row.stop_requested:
                kill_at = min(kill_at, row.kill_at)
            row = replace(row, stop_requested=True, kill_at=kill_at)
            self._rows[run_id] = row
            self._store.keep_process(row)
        self._wake.set()
        self._store_stop(row)
        self._announce(row)

    def forget(self, run_id: str) -> None:
        """Remove an ended run with its folder and log. Raises NotFound, or Conflict while it runs."""
        with self._lock:
            row = self._row(run_id)
            if row.ended_at is None:
                raise Conflict(Message("servers.process.still-running", {"name": row.name}))
            del self._rows[run_id]
            self._command_ended.discard(run_id)
            self._store.drop_process(run_id)
        # Without its spec the folder is never taken for a lost run, should the rest not be removable.
        with suppress(OSError):
            (self._folder(run_id) / runner.SPEC).unlink()
        shutil.rmtree(self._folder(run_id), ignore_errors=True)

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
            any_live = self._look_at_all()
            self._wake.wait(self._poll_s if any_live else None)
            self._wake.clear()

    def _look_at_all(self) -> bool:
        """Look at each run that hasn't ended; whether there was any."""
        with self._lock:
            live = [row.id for row in self._rows.values() if row.ended_at is None]
        for run_id in live:
            try:
                self._look_at(run_id)
            except Exception:  # one run's trouble must not end the watch over the others
                log.exception("run %s", run_id)
        return bool(live)

    def _look_at(self, run_id: str) -> None:
        """Compare what is remembered with what is there, and take the next step of a stop."""
        with self._lock:
            before = self._rows.get(run_id)
        if before is None or before.ended_at is not None:
            return
        after = self._step(before)
        if after == before:
            return
        with self._lock:
            now = self._rows.get(run_id)
            if now is None:
                return
            # Only a stop changes a row beside this thread.
            after = replace(after, stop_requested=now.stop_requested, kill_at=now.kill_at)
            self._rows[run_id] = after
            self._store.keep_process(after)
        self._announce(after)

    def _step(self, row: ProcessRow) -> ProcessRow:
        if row.boot_id != self._boot:
            return self._ended(replace(row, interrupted=True))
        runner_alive = control.is_alive(row.runner_pid, row.runner_start, reap=True)
        command_alive = control.is_alive(row.pid, row.start)
        # Read after the look at the runner: one that has ended has written all that it ever will.
        if row.pid == 0 and (written := runner.read_result(self._folder(row.id), runner.PROCESS)) is not None:
            return replace(
                row,
                runner_pid=written["runner_pid"],
                runner_start=written["runner_start"],
                pid=written["pid"],
                start=written["start"],
            )
        if row.pid and not command_alive:
            self._say_command_ended(row)
        if not runner_alive and not command_alive:
            return row if self._end_leftovers(row) else self._ended(row)
        if row.stop_requested and command_alive:
            return control.next_signal(row)
        return row

    def _say_command_ended(self, row: ProcessRow) -> None:
        """Once, so that a server which is gone isn't shown as running while what it left behind is being ended."""
        with self._lock:
            if row.id in self._command_ended:
                return
            self._command_ended.add(row.id)
        self._announce(row)

    def _ended(self, row: ProcessRow) -> ProcessRow:
        folder = self._folder(row.id)
        status = runner.read_result(folder, runner.STATUS)
        if status is not None:
            return replace(
                row,
                ended_at=float(status["ended_at"]),
                exit_code=status["exit_code"],
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
        left = orphans.find(self._folder(row.id))
        if not left:
            self._leftovers_since.pop(row.id, None)
            return False
        since = self._leftovers_since.setdefault(row.id, time.monotonic())
        if time.monotonic() - since > LEFTOVERS_GRACE_S:
            orphans.send_signal(left, signal.SIGKILL)
        elif row.runner_pid:  # an unknown runner may be about to say who it is
            orphans.send_signal(left, signal.SIGTERM)
        return True

    # What is remembered

    def _row(self, run_id: str) -> ProcessRow:
        row = self._rows.get(run_id)
        if row is None:
            raise NotFound(Message("servers.process.not-found", {"id": run_id}))
        return row

    def _store_stop(self, row: ProcessRow) -> None:
        """Keep the wish beyond the end of this console: in the run's folder, whose room was taken at its start."""
        try:
            runner.write_result(self._folder(row.id), runner.STOP, {"kill_at": row.kill_at})
        except OSError:  # a run of an older version, on a full disk
            self._store.settle()

    def _with_stored_stop(self, row: ProcessRow) -> ProcessRow:
        """The row with the wish that a console before this one could write into the run's folder alone."""
        stop = runner.read_result(self._folder(row.id), runner.STOP)
        if stop is None or row.stop_requested:
            return row
        return replace(row, stop_requested=True, kill_at=float(stop["kill_at"]))

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
            stop_signal=row.stop_signal,
            stop_requested=row.stop_requested,
            interrupted=row.interrupted,
            problem=row.problem,
            log_path=folder / runner.LOG,
            folder=folder,
            about=row.about,
            command_ended=row.ended_at is not None or row.id in self._command_ended,
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
        make_private(folder, must_be_new=True)
        runner.write_result(folder, runner.SPEC, content)
        for name in (runner.PROCESS, runner.STATUS, runner.STOP):
            runner.reserve(folder, name)

    def _refuse_another_machine(self) -> None:
        """Raises Unavailable where runs live on another machine that shares the folder: they would be taken for
        interrupted here, and what they write for left over."""
        for row in self._rows.values():
            if row.ended_at is not None or row.boot_id == self._boot:
                continue
            if there := control.seen_elsewhere(self._folder(row.id)):
                params = {"name": row.name, "machine": clean(there), "path": str(self._runs_dir.parent)}
                minutes = round(control.LIVES_S / 60)
                raise Unavailable(Message("servers.process.elsewhere", {**params, "minutes": minutes}))

    def _find_unknown_runs(self, folders: Iterable[Path]) -> None:
        """Take up runs that the database lost: it was corrupted, or the console was killed in the middle of a start."""
        names = ("id", "kind", "name", "started_at", "boot_id", "about")
        for folder in folders:
            if folder.name in self._rows:
                continue
            spec = runner.read_result(folder, runner.SPEC)
            if spec is not None and spec["id"] == folder.name:
                row = ProcessRow(**{name: spec[name] for name in names})
                self._rows[row.id] = row
                self._store.keep_process(row)
            elif fault := _fault(folder / runner.SPEC):
                log.warning("%s (%s): the run can't be taken up; its folder stays", folder / runner.SPEC, fault)


def _not_started(error: Mapping[str, Any]) -> Message:
    params = {"path": error["path"], "error": error["text"]}
    if error["errno"] in (errno.ENOENT, errno.ENOTDIR):
        return Message("servers.process.no-folder" if error["folder"] else "servers.process.no-program", params)
    if error["errno"] in (errno.EACCES, errno.EPERM):
        return Message("servers.process.no-permission", params)
    return Message("servers.process.not-started", params)


def _fault(path: Path) -> str:
    """What keeps that file, which couldn't be read, from being it; "" where there is none."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:  # of a folder that can't be entered, say
        return error.strerror or str(error)
    return "damaged"


def _last_written(path: Path, otherwise: float) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return otherwise
