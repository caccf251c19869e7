"""Model servers on a real GPU: the whole console, started as a person starts it and driven over HTTP.

On a GPU machine, in the project's root: ``python -m pytest -c tests/gpu/pytest.ini -s tests/gpu/test_serving.py``. It
takes about five minutes. The figures (seconds until ready, GPU memory, tokens/s) are printed at the end, and written as
JSON to ``$OUT/serving.json`` where OUT names a folder.
"""

import base64
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.engines.base import ServeConfig
from backend.machine.nvml import Nvml
from backend.quantization.base import GPU_PREFIX, OWN_TEXT
from tests.gpu.models import servable
from tests.support.console import ROOT, Console
from tests.support.gradio_calls import Visitor
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B
from tests.support.tiny_models import make_model
from tests.support.waiting import wait_for
from ui.tabs.quantize.values import CONTROLS as QUANTIZE_CONTROLS

GIB = 1 << 30
READY_S = 180.0
FREED_BYTES = 512 << 20  # of what a server took, how much may still be missing after its end
RATIO = 0.1
TOKENS = 128
TEXT = "A page of text to calibrate with. 一页用来校准的文字。 Numbers: 1, 2, 3.\n" * 200


@dataclass(frozen=True)
class Figures:
    """What one server took. Memory is the GPU's, above what was in use before; bytes."""

    model: str
    engine: str
    quant_policy: int
    ready_s: float
    used_bytes: int
    tokens_per_s: float


