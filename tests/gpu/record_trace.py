"""Records what the sampler reads while a real server starts, chats and stops and a quantization job runs.

usage, on a GPU machine, in the project's root: ``python tests/gpu/record_trace.py OUT.jsonl [--no-job]``

OUT.jsonl belongs at tests/data/vram/trace.jsonl, where browser tests replay it (tests/support/traces.py). One reading a
second, some 90 of them, well under 200 KB; names of processes and paths aren't in it.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from backend.engines.base import ServeConfig
from backend.memory.load_log import LoadFacts
from backend.memory.readings import Reading, Sample
from backend.quantization.base import NO_DATA, QuantConfig
from backend.quantization.job import JobState
from backend.servers.server import ServerState
from backend.services import Services, build_services
from backend.settings import Settings
from tests.gpu.models import servable
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B
from tests.support.tiny_models import make_model
from tests.support.traces import write_trace
from tests.support.waiting import wait_for

QUIET_READINGS = 4


class Recorder:
    """Keeps every reading; ``pause`` waits until some more are there."""

    def __init__(self, services: Services) -> None:
        self.readings: list[Reading] = []
        services.sampler.add_listener(self._keep)

    def _keep(self, reading: Reading, sample: Sample) -> None:
        self.readings.append(reading)

    def pause(self, readings: int = QUIET_READINGS) -> None:
        """Until so many more readings are there."""
        wanted = len(self.readings) + readings
        wait_for("more readings", lambda: len(self.readings) >= wanted, 60)


def record(services: Services, folder: Path, job: bool) -> tuple[list[Reading], dict[str, LoadFacts]]:
    """The whole story; its readings and what the server's log said."""
    recorder = Recorder(services)
    recorder.pause()
    config = ServeConfig("turbomind", "internlm2_5-1_8b-chat", cache_max_entry_count=0.1)
    server = services.servers.start(config)

    def ready() -> bool:
        view = services.servers.get(server)
        if view.state in (ServerState.FAILED, ServerState.STOPPED):
            raise AssertionError((view.reason, view.reason_lines))
        return view.state == ServerState.RUNNING

    wait_for("the server", ready, 180)
    recorder.pause()
    chats = [threading.Thread(target=chat, args=(services, server), daemon=True) for _ in range(16)]
    for one in chats:
        one.start()
    for one in chats:
        one.join(120)
    recorder.pause(12)  # its metrics are renewed every ten seconds
    facts = services.sampler.facts(server)
    services.servers.stop(server)
    wait_for("its end", lambda: services.servers.get(server).state == ServerState.STOPPED, 60)
    recorder.pause()
    if job:
        quantize(services, folder)
        recorder.pause()
    return recorder.readings, {server: facts}


def chat(services: Services, server: str) -> None:
    """One long answer."""
    endpoint = services.servers.endpoint(server)
    text = "Tell a story about a fox and a watermelon. " * 400
    body = {"model": endpoint.model_id, "messages": [{"role": "user", "content": text}], "max_tokens": 4096,
            "ignore_eos": True}  # fmt: skip
    headers = {"content-type": "application/json", "authorization": f"Bearer {endpoint.api_key}"}
    request = urllib.request.Request(f"{endpoint.base_url}/chat/completions", json.dumps(body).encode(), headers)
    urllib.request.urlopen(request, timeout=120).read()


def quantize(services: Services, folder: Path) -> None:
    """A real job on a tiny model."""
    model = make_model("qwen2", folder / "tokenizer")
    config = QuantConfig(str(model), str(folder / "tiny-w4a16"), device="cuda:0", dataset=NO_DATA, dtype="float16")
    job = services.jobs.start(config)
    over = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
    wait_for("the job", lambda: services.jobs.get(job).job.state in over, 180)


def main() -> int:
    """Records to the given file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--no-job", action="store_true", help="leave the quantization job out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = folder / "models"
        models.mkdir()
        servable(models / "internlm2_5-1_8b-chat", INTERNLM2_5_1_8B)
        settings = Settings("127.0.0.1", 0, True, folder / "state", (models,), (), "en", "", False)
        for path in (settings.state_dir, settings.runs_dir, settings.keys_dir, settings.uploads_dir):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        services = build_services(settings)
        try:
            readings, facts = record(services, folder, not arguments.no_job)
        finally:
            for view in services.servers.snapshot():
                if view.state in (ServerState.STARTING, ServerState.RUNNING):
                    services.servers.stop(view.id)
            services.close()
    gpu = readings[0].gpus[0]
    about = {"recorded": time.strftime("%Y-%m-%d"), "gpu": gpu.name, "engine": "turbomind", "readings": len(readings)}
    write_trace(arguments.out, about, readings, facts)
    print(f"{arguments.out}: {len(readings)} readings, {arguments.out.stat().st_size / 1000:.0f} kB", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
