"""Memory on a real GPU: live figures against nvidia-smi, a real server's markers, its plan against what it took.

On a GPU machine, in the project's root: ``python -m pytest -c tests/gpu/pytest.ini tests/gpu/test_memory.py``. It takes
about a minute, of which the server's start is most.
"""

import csv
import json
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from functools import partial

import pytest

from backend.engines.base import ServeConfig
from backend.machine.nvml import GpuReading, Nvml
from backend.memory.readings import Reading, Sample
from backend.memory_plan.reconcile import SETTLE_SECONDS
from backend.servers.server import ServerState
from backend.services import Services, build_services
from backend.settings import Settings
from tests.gpu.models import servable
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B
from tests.support.waiting import wait_for

MIB, GIB = 1024**2, 1024**3
READY_SECONDS = 180.0


def nvidia_smi(what: str, kind: str = "gpu") -> list[list[str]]:
    """nvidia-smi's own figures, without units."""
    command = ["nvidia-smi", f"--query-{kind}={what}", "--format=csv,noheader,nounits"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    return [[cell.strip() for cell in row] for row in csv.reader(output.splitlines())]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """The console's parts, as app.py builds them."""
    folder = tmp_path_factory.mktemp("console")
    settings = Settings("127.0.0.1", 0, True, folder / "state", (folder / "models",), (), "en", "", False)
    for path in (settings.state_dir, settings.runs_dir, settings.keys_dir, settings.uploads_dir, folder / "models"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    servable(folder / "models" / "internlm2_5-1_8b-chat", INTERNLM2_5_1_8B)
    made = build_services(settings)
    made.sampler.set_interval(0.2)
    try:
        yield made
    finally:
        for view in made.servers.snapshot():
            if view.state not in (ServerState.STOPPED, ServerState.FAILED):
                made.servers.stop(view.id)
                wait_for("the server to end", partial(ended, made, view.id), 60)
        made.close()


def ended(services: Services, server: str) -> bool:
    """Whether the server is gone."""
    return services.servers.get(server).state in (ServerState.STOPPED, ServerState.FAILED)


def readings_around(nvml: Nvml, command: str, kind: str = "gpu") -> tuple[GpuReading, list[list[str]], GpuReading]:
    """NVML before, nvidia-smi, NVML after: what nvidia-smi says must lie between the two."""
    before = nvml.readings()[0]
    said = nvidia_smi(command, kind)
    return before, said, nvml.readings()[0]


def between(value: float, one: float, other: float, slack: float) -> bool:
    """Within the two readings, and a little."""
    return min(one, other) - slack <= value <= max(one, other) + slack


def test_live_figures_are_nvidia_smis() -> None:
    nvml = Nvml()
    before, [said, *_], after = readings_around(
        nvml, "memory.used,memory.total,power.draw,temperature.gpu,driver_version,name"
    )
    assert between(float(said[0]), (before.used_bytes or 0) / MIB, (after.used_bytes or 0) / MIB, 8)
    assert float(said[1]) == pytest.approx((after.total_bytes or 0) / MIB, abs=1)
    assert before.power_watts is not None
    assert after.power_watts is not None
    assert between(float(said[2]), before.power_watts, after.power_watts, 40)
    assert between(float(said[3]), before.temperature_celsius or 0, after.temperature_celsius or 0, 3)
    assert said[4] == nvml.driver_version()
    assert said[5] == before.name


def test_a_real_servers_markers_shares_and_plan(services: Services) -> None:
    seen: list[tuple[Reading, Sample]] = []
    services.sampler.add_listener(lambda reading, sample: seen.append((reading, sample)))
    config = ServeConfig("turbomind", "internlm2_5-1_8b-chat", cache_max_entry_count=0.1)
    planned = services.planner.plan(config)
    others = {pid for pid, _ in nvidia_smi("pid,used_memory", "compute-apps")}
    server = services.servers.start(config)
    wait_for("the server to be ready", lambda: _ready(services, server), READY_SECONDS)
    record = wait_for("the plan held against it", lambda: services.measurements.all().get(server), SETTLE_SECONDS + 20)

    # Markers, each at the first reading that could show it.
    events = {event.key: event.at for event in services.sampler.events() if event.owner == server}
    assert list(events) == ["vram.event.starting", "vram.event.loaded", "vram.event.cached", "vram.event.running"]
    assert services.servers.get(server).ready_at == pytest.approx(
        events["vram.event.running"] + services.sampler.epoch_offset(), abs=2
    )
    held = {reading.at: sample.gpus[0].shares.get(server, 0) for reading, sample in seen}
    cached = next(at for at in held if at >= events["vram.event.cached"])
    assert held[max(held)] >= held[cached] > planned.plan.weights_bytes

    # The plan, part by part.
    measured = record["measured"]
    assert measured is not None
    total = sum(measured[f"{part}_bytes"] for part in ("weights", "context", "kv", "work"))
    assert planned.plan.ready_bytes == pytest.approx(total, rel=0.04)
    assert measured["from_log"]
    assert planned.plan.kv_bytes == pytest.approx(measured["kv_bytes"], rel=0.02)
    assert planned.plan.tokens == pytest.approx(measured["tokens"], rel=0.02)

    # Per process, and how full the cache is.
    sample = services.sampler.sample_once()
    share = sample.gpus[0].shares[server]
    processes = nvidia_smi("pid,used_memory", "compute-apps")
    listed = {int(pid): float(used) for pid, used in processes if used.isdigit() and pid not in others}
    if not services.sampler.hidden:
        ours = {p.pid for p in sample.gpus[0].reading.processes or ()} & listed.keys()
        assert share / MIB == pytest.approx(sum(listed[pid] for pid in ours), abs=16)
    chat = threading.Thread(target=_chat, args=(services, server), daemon=True)
    chat.start()
    wait_for("its metrics", lambda: server in services.sampler.sample_once().caches, 30)
    chat.join(60)
    use = services.sampler.sample_once().caches[server]
    assert 0 <= use.usage <= 1
    assert use.cache_bytes == measured["kv_bytes"]

    # What was learned makes the next plan better, or leaves it.
    services.servers.stop(server)
    wait_for("the server to end", lambda: ended(services, server), 60)
    wait_for("its share to go", lambda: services.sampler.sample_once().gpus[0].shares.get(server, 0) == 0, 30)
    again = services.planner.plan(config).plan
    assert again.learned == 1
    assert abs(again.ready_bytes - total) <= abs(planned.plan.ready_bytes - total) + 64 * MIB
    keys = [event.key for event in services.sampler.events() if event.owner == server]
    assert keys[-1] == "vram.event.stopped"


def _ready(services: Services, server: str) -> bool:
    view = services.servers.get(server)
    assert view.state not in (ServerState.FAILED, ServerState.STOPPED), (view.reason, view.reason_lines)
    return view.state == ServerState.RUNNING


def _chat(services: Services, server: str) -> None:
    endpoint = services.servers.endpoint(server)
    body = {"model": endpoint.model_id, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 64}
    headers = {"content-type": "application/json", "authorization": f"Bearer {endpoint.api_key}"}
    request = urllib.request.Request(f"{endpoint.base_url}/chat/completions", json.dumps(body).encode(), headers)
    urllib.request.urlopen(request, timeout=60).read()
