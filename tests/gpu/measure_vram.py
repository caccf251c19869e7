"""Measures what real LMDeploy servers take of a GPU, shape by shape, and holds each against the plan.

usage, on a GPU machine, in the project's root: ``python tests/gpu/measure_vram.py OUT.csv [--only WORD] [--seconds N]``

Every row is one `lmdeploy serve api_server --log-level INFO` on a checkpoint of that shape whose weights are zeros
(memory depends on shapes alone). used_gib: NVML's used memory after /health answered and one request, minus before the
start; process_gib: what NVML lists for the server's own processes, where it does. picture_gib: what the first picture
added. free_gib: NVML's free memory before the start. The log's columns are TurboMind's own words. Rows are appended as
they are measured, so that a run that is cut short keeps what it has.
"""

import argparse
import base64
import contextlib
import csv
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from backend.engines.base import ServeConfig
from backend.machine import host
from backend.machine.nvml import GpuReading, Nvml
from backend.memory.load_log import LoadFacts, read_more
from backend.memory_plan.model_shape import ModelShape, read_shape
from backend.memory_plan.plan import plan
from backend.memory_plan.values import Card
from backend.models.checkpoint import read_model, read_tensors
from backend.processes.ports import free_port
from tests.gpu.models import servable
from tests.support.model_servers import complete, model_server
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B, INTERNLM2_5_7B
from tests.support.waiting import wait_for

GIB, MIB = 1024**3, 1024**2
READY_SECONDS = 150.0
COLUMNS = (
    "model", "weights_gib", "packed_gib", "backend", "model_format", "quant_policy", "cache_max_entry_count",
    "session_len", "max_batch_size", "free_gib", "used_gib", "process_gib", "picture_gib", "budget_gib",
    "free_at_cache_gib", "slab_bytes", "block_bytes", "blocks_per_slab", "tokens", "ready_s", "planned_gib", "gpu",
    "lmdeploy",
)  # fmt: skip

QWEN2_5_0_5B = (896, 24, 14, 2, 4864, 151936)
QWEN2_5_1_5B = (1536, 28, 12, 2, 8960, 151936)
LLAMA_2_7B = (4096, 32, 32, 32, 11008, 32000)
INTERNLM2_20B = (6144, 48, 48, 8, 16384, 92544)
VISION = "internvl-300m-qwen2-1_5b"


@dataclass(frozen=True)
class Case:
    """One server: the shape's name and what `lmdeploy serve` is given."""

    name: str
    shape: tuple[int, int, int, int, int, int] | None
    engine: str = "turbomind"
    awq: bool = False
    tied: bool = False
    quant_policy: int = 0
    ratio: float = 0.2
    session_len: int | None = None
    max_batch_size: int | None = None
    extra: tuple[str, ...] = field(default=())

    def config(self) -> ServeConfig:
        """The same as the plan takes it."""
        batch = ("--max-batch-size", str(self.max_batch_size)) if self.max_batch_size else ()
        return ServeConfig(
            self.engine,
            self.name,
            quant_policy=self.quant_policy,
            cache_max_entry_count=self.ratio,
            session_len=self.session_len,
            extra=(*batch, *self.extra),
        )


CASES = (
    Case("internlm2_5-1_8b", INTERNLM2_5_1_8B),
    Case("internlm2_5-1_8b", INTERNLM2_5_1_8B, awq=True),
    Case("internlm2_5-7b", INTERNLM2_5_7B, awq=True, quant_policy=4),
    Case("internlm2-20b", INTERNLM2_20B, awq=True),
    Case("internlm2_5-7b", INTERNLM2_5_7B, quant_policy=8),
    Case("qwen2_5-0_5b", QWEN2_5_0_5B, tied=True),
    Case("qwen2_5-1_5b", QWEN2_5_1_5B, tied=True, quant_policy=4),
    Case("llama-2-7b", LLAMA_2_7B),
    Case("llama-2-7b", LLAMA_2_7B, quant_policy=4, ratio=0.4),
    Case("internlm2_5-1_8b", INTERNLM2_5_1_8B, session_len=4096, max_batch_size=128),
    Case(VISION, None, ratio=0.1),
    Case("internlm2_5-1_8b", INTERNLM2_5_1_8B, engine="pytorch", ratio=0.2),
    Case("qwen2_5-1_5b", QWEN2_5_1_5B, engine="pytorch", tied=True, ratio=0.5, quant_policy=8),
)


