"""What a round is played on: the real app.py, with models and an environment that start quickly and obey.

The environment is a folder as ``python -m venv`` makes it, which says that it has LMDeploy and transformers; its two
programs are tests/children's stand-ins. Everything else is what a person runs: app.py, its runners, workers and routes.
"""

import contextlib
import copy
import html
import json
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from backend.engines.base import ServeConfig
from backend.processes.runner import RUN_MARK
from backend.quantization.base import QuantConfig
from backend.quantization.preview import WORKER
from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.scripted_server import Scripted
from tests.support.tiny_models import fake_model
from tests.support.waiting import wait_for
from ui.tabs.deploy.values import CONTROLS, form_values
from ui.tabs.quantize.values import CONTROLS as JOB_CONTROLS
from ui.tabs.quantize.values import form_values as job_values

CHILDREN = Path(__file__).parents[1] / "children"
VERSIONS = {"lmdeploy": "0.18.0", "transformers": "5.23.0", "torch": "2.12.1"}
SETTLE_S = 60.0
SERVER_ENDS = frozenset({"stopped", "failed"})
JOB_ENDS = frozenset({"succeeded", "failed", "cancelled", "interrupted"})
_never = threading.Event()


class Broken(AssertionError):
    """A state that isn't what was promised."""


def check(holds: object, what: str) -> None:
    """Says what is broken where it doesn't hold (an assert would be gone under -O)."""
    if not holds:
        raise Broken(what)


def pause(seconds: float) -> None:
    """The random moment of a schedule: nothing is waited for."""
    _never.wait(seconds)


def make_environment(folder: Path, gate: Path | None = None) -> Path:
    """A venv of links whose lmdeploy and transformers are the stand-ins. With a ``gate``, a job's worker begins only
    once that file is there."""
    programs = folder / "bin"
    packages = folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    programs.mkdir(parents=True)
    packages.mkdir(parents=True)
    base = Path(os.path.realpath(sys.executable))
    (folder / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    if gate is None:
        (programs / "python").symlink_to(base)
    else:
        wait = f"while [ ! -e {shlex.quote(str(gate))} ]; do sleep 0.05; done"
        real, python = programs / "python-itself", programs / "python"
        real.symlink_to(base)
        python.write_text(
            f'#!/bin/sh\ncase "$1" in *{WORKER.name}) {wait} ;; esac\nexec {shlex.quote(str(real))} "$@"\n'
        )
        python.chmod(0o755)
    for name, version in VERSIONS.items():
        info = packages / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    for name, child in (("lmdeploy", "fake_auto_awq.py"), ("transformers", "fake_transformers.py")):
        script = programs / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(CHILDREN / child))} "$@"\n')
        script.chmod(0o755)
    return folder


