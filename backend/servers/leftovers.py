"""Model servers that nobody follows any more and that still hold a GPU's memory, and the end of one of them.

NVML names the processes of a GPU; what belongs to a server or job of the console is none. What runs a model server's
program is taken for a leftover; only this user's may be ended, one process by its pid, after its identity was looked at
again: a pid alone may have become another's.
"""

import getpass
import os
import re
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil

from backend.errors import Conflict, Forbidden, Message, NotFound, Unavailable
from backend.machine import host
from backend.machine.nvml import GpuReading
from backend.processes import runner

GRACE_S = 15.0  # between SIGTERM and SIGKILL
GONE_S = 10.0  # that a killed process is waited for
POLL_S = 0.1
SHOWN = 80
MARKED = "python"  # a child of a server that a console started: its own command line doesn't tell
# What stands on the command line of a model server, and what it is called.
_PROGRAMS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"(?:^|[/ ])lmdeploy (?:serve|chat)\b|-m lmdeploy\b|/lmdeploy_entry\.py\b", "lmdeploy serve"),
        (r"(?:^|[/ ])transformers serve\b", "transformers serve"),
        (r"^ray::|\bray/_private/workers/", "Ray"),
        (r"(?:^|[/ ])vllm serve\b|-m vllm\.entrypoints\b|^VLLM::", "vllm"),
        (r"-m sglang\.launch_server\b|^sglang::", "sglang"),
    )
)


@dataclass(frozen=True)
class Leftover:
    """One process: ``start`` is when it started, in clock ticks since boot, which with the pid names it for ever.

    ``used_bytes`` is what it holds on the chosen GPUs; ``own``: it is this user's; ``user`` its owner.
    """

    pid: int
    start: int
    what: str
    used_bytes: int
    own: bool
    user: str


def find(gpus: Iterable[GpuReading], runs: Mapping[int, Path]) -> tuple[Leftover, ...]:
    """Those on these GPUs; ``runs`` are the console's own that haven't ended: their folders by their commands' pids."""
    held: dict[int, int] = {}
    for gpu in gpus:
        for process in gpu.processes or ():
            held[process.pid] = held.get(process.pid, 0) + (process.used_bytes or 0)
    ids = {pid: folder.name for pid, folder in runs.items()}
    ours = {pid for pids in host.members(ids).values() for pid in pids} | {os.getpid()} if held else set()
    strangers = (pid for pid in held if pid not in ours and host.owner_by_parents(pid, ids) is None)
    marks = [runner.marks(folder) for folder in runs.values()]
    found = (_look(pid, held[pid], marks) for pid in strangers)
    return tuple(sorted((one for one in found if one is not None), key=lambda one: -one.used_bytes))


def end(pid: int, start: int, among: Iterable[Leftover], grace_s: float = GRACE_S) -> None:
    """End that process: SIGTERM, and SIGKILL when it doesn't go. Blocks until it is gone.

    ``among`` are the leftovers as they are now. Raises NotFound where it isn't one of them (any more), Forbidden where
    it is another user's, Unavailable where it stays.
    """
    one = next((one for one in among if one.pid == pid and one.start == start), None)
    if one is None or start_of(pid) != start:
        raise NotFound(Message("servers.leftover.gone", {"pid": pid}))
    if not one.own:
        raise Forbidden(Message("servers.leftover.other", {"pid": pid, "user": one.user}))
    for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, GONE_S)):
        _send(pid, start, number)
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            if start_of(pid) != start:
                return
            time.sleep(POLL_S)
    raise Unavailable(Message("servers.leftover.stays", {"pid": pid}))


def start_of(pid: int) -> int | None:
    """When the process started; None where there is none, or it has ended and only its parent hasn't looked."""
    fields = runner.stat_fields(pid)
    if fields is None or fields[runner.STATE] in runner.ENDED_STATES:
        return None
    return int(fields[runner.START])


def _send(pid: int, start: int, number: signal.Signals) -> None:
    """A descriptor of the process can't become another process's, unlike its pid."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except OSError as error:
        raise Unavailable(Message("servers.leftover.stays", {"pid": pid})) from error
    try:
        if start_of(pid) == start:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
    except PermissionError as error:
        raise Conflict(Message("servers.leftover.other", {"pid": pid, "user": "?"})) from error
    finally:
        os.close(descriptor)


def _look(pid: int, used_bytes: int, ours: Iterable[Mapping[str, str]]) -> Leftover | None:
    """What that process is; None where it can't be seen from here (a container), runs no model server, or bears the
    marks of one of the console's own runs."""
    start = start_of(pid)
    if start is None:
        return None
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        words = process.cmdline() or [process.name()]
        line = " ".join(words)
        uids = process.uids()
        own = uids.real == uids.effective == os.getuid()
        environment = process.environ() if own else {}
        marked = MARKED if runner.RUN_MARK in environment else ""
        name = next((name for pattern, name in _PROGRAMS if pattern.search(line)), marked)
        if not name or any(runner.bears(environment, run) for run in ours):
            return None
        user = getpass.getuser() if own else _user(process)
        return Leftover(pid, start, _shown(name, words), used_bytes, own, user)
    return None


def _user(process: psutil.Process) -> str:
    with suppress(psutil.Error, KeyError):
        return str(process.username())
    return "?"


def _shown(name: str, words: Sequence[str]) -> str:
    """The program, with the folder's name of the model that it serves where one stands there."""
    behind = [after for word, after in pairwise(words) if word in ("api_server", "serve", "chat")]
    model = behind[-1] if behind else ""
    folder = "" if model.startswith("-") else model.rstrip("/").rpartition("/")[2]
    shown = f"{name} {folder}" if folder and folder not in name else name
    return shown[:SHOWN]
