"""A model server for a test or a measurement, started by its own command, without the console."""

import contextlib
import json
import os
import signal
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_for

END_S = 20


@contextlib.contextmanager
def model_server(
    argv: Sequence[str], port: int, log: Path, ready_s: float, env: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """The command in its own session with its output in ``log``, from ready (``/health`` on ``port``) to its end.

    AssertionError with the end of the log where it dies before, or isn't ready within ``ready_s`` seconds.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, env=env
        )

    def healthy() -> bool:
        if process.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace")[-3000:]
            raise AssertionError(f"{' '.join(argv)} ended with {process.returncode}:\n{said}")
        health = f"http://127.0.0.1:{port}/health"
        with contextlib.suppress(OSError), urllib.request.urlopen(health, timeout=5) as reply:
            return bool(reply.status == 200)
        return False

    try:
        wait_for(f"{' '.join(argv)} to be ready", healthy, ready_s, every_s=0.2)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(END_S)


def complete(address: str, body: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
    """The answer to one chat completion of the server at that API address (ends in /v1)."""
    request = urllib.request.Request(
        f"{address}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=timeout_s) as reply:
        answer: dict[str, Any] = json.load(reply)
    return answer