class Ground:
    """A folder with models, an environment, and the console's state; the console can be killed and started again."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.models = folder / "models"
        self.state_dir = folder / "state"
        self.options = {"umask": 0, **options}  # what is private must not be so by the user's own umask alone
        self.environment = make_environment(folder / "quick")
        self._numbers = 0
        fake_model(self.models / "healthy")
        self.console: Console | None = None
        self.visitor: Visitor | None = None
        self.children: list[Scripted] = []
        self.neighbours: list[Ground] = []
        self.kept: dict[str, Any] = {}  # what rounds share: a server that is running, say

    # The console

    def open(self, *more: str, **options: Any) -> Console:
        """Starts the console (again), with ``more`` arguments, and waits until it answers."""
        arguments = ("--models", str(self.models), "--lmdeploy", str(self.environment), *more)
        self.close_visitor()
        self.console = Console(self.state_dir, *arguments, **(self.options | options))
        self.console.ready()
        return self.console

    @property
    def running(self) -> Console:
        """The console, started if it doesn't run."""
        if self.console is None or self.console.process.poll() is not None:
            return self.open()
        return self.console

    @property
    def operator(self) -> Visitor:
        """The operator's browser, at the running console."""
        console = self.running
        if self.visitor is None:
            self.visitor = Visitor(console)
        return self.visitor

    def close_visitor(self) -> None:
        if self.visitor is not None:
            self.visitor.client.close()
            self.visitor = None

    def restart(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends the console so, and starts it anew."""
        if self.console is not None:
            self.console.end(number)
        self.open()

    def neighbour(self, environment: Path) -> "Ground":
        """Another person's console on this machine, ended with the ground: the same models, a state of its own."""
        other = copy.copy(self)
        other.state_dir = self.folder / f"state-{len(self.neighbours) + 2}"
        other.environment = environment
        other.console, other.visitor = None, None
        other.children, other.neighbours, other.kept = [], [], {}
        self.neighbours.append(other)
        return other

    def child(self, *arguments: str) -> Scripted:
        """Another scripted server, ended with the ground."""
        self.children.append(Scripted(*arguments))
        return self.children[-1]

    def close(self) -> None:
        self.close_visitor()
        for neighbour in self.neighbours:
            neighbour.close()
        for child in self.children:
            child.close()
        if self.console is not None:
            self.console.close()

    # What a person does

    def model(self, behave: str) -> Path:
        """A fresh model folder that behaves so."""
        self._numbers += 1
        folder = fake_model(self.models / f"m{self._numbers}-{behave}")
        (folder / "tokenizer.json").write_text("{}")
        (folder / "behave").write_text(behave)
        return folder

    def start(self, model: Path, visitor: Visitor | None = None) -> str:
        """Start a server of that model; its id."""
        config = ServeConfig("transformers", str(model), str(self.environment / "bin" / "python"))
        return self.started(config, visitor)

    def connect(self, address: str, name: str = "") -> str:
        """Connect to a server at that address; its id."""
        return self.started(ServeConfig("external", "", address=address, model_name=name))

    def started(self, config: ServeConfig, visitor: Visitor | None = None) -> str:
        values = dict(form_values(config).values)
        end = self.call("deploy_start", [values[name] for name in CONTROLS], visitor)
        message, server_id = end["output"]["data"][:2]
        check(isinstance(server_id, str) and server_id, f"the start was refused: {plain(message)}")
        return str(server_id)

    def stop(self, server_id: str) -> None:
        self.call("deploy_stop", [server_id])

    def leave(self, server_id: str) -> None:
        """Forget a server elsewhere, which isn't the console's to stop."""
        answer = self.operator.client.post(f"/console/servers/{server_id}/forget", json={})
        check(answer.status_code == 200, f"{server_id} can't be forgotten: {answer.text[:200]}")

    def start_job(self, model: Path, output: Path | None = None) -> str:
        """Queue a quantization of that model; its id."""
        output = output or model.with_name(f"{model.name}-w4a16")
        python = str(self.environment / "bin" / "python")
        config = QuantConfig(str(model), str(output), dataset="none", group_size=64, environment=python)
        values = job_values(config)
        before = {job["id"] for job in self.snapshot()["jobs"]}
        end = self.call("quantize_start", [values[name] for name in JOB_CONTROLS])
        message = end["output"]["data"][0]
        new = [job["id"] for job in self.snapshot()["jobs"] if job["id"] not in before]
        check(len(new) == 1, f"the job was refused: {plain(message)}")
        return str(new[0])

    def cancel(self, job_id: str) -> None:
        self.call("quantize_cancel", [job_id])

    def call(self, name: str, data: list[Any], visitor: Visitor | None = None) -> dict[str, Any]:
        """A handler's last message; Broken where it failed in another way than by a word of its own."""
        *_, end = (visitor or self.operator).call(name, data)
        check(end["success"], f"{name} failed: {end['output']}")
        return end

    # What is seen

    def snapshot(self, client: httpx.Client | None = None) -> dict[str, Any]:
        """What every page polls."""
        answer = (client or self.operator.client).get("/console/snapshot")
        check(answer.status_code == 200, f"the snapshot is {answer.status_code}: {answer.text[:200]}")
        found: dict[str, Any] = answer.json()
        return found

    def server(self, server_id: str) -> dict[str, Any]:
        return self._of("servers", server_id)

    def job(self, job_id: str) -> dict[str, Any]:
        return self._of("jobs", job_id)

    def _of(self, kind: str, wanted: str) -> dict[str, Any]:
        found = [entry for entry in self.snapshot()[kind] if entry["id"] == wanted]
        check(len(found) == 1, f"{kind}: {wanted} is there {len(found)} times")
        return dict(found[0])

    def until(self, look: Callable[[str], dict[str, Any]], wanted: str, *states: str) -> dict[str, Any]:
        """Waits for one of the states; Broken with the state that stands instead."""

        def probe() -> dict[str, Any] | None:
            view = look(wanted)
            return view if view["state"] in states else None

        try:
            return wait_for(f"{wanted} is {states}", probe, SETTLE_S, every_s=0.1) or {}
        except Broken:
            raise
        except AssertionError:
            view = look(wanted)
            raise Broken(
                f"{wanted} is {view['state']} after {SETTLE_S:g} s, not {states}: {view.get('reason')}"
            ) from None

    def ended_all(self) -> None:
        """Stops and cancels everything; then nothing of it is left, and the page says so."""
        snapshot = self.snapshot()
        for job in snapshot["jobs"]:
            if job["state"] not in JOB_ENDS:
                self.cancel(job["id"])
        for server in snapshot["servers"]:
            if server["state"] not in SERVER_ENDS:
                self.stop(server["id"])

        def all_ended() -> bool:
            now = self.snapshot()
            return all(s["state"] in SERVER_ENDS for s in now["servers"]) and all(
                j["state"] in JOB_ENDS for j in now["jobs"]
            )

        try:
            wait_for("the end of everything", all_ended, SETTLE_S, every_s=0.1)
        except Broken:
            raise
        except AssertionError:
            now = self.snapshot()
            left = {
                e["id"]: e["state"] for e in [*now["servers"], *now["jobs"]] if e["state"] not in SERVER_ENDS | JOB_ENDS
            }
            raise Broken(f"still there after a stop: {left}") from None
        self.nothing_left()

    def runs(self) -> set[str]:
        """The ids of all runs of this state folder."""
        with contextlib.suppress(OSError):
            return {entry.name for entry in (self.state_dir / "runs").iterdir()}
        return set()

    def nothing_left(self, among: set[str] | None = None) -> None:
        """No process of any run is alive, and none is a zombie below the console."""
        names = self.runs() if among is None else among

        def left() -> list[psutil.Process]:
            return [process for process in processes_of(names) if alive(process)]

        try:
            wait_for("no process left", lambda: not left(), 20.0, every_s=0.1)
        except AssertionError:
            raise Broken(f"orphans: {[describe(process) for process in left()]}") from None
        if self.console is not None and self.console.process.poll() is None:
            found = psutil.Process(self.console.process.pid)
            try:
                wait_for("no zombie", lambda: not zombies(found), 10.0, every_s=0.1)
            except AssertionError:
                raise Broken(
                    f"zombies below the console: {[describe(process) for process in zombies(found)]}"
                ) from None

    def truth(self) -> None:
        """What the page says of every server and job is so."""
        now = self.snapshot()
        for server in now["servers"]:
            state, pid = server["state"], server["pid"]
            if server["engine"] == "external":
                continue
            if state == "running":
                check(pid and psutil.pid_exists(pid), f"{server['id']} is running, and there is no process {pid}")
            if state in SERVER_ENDS:
                left = [p for p in processes_of({server["id"]}) if alive(p)]
                check(not left, f"{server['id']} is {state}, and alive: {[describe(p) for p in left]}")
        for job in now["jobs"]:
            self.whole_or_nothing(job)

    def whole_or_nothing(self, job: dict[str, Any]) -> None:
        """A result is whole where the job succeeded, and absent where it didn't."""
        output = Path(job["config"]["output"])
        if job["state"] == "succeeded":
            for name in ("config.json", "model.safetensors", "lmdeploy_console.json"):
                check((output / name).is_file(), f"{job['id']} succeeded without {name}")
            check("quantization_config" in json.loads((output / "config.json").read_bytes()), "a result that isn't one")
        elif job["state"] in JOB_ENDS:
            check(not output.exists(), f"{job['id']} is {job['state']}, and its result stands at {output}")
            partial = output.with_name(f".{output.name}.partial-awq")
            said = json.dumps(job, ensure_ascii=False)
            check(not partial.exists() or partial.name in said, f"{partial.name} was left without a word")


def processes_of(names: set[str]) -> Iterator[psutil.Process]:
    """Every process that carries a run's mark: what a run started, whoever is its parent by now."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(RUN_MARK) in names:
                yield process


def alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def zombies(parent: psutil.Process) -> list[psutil.Process]:
    found = []
    with contextlib.suppress(psutil.Error):
        for process in parent.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.status() == psutil.STATUS_ZOMBIE:
                    found.append(process)
    return found


def describe(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} {process.status()} {' '.join(process.cmdline())[:120]}"
    return str(process.pid)


def plain(message: object) -> str:
    """A message's words, without its HTML."""
    return html.unescape(re.sub(r"<[^>]+>", " ", str(message))).strip()[:300]


@contextlib.contextmanager
def ground(**options: Any) -> Iterator[Ground]:
    """A ground in a folder of its own, which is gone afterwards with everything that ran there."""
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    made = Ground(folder, **options)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def small_disk(folder: Path, size: str = "4m", more: str = "") -> Iterator[Path]:
    """A disk of that size at the folder. Unplayable where this user may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}{more}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        raise Unplayable(f"no mount here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class Unplayable(Exception):
    """This machine or user can't do what the round needs; the table says so, it counts as neither held nor broken."""


def pick(rng: random.Random, weights: dict[str, float]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]
