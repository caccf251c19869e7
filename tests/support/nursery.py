"""Starts consoles in a fraction of the time (tests/children/console_nursery.py), for a campaign's thousands of them."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.waiting import wait_for

CHILD = Path(__file__).parents[1] / "children" / "console_nursery.py"


class Forked:
    """A console's process: the part of subprocess.Popen that tests use."""

    def __init__(self, pid: int, code_file: Path) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._code_file = code_file
        try:
            self._handle: int | None = os.pidfd_open(pid)
        except ProcessLookupError:  # it has ended already
            self._handle = None

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        if self.returncode is None and (self._handle is None or self._ended_within(0)):
            self._note_code()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Waits for its end; None: for ever."""
        if self.poll() is None:
            if not self._ended_within(timeout):
                raise subprocess.TimeoutExpired(f"console {self.pid}", timeout or 0)
            self._note_code()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """To that very process, or nobody."""
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended_within(self, seconds: float | None) -> bool:
        assert self._handle is not None
        waiting = select.poll()
        waiting.register(self._handle, select.POLLIN)
        return bool(waiting.poll(None if seconds is None else seconds * 1000))

    def _note_code(self) -> None:
        self.returncode = int(wait_for(f"the exit code of {self.pid}", self._code, 10))
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _code(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return self._code_file.read_text()
        return ""


class Nursery:
    """One process that has imported what a console needs; its environment is what this process has now."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        output: Path,
        umask: int = -1,
        open_files: int | None = None,
    ) -> Forked:
        """A console with those arguments, which writes to that file."""
        order = {
            "arguments": list(arguments), "environment": dict(environment), "output": str(output), "umask": umask,
            "open_files": open_files,
        }  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        output.touch()
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        pid = self._process.stdout.readline()
        assert pid.strip(), "the nursery is gone"
        return Forked(int(pid), output.with_name(f"{output.name}.code"))

    def close(self) -> None:
        """Ends it; its consoles go on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.terminate()  # it may still be importing
        self._process.wait(30)
