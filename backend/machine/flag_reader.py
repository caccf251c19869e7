"""Reads what an environment's command lines take, from their own parsers in a child, once for each version."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.machine.child import NoAnswer, ask, never
from backend.machine.flags import Capabilities, from_json
from backend.machine.machine import Environment
from backend.private_folders import make_private
from backend.whole_file import write_whole

SCRIPT = Path(__file__).parent / "children" / "read_flags.py"
DEADLINE_S = 300.0  # importing LMDeploy takes 5 s on a quiet machine, minutes on a busy one or a slow network disk


def read_capabilities(
    environment: Environment, modified: float, cache_dir: Path, stopped: Callable[[], bool] = never
) -> Capabilities:
    """From the cache, else from a child, which takes some seconds. ``modified`` is LMDeploy's mtime: a part of the key.

    Raises NoAnswer where the child fails or ``stopped``. A cache that can't be read or written is no error.
    """
    file = cache_dir / f"flags-{_key(environment, modified)}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        return from_json(json.loads(file.read_text(encoding="utf-8")), "parser")
    parsers: dict[str, Any] = {}
    for program, present in (("lmdeploy", environment.lmdeploy), ("transformers", environment.transformers)):
        if present:
            parsers |= _ask(environment, program, stopped)
    try:
        capabilities = from_json(parsers, "parser")
    except (KeyError, TypeError, ValueError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from error
    _write(file, json.dumps(parsers))
    return capabilities


def _ask(environment: Environment, program: str, stopped: Callable[[], bool]) -> dict[str, Any]:
    answer = ask(environment.python, SCRIPT, program, deadline_s=DEADLINE_S, niceness=10, stopped=stopped)
    try:
        flags = json.loads(answer)
    except ValueError as error:
        raise NoAnswer(answer.strip()[:300]) from error
    if not isinstance(flags, dict):
        raise NoAnswer(answer.strip()[:300])
    return flags


def _key(environment: Environment, modified: float) -> str:
    """Changes with the environment, its versions, a reinstallation, and the script that reads."""
    parts = (str(environment.python), environment.lmdeploy, environment.transformers, repr(modified))
    script = SCRIPT.read_bytes()
    return hashlib.sha256("\0".join(parts).encode() + script).hexdigest()[:24]


def _write(file: Path, text: str) -> None:
    """All or nothing; a full disk only means that the parser is asked again."""
    with contextlib.suppress(OSError):
        make_private(file.parent)
        write_whole(file, text)
