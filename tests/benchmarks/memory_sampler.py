"""(m1) The sampler with one GPU and five servers at 1 Hz: at most 0.5% of a core. (m2) A plan: under 5 ms.

The servers are five real processes with logs and a real /metrics; NVML is the machine's, or, without a GPU, a scripted
one whose calls cost nothing (then the figure is without the driver's part, which is printed as such).

    python -m tests.benchmarks.memory_sampler [readings]
"""

import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from backend.engines.base import ServeConfig
from backend.machine.nvml import Nvml
from backend.memory.live_source import LiveSource
from backend.memory.sampler import Sampler
from backend.memory_plan.planner import Planner
from backend.memory_plan.values import Card
from backend.models.catalog import Catalog
from backend.servers.server import ServerState, ServerView
from backend.units import GIB
from tests.support.scripted_nvml import ScriptedGpu, ScriptedNvml
from tests.support.sparse_checkpoints import INTERNLM2_5_7B, llama

LIMIT, PLAN_LIMIT_S = 0.005, 0.005
SERVERS = 5
# Some 20 KB, as LMDeploy's page has with its histograms.
PAGE = (
    'lmdeploy:gpu_cache_usage_perc{engine="0"} 0.5\nlmdeploy:num_requests_running{engine="0"} 2.0\n'
    'lmdeploy:num_requests_waiting{engine="0"} 0.0\nlmdeploy:generation_tokens_total{engine="0"} 100.0\n'
    + "".join(f'lmdeploy:e2e_request_latency_seconds_bucket{{engine="0",le="{n}.0"}} {n}.0\n' for n in range(300))
).encode()


class Metrics(BaseHTTPRequestHandler):
    """/metrics."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        pass


def view(number: int, pid: int) -> ServerView:
    """A running server."""
    return ServerView(
        id=f"s{number}", name=f"server {number}", state=ServerState.RUNNING, config=ServeConfig("turbomind", "/m"),
        model_path="/m", model_id="m", address="", base_url="", port=0, pid=pid, command="", environment="",
        takes_images=False, context_length=0, created_at=0,
    )  # fmt: skip


def sampler_share(readings: int) -> tuple[float, bool]:
    """CPU seconds of one reading's second at 1 Hz, and whether a real GPU was read."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    # The page is served by this process too, so only the reading thread's time is counted below.
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    sleepers = [
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
        for _ in range(SERVERS)
    ]
    try:
        views = tuple(view(number, process.pid) for number, process in enumerate(sleepers))
        nvml = Nvml()
        real = bool(nvml.gpus())
        if not real:
            nvml = Nvml(ScriptedNvml(ScriptedGpu(processes=[(process.pid, GIB) for process in sleepers])))
        now = [0.0]

        def clock() -> float:
            return now[0]

        sampler = Sampler(LiveSource(nvml, lambda: views, address=lambda _: (url, "key"), clock=clock), clock=clock)
        sampler.sample_once()
        before = time.thread_time()
        for _ in range(readings):
            now[0] += 1.0  # a second of its time: metrics are asked for as often as at 1 Hz
            sampler.sample_once()
        return (time.thread_time() - before) / readings, real
    finally:
        for process in sleepers:
            process.kill()
            process.wait()
        server.shutdown()
        server.server_close()


def plan_seconds() -> float:
    """One plan as the form asks for it, its model's files looked at included."""
    with tempfile.TemporaryDirectory() as folder:
        llama(Path(folder) / "internlm2_5-7b-chat", INTERNLM2_5_7B)
        planner = Planner(Catalog([Path(folder)]).find, lambda: ())
        config = ServeConfig("turbomind", "internlm2_5-7b-chat")
        planner.plan(config, "24")
        began = time.perf_counter()
        for _ in range(200):
            planner.plan(config, "24")
        assert planner.plan(config, "24").card == Card("", 24 * GIB, 24 * GIB)
        return (time.perf_counter() - began) / 200


def main() -> int:
    """Prints both figures; 1 where one is over its limit."""
    readings = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    share, real = sampler_share(readings)
    how = "a real GPU" if real else "no GPU here: without the driver's part"
    print(f"sampler, {SERVERS} servers, 1 Hz: {share:.2%} of a core (limit {LIMIT:.1%}; {how})")
    plan = plan_seconds()
    print(f"a plan: {plan * 1000:.2f} ms (limit {PLAN_LIMIT_S * 1000:.0f} ms)")
    return int(share > LIMIT or plan > PLAN_LIMIT_S)


if __name__ == "__main__":
    sys.exit(main())
