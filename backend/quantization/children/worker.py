"""Runs the steps of a quantization job and puts the result in its place: the child that a job is.

usage: worker.py PLAN.json

The plan: ``steps`` (each ``stage``, ``argv``, ``cwd``, ``env``: the commands that the page shows), ``partial`` (the
folder they write to), ``result`` (the finished model in it), ``output`` (its place), ``kept`` (folder for what auto_awq
measured and leaves in ``statistics``) and ``record`` (what made it: written into the model as RECORD). The output's
folder appears whole or not at all: SIGTERM, a step that fails and a full disk remove what was half written. The exit
status is the failing step's, 143 after SIGTERM.
"""

import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

RECORD = "lmdeploy_console.json"
CANCELLED = 128 + signal.SIGTERM
CANNOT_MOVE = 74  # EX_IOERR
_GRACE_S = 0.5  # between SIGTERM and SIGKILL: a cancelled job is gone within two seconds
_STATISTICS = ("inputs_stats.pth", "outputs_stats.pth")
_VERSIONS = ("lmdeploy", "transformers", "torch", "datasets")


class Cancelled(BaseException):
    """SIGTERM came."""


def main(plan_file: Path) -> int:
    """Run the plan; the exit status."""
    signal.signal(signal.SIGTERM, _cancel)
    plan = json.loads(plan_file.read_bytes())
    partial = Path(plan["partial"])
    began = time.time()
    try:
        code = _run(plan)
        if code == 0:
            _finish(plan, began)
        return code
    except Cancelled:
        print("Cancelled. What was half written is removed.", flush=True)
        return CANCELLED
    except OSError as error:
        print(f"The result can't be put in its place: {error}", flush=True)
        return CANNOT_MOVE
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        shutil.rmtree(partial, ignore_errors=True)


def _run(plan: Any) -> int:
    """Every step, until one fails; its exit status as a shell says it."""
    Path(plan["partial"]).mkdir(parents=True)
    for step in plan["steps"]:
        print(f">>> {step['stage']}: {' '.join(step['argv'])}", flush=True)
        environment = dict(os.environ, PYTHONUNBUFFERED="1")
        for name, value in step["env"].items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        # The same process group: a signal to the job reaches the step too.
        process = subprocess.Popen(step["argv"], cwd=step["cwd"], env=environment, stdin=subprocess.DEVNULL)
        try:
            code = process.wait()
        finally:
            _end(process)
        if code != 0:
            return code if code > 0 else 128 - code
    return 0


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _finish(plan: Any, began: float) -> None:
    """Statistics apart, the record into the model, everything on the disk, then the one rename."""
    result, output, kept = Path(plan["result"]), Path(plan["output"]), Path(plan["kept"])
    for name in _STATISTICS:
        for folder in plan["statistics"]:
            if (Path(folder) / name).exists():
                shutil.move(str(Path(folder) / name), str(kept / name))
    ended = time.time()
    record = dict(plan["record"], versions=_versions(), started_at=began, ended_at=ended, seconds=ended - began)
    (result / RECORD).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for file in result.rglob("*"):
        if file.is_file():
            _flush(file)
    os.rename(result, output)
    print(f">>> done: {output}", flush=True)


def _flush(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _versions() -> "dict[str, str]":
    found = {"python": sys.version.split()[0]}
    for name in _VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cancel(_number: int, _frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Cancelled


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
