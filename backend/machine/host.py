"""The machine's own memory, and which processes belong to which of the console's servers and jobs."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class HostReading:
    """The machine's memory in bytes. In a container with a limit: the limit, and what the container uses of it."""

    total_bytes: int
    used_bytes: int
    limited: bool


def read_host(cgroup: Path = _CGROUP) -> HostReading:
    """Used is what can't be had without swapping: total minus available (the page cache counts as available)."""
    memory = psutil.virtual_memory()
    total, used = int(memory.total), int(memory.total - memory.available)
    limit = _number(cgroup / "memory.max")
    if limit is None or limit >= total:
        return HostReading(total, used, limited=False)
    current = _number(cgroup / "memory.current") or 0
    inactive = 0
    with contextlib.suppress(OSError, ValueError):
        for line in (cgroup / "memory.stat").read_text().splitlines():
            if line.startswith("inactive_file "):
                inactive = int(line.split()[1])
    return HostReading(limit, max(0, current - inactive), limited=True)


def _number(path: Path) -> int | None:
    """A control group's file; None where it is absent or says "max"."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def members(roots: Mapping[int, str]) -> dict[str, list[int]]:
    """The processes of each owner, by the root process that started them: {root pid: owner} → {owner: pids}.

    Every command runs in a session of its own, so its processes are those of its root's session: one system call a
    process, where walking the tree would read a file for each. A root that is gone has no members.
    """
    sessions: dict[int, str] = {}
    for root, owner in roots.items():
        with contextlib.suppress(OSError):
            sessions[os.getsid(root)] = owner
    pids: dict[str, list[int]] = {owner: [] for owner in roots.values()}
    if not sessions:
        return pids
    for entry in os.listdir(_PROC):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                owner_of = sessions.get(os.getsid(int(entry)))
                if owner_of is not None:
                    pids[owner_of].append(int(entry))
    return pids


def owner_by_parents(pid: int, roots: Mapping[int, str]) -> str | None:
    """The owner of a process that left its root's session, found by climbing its parents; None for a stranger's."""
    for _ in range(64):
        if pid in roots:
            return roots[pid]
        parent = _parent(pid)
        if parent is None or parent <= 1:
            return None
        pid = parent
    return None


def _parent(pid: int) -> int | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
        return int(text.rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def exists(pid: int) -> bool:
    """Whether that process is visible here; inside a container NVML may name the host's pids."""
    return (_PROC / str(pid)).exists()


def resident_bytes(pids: list[int]) -> int:
    """RSS of these processes together, pages of mapped files included; those that ended meanwhile count nothing."""
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages += int((_PROC / str(pid) / "statm").read_text().split()[1])
    return pages * _page_size()


@cache
def _page_size() -> int:
    return os.sysconf("SC_PAGE_SIZE")
