"""The Pythons of this machine that have LMDeploy or transformers, found and asked in the background."""

import contextlib
import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from backend.engines.choice import choose_environment, default_engine
from backend.errors import Message
from backend.machine.child import NoAnswer, ask
from backend.machine.fit import FIELD, check_report, gpu_problem
from backend.machine.flag_reader import read_capabilities
from backend.machine.flags import SNAPSHOT_LMDEPLOY
from backend.machine.machine import Environment, Gpu, Machine
from backend.private_folders import make_private
from backend.settings import Settings

__all__ = ["EnvironmentFinder", "check_report", "choose_environment", "default_engine", "gpu_problem"]

PROJECT = Path(__file__).resolve().parents[2]
PROBE = Path(__file__).parent / "children" / "probe.py"
PROBE_DEADLINE_S = 30.0
GPUS_SECONDS = 2.0  # how long an answer about the GPUs counts
# The snapshot speaks for the console's own version, so that asking its parser can wait until the first page is out.
QUIET_SECONDS = 20.0
CONDA_ROOTS = ("/opt/conda", "/root/miniconda3", "/root/anaconda3", "~/miniconda3", "~/anaconda3", "~/miniforge3")
CONDA_ENVS = ("/root/.conda/envs", "~/.conda/envs")
ACTIVE = re.compile(r"VIRTUAL_ENV|CONDA_PREFIX(_\d+)?")

GpuReader = Callable[[], tuple[tuple[Gpu, ...], str, str]]


def no_gpus() -> tuple[tuple[Gpu, ...], str, str]:
    """What a machine without an NVIDIA driver answers: no GPUs, no driver, no CUDA."""
    return (), "", ""


@dataclass(frozen=True)
class Candidate:
    """A Python to look at. ``given``: a person named it, so that it is listed even without LMDeploy."""

    python: Path
    kind: str
    given: bool = False


class EnvironmentFinder:
    """What the console runs on. Looks once when first asked, and again at refresh(). Safe to call from any thread.

    ``gpus_of`` gives the GPUs, the driver's version and the CUDA it supports (memory/nvml.py).
    """

    def __init__(self, settings: Settings, gpus_of: GpuReader = no_gpus) -> None:
        self._settings = settings
        self._gpus_of = gpus_of
        self._cache_dir = settings.state_dir / "cache"
        self._lock = threading.Lock()
        self._environments: tuple[Environment, ...] = ()
        self._looked = threading.Event()
        self._wanted = threading.Event()  # another look, or the end
        self._begun = self._finished = 0  # looks
        self._done = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._gpus = no_gpus()
        self._gpus_at = float("-inf")
        # An empty hub cache for servers of local folders (engines/transformers.py).
        for folder in (self._cache_dir, settings.state_dir / "hub"):
            make_private(folder)

    def machine(self, wait_s: float = 2.0) -> Machine:
        """What is known now. Only the very first look is waited for, at most ``wait_s`` seconds (it takes 0.1 s)."""
        if not self._looked.is_set():
            self._start(again=False)
            self._looked.wait(wait_s)
        gpus, driver, driver_cuda = self._read_gpus()
        with self._lock:
            return Machine(gpus, driver, driver_cuda, self._environments)

    def refresh(self, wait_s: float = 0.0) -> None:
        """Looks again, in the background; the look's end is waited for so many seconds."""
        wanted = self._begun + 1
        self._start(again=True)
        with self._done:
            self._done.wait_for(lambda: self._finished >= wanted or self._closed, wait_s)

    def close(self, wait_s: float = 5.0) -> None:
        """Looks no more."""
        with self._lock:
            self._closed = True
            self._wanted.set()
            thread = self._thread
        if thread is not None:
            thread.join(wait_s)

    def _start(self, again: bool) -> None:
        with self._lock:
            if self._closed:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="environments", daemon=True)
                self._thread.start()
            elif again:
                self._wanted.set()

    def _work(self) -> None:
        while True:
            later = self._look()
            if not self._wanted.wait(QUIET_SECONDS):
                self._ask_parsers(later)
            with self._lock:
                if self._closed or not self._wanted.is_set():
                    self._thread = None
                    return
                self._wanted.clear()

    def _read_gpus(self) -> tuple[tuple[Gpu, ...], str, str]:
        """Asked without the lock: a driver may take its time."""
        now = time.monotonic()
        if now - self._gpus_at > GPUS_SECONDS:
            if self._gpus_at > float("-inf"):
                self._gpus_at = now  # whoever comes meanwhile gets what was known
            self._gpus, self._gpus_at = self._gpus_of(), now
        return self._gpus

    def _look(self) -> dict[str, float]:
        """Finds and probes; asks the parsers of versions that the snapshot doesn't speak for. Gives those to ask later,
        by id, with LMDeploy's mtime."""
        self._begun += 1
        candidates = tuple(find_pythons(self._settings))
        with ThreadPoolExecutor(max_workers=4, thread_name_prefix="probe") as pool:
            probed = [found for found in pool.map(probe, candidates) if found is not None]
        environments = name_apart([environment for environment, _ in probed])
        with self._lock:
            earlier = {environment.id: environment for environment in self._environments}
            self._environments = tuple(_with_known(environment, earlier) for environment in environments)
        self._looked.set()
        with self._done:
            self._finished = self._begun
            self._done.notify_all()
        modified = dict(zip([e.id for e in environments], [mtime for _, mtime in probed], strict=True))
        hurry = {e.id: modified[e.id] for e in environments if e.lmdeploy not in {"", SNAPSHOT_LMDEPLOY}}
        self._ask_parsers(hurry)
        return {id: mtime for id, mtime in modified.items() if id not in hurry}

    def _ask_parsers(self, modified: dict[str, float]) -> None:
        for environment in self._environments:
            if self._closed or environment.problem is not None or environment.id not in modified:
                continue
            try:
                capabilities = read_capabilities(
                    environment, modified[environment.id], self._cache_dir, lambda: self._closed
                )
                answered = replace(environment, capabilities=capabilities)
            except NoAnswer as error:
                if self._closed:
                    return
                if environment.lmdeploy in {"", SNAPSHOT_LMDEPLOY}:
                    continue  # the snapshot speaks for it
                params = {"environment": environment.label, "cause": str(error)}
                answered = replace(environment, problem=Message("environments.parser-failed", params, FIELD))
            with self._lock:
                self._environments = tuple(answered if e.id == answered.id else e for e in self._environments)


