"""The live source on this machine: real processes, real logs, a real HTTP server; NVML as the machine has it."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pynvml
import pytest

from backend.engines.base import ServeConfig
from backend.machine.nvml import Nvml
from backend.memory.live_source import JobProcess, LiveSource
from backend.memory.sampler import Sampler
from backend.servers.server import ServerState, ServerView
from tests.support.scripted_nvml import ScriptedGpu, ScriptedNvml
from tests.support.waiting import wait_for
from tests.unit.backend.memory.test_load_log import INFO

MIB = 1024**2
HELD_MIB = 64
# A command of its own session, and a process below it: both hold memory that they have touched.
CHILD = f'held = b"y" * ({HELD_MIB} * {MIB}); print(len(held), flush=True); input()'
PARENT = f"""
import subprocess, sys
held = b"x" * ({HELD_MIB} * {MIB})
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdin=subprocess.PIPE)
sys.stdin.read()
"""
PAGE = b"""lmdeploy:gpu_cache_usage_perc{engine="0"} 0.5
lmdeploy:num_requests_running{engine="0"} 2.0
lmdeploy:num_requests_waiting{engine="0"} 0.0
lmdeploy:generation_tokens_total{engine="0"} 100.0
"""


def view(pid: int, state: ServerState = ServerState.RUNNING, engine: str = "turbomind", **values: object) -> ServerView:
    made = ServerView(
        id="s", name="server", state=state, config=ServeConfig(engine, "/m"), model_path="/m", model_id="m",
        address="", base_url="", port=0, pid=pid, command="", environment="", takes_images=False, context_length=0,
        created_at=time.time(),
    )  # fmt: skip
    return replace(made, **values)  # type: ignore[arg-type]


@pytest.fixture
def tree() -> Iterator[subprocess.Popen[str]]:
    """The command and its child; ended at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline().strip() == str(HELD_MIB * MIB)  # the child's, both have touched their memory
    children = psutil.Process(process.pid).children(recursive=True)
    yield process
    process.stdin.close()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    process.kill()
    process.wait(30)
    process.stdout.close()


def test_a_servers_share_is_that_of_its_whole_tree(tree: subprocess.Popen[str]) -> None:
    server = view(tree.pid, engine="transformers")
    source = LiveSource(Nvml(), lambda: (server,))
    reading = source.read()
    assert reading.resident["s"] >= 2 * HELD_MIB * MIB
    assert reading.resident["s"] < 1024 * MIB
    assert reading.host.used_bytes >= 2 * HELD_MIB * MIB
    assert reading.host.used_bytes < reading.host.total_bytes


def test_gpu_memory_is_mapped_through_the_tree(tree: subprocess.Popen[str]) -> None:
    [child] = psutil.Process(tree.pid).children()
    gpu = ScriptedGpu(processes=[(child.pid, 5 * MIB), (1, 7 * MIB)])
    server = view(tree.pid)
    sampler = Sampler(LiveSource(Nvml(ScriptedNvml(gpu)), lambda: (server,)))
    sample = sampler.sample_once()
    assert sample.gpus[0].shares == {"s": 5 * MIB}
    assert not sample.gpus[0].inferred


def test_a_process_that_ends_between_two_readings(tree: subprocess.Popen[str]) -> None:
    [child] = psutil.Process(tree.pid).children()
    gpu = ScriptedGpu(processes=[(child.pid, 5 * MIB)])
    server = view(tree.pid)
    sampler = Sampler(LiveSource(Nvml(ScriptedNvml(gpu)), lambda: (server,)))
    assert sampler.sample_once().gpus[0].shares == {"s": 5 * MIB}
    for process in (child, psutil.Process(tree.pid)):
        process.kill()
    tree.wait(30)
    sample = sampler.sample_once()  # NVML names a pid that is gone
    assert sample.resident == {"s": 0}
    assert sample.gpus[0].reading.used_bytes == gpu.used


def test_hosts_pids_inside_a_container_are_noticed(tree: subprocess.Popen[str]) -> None:
    gpu = ScriptedGpu(processes=[(4_190_001, 5 * MIB)])  # beyond any pid here
    server = view(tree.pid, ServerState.STARTING)
    sampler = Sampler(LiveSource(Nvml(ScriptedNvml(gpu)), lambda: (server,)))
    assert sampler.sample_once().gpus[0].inferred
    gpu.processes = []
    server = view(tree.pid, ServerState.RUNNING)
    assert sampler.sample_once().gpus[0].inferred


