"""Asks another Python a question: a script in a child, its answer from stdout, with a deadline."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path

CHILDREN = Path(__file__).parent / "children"
ANSWER_LIMIT_BYTES = 16_000_000


class NoAnswer(Exception):
    """The child didn't start, failed, or took too long; the text says which, with the last line it wrote."""


def ask(python: Path, script: str, *arguments: str, deadline_s: float, niceness: int = 0) -> str:
    """What children/``script`` prints when that Python runs it. Raises NoAnswer.

    The child has a session of its own, which is killed whole at the deadline, and looks at no GPU and no hub.
    """
    argv = [str(python), str(CHILDREN / script), *arguments]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf-8"}
    if niceness:
        argv = ["nice", "-n", str(niceness), *argv]
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise NoAnswer(error.strerror or str(error)) from error
    with child:
        try:
            answer, errors = child.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired as error:
            raise NoAnswer(f"no answer within {deadline_s:g} s") from error
        finally:
            if child.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
    if child.returncode != 0:
        raise NoAnswer(_last_line(errors) or f"exit status {child.returncode}")
    if len(answer) > ANSWER_LIMIT_BYTES:
        raise NoAnswer(f"an answer of {len(answer)} bytes")
    return answer.decode("utf-8", "replace")


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:300] if lines else ""
