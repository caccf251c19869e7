"""The whole console as a person starts it: app.py as a process, on a free port, with its own state folder."""

import contextlib
import fcntl
import os
import re
import resource
import signal
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import psutil

from tests.support.flag_cache import collect, lend
from tests.support.nursery import Forked, Nursery
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
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
        without: Sequence[str] = (),
        open_files: int | None = None,
        umask: int = -1,
        nursery: Nursery | None = None,
    ) -> None:
        """``port`` None leaves --port out; ``terminal`` is a pty's slave, which becomes its controlling terminal;
        ``without`` names variables that its environment lacks, ``open_files`` is its hard limit of them. With a
        ``nursery`` it starts quickly, without flags or a terminal."""
        self.state_dir = state_dir
        state_dir.parent.mkdir(parents=True, exist_ok=True)
        lend(state_dir)
        self._output = state_dir.parent / f"{state_dir.name}.output-{os.urandom(4).hex()}"
        arguments = ("--state-dir", str(state_dir), *arguments, *(() if port is None else ("--port", str(port))))
        kept = {name: value for name, value in os.environ.items() if name not in without}
        given = {**kept, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self.process: subprocess.Popen[bytes] | Forked
        if nursery is not None:
            self.process = nursery.start(arguments, given, self._output, umask, open_files)
            return
        argv = [sys.executable, *python_flags, str(ROOT / "app.py"), *arguments]

        def prepare() -> None:
            if terminal is not None:
                fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
            if open_files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output if terminal is None else terminal,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=given,
                start_new_session=True,
                preexec_fn=prepare,
                umask=umask,
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

    def page_url(self, token: str | None = None) -> str:
        """The page's own address, which a browser shows: it lets nobody in without the cookie."""
        token = self.token if token is None else token
        answer = httpx.get(f"{self.base_url}/?token={token}", trust_env=False, timeout=60)
        return str(answer.url.copy_with(query=None).join(answer.headers["location"]))

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
        collect(self.state_dir)


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