class Bench:
    """The GPU, and a folder for checkpoints made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nvml = Nvml()

    def gpu(self) -> GpuReading:
        """The first GPU now."""
        return self.nvml.readings()[0]

    def model(self, case: Case) -> Path:
        """The case's checkpoint."""
        path = self.folder / f"{case.name}{'-awq' if case.awq else ''}"
        if not path.exists():
            if case.shape is None:
                make_vision(path)
            else:
                servable(path, case.shape, awq=case.awq, tied=case.tied)
        return path

    def measure(self, case: Case) -> dict[str, Any]:
        """Starts the server, looks, asks, looks again, ends it: one row."""
        path = self.model(case)
        shape = read_shape(read_model(path), read_tensors(path))
        before = self.gpu()
        assert before.used_bytes is not None
        assert before.free_bytes is not None
        assert before.total_bytes is not None
        began = time.monotonic()
        with serving(case, path, self.folder / "server.log") as (port, pid, log):
            ready_s = time.monotonic() - began
            ask(port, [{"type": "text", "text": "Hello"}])
            after = self.gpu()
            picture = None
            if case.shape is None:
                ask(
                    port,
                    [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": image()}}],
                )
                picture = (self.gpu().used_bytes or 0) - (after.used_bytes or 0)
            own = host.members({pid: "server"})["server"]
            process = sum(p.used_bytes or 0 for p in after.processes or () if p.pid in own)
            facts = read_more(LoadFacts(), log.read_text(errors="replace"))
        # The memory comes back a moment after the end; the next row must not count it.
        floor = before.used_bytes + 64 * MIB
        wait_for("the GPU's memory to come back", lambda: (self.gpu().used_bytes or 0) <= floor, 30)
        planned = plan(shape, case.config(), Card(before.name, before.total_bytes, before.free_bytes))
        used = (after.used_bytes or 0) - before.used_bytes
        return row(case, shape, before, used, process, picture, facts, ready_s, planned.ready_bytes)


def row(
    case: Case,
    shape: ModelShape,
    before: GpuReading,
    used: int,
    process: int,
    picture: int | None,
    facts: LoadFacts,
    ready_s: float,
    planned: int,
) -> dict[str, Any]:
    """The CSV's row; "" for what isn't known."""

    def gib(size: int | None) -> str:
        return "" if size is None else f"{size / GIB:.3f}"

    return {
        "model": case.name,
        "weights_gib": gib(shape.text_bytes + shape.vision_bytes),
        "packed_gib": gib(shape.packed_bytes),
        "backend": case.engine,
        "model_format": "awq" if case.awq else "hf",
        "quant_policy": case.quant_policy,
        "cache_max_entry_count": case.ratio,
        "session_len": case.session_len or "",
        "max_batch_size": case.max_batch_size or "",
        "free_gib": gib(before.free_bytes),
        "used_gib": gib(used),
        "process_gib": gib(process) if process else "",
        "picture_gib": gib(picture),
        "budget_gib": gib(facts.budget_bytes),
        "free_at_cache_gib": gib(facts.free_bytes),
        "slab_bytes": facts.slab_bytes or "",
        "block_bytes": facts.block_bytes or "",
        "blocks_per_slab": facts.blocks_per_slab or "",
        "tokens": facts.tokens() or "",
        "ready_s": f"{ready_s:.1f}",
        "planned_gib": gib(planned),
        "gpu": before.name,
        "lmdeploy": version(),
    }


@contextlib.contextmanager
def serving(case: Case, path: Path, log: Path) -> Iterator[tuple[int, int, Path]]:
    """The server from ready to gone: its port, its pid, its log. It is ended with everything it started."""
    port = free_port()
    argv = [
        "lmdeploy", "serve", "api_server", str(path), "--backend", case.engine, "--server-name", "127.0.0.1",
        "--server-port", str(port), "--cache-max-entry-count", str(case.ratio),
        "--quant-policy", str(case.quant_policy), "--model-name", "m", "--log-level", "INFO",
    ]  # fmt: skip
    if case.awq:
        argv += ["--model-format", "awq"]
    if case.session_len:
        argv += ["--session-len", str(case.session_len)]
    argv += list(case.config().extra)
    with model_server(argv, port, log, READY_SECONDS) as process:
        yield port, process.pid, log


def ask(port: int, content: list[dict[str, Any]]) -> None:
    """One short chat."""
    body = {"model": "m", "messages": [{"role": "user", "content": content}], "max_tokens": 8, "temperature": 0}
    complete(f"http://127.0.0.1:{port}/v1", body, 90)


def image() -> str:
    """A picture that becomes the most tiles that InternVL makes of one (12 and a thumbnail), as a data URL."""
    from PIL import Image

    out = io.BytesIO()
    Image.effect_noise((1792, 1344), 80).convert("RGB").save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def make_vision(path: Path) -> None:
    """An InternVL of the size of InternVL3-2B, made by transformers in a child: its GPU memory is given back."""
    subprocess.run([sys.executable, __file__, "--make-vision", str(path)], check=True, timeout=120)


def make_vision_here(path: Path) -> None:
    """Tokenizer and processor as in tests/support/tiny_models.py, with the real sizes."""
    import torch
    from transformers import AutoProcessor, InternVLConfig, InternVLForConditionalGeneration

    from tests.support.tiny_models import make_model

    small = make_model("internvl", path.with_name(f"{path.name}-small"))
    shutil.copytree(small, path)
    (path / "model.safetensors").unlink()
    config = json.loads((path / "config.json").read_text())
    config["text_config"] |= {
        "hidden_size": 1536, "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2,
        "intermediate_size": 8960, "vocab_size": 151936, "max_position_embeddings": 32768,
        "layer_types": ["full_attention"] * 28, "max_window_layers": 28, "head_dim": 128,
    }  # fmt: skip
    config["vision_config"] |= {
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
        "image_size": [448, 448], "patch_size": [14, 14],
    }  # fmt: skip
    for part in (config, config["text_config"], config["vision_config"]):
        part.pop("torch_dtype", None)
        part["dtype"] = "bfloat16"
    config["image_seq_length"] = 256
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = InternVLForConditionalGeneration(InternVLConfig.from_dict(config))
    model.to(torch.bfloat16).save_pretrained(path)
    processor = AutoProcessor.from_pretrained(small)
    processor.image_seq_length = 256
    processor.image_processor.size = {"height": 448, "width": 448}
    processor.image_processor.max_patches = 12
    processor.tokenizer.model_max_length = 32768
    processor.save_pretrained(path)


def version() -> str:
    """LMDeploy's version, read without importing it."""
    from importlib.metadata import version as installed

    with contextlib.suppress(Exception):
        return installed("lmdeploy")
    return ""


def main() -> int:
    """Measures case after case until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="", help="only cases with this word in their name, engine or format")
    parser.add_argument("--seconds", type=float, default=300, help="start no further case after so long")
    parser.add_argument("--make-vision", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make_vision:
        make_vision_here(arguments.out)
        return 0
    began = time.monotonic()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        new = not arguments.out.exists()
        with arguments.out.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if new:
                writer.writeheader()
            for case in CASES:
                words = f"{case.name} {case.engine} {'awq' if case.awq else 'hf'}"
                if arguments.only not in words or time.monotonic() - began > arguments.seconds:
                    print(f"left out: {words}", flush=True)
                    continue
                try:
                    found = bench.measure(case)
                except (AssertionError, OSError, subprocess.SubprocessError) as error:
                    failed += 1
                    print(f"FAILED: {words}: {error}", flush=True)
                    continue
                writer.writerow(found)
                file.flush()
                off = float(found["planned_gib"]) / float(found["used_gib"]) - 1
                passed = time.monotonic() - began
                figures = f"used {found['used_gib']} planned {found['planned_gib']} ({off:+.1%})"
                print(f"{passed:5.0f} s  {words}: {figures}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
