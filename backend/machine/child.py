"""Asks another process a question: a Python script in a child, its answer from stdout, with a deadline."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from backend.console.environment import child_environment

LOOK_SECONDS = 0.2
ANSWER_LIMIT_BYTES = 16_000_000
OFFLINE: Mapping[str, str | None] = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


class NoAnswer(Exception):
    """The child didn't start, failed, or took too long; the text says which, with the last line it wrote."""


def never() -> bool:
    """The answer is wanted to the end."""
    return False


def ask(
    python: Path,
    script: Path,
    *arguments: str,
    deadline_s: float,
    niceness: int = 0,
    stopped: Callable[[], bool] = never,
    environment: Mapping[str, str | None] = OFFLINE,
) -> str:
    """What the script prints when that Python runs it. Raises NoAnswer.

    The child has a session of its own, which is killed whole at the deadline or once ``stopped`` says so, and looks at
    no GPU and, by ``environment`` (None removes a name), at no hub.
    """
    argv = [str(python), str(script), *arguments]
    values = {**child_environment(), "CUDA_VISIBLE_DEVICES": "", "PYTHONIOENCODING": "utf-8", **environment}
    if niceness:
        argv = ["nice", "-n", str(niceness), *argv]
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: value for name, value in values.items() if value is not None},
            start_new_session=True,
        )
    except OSError as error:
        raise NoAnswer(error.strerror or str(error)) from error
    with child:
        try:
            answer, errors = _communicate(child, deadline_s, stopped)
        finally:
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
    if child.returncode != 0:
        raise NoAnswer(_last_line(errors) or f"exit status {child.returncode}")
    if len(answer) > ANSWER_LIMIT_BYTES:
        raise NoAnswer(f"an answer of {len(answer)} bytes")
    return answer.decode("utf-8", "replace")


def _communicate(child: subprocess.Popen[bytes], deadline_s: float, stopped: Callable[[], bool]) -> tuple[bytes, bytes]:
    end = time.monotonic() + deadline_s
    while not stopped():
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.communicate(timeout=LOOK_SECONDS)
        if time.monotonic() > end:
            raise NoAnswer(f"no answer within {deadline_s:g} s")
    raise NoAnswer("not wanted any more")


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""
