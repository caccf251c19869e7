"""Two GPUs through the console: tensor parallel held against the plan, and LMDeploy's proxy over a server on each.

On a machine with two GPUs, in the project's root: ``python -m pytest -c tests/gpu/pytest.ini -s
tests/gpu/test_two_gpus.py``; some ten minutes. The PyTorch engine's rows need Ray; the proxy's cost needs one GPU.
The figures are printed, and written as JSON to ``$OUT/two_gpus.json`` where OUT names a folder.
"""

import asyncio
import importlib.util
import json
import os
import signal
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from backend.engines.base import ServeConfig
from backend.machine.nvml import GpuReading, Nvml
from backend.memory_plan.model_shape import read_shape
from backend.memory_plan.plan import plan
from backend.memory_plan.values import Card
from backend.models.checkpoint import read_model, read_tensors
from tests.gpu.many_requests import Answered, all_at_once, speed
from tests.gpu.models import servable
from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B, INTERNLM2_5_7B
from tests.support.waiting import wait_for

GIB = 1 << 30
READY_S = 300.0
AT_ONCE = 128  # requests a server
A_KEY = 64  # requests that one key may have under way at the console
SHAPES = {"internlm2_5-1_8b": INTERNLM2_5_1_8B, "internlm2_5-7b": INTERNLM2_5_7B}
FIGURES: dict[str, Any] = {}


class Lab:
    """A console, its operator, the GPUs, and checkpoints that are made once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state"
        self.nvml = Nvml()
        self.open()

    def open(self) -> None:
        self.console = Console(self.state, "--models", str(self.folder)).ready()
        self.operator = Visitor(self.console)

    def model(self, name: str, awq: bool = False) -> Path:
        path = self.folder / f"{name}{'-awq' if awq else ''}"
        return path if path.exists() else servable(path, SHAPES[name], awq=awq)

    def gpus(self) -> list[GpuReading]:
        return list(self.nvml.readings())

    def servers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.operator.client.get("/console/snapshot").raise_for_status().json()["servers"]
        return found

    def server(self, server_id: str) -> dict[str, Any]:
        return next(server for server in self.servers() if server["id"] == server_id)

    def key(self, server_id: str) -> str:
        return (self.state / "keys" / f"{server_id}.key").read_text().strip()

    def start(self, config: ServeConfig) -> dict[str, Any]:
        return self.operator.ready(self.operator.start(config), READY_S)

    def stop(self, server_id: str) -> None:
        """Stop it; its memory is back when this returns."""
        client = self.operator.client
        if self.server(server_id)["state"] not in ("stopped", "failed"):
            client.post(f"/console/servers/{server_id}/stop", json={}).raise_for_status()
        wait_for("its end", lambda: self.server(server_id)["state"] in ("stopped", "failed"), 60)
        client.post(f"/console/servers/{server_id}/forget", json={}).raise_for_status()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("two"))
    try:
        yield lab
    finally:
        lab.console.close()
        print(json.dumps(FIGURES, indent=1))
        if out := os.environ.get("OUT"):
            Path(out, "two_gpus.json").write_text(json.dumps(FIGURES, indent=1), encoding="utf-8")


def two_gpus(lab: Lab) -> None:
    """Skips where there is one."""
    if len(lab.gpus()) < 2:
        pytest.skip("two GPUs are needed")


@pytest.mark.parametrize(
    ("engine", "name", "awq", "quant_policy", "ratio"),
    [
        ("turbomind", "internlm2_5-7b", False, 0, 0.1),
        ("turbomind", "internlm2_5-7b", True, 4, 0.4),
        ("pytorch", "internlm2_5-7b", False, 0, 0.2),
        ("pytorch", "internlm2_5-1_8b", False, 0, 0.5),
    ],
)
def test_the_plan_for_tensor_parallel(
    lab: Lab, engine: str, name: str, awq: bool, quant_policy: int, ratio: float
) -> None:
    two_gpus(lab)
    if engine == "pytorch" and importlib.util.find_spec("ray") is None:
        pytest.skip("Ray isn't here")
    path = lab.model(name, awq)
    before = lab.gpus()[:2]
    config = ServeConfig(
        engine, str(path), gpus=tuple(gpu.id for gpu in before), tp=2, quant_policy=quant_policy,
        cache_max_entry_count=ratio, model_name="m", model_format="awq" if awq else "auto",
    )  # fmt: skip
    server = lab.start(config)
    (answer,) = asyncio.run(all_at_once(f"{server['address']}/v1", lab.key(server["id"]), 1, False))
    assert answer.whole, answer.error
    after = lab.gpus()[:2]
    card = Card(before[0].name, before[0].total_bytes or 0, before[0].free_bytes or 0)
    planned = plan(read_shape(read_model(path), read_tensors(path)), config, card).ready_bytes
    used = [(now.used_bytes or 0) - (then.used_bytes or 0) for now, then in zip(after, before, strict=True)]
    FIGURES[f"{engine} tp 2 {path.name} KV {quant_policy} ratio {ratio}"] = {
        "planned_gib": round(planned / GIB, 3), "used_gib": [round(size / GIB, 3) for size in used],
        "free_gib": round(card.free_bytes / GIB, 3), "ready_s": round(server["ready_at"] - server["created_at"], 1),
    }  # fmt: skip
    lab.stop(server["id"])
    wait_for("its memory", lambda: all((gpu.used_bytes or 0) < GIB for gpu in lab.gpus()[:2]), 60)
    for size in used:
        assert planned == pytest.approx(size, rel=0.02)


@dataclass(frozen=True)
class Nodes:
    """A server on each of at most two GPUs, as the page shows them, and by their number a proxy over the first ones."""

    path: Path
    servers: list[dict[str, Any]]
    proxies: dict[int, dict[str, Any]]


@pytest.fixture(scope="module")
def nodes(lab: Lab) -> Nodes:
    path = lab.model("internlm2_5-7b")
    started = [lab.operator.start(node_config(path, gpu)) for gpu in lab.gpus()[:2]]
    servers = [lab.operator.ready(server, READY_S) for server in started]
    addresses = tuple(f"{server['address']}/v1" for server in servers)
    counts = range(1, len(servers) + 1)
    proxies = {count: lab.start(ServeConfig("proxy", "", nodes=addresses[:count])) for count in counts}

    def joined() -> bool:
        return all(_states(lab, proxy["id"]) == ["running"] * count for count, proxy in proxies.items())

    wait_for("all nodes", joined, 60)
    return Nodes(path, servers, proxies)


def through(lab: Lab, server: dict[str, Any], count: int, runs: int = 2) -> float:
    """``speed`` at the server's own address."""
    return speed(f"{server['address']}/v1", lab.key(server["id"]), count, runs=runs)


