"""The small process that owns one command: starts it, waits for it, writes down how it ended.

Started as ``python -I -S runner.py RUN_FOLDER`` in a session of its own, with its output already going to the run's
log. It outlives the console, so that the exit status is known even when nobody watched. The standard library only, and
as little of it as possible: one of these lives beside every model server.

The run folder holds ``spec.json`` (written by the supervisor), ``process.json`` (who is running), ``status.json`` (how
it ended), ``stop.json`` (that a person wanted it to end; written by the supervisor) and ``log.txt`` (what the command
wrote). The room for all of them is taken before the command starts, so that a disk that fills up meanwhile doesn't lose
them.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SPEC = "spec.json"
PROCESS = "process.json"
STATUS = "status.json"
STOP = "stop.json"
LOG = "log.txt"
# In the environment of everything that belongs to a run: its id, and the folder of its console's runs. (Another console
# may have a run of that id: its state folder is a copy of this one's.)
RUN_MARK = "LMDEPLOY_CONSOLE_RUN"
RUNS_MARK = "LMDEPLOY_CONSOLE_RUNS"

# What each of them says, and of which type. All of it is needed, but for what MAYBE_ABSENT names.
_SECONDS = (int, float)
_NONE = type(None)
_SIZE = (int, _NONE)  # of a disk, as its driver tells it: 8 EiB, say
SHAPES: Mapping[str, Any] = {
    SPEC: {
        **dict.fromkeys(("id", "kind", "name", "boot_id"), str),
        **dict.fromkeys(("started_at", "leftovers_grace_s"), _SECONDS),
        **dict.fromkeys(("about", "env"), dict),
        "argv": list,
        "cwd": (str, _NONE),
    },
    PROCESS: {
        "boot_id": str,
        **dict.fromkeys(("runner_pid", "runner_start", "pid", "start"), int),
        "machine": {"name": str, "id": str},
    },
    STATUS: {
        "exit_code": int,
        "ended_at": _SECONDS,
        "seconds": _SECONDS,  # that it ran
        "free_bytes": _SIZE,  # of the log's disk
        "error": {"errno": (int, _NONE), "folder": bool, "path": str, "text": str},
    },
    STOP: {"kill_at": _SECONDS},
}
# A command that couldn't be started has an error alone of these; an older runner wrote none of the others.
MAYBE_ABSENT = ("machine", "seconds", "free_bytes", "error")
_LATEST_S = 1 << 37  # what a calendar holds
_LARGEST = 1 << 53

BEAT_S = 30.0  # how often a runner says that it lives

# As a shell says it: the command was found but can't be executed; it wasn't found.
NOT_EXECUTABLE = 126
NOT_FOUND = 127

# Where these stand in what stat_fields returns. START is when it started, in clock ticks since boot: with the pid and
# the boot id it names one process for ever.
STATE = 0
PARENT = 1
START = 19
ENDED_STATES = ("Z", "X")  # a zombie has ended; only its parent hasn't looked

_RESERVED_BYTES = 4096
_PR_SET_CHILD_SUBREAPER = 36
_KILL_DEADLINE_S = 30.0
_SWEEP_POLL_S = 0.02


def marks(folder: Path) -> dict[str, str]:
    """The environment by which what belongs to the run of that folder is found."""
    return {RUN_MARK: folder.name, RUNS_MARK: str(folder.parent.resolve())}


def bears(environment: Mapping[str, str], run: Mapping[str, str]) -> bool:
    """Whether what has that environment belongs to the run of these marks.

    An older runner's say nothing of the folder: the run's id is enough.
    """
    return environment.get(RUN_MARK) == run[RUN_MARK] and environment.get(RUNS_MARK, run[RUNS_MARK]) == run[RUNS_MARK]


def boot_id() -> str:
    """This boot's random id: a pid means nothing in another one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def machine() -> dict[str, str]:
    """This machine's name, and its id where it has one: several may share the disk."""
    known = ""
    with contextlib.suppress(OSError, ValueError):
        known = Path("/etc/machine-id").read_text().strip()
    return {"name": os.uname().nodename, "id": known}


def stat_fields(pid: int) -> list[str] | None:
    """/proc/PID/stat from the third field (state) on, or None when there is no such process. A zombie has one too."""
    try:
        # The second field, the program's name, may hold spaces and brackets.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def reserve(folder: Path, name: str) -> None:
    """Take the room for a result on the disk now. Raises OSError where there is none."""
    descriptor = os.open(_draft(folder, name), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _RESERVED_BYTES)
    finally:
        os.close(descriptor)


