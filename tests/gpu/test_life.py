"""A server's life with LMDeploy on a real GPU: its first question, sleep and waking, a start after a crash.

On a GPU machine, in the project's root: ``python -m pytest -c tests/gpu/pytest.ini -s tests/gpu/test_life.py``; some
two minutes. The figures are printed, and written as JSON to ``$OUT/life.json`` where OUT names a folder.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from backend.engines.base import ServeConfig
from backend.machine.nvml import Nvml
from backend.models.catalog import DEMO_MODEL
from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.waiting import wait_for

GIB = 1 << 30
READY_S = 240.0
IDLE_MINUTES = 0.25
FIGURES: dict[str, Any] = {}


class Room:
    """A console, its operator, and the first GPU."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.operator = Visitor(console)
        self.nvml = Nvml()

    def used(self) -> int:
        return self.nvml.readings()[0].used_bytes or 0

    def server(self, server_id: str) -> dict[str, Any]:
        snapshot = self.operator.client.get("/console/snapshot").raise_for_status().json()
        return next(server for server in snapshot["servers"] if server["id"] == server_id)

    def act(self, server_id: str, action: str, **body: Any) -> None:
        self.operator.client.post(f"/console/servers/{server_id}/{action}", json=body).raise_for_status()

    def ask(self, model: str) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}
        return self.operator.client.post("/v1/chat/completions", json=body)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    console = Console(tmp_path_factory.mktemp("life") / "state")
    try:
        yield Room(console.ready())
    finally:
        console.close()
        print(json.dumps(FIGURES, indent=1))
        if out := os.environ.get("OUT"):
            Path(out, "life.json").write_text(json.dumps(FIGURES, indent=1), encoding="utf-8")


def test_first_question_sleep_and_waking(room: Room) -> None:
    engine = "pytorch"  # TurboMind of LMDeploy 0.18 can't sleep
    before = room.used()
    config = ServeConfig(engine, str(DEMO_MODEL), cache_max_entry_count=0.1, model_name=engine)
    server = room.operator.ready(room.operator.start(config), READY_S)["id"]

    def told() -> dict[str, Any] | None:
        first: dict[str, Any] = room.server(server).get("first") or {"state": "asking"}
        return None if first["state"] == "asking" else first

    first = wait_for("the first question's end", told, 60)
    assert first["state"] == "fine", first
    awake = room.used() - before
    room.act(server, "life", restarts=0, idle_minutes=IDLE_MINUTES, comes_back=False)
    wait_for("its sleep", lambda: room.server(server)["asleep"], 120)
    wait_for("its memory", lambda: room.used() - before < awake / 2, 60)
    asleep = room.used() - before
    began = time.monotonic()
    answer = room.ask(engine)
    waited = time.monotonic() - began
    FIGURES[engine] = {
        "first": first, "awake_gib": round(awake / GIB, 2), "asleep_gib": round(asleep / GIB, 2),
        "answer_of_a_sleeper_s": round(waited, 2), "status": answer.status_code, "said": answer.text[:300],
        "again_gib": round((room.used() - before) / GIB, 2),
    }  # fmt: skip
    room.act(server, "stop")
    wait_for("its end", lambda: room.server(server)["state"] == "stopped", 60)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]


def test_it_is_started_again_after_a_kill(room: Room) -> None:
    config = ServeConfig("turbomind", str(DEMO_MODEL), cache_max_entry_count=0.1, model_name="again")
    server = room.operator.ready(room.operator.start(config), READY_S)
    room.act(server["id"], "life", restarts=2, idle_minutes=0, comes_back=False)
    port = str(server["port"])
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "api_server" in words and port in words:
            process.send_signal(signal.SIGKILL)
    began = time.monotonic()

    def again() -> bool:
        snapshot = room.operator.client.get("/console/snapshot").raise_for_status().json()
        newer = [found for found in snapshot["servers"] if found["model_id"] == "again" and found["state"] == "running"]
        return any(found["id"] != server["id"] or found["ready_at"] > server["ready_at"] for found in newer)

    wait_for("it to be back", again, 120)
    FIGURES["back_after_a_kill_s"] = round(time.monotonic() - began, 1)
    assert room.ask("again").status_code == 200