def _with_known(environment: Environment, known: dict[str, Environment]) -> Environment:
    """With the capabilities that the same versions answered before."""
    before = known.get(environment.id)
    if before is None or before.lmdeploy != environment.lmdeploy or before.transformers != environment.transformers:
        return environment
    return replace(environment, capabilities=before.capabilities)


def find_pythons(settings: Settings) -> Iterator[Candidate]:
    """Every Python worth asking, each environment once: the console's, the one for InternLM2, those given, those found.

    Of what is merely found, only environments that hold something called lmdeploy are asked.
    """
    seen: set[str] = set()
    given = [Candidate(_python_of(path), "found", given=True) for path in settings.lmdeploy]
    own = [Candidate(Path(sys.executable), "console", given=True)]
    second = PROJECT / ".venv-internlm2" / "bin" / "python"
    own += [Candidate(second, "internlm2", given=True)] if second.exists() else []
    installed = [Candidate(python, "found") for python in _installed_pythons()]
    for candidate in (*own, *given, *installed):
        key = os.path.realpath(candidate.python.parent)
        if key in seen or not (candidate.given or _holds_lmdeploy(candidate.python)):
            continue
        seen.add(key)
        yield candidate


def probe(candidate: Candidate) -> tuple[Environment, float] | None:
    """The environment and LMDeploy's mtime, asked in a child; None for a found one without LMDeploy."""
    path = candidate.python
    name = _name(path)
    empty = Environment(str(path), name, path, candidate.kind)
    try:
        facts = json.loads(ask(path, PROBE, deadline_s=PROBE_DEADLINE_S))
        environment = replace(
            empty,
            lmdeploy=str(facts["lmdeploy"]),
            transformers=str(facts["transformers"]),
            torch=str(facts["torch"]),
            torch_cuda=str(facts["torch_cuda"]),
            turbomind_cuda=str(facts["turbomind_cuda"]),
            lacking=tuple(str(facts.get("lacking", "")).split()),
        )
        modified = float(facts["modified"])
    except (NoAnswer, ValueError, KeyError, TypeError) as error:
        if not candidate.given:
            return None
        params = {"python": str(path), "cause": str(error)}
        return replace(empty, problem=Message("environments.probe-failed", params, FIELD)), 0.0
    if candidate.kind == "found" and not environment.lmdeploy:
        if not candidate.given:
            return None
        params = {"environment": name}
        environment = replace(environment, problem=Message("environments.lacks-lmdeploy", params, FIELD))
    return replace(environment, label=_label(name, environment)), modified


def name_apart(environments: list[Environment]) -> list[Environment]:
    """Environments of the same label get their folder into it."""
    labels = [environment.label for environment in environments]
    return [
        replace(e, label=_label(str(e.python.parent.parent), e)) if labels.count(e.label) > 1 else e
        for e in environments
    ]


def _label(name: str, environment: Environment) -> str:
    versions = [("LMDeploy", environment.lmdeploy), ("transformers", environment.transformers)]
    packages = ", ".join(f"{package} {version}" for package, version in versions if version)
    return f"{name}: {packages}" if packages else name


def _name(python: Path) -> str:
    """The folder that holds bin/python."""
    return python.parent.parent.name or str(python)


def _python_of(path: Path) -> Path:
    """The Python that a person meant: itself, or the one of the environment's folder."""
    path = Path(os.path.expanduser(path)).absolute()
    return path / "bin" / "python" if path.is_dir() else path


def _installed_pythons() -> Iterator[Path]:
    """lmdeploy on PATH, the active environments, and conda's."""
    script = shutil.which("lmdeploy")
    if script is not None:
        yield from _interpreters(Path(script))
    active = [value for name, value in sorted(os.environ.items()) if ACTIVE.fullmatch(name) and value]
    roots = [Path(root).expanduser() for root in CONDA_ROOTS]
    listed = [Path(line) for line in _lines(Path("~/.conda/environments.txt").expanduser()) if line.startswith("/")]
    inside = [entry for root in roots for entry in _entries(root / "envs")]
    inside += [entry for folder in CONDA_ENVS for entry in _entries(Path(folder).expanduser())]
    for prefix in (*map(Path, active), *listed, *roots, *inside):
        python = prefix / "bin" / "python"
        with contextlib.suppress(OSError):
            if python.exists():
                yield python


def _interpreters(script: Path) -> Iterator[Path]:
    """The Python beside the script, else the one that its first line names."""
    beside = script.parent / "python"
    if beside.exists():
        yield beside
        return
    first = next(iter(_lines(script)), "")
    if first.startswith("#!/"):
        yield Path(first[2:].split()[0])


def _holds_lmdeploy(python: Path) -> bool:
    """Whether the environment's packages have something called lmdeploy: asking dozens of others would take long."""
    with contextlib.suppress(OSError):
        return any(python.parent.parent.glob("lib/python3*/site-packages/*lmdeploy*"))
    return False


def _lines(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(100_000).split("\n")
    except OSError:
        return []


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
