"""One console per state directory: a lock that ends with the process, and where the one that runs is reached."""

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backend.errors import Message, Unavailable
from backend.outside_text import clean
from backend.private_folders import make_private
from backend.processes.runner import boot_id
from backend.whole_file import write_whole

LOCK_FILE = "console.lock"
ADDRESS_FILE = "console.json"


@dataclass(frozen=True)
class RunningInstance:
    """The console that holds the state directory. ``address`` is "" while it is still starting; ``machine`` is "" where
    it runs on this one."""

    address: str
    pid: int
    machine: str = ""


class InstanceLock:
    """Held from ``acquire()`` until ``release()`` or the end of this process; its children don't inherit it."""

    def __init__(self, state_dir: Path) -> None:
        self._lock_path = state_dir / LOCK_FILE
        self._address_path = state_dir / ADDRESS_FILE
        self._descriptor: int | None = None

    def acquire(self) -> RunningInstance | None:
        """Take the lock. None: it is ours now; otherwise the console that holds it.

        Makes the state directory (mode 0700). Raises Unavailable where it can't be made, written or locked.
        """
        try:
            make_private(self._lock_path.parent)
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return self._running()
            raise self._unusable(error) from error
        self._descriptor = descriptor
        self.write_address("")
        return None

    def write_address(self, address: str) -> None:
        """Tell a second start where this console is reached. The file is for this user only (mode 0600)."""
        try:
            about = {"address": address, "pid": os.getpid(), "machine": os.uname().nodename, "network": _network()}
            write_whole(self._address_path, json.dumps(about))
        except OSError as error:
            raise self._unusable(error) from error

    def release(self) -> None:
        """Give the lock back, if it is ours."""
        if self._descriptor is not None:
            with suppress(OSError):
                self._address_path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def _running(self) -> RunningInstance:
        try:
            value = json.loads(self._address_path.read_text(encoding="utf-8"))
            machine = clean(str(value.get("machine", "")))
            network = value.get("network", "")  # an older console says its machine's name alone
            here = network == _network() if network else machine == os.uname().nodename
            return RunningInstance(str(value["address"]), int(value["pid"]), "" if here else machine)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return RunningInstance("", 0)

    def _unusable(self, error: OSError) -> Unavailable:
        params = {"path": str(self._lock_path.parent), "error": error.strerror or str(error)}
        return Unavailable(Message("servers.state-dir-unusable", params))


def _network() -> str:
    """Where a loopback address is the same: this boot and network namespace. (A machine's name may change while it
    runs, and containers of one machine have a loopback each.) "" where that can't be told."""
    try:
        return f"{boot_id()} {os.readlink('/proc/self/ns/net')}"
    except OSError:
        return ""
