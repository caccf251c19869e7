"""Installs what the engines need (LMDeploy, PyTorch, transformers) into the console's own environment, when a person
asks for it: what `make run` does without ENGINES=none. One at a time, in a child that outlives the console."""

import importlib.util
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from backend.errors import Conflict, Message, NotFound, Unavailable
from backend.processes.command import CommandSpec
from backend.processes.log_file import tail_lines, tail_text
from backend.processes.supervisor import Run, Supervisor

KIND = "installation"
PROJECT = Path(__file__).parents[2]
SETUP = PROJECT / "assets" / "setup" / "install.py"
NEEDED_BYTES = 14 * 10**9  # what is downloaded and what becomes of it; uv's cache counts
MORE_BYTES = 10**9  # where the largest part is there
CANCEL_GRACE_S = 10.0
LINES = 3


@dataclass(frozen=True)
class Installation:
    """The newest one. ``state``: "running", "succeeded", "failed", "cancelled", "interrupted"; times are seconds since
    the epoch, ``ended_at`` 0 = not yet."""

    id: str
    state: str
    started_at: float
    ended_at: float = 0.0


class Installer:
    """What can be installed here, and the installation that runs. Safe to call from any thread.

    ``python`` is the environment's, ``requirements`` what it gets, held to ``constraints``; ``installed`` is called
    once it is there.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        installed: Callable[[], None],
        *,
        python: Path = Path(sys.executable),
        requirements: Path = PROJECT / "requirements.txt",
        constraints: Path = PROJECT / "constraints.txt",
        needed_bytes: int = NEEDED_BYTES,
        own_environment: bool = sys.prefix != sys.base_prefix,
    ) -> None:
        self._supervisor = supervisor
        self._installed = installed
        self._python = python
        self._requirements = requirements
        self._constraints = constraints
        self._needed_bytes = needed_bytes
        # Never into the machine's own Python, which other programs live on.
        self.offered = own_environment and requirements.is_file()
        supervisor.on_change(self._run_changed)

    def command(self) -> CommandSpec:
        """What runs: uv where the environment has it, else pip."""
        uv = self._python.parent / "uv"
        pip = (str(uv), "pip", "install", "--python", str(self._python))
        if not uv.is_file():
            pip = (str(self._python), "-m", "pip", "install", "--disable-pip-version-check")
        files = ("-r", str(self._requirements), "-c", str(self._constraints))
        return CommandSpec(
            (str(self._python), str(PROJECT / "assets" / "setup" / "install.py"), "--plain", "--", *pip, *files)
        )

    def start(self) -> None:
        """Begin. Raises Conflict where one runs, Unavailable where it isn't offered or there is too little room."""
        if not self.offered:
            raise Unavailable(Message("installation.not-offered", {"command": self.command().preview()}))
        runs = self._supervisor.all(KIND)
        if any(not run.ended for run in runs):
            raise Conflict(Message("installation.running"))
        free_bytes = shutil.disk_usage(self._python.parent).free
        begun = any(self._python.parents[1].glob("lib/python*/site-packages/torch"))
        needed_bytes = MORE_BYTES if begun else self._needed_bytes
        if free_bytes < needed_bytes:
            needed, free = (f"{size / 1e9:.0f}" for size in (needed_bytes, free_bytes))
            folder = str(self._python.parents[1])
            raise Unavailable(Message("installation.no-room", {"needed": needed, "free": free, "folder": folder}))
        self._supervisor.start(self.command(), kind=KIND, name="LMDeploy")
        for run in runs:
            self._supervisor.forget(run.id)

    def cancel(self) -> None:
        """Break it off; what has come is kept for the next time. Nothing happens where none runs."""
        for run in self._supervisor.all(KIND):
            self._supervisor.stop(run.id, CANCEL_GRACE_S)

    def forget(self) -> None:
        """Take the ended one off the page. Raises Conflict while it runs."""
        for run in self._supervisor.all(KIND):
            self._supervisor.forget(run.id)

    def newest(self) -> Installation | None:
        """The installation that runs or ran last; None where there is none."""
        runs = self._supervisor.all(KIND)
        return _view(runs[-1]) if runs else None

    def progress(self) -> Mapping[str, Any]:
        """Of the newest one: ``lines``, the last that it wrote, and ``problem``, a Message where it failed. Raises
        NotFound. Reads its log."""
        runs = self._supervisor.all(KIND)
        if not runs:
            raise NotFound(Message("installation.none"))
        run = runs[-1]
        failed = _view(run).state == "failed"
        return {
            "lines": [line for line in tail_lines(run.log_path, 40) if line.strip()][-LINES:],
            "problem": _problem(run) if failed else None,
        }

    def _run_changed(self, run: Run) -> None:
        if run.kind == KIND and run.ended and run.exit_code == 0:
            self._installed()


def _view(run: Run) -> Installation:
    if not run.ended:
        state = "running"
    elif run.interrupted:
        state = "interrupted"
    elif run.stop_requested:
        state = "cancelled"
    else:
        state = "succeeded" if run.exit_code == 0 else "failed"
    return Installation(run.id, state, run.started_at, run.ended_at or 0.0)


def _problem(run: Run) -> Message:
    if run.problem is not None:
        return run.problem
    cause = str(_setup().cause(tail_text(run.log_path))) or "unknown"
    return Message(f"installation.failed.{cause}", {"code": "–" if run.exit_code is None else run.exit_code})


@cache
def _setup() -> Any:
    """assets/setup/install.py, which runs before there are packages, and so is none."""
    spec = importlib.util.spec_from_file_location("console_setup", SETUP)
    if spec is None or spec.loader is None:
        raise ImportError(str(SETUP))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