def write_result(folder: Path, name: str, value: Mapping[str, Any]) -> None:
    """Write a small JSON file whole or not at all, into the room reserved for it if there is some."""
    draft = _draft(folder, name)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(json.dumps(value).encode())
        file.truncate()
        file.flush()
        os.fsync(descriptor)
    os.rename(draft, folder / name)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_result(folder: Path, name: str) -> dict[str, Any] | None:
    """What stands in that file of the run folder, or None where there is none (yet) or it isn't what was written."""
    try:
        value = json.loads((folder / name).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if _fits(value, SHAPES[name]) else None


def _fits(value: Any, shape: Any) -> bool:
    """Whether it has that type; a number is finite, and of a size that can be stored and shown. (A disk's size is only
    compared.)"""
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(
            _fits(value[key], kind) if key in value else key in MAYBE_ABSENT for key, kind in shape.items()
        )
    if shape is _SIZE or not isinstance(value, int | float):
        return isinstance(value, shape)
    least, most = (0, _LATEST_S) if shape is _SECONDS else (-_LARGEST, _LARGEST)
    return isinstance(value, shape) and least <= value <= most


def main(folder: Path) -> None:
    """Run the command that stands in the folder's spec.json to its end."""
    # A handler that does nothing, not SIG_IGN: the command would inherit that.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
    # What the command leaves behind, even in other sessions, becomes a child of this process instead of init's.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    spec = json.loads((folder / SPEC).read_bytes())
    began = time.monotonic()
    try:
        command = _launch(spec)
    except (OSError, ValueError) as error:
        code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        write_result(folder, STATUS, {"exit_code": code, "ended_at": time.time(), "error": _describe(error, spec)})
        print(f"{spec['argv'][0]}: {error}", flush=True)
        return
    try:
        write_result(folder, PROCESS, _identity(command.pid))
        _keep_beating(folder)
        exit_code = _wait_for(command)
        status = {"exit_code": exit_code, "ended_at": time.time(), "seconds": time.monotonic() - began}
        write_result(folder, STATUS, {**status, "free_bytes": _free_bytes(folder)})
    finally:
        _end_leftovers(spec["leftovers_grace_s"])


def _keep_beating(folder: Path) -> None:
    """From now on the time of process.json says that this runner lives, on another machine too."""

    def beat(_number: int, _frame: object) -> None:
        with contextlib.suppress(OSError):
            os.utime(folder / PROCESS)

    signal.signal(signal.SIGALRM, beat)
    signal.setitimer(signal.ITIMER_REAL, BEAT_S, BEAT_S)


def _free_bytes(folder: Path) -> int | None:
    """What the disk has left now: whoever reads it may come when there is room again."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def _identity(pid: int) -> dict[str, Any]:
    """Who this process and the command are."""
    runner, command = stat_fields(os.getpid()), stat_fields(pid)
    if runner is None or command is None:  # a child that nobody has waited for has an entry, if only a zombie's
        raise ProcessLookupError(pid)
    return {
        "boot_id": boot_id(),
        "machine": machine(),
        "runner_pid": os.getpid(),
        "runner_start": int(runner[START]),
        "pid": pid,
        "start": int(command[START]),
    }


def _launch(spec: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    environment = dict(os.environ)
    for name, value in spec["env"].items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    environment[RUN_MARK] = spec["id"]
    return subprocess.Popen(
        spec["argv"], cwd=spec["cwd"], env=environment, stdin=subprocess.DEVNULL, start_new_session=True
    )


def _describe(error: OSError | ValueError, spec: Mapping[str, Any]) -> dict[str, Any]:
    number = error.errno if isinstance(error, OSError) else None
    path = error.filename if isinstance(error, OSError) else None
    return {
        "errno": number,
        "folder": spec["cwd"] is not None and path == spec["cwd"],
        "path": spec["argv"][0] if path is None else os.fsdecode(path),
        "text": str(error),
    }


def _wait_for(command: subprocess.Popen[bytes]) -> int:
    """The command's exit code, negative for a signal. Reaps whatever else ends meanwhile."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == command.pid:
            command.returncode = os.waitstatus_to_exitcode(status)
            return command.returncode


def _end_leftovers(grace_s: float) -> None:
    """End what the command left running: SIGTERM, and SIGKILL for what is still there after ``grace_s`` seconds.

    Only own children are signalled, whose pids can't be reused; when one ends, its children come to this process.
    """
    began = time.monotonic()
    asked: set[int] = set()
    while _reap_some() and time.monotonic() - began < grace_s + _KILL_DEADLINE_S:
        late = time.monotonic() - began >= grace_s
        for pid in _children():
            if late or pid not in asked:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                asked.add(pid)
        time.sleep(_SWEEP_POLL_S)


def _reap_some() -> bool:
    """Reap every child that has ended; whether any is left."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def _children() -> list[int]:
    me = str(os.getpid())
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in pids if (fields := stat_fields(pid)) is not None and fields[PARENT] == me]


def _draft(folder: Path, name: str) -> Path:
    return folder / f"{name}.part"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
