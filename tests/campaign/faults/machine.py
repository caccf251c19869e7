"""Children, descriptors, clock, suspend."""

import os
import random
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch
from urllib.parse import urlsplit

from tests.campaign.faults.page import quick_page
from tests.campaign.ground import (
    Ground,
    alive,
    check,
    pause,
    processes_of,
)
from tests.support.waiting import wait_for

FLOOD_BYTES = 200_000_000


def stubborn_children(ground: Ground, rng: random.Random) -> str:
    """Servers and jobs that fork, go deaf or flood: a stop ends all of them, and what the page shows stays small."""
    ground.open()
    started = [ground.start(ground.model(behave)) for behave in ("family", "deaf")]
    behave = rng.choice(["stubborn", "flood"])
    job = ground.start_job(ground.model(behave))
    for server_id in started:
        ground.until(ground.server, server_id, "running")
    ground.until(ground.job, job, "running")
    quick_page(ground, "a job floods")
    if behave == "flood":
        flooded(ground, job)
    for server_id in started:
        ground.stop(server_id)
    ground.cancel(job)
    for server_id in started:
        ground.until(ground.server, server_id, "stopped")
    ground.until(ground.job, job, "cancelled")
    ground.truth()
    ground.ended_all()
    return f"family, deaf, {behave}"


def flooded(ground: Ground, job: str) -> None:
    """The job has written its 200 MB: the console has read them piece by piece, and goes on with what came behind."""
    log = ground.state_dir / "runs" / str(ground.job(job)["run_id"]) / "log.txt"
    before = peak_bytes(ground)
    wait_for("the flood", lambda: log.stat().st_size > FLOOD_BYTES, 60)
    for _ in range(20):
        quick_page(ground, "a job has flooded")
        pause(0.1)
    grown = peak_bytes(ground) - before
    check(grown < 100e6, f"{log.stat().st_size / 1e6:.0f} MB of output took {grown / 1e6:.0f} MB of memory")


def peak_bytes(ground: Ground) -> int:
    """The most memory that the console has had."""
    status = Path(f"/proc/{ground.running.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def few_descriptors(ground: Ground, rng: random.Random) -> str:
    """Few open files, and more connections than that: whoever asks is answered, and a server can be started."""
    limit = rng.choice([512, 768])
    ground.open(open_files=limit)
    port = int(urlsplit(ground.running.base_url).port or 0)
    flood = []
    try:
        for number in range(limit + rng.randint(20, 300)):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            flood.append(connection)
            with suppress(OSError):
                connection.sendall(rng.choice([b"", b"G", b"GET / HTTP/1.1\r\n"]))
            if number % 150 == 0:
                with ground.running.client() as client:
                    check(client.get("/console/snapshot").status_code == 200, "no page under many connections")
        server_id = ground.start(ground.model("ok"))
        ground.until(ground.server, server_id, "running")
    finally:
        for connection in flood:
            connection.close()
    ground.ended_all()
    return f"{len(flood)} connections"


def clock(ground: Ground, rng: random.Random) -> str:
    """The clock jumps, and the console starts anew (its clock is the only one that can be moved): nothing is ended."""
    from backend.servers.server import ServerState
    from tests.conftest import make_settings
    from tests.integration.test_servers import World, config

    jump = rng.choice([-1, 1]) * rng.choice([3600.0, 86400.0, 400 * 86400.0])
    world = World(make_settings(ground.folder / "clock"))
    gate = ground.folder / "gate"
    real = time.time
    try:
        server_id = world.manager.start(config("--gate", gate))
        ready = world.manager.start(config())
        world.until(server_id, ServerState.STARTING)
        world.until(ready, ServerState.RUNNING)
        world.close()
        with patch.object(time, "time", lambda: real() + jump):
            world.open()
            wait_for("it was looked at", lambda: world.manager.get(server_id).pid)
            pause(rng.uniform(0, 0.5))
            gate.write_text("200")
            world.until(server_id, ServerState.RUNNING)
            check(world.manager.get(ready).state == ServerState.RUNNING, "a clock that jumped ended a server")
            world.manager.stop(ready)
            world.until(ready, ServerState.STOPPED)
    finally:
        for run in world.supervisor.all():
            world.supervisor.stop(run.id, grace_s=0)
        wait_for("all runs have ended", lambda: all(run.ended for run in world.supervisor.all()))
        world.close()
    return f"{jump:+.0f} s"


def suspend(ground: Ground, rng: random.Random) -> str:
    """Console, runners and servers stop for a while and go on, as a laptop that is closed."""
    ground.open()
    server_id = ground.start(ground.model("ok"))
    job = ground.start_job(ground.model(rng.choice(["ok", "wait"])))
    ground.until(ground.server, server_id, "running")
    console = ground.running.process.pid
    all_of_it = [console, *(process.pid for process in processes_of(ground.runs()) if alive(process))]
    rng.shuffle(all_of_it)
    for pid in all_of_it:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    pause(rng.uniform(0.5, 3))
    for pid in rng.sample(all_of_it, len(all_of_it)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    ground.until(ground.server, server_id, "running")
    ground.until(ground.job, job, "running", "succeeded")
    ground.ended_all()
    return f"{len(all_of_it)} processes"