def test_what_the_proxy_costs(lab: Lab, nodes: Nodes) -> None:
    """On one GPU too. In turns, medians: a card that grows warm, or clocks down, is no cost of the proxy's."""
    server, proxy = nodes.servers[0], nodes.proxies[1]
    turns = [[through(lab, one, AT_ONCE, runs=1) for one in (server, proxy)] for _ in range(5)]
    direct, proxied = map(statistics.median, zip(*turns, strict=True))
    FIGURES["the proxy's cost"] = {
        "turns": [[round(rate) for rate in turn] for turn in turns], "cost": round(1 - proxied / direct, 4)
    }  # fmt: skip
    assert proxied / direct > 0.98


def test_two_servers_behind_the_proxy(lab: Lab, nodes: Nodes) -> None:
    two_gpus(lab)
    proxy = nodes.proxies[2]
    direct = through(lab, nodes.servers[0], AT_ONCE)
    two = through(lab, proxy, AT_ONCE * 2)
    names = [model["id"] for model in lab.operator.client.get("/v1/models").raise_for_status().json()["data"]]
    name = next(name for name in names if name.endswith(f"@{proxy['port']}"))
    beside = through(lab, proxy, A_KEY)
    console = speed(f"{lab.console.base_url}/v1", lab.console.token, A_KEY, name)
    FIGURES["two servers"] = {
        "one_direct": round(direct),
        "two_through": round(two),
        "two_through_the_console": round(console),
        "times_one": round(two / direct, 3),
        "console_cost": round(1 - console / beside, 4),
    }
    assert two / direct > 1.85
    assert console / beside > 0.98


def test_a_node_dies_under_load(lab: Lab, nodes: Nodes) -> None:
    """Nothing is lost in silence; the proxy is found again by a console that was killed, and the node comes back."""
    two_gpus(lab)
    two, killed = nodes.proxies[2], nodes.servers[1]
    answers = death_under_load(lab, two, killed["id"])
    lost = [answer for answer in answers if not answer.whole and not answer.error]
    FIGURES["a node killed under 128"] = {
        "whole": sum(answer.whole for answer in answers),
        "errors": sum(bool(answer.error) for answer in answers),
        "lost": len(lost),
        "an_error": next((answer.error for answer in answers if answer.error), ""),
    }
    assert len(answers) == AT_ONCE
    assert not lost
    later = asyncio.run(all_at_once(f"{two['address']}/v1", lab.key(two["id"]), 16, True))
    assert all(answer.whole for answer in later), [answer.error for answer in later if not answer.whole]

    assert lab.console.end(signal.SIGKILL) != 0
    lab.open()
    wait_for("the proxy found again", lambda: lab.server(two["id"])["state"] == "running", 60)
    (found,) = asyncio.run(all_at_once(f"{two['address']}/v1", lab.key(two["id"]), 1, True))
    assert found.whole, found.error
    began = time.monotonic()
    lab.start(node_config(nodes.path, lab.gpus()[1], port=killed["port"]))
    wait_for("the node is back", lambda: _states(lab, two["id"]) == ["running", "running"], 60)
    FIGURES["the node back after s"] = round(time.monotonic() - began, 1)


def node_config(path: Path, gpu: GpuReading, port: int | None = None) -> ServeConfig:
    return ServeConfig(
        "turbomind", str(path), gpus=(gpu.id,), cache_max_entry_count=0.5, model_name="m", session_len=4096, port=port
    )


def death_under_load(lab: Lab, proxy: dict[str, Any], node: str) -> list[Answered]:
    """128 streams through the proxy; the node is killed as a kernel kills it, once most have begun. Their ends."""
    address, key = f"{proxy['address']}/v1", lab.key(proxy["id"])
    processes, begun = _group(lab.server(node)["port"]), list[float]()
    with ThreadPoolExecutor(1) as pool:
        streams = pool.submit(lambda: asyncio.run(all_at_once(address, key, AT_ONCE, True, begun=begun)))
        wait_for("answers", lambda: len(begun) > AT_ONCE / 2, 60, 0.01)
        for process in processes:
            process.kill()
        FIGURES["killed after"] = {"begun": len(begun), "ended": streams.done()}
        return streams.result()


def _nodes(lab: Lab, proxy: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lab.server(proxy)["nodes"]
    return found


def _states(lab: Lab, proxy: str) -> list[str]:
    return [str(node["state"]) for node in _nodes(lab, proxy)]


def _group(port: int) -> list[psutil.Process]:
    """The server that names that port, with all below it."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "api_server" in words and str(port) in words:
            return [*process.children(recursive=True), process]
    raise AssertionError(f"nothing serves on {port}")
