"""Measures the perplexity of a text with two servers, one after the other, started for it and stopped again.

usage: perplexity.py PLAN.json

The plan: ``servers`` (each ``argv``, ``env``, ``base_url`` without /v1, ``key_file``, ``name``), ``text`` (a file) and
``out``, where ``{"perplexities": [p, …], "tokens": n}`` is written. LMDeploy's POST /get_ppl answers with the mean
cross-entropy in its field "ppl"; the perplexity is its exponential. The standard library only.
"""

import json
import math
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

READY_DEADLINE_S = 1800.0
REQUEST_DEADLINE_S = 600.0
_POLL_S = 0.5
_GRACE_S = 10.0


def main(plan_file: Path) -> int:
    """Run the plan; the exit status."""
    signal.signal(signal.SIGTERM, _stop)
    plan = json.loads(plan_file.read_bytes())
    text = Path(plan["text"]).read_text(encoding="utf-8")
    perplexities, tokens = [], 0
    for server in plan["servers"]:
        print(f">>> {server['name']}: {' '.join(server['argv'])}", flush=True)
        process = subprocess.Popen(server["argv"], env=_environment(server["env"]), stdin=subprocess.DEVNULL)
        try:
            _wait_until_ready(process, server)
            tokens = int(_ask(server, "/v1/encode", {"input": text})["length"])
            perplexities.append(math.exp(float(_ask(server, "/get_ppl", {"input": text})["ppl"])))
            print(f">>> perplexity of {server['name']}: {perplexities[-1]:.4f} over {tokens} tokens", flush=True)
        finally:
            _end(process)
    draft = Path(plan["out"] + ".part")
    draft.write_text(json.dumps({"perplexities": perplexities, "tokens": tokens}), encoding="utf-8")
    os.replace(draft, plan["out"])
    return 0


def _environment(changes: Any) -> "dict[str, str]":
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    for name, value in changes.items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value
    return environment


def _wait_until_ready(process: "subprocess.Popen[bytes]", server: Any) -> None:
    deadline = time.monotonic() + READY_DEADLINE_S
    while True:
        if process.poll() is not None:
            sys.exit(f"the server of {server['name']} ended with exit code {process.returncode}")
        try:
            _ask(server, "/health", None)
            return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                sys.exit(f"the server of {server['name']} wasn't ready within {READY_DEADLINE_S:.0f} s")
        time.sleep(_POLL_S)


def _ask(server: Any, path: str, body: Any) -> Any:
    headers = {"Content-Type": "application/json"}
    key = Path(server["key_file"]).read_text(encoding="utf-8").strip()
    headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server["base_url"] + path, data, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback never goes through a proxy
    deadline = 5.0 if body is None else REQUEST_DEADLINE_S
    with opener.open(request, timeout=deadline) as answer:
        content = answer.read()
    return json.loads(content) if body is not None else None


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _stop(_number: int, _frame: Any) -> None:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
