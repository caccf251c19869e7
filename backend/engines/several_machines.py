"""One model over the GPUs of several machines, as LMDeploy has it: what to paste on each. Pure.

TurboMind runs the same command on every machine, with its rank, and they meet at the first one's port. The PyTorch
engine runs on the first alone and takes the GPUs of a Ray cluster that the others have joined. Nothing of this has been
tried on more than one machine: the page says so.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from backend.engines.base import ServeConfig
from backend.errors import InvalidInput, Message
from backend.processes.command import CommandSpec, SecretFile

MEET_PORT = {"turbomind": 29500, "pytorch": 6379}
MOST_MACHINES, MOST_GPUS = 64, 16
KEY = "CHOOSE-A-KEY"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_ONLY_HERE = ("--server-name", "--server-port", "--api-keys")
_OWN_VARIABLES = frozenset({"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"})  # each machine's own


@dataclass(frozen=True)
class Machines:
    """``count`` machines with ``gpus`` GPUs each; the first is reached by the others at ``first``."""

    count: int
    gpus: int
    first: str

    @property
    def tp(self) -> int:
        """All GPUs."""
        return self.count * self.gpus


@dataclass(frozen=True)
class Lines:
    """What is pasted on one machine: what must be the same or there before, and what starts it."""

    checks: tuple[str, ...]
    start: tuple[str, ...]


def read_machines(engine: str, count: object, gpus: object, first: object) -> Machines:
    """From what a person typed. Raises InvalidInput with everything that is wrong."""
    problems = []
    if engine not in MEET_PORT:
        problems.append(Message("machines.engine", {"engine": engine}, "engine"))
    numbers = []
    for name, value, low, high in (("count", count, 2, MOST_MACHINES), ("gpus", gpus, 1, MOST_GPUS)):
        text = str(value if value is not None else "").strip()
        number = int(text) if re.fullmatch(r"[0-9]{1,4}", text) else -1
        if not low <= number <= high:
            problems.append(Message(f"machines.range.{name}", {"value": text[:80], "low": low, "high": high}))
        numbers.append(number)
    address = str(first or "").strip()
    if not _HOST.fullmatch(address):
        problems.append(Message("machines.address", {"value": address[:80]}))
    elif address in ("localhost", "127.0.0.1"):
        problems.append(Message("machines.loopback", {"value": address}))
    if problems:
        raise InvalidInput(*problems)
    return Machines(numbers[0], numbers[1], address)


def lines(config: ServeConfig, spec: CommandSpec, machines: Machines) -> tuple[Lines, ...]:
    """For each machine, the first one first. ``spec`` is the engine's command on this machine for ``config``, whose
    ``tp`` is all machines' GPUs."""
    argv = _portable(spec.argv)
    model = argv[3]
    port = MEET_PORT[config.engine]
    kept = ((name, value) for name, value in spec.env if value is not None and name not in _OWN_VARIABLES)
    front = " ".join(f"{name}={shlex.quote(value)}" for name, value in kept)
    found = []
    for rank in range(machines.count):
        command = _command(argv, config.engine, machines, rank)
        start: tuple[str, ...] = (f"{front} {command}".strip(),)
        if config.engine == "pytorch":
            if rank == 0:
                start = (f"ray start --head --port={port}", "ray status", f"LMDEPLOY_EXECUTOR_BACKEND=ray {start[0]}")
            else:
                start = (f"ray start --address={machines.first}:{port}",)
        found.append(Lines(_checks(config.engine, machines, rank, model), start))
    return tuple(found)


def _portable(argv: Sequence[str | SecretFile]) -> list[str]:
    """Without this machine's paths to its programs, and without what says where this console's server listens."""
    at = argv.index("serve")
    words: list[str] = ["lmdeploy"]
    skip = False
    for word in argv[at:]:
        if skip:
            skip = False
        elif word in _ONLY_HERE:
            skip = True
        elif isinstance(word, str):
            words.append(word)
    return words


def _command(argv: Sequence[str], engine: str, machines: Machines, rank: int) -> str:
    words = [*argv]
    if rank == 0 or engine == "turbomind":
        words += ["--server-name", "127.0.0.1", "--server-port", "23333", "--api-keys", KEY]
    if engine == "turbomind":
        meet = f"{machines.first}:{MEET_PORT[engine]}"
        words += ["--nnodes", str(machines.count), "--node-rank", str(rank), "--dist-init-addr", meet]
    return shlex.join(words)


def _checks(engine: str, machines: Machines, rank: int, model: str) -> tuple[str, ...]:
    packages = "lmdeploy, torch, ray" if engine == "pytorch" else "lmdeploy, torch"
    versions = ", ".join(f"{name}.__version__" for name in packages.split(", "))
    port = MEET_PORT[engine]
    free = f"ss -ltn 'sport = :{port}'"
    reach = f"ip -o route get \"$(getent hosts {machines.first} | cut -d' ' -f1)\""
    return (
        f'python -c "import {packages}; print({versions})"',
        *([f"sha256sum {shlex.quote(model + '/config.json')}"] if model.startswith("/") else []),
        "nvidia-smi -L",
        free if rank == 0 else reach,
    )
