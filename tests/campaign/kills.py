"""Kills at random moments of what a person has running: the console, a runner, a server, a worker and what it calls.

Each round starts a few things, hits one to three real processes at moments of its seed, starts the console again where
it died, and then looks: what the page says is so, results are whole or absent, and after a stop nothing is left.
"""

import contextlib
import os
import random
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx
import psutil

from tests.campaign.ground import JOB_ENDS, SERVER_ENDS, Broken, Ground, alive, check, pause, pick, processes_of
from tests.support.waiting import wait_for

SERVERS = {"ok": 4.0, "slow": 1.0, "deaf": 1.0, "family": 1.0, "fails": 1.0}
JOBS = {"ok": 2.0, "wait": 2.0, "stubborn": 1.0, "vanish": 0.5, "memory": 0.5}
SIGNALS = {"SIGKILL": 3.0, "SIGTERM": 2.0, "SIGSTOP": 1.0}
LONGEST_S = 1.5  # between two hits
STOPPED_S = 1.0
SAID_S = 3.0  # every change is on every page by then


@dataclass
class Scene:
    """What runs in this round; ``hit`` are the ids whose own processes were hit."""

    servers: dict[str, str] = field(default_factory=dict)  # id → how it behaves
    jobs: dict[str, str] = field(default_factory=dict)
    hit: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)


def play(ground: Ground, rng: random.Random, victims: Mapping[str, float]) -> str:
    """A round on whichever of these victims; returns what was done."""
    _ = ground.running
    scene = begin(ground, rng)
    pause(rng.uniform(0, LONGEST_S))
    for _ in range(rng.randint(1, 3)):
        hit(ground, rng, scene, pick(rng, dict(victims)))
        pause(rng.uniform(0, LONGEST_S))
    if ground.console is not None and ground.console.process.poll() is not None:
        ground.open()
    look(ground, scene)
    ground.ended_all()
    ground.truth()
    return "; ".join(scene.told)


def begin(ground: Ground, rng: random.Random) -> Scene:
    """One or two servers and a job or two, as the seed has it."""
    scene = Scene()
    for _ in range(rng.randint(1, 2)):
        behave = pick(rng, SERVERS)
        scene.servers[ground.start(ground.model(behave))] = behave
    for _ in range(rng.randint(0, 2)):
        behave = pick(rng, JOBS)
        scene.jobs[ground.start_job(ground.model(behave))] = behave
    scene.told.append(f"{[*scene.servers.values()]} {[*scene.jobs.values()]}")
    return scene


def hit(ground: Ground, rng: random.Random, scene: Scene, victim: str) -> None:
    """One signal to one process of that kind; nothing where there is none at this moment."""
    name = pick(rng, SIGNALS)
    owner, process = VICTIMS[victim](ground, rng, scene)
    if process is None:
        return
    if victim == "console" and ground.console is not None:
        ground.close_visitor()
    elif name != "SIGSTOP" or victim == "command":
        scene.hit.add(owner)
    scene.told.append(f"{name} to {victim}")
    with contextlib.suppress(psutil.Error):
        process.send_signal(signal.Signals[name])
        if name == "SIGSTOP":
            pause(rng.uniform(0, STOPPED_S))
            process.send_signal(signal.SIGCONT)
    if victim == "console" and name != "SIGSTOP" and ground.console is not None:
        ground.console.process.wait(30)
        if rng.random() < 0.7:  # sometimes more is hit while nobody watches
            ground.open()


def _console(ground: Ground, rng: random.Random, scene: Scene) -> tuple[str, psutil.Process | None]:
    console = ground.console
    if console is None or console.process.poll() is not None:
        return "", None
    return "", psutil.Process(console.process.pid)


def _members(ground: Ground, rng: random.Random, scene: Scene) -> tuple[str, list[psutil.Process]]:
    """The processes of one run of the scene, its runner first."""
    runs = sorted(ground.runs())
    if not runs:
        return "", []
    run = rng.choice(runs[-4:])
    found = sorted(processes_of({run}), key=lambda process: process.pid)
    owner = next((name for name in [*scene.servers, *scene.jobs] if name == run), run)
    return owner, [process for process in found if alive(process)]


def _runner(ground: Ground, rng: random.Random, scene: Scene) -> tuple[str, psutil.Process | None]:
    owner, members = _members(ground, rng, scene)
    for process in members:
        with contextlib.suppress(psutil.Error):
            if any(word.endswith("runner.py") for word in process.cmdline()):
                return owner, process
    return owner, None


def _command(ground: Ground, rng: random.Random, scene: Scene) -> tuple[str, psutil.Process | None]:
    owner, members = _members(ground, rng, scene)
    commands = []
    for process in members:
        with contextlib.suppress(psutil.Error):
            if not any(word.endswith("runner.py") for word in process.cmdline()):
                commands.append(process)
    return owner, rng.choice(commands) if commands else None


VICTIMS: Mapping[str, Callable[..., tuple[str, psutil.Process | None]]] = {
    "console": _console, "runner": _runner, "command": _command,
}  # fmt: skip


