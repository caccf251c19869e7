"""Folders that are gone, and one that two jobs want."""

import random
import shutil
import signal
from pathlib import Path

from tests.campaign.faults.page import quick_page
from tests.campaign.ground import (
    JOB_ENDS,
    SERVER_ENDS,
    Broken,
    Ground,
    check,
    make_environment,
)
from tests.support.waiting import wait_for


def removed_folders(ground: Ground, rng: random.Random) -> str:
    """Logs, runs, uploads or all of the state are removed below a running console: it answers, and it still stops."""
    ground.open()
    server_id = ground.start(ground.model(rng.choice(["ok", "family"])))
    ground.until(ground.server, server_id, "running")
    job = ground.start_job(ground.model("wait"))
    ground.until(ground.job, job, "running")
    runs = ground.runs()
    names = ["log", "run", "runs", "uploads", "jobs", "keys", "cache", "state"]
    what = rng.choice(names)
    targets = {
        "log": ground.state_dir / "runs" / server_id / "log.txt", "run": ground.state_dir / "runs" / server_id,
        "state": ground.state_dir,
    }  # fmt: skip
    target = targets.get(what, ground.state_dir / what)
    if target.is_file():
        target.unlink()
    else:
        shutil.rmtree(target, ignore_errors=True)
    quick_page(ground, f"{what} is gone")
    answer = ground.operator.client.get(f"/console/log/{server_id}")
    check(answer.status_code in (200, 404, 409), f"the log's answer is {answer.status_code} while {what} is gone")
    answer = ground.operator.client.get(f"/console/log/{server_id}/file")
    check(answer.status_code in (200, 404, 409), f"the log's file is {answer.status_code} while {what} is gone")
    ground.stop(server_id)
    ground.cancel(job)
    ground.until(ground.server, server_id, *SERVER_ENDS)
    ground.until(ground.job, job, *JOB_ENDS)
    ground.nothing_left(runs)
    for job_view in ground.snapshot()["jobs"]:
        ground.whole_or_nothing(job_view)
    ground.close_visitor()
    if ground.console is not None:
        ground.console.end(signal.SIGKILL)
    ground.open()
    check(ground.snapshot()["role"] == "operator", "no page after it")
    ground.nothing_left(runs)
    return what


def same_output(ground: Ground, rng: random.Random) -> str:
    """Two jobs onto one folder, of two consoles and of one: neither takes what the other made."""
    ground.open()
    of_two = two_consoles(ground, rng, ground.models / "both-w4a16")
    of_one = one_console(ground, rng, ground.models / "shared-w4a16")
    return f"two consoles: {of_two}; one: {of_one}"


def two_consoles(ground: Ground, rng: random.Random, output: Path) -> str:
    """Another person's job has found the place free when this one's begins to write there; it comes second."""
    gate = ground.folder / "worker-may-begin"
    other = ground.neighbour(make_environment(ground.folder / "late", gate))
    other.open()
    late = other.start_job(ground.model("ok"), output)
    other.until(other.job, late, "running")
    model = ground.model("wait")
    job = ground.start_job(model, output)
    ground.until(ground.job, job, "running")
    partial = output.with_name(f".{output.name}.partial-awq")
    wait_for("half a result", lambda: (partial / "model.safetensors").exists(), 60)
    if rng.random() < 0.5:
        other.cancel(late)
    gate.touch()
    ended = str(other.until(other.job, late, *JOB_ENDS)["state"])
    check(ended != "succeeded", "two jobs wrote into one folder, and the second calls it its own")
    (model / "go").touch()
    state = ground.until(ground.job, job, *JOB_ENDS)["state"]
    check(state == "succeeded", f"a job is {state}, since one of another console wanted its place")
    whole(output)
    return ended


def whole(output: Path) -> None:
    check((output / "lmdeploy_console.json").exists(), "the second job took the first one's result")
    for name in ("config.json", "model.safetensors"):
        check((output / name).is_file(), f"the result lost its {name}")


def one_console(ground: Ground, rng: random.Random, output: Path) -> str:
    """The console itself knows of the first job."""
    first_model = ground.model("wait")
    first = ground.start_job(first_model, output)
    ground.until(ground.job, first, "running")
    second = ""
    try:
        second = ground.start_job(ground.model(rng.choice(["ok", "memory", "vanish"])), output)
    except Broken as refused:
        check("refused" in str(refused), str(refused))
    if second and rng.random() < 0.5:
        ground.cancel(second)
    (first_model / "go").touch()
    ground.until(ground.job, first, "succeeded")
    if second:
        ground.until(ground.job, second, *JOB_ENDS)
    whole(output)
    return "refused" if not second else str(ground.job(second)["state"])
