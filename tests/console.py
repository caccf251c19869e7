"""The whole console as a person starts it: app.py as a process, on a free port, with its own state folder."""

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import psutil

from tests.waiting import wait_for

ROOT = Path(__file__).parent.parent
START_DEADLINE_S = 120.0
END_DEADLINE_S = 30.0


class Console:
    """A running app.py. ``address`` lets the operator in, ``class_address`` a class; ``output()`` is what it says."""

    def __init__(
        self,
        state_dir: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        port: int | None = 0,
        python_flags: Sequence[str] = (),
        terminal: int | None = None,
    ) -> None:
        """``port`` None leaves --port out; ``terminal`` is a pty's slave, which becomes its controlling terminal."""
        self.state_dir = state_dir
        state_dir.parent.mkdir(parents=True, exist_ok=True)
        self._output = state_dir.parent / f"{state_dir.name}.output-{os.urandom(4).hex()}"
        argv = [sys.executable, *python_flags, str(ROOT / "app.py"), "--state-dir", str(state_dir), *arguments]
        if port is not None:
            argv += ["--port", str(port)]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output if terminal is None else terminal,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
                start_new_session=True,
                preexec_fn=None if terminal is None else lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0),
            )

    def output(self) -> str:
        """Everything it printed so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def ready(self) -> "Console":
        """Waits until it printed its addresses; its output stands in the error where it ended instead."""

        def printed() -> list[str]:
            if self.process.poll() is not None:
                raise AssertionError(f"the console ended with {self.process.returncode}:\n{self.output()}")
            found = re.findall(r"http://\S+\?token=\S+", self.output())
            return found if len(found) == 2 and "ssh " in self.output() else []

        self.address, self.class_address = wait_for("the console's addresses", printed, START_DEADLINE_S)
        self.base_url, _, self.token = self.address.partition("/?token=")
        self.class_token = self.class_address.partition("/?token=")[2]
        return self

    def client(self, token: str | None = None, **options: object) -> httpx.Client:
        """An HTTP client with the operator's token (or that one; "" for none)."""
        token = self.token if token is None else token
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.base_url, headers=headers, trust_env=False, timeout=60, **options)  # type: ignore[arg-type]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends the console alone, as Ctrl-C or a kill does; its servers go on. Returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(END_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(END_DEADLINE_S)
            raise AssertionError(f"the console didn't end after {number!r}:\n{self.output()}") from None

    def close(self) -> None:
        """Ends the console and everything it started."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(END_DEADLINE_S)
        end_everything(self.state_dir)


def end_everything(state_dir: Path) -> None:
    """Kills the processes that were started for that state folder: those that name it, and all below them."""
    named = [process for process in psutil.process_iter() if _names(process, str(state_dir))]
    for process in named:
        with contextlib.suppress(psutil.Error):
            for child in [*process.children(recursive=True), process]:
                if child.pid != os.getpid():
                    with contextlib.suppress(psutil.Error):
                        child.kill()
    psutil.wait_procs(named, timeout=END_DEADLINE_S)


def _names(process: psutil.Process, folder: str) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.pid != os.getpid() and any(folder in word for word in process.cmdline())
    return False
