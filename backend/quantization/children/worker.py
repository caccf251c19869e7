"""Runs the steps of a quantization job and puts the result in its place: the child that a job is.

usage: worker.py PLAN.json

The plan: ``steps`` (each ``stage``, ``argv``, ``cwd``, ``env``: the commands that the page shows), ``partial`` (the
folder they write to), ``result`` (the finished model in it), ``output`` (its place), ``kept`` (folder for what auto_awq
measured and leaves in ``statistics``) and ``record`` (what made it: written into the model as RECORD). The output's
folder appears whole or not at all: SIGTERM, a step that fails and a full disk remove what was half written, where it
was this job that wrote it (MARK in it names the job). The exit status is the failing step's, 143 after SIGTERM.
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
MARK = ".lmdeploy_console_job"  # in the folder that is being written: the id of the job whose it is
CANCELLED = 128 + signal.SIGTERM
CANNOT_MOVE = 74  # EX_IOERR
COUNTING = Path(__file__).parent / "counting_entry.py"
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
    began = (time.time(), time.monotonic())
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
        if not remove_own(partial, plan["record"]["job"]):
            print(f"Left over: {partial}. It isn't this job's, or can't be removed.", flush=True)


def remove_own(partial: Path, job: str) -> bool:
    """Remove what that job has half written, and nothing that another one writes. Whether nothing is there now."""
    if is_own(partial, job):
        shutil.rmtree(partial, ignore_errors=True)
    return not os.path.lexists(partial)


def is_own(partial: Path, job: str) -> bool:
    """Whether that job made the folder."""
    try:
        return (partial / MARK).read_text(encoding="utf-8") == job
    except (OSError, ValueError):
        return False


def _run(plan: Any) -> int:
    """Every step, until one fails; its exit status as a shell says it."""
    partial = Path(plan["partial"])
    partial.mkdir(parents=True)  # FileExistsError where another job writes there
    (partial / MARK).write_text(plan["record"]["job"], encoding="utf-8")
    for step in plan["steps"]:
        print(f">>> {step['stage']}: {' '.join(step['argv'])}", flush=True)
        environment = dict(os.environ, PYTHONUNBUFFERED="1")
        for name, value in step["env"].items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        # The same process group: a signal to the job reaches the step too.
        process = subprocess.Popen(counted(step["argv"]), cwd=step["cwd"], env=environment, stdin=subprocess.DEVNULL)
        try:
            code = process.wait()
        finally:
            _end(process)
        if code != 0:
            return code if code > 0 else 128 - code
    return 0


def counted(argv: "list[str]") -> "list[str]":
    """The step as it is started: `lmdeploy lite` in an entry that says which sample it computes."""
    if "lite" not in argv:
        return argv
    if argv[1] == "-m":
        return [argv[0], str(COUNTING), *argv[1:]]
    program, python = Path(argv[0]), Path(argv[0]).parent / "python"
    return [str(python), str(COUNTING), *argv] if python.exists() and _is_python(program) else argv


def _is_python(program: Path) -> bool:
    try:
        with program.open("rb") as file:
            first = file.readline(1000)
    except OSError:
        return False
    return first.startswith(b"#!") and b"python" in first


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _finish(plan: Any, began: "tuple[float, float]") -> None:
    """Statistics apart, the record into the model, everything on the disk, then the one rename.

    ``began`` is the time of day, and the same moment by a clock that nobody sets.
    """
    result, output, kept = Path(plan["result"]), Path(plan["output"]), Path(plan["kept"])
    for name in _STATISTICS:
        for folder in plan["statistics"]:
            if (Path(folder) / name).exists():
                _move(Path(folder) / name, kept / name)
    seconds = time.monotonic() - began[1]  # the time of day may have been set meanwhile
    times = {"started_at": began[0], "ended_at": time.time(), "seconds": seconds}
    record = dict(plan["record"], versions=_versions(), **times)
    (result / RECORD).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for file in result.rglob("*"):
        if file.is_file():
            _flush(file)
    (result / MARK).unlink(missing_ok=True)
    os.rename(result, output)
    print(f">>> done: {output}", flush=True)


def _move(source: Path, target: Path) -> None:
    """Beside the model these are of little worth: without room for them they go, and the model stays."""
    try:
        shutil.move(source, target)
        target.chmod(0o600)  # as everything in the state folder is, whatever the person's umask
    except OSError as error:
        print(f"{source.name} isn't kept: {error}", flush=True)
        target.unlink(missing_ok=True)
        source.unlink(missing_ok=True)


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
