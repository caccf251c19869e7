"""The disk: full, without inodes, read-only."""

import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backend.disk import is_next_to_nothing
from backend.processes.runner import STATUS, read_result
from tests.campaign.faults.page import quick_page, told
from tests.campaign.ground import (
    JOB_ENDS,
    Broken,
    Ground,
    Unplayable,
    check,
    pause,
    small_disk,
)
from tests.support.waiting import wait_for


@contextmanager
def on_small_disk(ground: Ground, size: str = "6m", more: str = "") -> Iterator[Path]:
    """The ground's state is a small disk, with a console on it."""
    with small_disk(ground.state_dir, size, more) as disk:
        try:
            ground.open()
            yield disk
        finally:
            if ground.console is not None:
                ground.console.close()


def fill(disk: Path) -> Path:
    """The file that leaves nothing."""
    file = disk / "others"
    with file.open("wb", buffering=0) as stream:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while stream.write(bytes(size)):
                    pass
    return file


def full_disk(ground: Ground, rng: random.Random) -> str:
    """The disk fills up at any moment: stops are stops, ends are ends, a start says it; stored once there is room."""
    with on_small_disk(ground) as disk:
        lives, stops = ground.start(ground.model("ok")), ground.start(ground.model(rng.choice(["ok", "deaf"])))
        job_model = ground.model("wait")
        job = ground.start_job(job_model)
        moment = rng.choice(["starting", "running"])
        if moment == "running":
            ground.until(ground.server, lives, "running")
        ground.until(ground.server, stops, "running", "starting")
        ground.until(ground.job, job, "running")
        pause(rng.uniform(0, 0.5))
        others = fill(disk)
        ground.stop(stops)
        if rng.random() < 0.5:
            (job_model / "go").touch()
        else:
            ground.cancel(job)
        stopped = ground.until(ground.server, stops, "stopped")
        check(stopped["reason"] is None, f"a stop on a full disk has the reason {stopped['reason']}")
        ended = ground.until(ground.job, job, *JOB_ENDS)["state"]
        quick_page(ground, "the disk is full")
        try:
            ground.start(ground.model("ok"))
        except Broken as refused:
            check("full" in str(refused) or "space" in str(refused), f"a start on a full disk says: {refused}")
        kill = rng.random() < 0.5
        if kill and ground.console is not None:
            ground.close_visitor()
            ground.console.end(signal.SIGKILL)
        others.unlink()
        if kill:
            ground.open()
        else:
            wait_for("it is stored", lambda: "disk" not in told(ground), 20)
            ground.restart()
        ground.until(ground.server, stops, "stopped")
        view = ground.until(ground.server, lives, *(("running", "failed") if moment == "starting" else ("running",)))
        status = read_result(ground.state_dir / "runs" / lives, STATUS) or {}
        # One that writes a line and can't ends by itself; where that took until there was room, nobody can know why.
        if is_next_to_nothing(status.get("free_bytes")):
            check("disk" in str(view["reason"]), f"a server died of a full disk, and the page says: {view['reason']}")
        check(ground.until(ground.job, job, *JOB_ENDS)["state"] == ended or kill, "a job's end changed by a restart")
        ground.truth()
        ground.ended_all()
    return f"{moment}, job {ended}, {'killed' if kill else 'stored'}"


def no_inodes(ground: Ground, rng: random.Random) -> str:
    """A disk without a free inode: as a full one."""
    with on_small_disk(ground, "32m", ",nr_inodes=400") as disk:
        server_id = ground.start(ground.model("ok"))
        ground.until(ground.server, server_id, "running")
        made = 0
        with suppress(OSError):
            while True:
                (disk / f"x{made}").touch()
                made += 1
        try:
            ground.start(ground.model("ok"))
            started = "started"
        except Broken as refused:
            started = str(refused)
        check(len(started) > 7, "a start without an inode says nothing")
        ground.stop(server_id)
        ground.until(ground.server, server_id, "stopped")
        quick_page(ground, "there is no inode")
        for number in range(made):
            (disk / f"x{number}").unlink()
        ground.restart()
        ground.until(ground.server, server_id, "stopped")
        ground.ended_all()
    return started[:60]


def read_only(ground: Ground, rng: random.Random) -> str:
    """The disk is read-only when the console starts, as after an error: it says so in words; later all is found."""
    with on_small_disk(ground, "16m") as disk:
        server_id = ground.start(ground.model("ok"))
        ground.until(ground.server, server_id, "running")
        ground.ended_all()
        ground.close_visitor()
        if ground.console is not None:
            ground.console.end(rng.choice([signal.SIGTERM, signal.SIGKILL]))
        _remount(disk, "ro")
        try:
            ground.open()
        except AssertionError as refused:
            said = str(refused)
            check("Traceback" not in said, f"a start on a read-only disk ends in a traceback: {said[-600:]}")
            check(str(ground.state_dir) in said, f"a start on a read-only disk doesn't name the folder: {said}")
        else:
            raise Broken("a console runs on a read-only disk")
        finally:
            _remount(disk, "rw")
        ground.open()
        ground.until(ground.server, server_id, "stopped")
    return "refused, then found"


def _remount(disk: Path, how: str) -> None:
    """It is busy for as long as anything holds a file open for writing."""

    def done() -> bool:
        return subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], capture_output=True).returncode == 0

    try:
        wait_for(f"the disk to be {how}", done, 10, every_s=0.2)
    except AssertionError as error:
        raise Unplayable(str(error)) from None