def test_nvml_that_fails_in_the_middle_and_comes_back(tree: subprocess.Popen[str]) -> None:
    gpu = ScriptedGpu()
    sampler = Sampler(LiveSource(Nvml(ScriptedNvml(gpu)), lambda: (view(tree.pid),)))
    assert sampler.sample_once().gpus[0].reading.used_bytes == gpu.used
    gpu.fails = {"memory": pynvml.NVML_ERROR_TIMEOUT}
    failing = sampler.sample_once().gpus[0]
    assert failing.reading.used_bytes is None
    assert failing.others_bytes is None
    assert failing.reading.problem
    gpu.fails = {}
    assert sampler.sample_once().gpus[0].reading.problem == ""


def test_events_from_states_and_the_log(tree: subprocess.Popen[str], tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    servers: list[ServerView] = []
    jobs: list[JobProcess] = []
    source = LiveSource(Nvml(), lambda: servers, lambda: jobs)

    def keys() -> list[str]:
        return [event.key for event in source.read().events]

    assert keys() == []
    servers.append(view(tree.pid, ServerState.STARTING, log_path=log))
    assert keys() == ["vram.event.starting"]
    budget, slab = INFO.splitlines(keepends=True)
    log.write_text(budget[:-5])
    assert keys() == []  # half a line says nothing
    log.write_text(budget)
    assert keys() == ["vram.event.loaded"]
    log.write_text(budget + slab)
    servers[0] = view(tree.pid, ServerState.RUNNING, log_path=log)
    assert keys() == ["vram.event.cached", "vram.event.running"]
    assert source.facts("s").tokens() == 433 * 20 * 64
    jobs.append(JobProcess("j", "job", "running", 0, "quantize.stage.a"))
    assert keys() == ["vram.event.job.running", "quantize.stage.a"]
    jobs[0] = replace(jobs[0], stage="quantize.stage.b")
    assert keys() == ["quantize.stage.b"]
    jobs[0] = replace(jobs[0], state="succeeded")
    servers[0] = view(tree.pid, ServerState.STOPPING, log_path=log)
    assert keys() == ["vram.event.job.succeeded"]
    servers[0] = view(tree.pid, ServerState.STOPPED, log_path=log)
    assert keys() == ["vram.event.stopped"]


def test_what_was_there_before_is_no_event(tree: subprocess.Popen[str]) -> None:
    assert LiveSource(Nvml(), lambda: (view(tree.pid),)).read().events == ()


class Metrics(BaseHTTPRequestHandler):
    """/metrics behind a key, as LMDeploy has it."""

    def do_GET(self) -> None:
        allowed = self.headers.get("authorization") == "Bearer secret" and self.path == "/metrics"
        self.send_response(200 if allowed else 401)
        self.send_header("content-length", str(len(PAGE) if allowed else 0))
        self.end_headers()
        self.wfile.write(PAGE if allowed else b"")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def metrics_url() -> Iterator[str]:
    """The address of a server with metrics."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()
    thread.join(30)


def test_the_cache_is_read_with_the_servers_key(tree: subprocess.Popen[str], metrics_url: str) -> None:
    source = LiveSource(Nvml(), lambda: (view(tree.pid),), address=lambda server: (metrics_url, "secret"))
    use = source.read().caches["s"]
    assert (use.usage, use.running, use.waiting, use.cache_bytes) == (0.5, 2, 0, None)
    wrong = LiveSource(Nvml(), lambda: (view(tree.pid),), address=lambda server: (metrics_url, "wrong"))
    assert wrong.read().caches == {}


def test_a_server_that_does_not_answer_holds_up_few_readings(tree: subprocess.Popen[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, answers none
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        source = LiveSource(Nvml(), lambda: (view(tree.pid),), address=lambda server: (url, ""))
        began = time.monotonic()
        readings = [source.read() for _ in range(50)]
        assert all(reading.caches == {} for reading in readings)
        assert time.monotonic() - began < 10  # asked once, then left alone


def test_the_thread_samples_and_ends() -> None:
    sampler = Sampler(LiveSource(Nvml(), lambda: ()), interval=0.2)
    sampler.start()
    wait_for("three samples", lambda: (latest := sampler.latest()) is not None and latest.number >= 3)
    numbers = [sample.number for sample in sampler.since(0, 60).samples]
    assert numbers == list(range(1, len(numbers) + 1))
    sampler.close()
    assert "memory-sampler" not in {thread.name for thread in threading.enumerate()}
