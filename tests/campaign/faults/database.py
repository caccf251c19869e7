"""The database: held by another program, damaged."""

import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from backend.store import FILE_NAME
from tests.campaign.faults.page import quick_page, told
from tests.campaign.ground import (
    CHILDREN,
    Ground,
    check,
    pause,
)
from tests.support.waiting import wait_for


def held_database(ground: Ground, rng: random.Random) -> str:
    """Another program holds the database: nobody waits, everything goes on, and it is stored afterwards or found."""
    ground.open()
    lives, stops = ground.start(ground.model("ok")), ground.start(ground.model("ok"))
    ground.until(ground.server, stops, "running")
    argv = [sys.executable, str(CHILDREN / "hold_database.py"), str(ground.state_dir / FILE_NAME)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as holder:
        try:
            check(holder.stdout is not None and holder.stdout.readline() == b"held\n", "the holder doesn't hold")
            ground.stop(stops)
            new = ground.start(ground.model("ok"))
            job = ground.start_job(ground.model("ok"))
            for _ in range(5):
                quick_page(ground, "the database is held")
                pause(rng.uniform(0, 0.2))
            ground.until(ground.server, stops, "stopped")
            ground.until(ground.server, new, "running")
            ground.until(ground.job, job, "succeeded")
            kill = rng.random() < 0.5
            if kill and ground.console is not None:
                ground.close_visitor()
                ground.console.end(signal.SIGKILL)
        finally:
            holder.kill()
    if not kill:
        wait_for("it is stored", lambda: "database" not in told(ground) and "console.sqlite3" not in told(ground), 20)
        ground.restart()
    else:
        ground.open()
    ground.until(ground.server, stops, "stopped")
    for server_id in (lives, new):
        ground.until(ground.server, server_id, "running")
    if not kill:
        ground.until(ground.job, job, "succeeded")
    ground.truth()
    ground.ended_all()
    return "killed" if kill else "stored"


def damaged_database(ground: Ground, rng: random.Random) -> str:
    """The database is cut, garbled, emptied or gone while the console is away: servers are found again."""
    ground.open()
    server_id = ground.start(ground.model("ok"))
    ground.until(ground.server, server_id, "running")
    ground.close_visitor()
    if ground.console is not None:
        ground.console.end(rng.choice([signal.SIGTERM, signal.SIGKILL]))
    damage = spoil(rng, ground.state_dir / FILE_NAME)
    ground.open()
    view = ground.until(ground.server, server_id, "running")
    check(view["pid"], "a server that was found again has no process")
    quick_page(ground, "the database was damaged")
    if damage == "text":  # the others may leave it whole: what counts may stand in the write-ahead log
        check(ground.snapshot()["notices"], f"a database lost by {damage} is no word worth")
    ground.stop(server_id)
    ground.until(ground.server, server_id, "stopped")
    ground.restart()
    ground.until(ground.server, server_id, "stopped")
    ground.ended_all()
    return damage


def spoil(rng: random.Random, file: Path) -> str:
    """Damages the database in one way; the name of it."""
    damage = rng.choice(["cut", "garbled", "empty", "gone", "text", "header", "row", "wal"])
    content = file.read_bytes()
    if damage == "cut":
        file.write_bytes(content[: rng.randint(1, max(len(content) - 1, 1))])
    elif damage == "garbled":
        spoilt = bytearray(content)
        for _ in range(rng.randint(1, 400)):
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
        file.write_bytes(bytes(spoilt))
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "gone":
        for part in file.parent.glob(f"{FILE_NAME}*"):
            part.unlink()
    elif damage == "text":
        for part in file.parent.glob(f"{FILE_NAME}*"):
            part.write_bytes(b"not a database")
    elif damage == "header":
        file.write_bytes(b"\0" * 100 + content[100:])
    elif damage == "row":
        with sqlite3.connect(file) as db:
            values = [
                "{",
                "null",
                "[]",
                '"x"',
                "{}",
                '{"state": "flying"}',
                "\ud83d".encode("utf-8", "surrogatepass"),
                5,
            ]
            db.execute("UPDATE document SET value = ?", (rng.choice(values),))
        db.close()
    else:
        for part in file.parent.glob(f"{FILE_NAME}-*"):
            part.write_bytes(rng.randbytes(300))
    return damage