@dataclass
class World:
    """The console, one browser's session, and what was measured."""

    console: Console
    visitor: Visitor
    nvml: Nvml
    models: Path
    figures: list[Figures] = field(default_factory=list)

    def used(self) -> int:
        """Memory in use on the first GPU, in bytes."""
        return self.nvml.readings()[0].used_bytes or 0

    def servers(self) -> dict[str, dict[str, Any]]:
        """The snapshot's servers by id."""
        return {server["id"]: server for server in self.get("snapshot")["servers"]}

    def get(self, path: str) -> Any:
        """GET console/path."""
        return self.visitor.client.get(f"/console/{path}").raise_for_status().json()

    def act(self, server_id: str, action: str) -> Any:
        """What a card's button posts."""
        return self.visitor.client.post(f"/console/servers/{server_id}/{action}", json={}).raise_for_status().json()

    def call(self, api_name: str, values: list[object]) -> list[Any]:
        """A Gradio event's answer."""
        (done,) = [m for m in self.visitor.call(api_name, values) if m["msg"] == "process_completed"]
        assert done["success"], done
        answer: list[Any] = done["output"]["data"]
        return answer

    def start(self, config: ServeConfig) -> str:
        """Press Start with these settings; the new server's id."""
        return self.visitor.start(config)

    def wait_ready(self, server_id: str) -> dict[str, Any]:
        """The server once it runs; its reason and log lines stand in the error where it fails."""
        return self.visitor.ready(server_id, READY_S)

    def stop(self, server_id: str) -> None:
        """Stop it, wait until it ended, and take it off the list."""
        self.act(server_id, "stop")
        wait_for("the server to end", lambda: self.servers()[server_id]["state"] == "stopped", 60)
        self.act(server_id, "forget")

    def ask(self, server: dict[str, Any], content: Any, **options: Any) -> dict[str, Any]:
        """A chat completion through the console's port, which adds the server's key."""
        body = {"model": server["model_id"], "messages": [{"role": "user", "content": content}], **options}
        answer = self.visitor.client.post(
            f"/console/servers/{server['id']}/api/call/v1/chat/completions", json=body, timeout=120
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def measure(self, server: dict[str, Any], used_before: int) -> Figures:
        """Speed of one long answer, and the memory that the server took."""
        used = self.used() - used_before
        begin = time.monotonic()
        answer = self.ask(server, "Tell a story.", max_tokens=TOKENS, ignore_eos=True)
        seconds = time.monotonic() - begin
        tokens = answer["usage"]["completion_tokens"]
        assert tokens >= TOKENS
        config = server["config"]
        made = Figures(
            server["name"], config["engine"], config["quant_policy"], server["ready_at"] - server["created_at"], used,
            tokens / seconds,
        )  # fmt: skip
        self.figures.append(made)
        return made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("serving")
    models = folder / "models"
    models.mkdir()
    servable(models / "internlm2_5-1_8b-chat", INTERNLM2_5_1_8B)
    make_model("internvl", models / "internvl")
    console = Console(folder / "state", "--models", str(models))
    try:
        console.ready()
        with Visitor(console) as visitor:
            world = World(console, visitor, Nvml(), models)
            yield world
            report(world.figures)
    finally:
        console.close()


def report(figures: list[Figures]) -> None:
    """The table, and the JSON."""
    print(f"\n{'model':<24} {'engine':<10} {'KV':>3} {'ready s':>8} {'GiB':>7} {'tokens/s':>9}")
    for row in figures:
        print(
            f"{row.model:<24} {row.engine:<10} {row.quant_policy:>3} {row.ready_s:>8.1f} {row.used_bytes / GIB:>7.2f}"
            f" {row.tokens_per_s:>9.1f}"
        )
    if out := os.environ.get("OUT"):
        Path(out, "serving.json").write_text(json.dumps([asdict(row) for row in figures], indent=1), encoding="utf-8")


def picture() -> list[dict[str, Any]]:
    """A question about a red square on white."""
    image = Image.new("RGB", (448, 448), "white")
    image.paste("red", (100, 100, 300, 300))
    file = io.BytesIO()
    image.save(file, "PNG")
    url = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    return [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]


def model(world: World, name: str) -> str:
    return str(world.models / name)


@pytest.mark.parametrize(
    ("engine", "quant_policy"), [("turbomind", 0), ("turbomind", 4), ("turbomind", 8), ("pytorch", 0), ("pytorch", 4)]
)
def test_an_engine_serves_and_gives_its_memory_back(world: World, engine: str, quant_policy: int) -> None:
    before = world.used()
    config = ServeConfig(
        engine, model(world, "internlm2_5-1_8b-chat"), quant_policy=quant_policy, cache_max_entry_count=RATIO
    )
    server_id = world.start(config)
    server = world.wait_ready(server_id)
    made = world.measure(server, before)
    assert made.used_bytes > 4 * GIB  # the weights alone are 3.5
    assert ("--quant-policy" in server["command"]) == (quant_policy != 0)
    assert server["ready_at"] > server["created_at"]
    key = (world.console.state_dir / "keys" / f"{server_id}.key").read_text().strip()
    assert key not in server["command"]
    assert key not in subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    world.stop(server_id)
    wait_for("its memory to be free", lambda: world.used() < before + FREED_BYTES, 30)


def test_two_servers_at_once_one_of_them_sees_a_picture(world: World) -> None:
    before = world.used()
    first = world.start(
        ServeConfig("turbomind", model(world, "internlm2_5-1_8b-chat"), quant_policy=8, cache_max_entry_count=RATIO)
    )
    # Both take a share of what is free: the second one's is taken once the first one's is.
    one = world.wait_ready(first)
    second = world.start(ServeConfig("turbomind", model(world, "internvl"), cache_max_entry_count=RATIO))
    other = world.wait_ready(second)
    assert one["port"] != other["port"]
    assert other["takes_images"]
    assert world.ask(one, "Hello!", max_tokens=8)["choices"]
    assert world.ask(other, picture(), max_tokens=8)["choices"]
    used = world.used()
    world.stop(second)
    wait_for("the second one's memory", lambda: world.used() < used - GIB, 30)
    assert world.ask(one, "Still there?", max_tokens=8)["choices"]
    world.stop(first)
    wait_for("all memory to be free", lambda: world.used() < before + FREED_BYTES, 30)


def test_an_awq_vision_model_answers_a_picture(world: World) -> None:
    """Its vision tower and text model may differ in dtype; started without an explicit one, the server would abort."""
    output = world.models / "internvl-w4a16"
    values: dict[str, object] = dict.fromkeys(QUANTIZE_CONTROLS, "") | {
        "model": model(world, "internvl"), "method": "awq", "device": f"{GPU_PREFIX}0", "dataset": OWN_TEXT,
        "text": TEXT, "samples": "4", "seqlen": "128", "batch_size": "1", "bits": "4", "group_size": "128",
        "symmetric": False, "search_scale": False, "dtype": "auto", "output": str(output), "trust_remote_code": False,
    }  # fmt: skip
    world.call("quantize_start", [values[name] for name in QUANTIZE_CONTROLS])

    def done() -> bool:
        (job, *_) = world.get("snapshot")["jobs"]
        assert job["state"] in ("queued", "running", "succeeded"), job
        return bool(job["state"] == "succeeded")

    wait_for("the quantization", done, 240, 0.5)
    server_id = world.start(ServeConfig("turbomind", str(output), quant_policy=4, cache_max_entry_count=RATIO))
    server = world.wait_ready(server_id)
    assert "--dtype float16" in server["command"]
    assert world.ask(server, picture(), max_tokens=8)["choices"]
    assert world.ask(server, "And again?", max_tokens=8)["choices"]
    assert world.servers()[server_id]["state"] == "running"
    world.stop(server_id)


def test_a_model_in_internlm2s_own_layout(world: World) -> None:
    folder = world.models / "internlm2"
    script = ROOT / "tests" / "support" / "tiny_internlm2" / "make.py"
    tokenizer = make_model("qwen2", world.models / "qwen2")
    python = os.environ.get("CONSOLE_TEST_TRANSFORMERS4", sys.executable)
    subprocess.run([python, str(script), str(folder), str(tokenizer)], check=True, capture_output=True, timeout=120)
    server_id = world.start(
        ServeConfig("turbomind", str(folder), quant_policy=8, cache_max_entry_count=RATIO, trust_remote_code=True)
    )
    server = world.wait_ready(server_id)
    assert world.ask(server, "Hello!", max_tokens=8)["choices"]
    world.stop(server_id)