def look(ground: Ground, scene: Scene) -> None:
    """Everything is found again, and stands as it must after what was done to it."""
    now = ground.snapshot()
    missing = set(scene.servers) - {s["id"] for s in now["servers"]} | set(scene.jobs) - {j["id"] for j in now["jobs"]}
    check(not missing, f"not found again: {missing}")
    settle(ground, scene)
    for server_id, behave in scene.servers.items():
        view = ground.server(server_id)
        if server_id not in scene.hit and behave in ("ok", "deaf", "family"):
            check(view["state"] == "running", f"nobody touched {server_id} ({behave}), and it is {view['state']}")
        if server_id not in scene.hit and behave == "fails":
            check(view["exit_code"] == 3, f"{server_id} ended with 3, the page says {view['exit_code']}")
        if view["state"] == "running":
            answers(ground, server_id)
    for job_id, behave in scene.jobs.items():
        job = ground.job(job_id)
        untouched = job["run_id"] and job["run_id"] not in scene.hit
        if untouched and behave == "ok":
            check(job["state"] == "succeeded", f"nobody touched {job_id}, and it {job['state']}")
        if untouched and behave in ("vanish", "memory"):
            check(job["state"] == "failed", f"{job_id} ({behave}) is {job['state']}")
    ground.truth()


def settle(ground: Ground, scene: Scene) -> None:
    """Until nothing is on its way, but for what waits for ever by itself."""
    waiting = {name for name, behave in scene.jobs.items() if behave in ("wait", "stubborn")}
    slow = {name for name, behave in scene.servers.items() if behave == "slow"}

    def settled() -> bool:
        now = ground.snapshot()
        if any(s["state"] not in SERVER_ENDS | {"running"} and s["id"] not in slow for s in now["servers"]):
            return False
        # The queue is one behind the other: whoever stands behind one that waits is queued.
        return all(j["state"] in JOB_ENDS for j in now["jobs"]) or any(
            j["state"] == "running" and j["id"] in waiting for j in now["jobs"]
        )

    try:
        wait_for("everything to settle", settled, 60.0, every_s=0.1)
    except Broken:
        raise
    except AssertionError:
        now = ground.snapshot()
        states = {e["id"]: e["state"] for e in [*now["servers"], *now["jobs"]]}
        raise Broken(f"still on its way after 60 s: {states}") from None


def answers(ground: Ground, server_id: str) -> None:
    """A server that is said to run answers; one that died a moment ago is soon said to have."""

    def so() -> bool:
        view = ground.server(server_id)
        if view["state"] != "running":
            return True
        with contextlib.suppress(httpx.HTTPError):
            address = f"http://127.0.0.1:{view['port']}/health"
            return httpx.get(address, trust_env=False, timeout=10).status_code == 200
        return False

    try:
        wait_for("a server that answers, or a page that says otherwise", so, SAID_S, every_s=0.1)
    except Broken:
        raise
    except AssertionError:
        raise Broken(f"{server_id} is said to be running after {SAID_S:g} s, and doesn't answer") from None


def console_alone(ground: Ground, rng: random.Random) -> str:
    """The console again and again; everything else is untouched and stands as it was."""
    return play(ground, rng, {"console": 1.0})


def runners(ground: Ground, rng: random.Random) -> str:
    return play(ground, rng, {"runner": 1.0})


def commands(ground: Ground, rng: random.Random) -> str:
    return play(ground, rng, {"command": 1.0})


def anything(ground: Ground, rng: random.Random) -> str:
    return play(ground, rng, {"console": 1.0, "runner": 1.0, "command": 1.5})


def in_the_start(ground: Ground, rng: random.Random) -> str:
    """The console is killed while it is starting a server: the server is there or it isn't, and nothing is between."""
    _ = ground.running
    model = ground.model("ok")
    before = {server["id"] for server in ground.snapshot()["servers"]}

    def begin() -> None:
        with contextlib.suppress(Exception):
            ground.start(model)

    starting = threading.Thread(target=begin, daemon=True)
    console = ground.console
    _ = ground.operator
    starting.start()
    pause(rng.uniform(0, 0.6))
    if console is not None:
        os.kill(console.process.pid, signal.SIGKILL)
        console.process.wait(30)
    starting.join(30)
    ground.open()
    new = [server for server in ground.snapshot()["servers"] if server["id"] not in before]
    for server in new:
        ground.until(ground.server, server["id"], "running", "failed")
    ground.truth()
    known = {server["id"] for server in ground.snapshot()["servers"]}
    strays = [
        p for p in processes_of(ground.runs()) if alive(p) and p.environ().get("LMDEPLOY_CONSOLE_RUN") not in known
    ]
    check(not strays, f"runs that no page knows: {strays}")
    ground.ended_all()
    return f"killed in the start; {len(new)} there"


def in_the_stop(ground: Ground, rng: random.Random) -> str:
    """The console is killed just after a stop: the wish is carried out by the next one, and the end is named so."""
    server_id = ground.start(ground.model(rng.choice(["ok", "deaf", "family"])))
    ground.until(ground.server, server_id, "running")
    ground.stop(server_id)
    pause(rng.uniform(0, 0.3))
    ground.restart(signal.SIGKILL)
    view = ground.until(ground.server, server_id, "stopped")
    check(view["reason"] is None, f"a stop that was wished for has the reason {view['reason']}")
    ground.nothing_left()
    return "killed after a stop"


SCENARIOS: Mapping[str, Callable[[Ground, random.Random], str]] = {
    "anything": anything, "runner": runners, "command": commands, "console": console_alone,
    "in-the-start": in_the_start, "in-the-stop": in_the_stop,
}  # fmt: skip
QUICK = ("runner", "command", "console", "in-the-stop")
