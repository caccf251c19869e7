"""What the supervisor does to processes: starts a runner, looks whether it lives, sends the next signal of a stop."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from backend.console.environment import child_environment, child_umask
from backend.processes import runner
from backend.store_rows import ProcessRow

LIVES_S = 4 * runner.BEAT_S  # another machine's clock may be off, and a shared disk tell of a change late


def start_runner(folder: Path) -> int:
    """The pid of a new runner, in a session of its own, its output in the run's log."""
    log_file = os.open(folder / runner.LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", runner.__file__, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            env={**child_environment(), **runner.marks(folder)},
            umask=child_umask(),
            start_new_session=True,
        )
    finally:
        os.close(log_file)
    process.returncode = 0  # it is meant to outlive this object, which would warn otherwise; is_alive waits for it
    return process.pid


def is_alive(pid: int, start: int, *, reap: bool = False) -> bool:
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


def seen_elsewhere(folder: Path) -> str:
    """The other machine on which the run of that folder has just been alive; "" where none is known."""
    written = runner.read_result(folder, runner.PROCESS) or {}
    there, here = written.get("machine"), runner.machine()
    if there is None or runner.read_result(folder, runner.STATUS) is not None:
        return ""
    if there["name"] == here["name"] and (there["id"] == here["id"] or not (there["id"] and here["id"])):
        return ""
    try:
        silent_s = abs(time.time() - (folder / runner.PROCESS).stat().st_mtime)
    except OSError:
        return ""
    return str(there["name"]) if silent_s < LIVES_S else ""


def next_signal(row: ProcessRow) -> ProcessRow:
    """The next signal of a stop, if it is time for it. The command leads its own process group."""
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    stop_signal = "SIGKILL" if now >= row.kill_at else "SIGTERM"
    if row.stop_signal in (stop_signal, "SIGKILL"):
        return row
    try:
        os.killpg(row.pid, signal.Signals[stop_signal])
    except (ProcessLookupError, PermissionError):  # it has just ended, or became another user's
        return row
    return replace(row, stop_signal=stop_signal)
