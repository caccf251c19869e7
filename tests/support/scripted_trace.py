"""A trace without a GPU: a scripted NVML, read by the real live source while a server of the script comes and goes.

It stands in where tests/data/vram/trace.jsonl, recorded on a GPU by tests/gpu/record_trace.py, isn't there.
"""

import os
from dataclasses import replace
from pathlib import Path

from backend.engines.base import ServeConfig
from backend.machine.nvml import Nvml
from backend.memory.live_source import LiveSource
from backend.memory.load_log import LoadFacts
from backend.memory.readings import CacheUse, Reading
from backend.servers.server import ServerState, ServerView
from tests.support.scripted_nvml import GIB, ScriptedGpu, ScriptedNvml
from tests.support.traces import write_trace
from tests.unit.backend.memory.test_load_log import INFO

READINGS = 50
RECORDED = Path(__file__).parents[1] / "data" / "vram" / "trace.jsonl"


def trace_path(folder: Path) -> Path:
    """The recorded trace, or one made by script."""
    return RECORDED if RECORDED.exists() else make_trace(folder)


def make_trace(folder: Path) -> Path:
    """Two cards; on the first a server starts, loads, chats and stops."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "server.log"
    log.touch()
    card = ScriptedGpu(used=GIB)
    now = [0.0]
    views: list[ServerView] = []
    source = LiveSource(Nvml(ScriptedNvml(card, ScriptedGpu(used=GIB // 2))), lambda: views, clock=lambda: now[0])
    readings: list[Reading] = []
    for number in range(READINGS):
        now[0] = float(number)
        state = _state(number)
        if state is not None:
            views[:] = [_view(state, log)]
        held = 0 if number < 6 or number >= 44 else 4 if number < 10 else 18
        card.used = GIB + held * GIB
        card.processes = [(os.getpid(), held * GIB)] if held else []
        if number == 12:
            log.write_text(INFO)
        reading = source.read()
        if 16 <= number < 44:
            use = CacheUse((number - 16) / 40, 2, number % 2, 512.0, 12 * GIB)
            reading = replace(reading, caches={"s": use})
        readings.append(reading)
    path = folder / "trace.jsonl"
    write_trace(path, {"made": "by tests/support/scripted_trace.py"}, readings, {"s": LoadFacts()})
    return path


def _state(number: int) -> ServerState | None:
    if number < 5:
        return None
    if number < 14:
        return ServerState.STARTING
    return ServerState.RUNNING if number < 44 else ServerState.STOPPED


def _view(state: ServerState, log: Path) -> ServerView:
    return ServerView(
        id="s", name="internlm2_5-1_8b-chat", state=state, config=ServeConfig("turbomind", "/m", gpus=("0",)),
        model_path="/m", model_id="m", address="", base_url="", port=0, pid=os.getpid(), command="", environment="",
        takes_images=False, context_length=0, created_at=0, log_path=log,
    )  # fmt: skip
