"""The demo model in LMDeploy on a GPU: the same questions to both engines, to quantized KV caches and to 4-bit weights.

On a GPU machine with LMDeploy, in the project's root: ``python -m pytest -c tests/gpu/pytest.ini -s
tests/gpu/test_demo_model.py``. Six servers run side by side and get the same cases; the table of right answers is
printed at the end, and written as JSON to ``$OUT/demo_model.json`` where OUT names a folder. ``DEMO_SCALE`` (default
0.3) is the share of the whole evaluation.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from assets.demo_model.train import evaluate
from backend.processes.ports import free_port
from tests.support.model_servers import model_server

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "assets" / "demo_model"
READY_S = 180
COMMON = ("--server-name", "127.0.0.1", "--model-name", "demo", "--tool-call-parser", "qwen")
CACHE = ("--cache-max-entry-count", "0.05")
AWQ = ("--backend", "turbomind", "--model-format", "awq", "--dtype", "float16")
WAYS = {
    "TurboMind": ("--backend", "turbomind"),
    "TurboMind, KV int8": ("--backend", "turbomind", "--quant-policy", "8"),
    "TurboMind, KV int4": ("--backend", "turbomind", "--quant-policy", "4"),
    "PyTorch": ("--backend", "pytorch"),
    "TurboMind, W4A16": AWQ,
    "TurboMind, W4A16, KV int4": (*AWQ, "--quant-policy", "4"),
}  # fmt: skip
# How many points a way may fall behind TurboMind with 16 bits, in right answers of a hundred.
BEHIND = {
    "TurboMind, KV int8": 1.5,
    "TurboMind, KV int4": 4,
    "PyTorch": 1.5,
    "TurboMind, W4A16": 4,
    "TurboMind, W4A16, KV int4": 6,
}


@contextmanager
def served(folder: Path, log: Path, *flags: str) -> Iterator[str]:
    """``lmdeploy serve api_server``, ready: its API address."""
    port = free_port()
    argv = ["lmdeploy", "serve", "api_server", str(folder), *COMMON, *CACHE, "--server-port", str(port), *flags]
    with model_server(argv, port, log, READY_S):
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture(scope="module")
def w4a16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model with its text tower in 4 bits, calibrated with the texts it knows."""
    from assets.demo_model.train import explain

    work = tmp_path_factory.mktemp("w4a16")
    text, quantized, whole = work / "text", work / "quantized", work / "whole"
    tower = [sys.executable, str(ROOT / "backend" / "quantization" / "children" / "text_tower.py")]
    subprocess.run([*tower, "extract", str(FOLDER), str(text)], check=True, timeout=120)
    data = work / "wikitext"
    data.mkdir()
    (data / "README.md").write_text(
        "---\nconfigs:\n- config_name: wikitext-2-raw-v1\n  data_files:\n  - split: train\n    path: train.txt\n---\n",
        encoding="utf-8",
    )
    lines = [topic.answer[language] for topic in explain.topics() for language in ("en", "zh")]
    (data / "train.txt").write_text("\n".join(lines * 12), encoding="utf-8")
    command = [
        "lmdeploy",
        "lite",
        "auto_awq",
        str(text),
        "--calib-samples",
        "64",
        "--calib-seqlen",
        "512",
        "--w-group-size",
        "128",
        "--dtype",
        "float16",
        "--work-dir",
        str(quantized),
    ]
    subprocess.run(command, check=True, timeout=240, cwd=work)
    subprocess.run([*tower, "merge", str(FOLDER), str(quantized), str(whole)], check=True, timeout=120)
    return whole


Results = list[tuple[evaluate.Case, bool, evaluate.Message]]


def answered(way: str, folder: Path, cases: list[evaluate.Case], log: Path) -> Results | str:
    """The cases with their answers, or what went wrong: the other ways still have figures."""
    try:
        with served(folder, log, *WAYS[way]) as address:
            results: Results = evaluate.evaluate(cases, evaluate.server(address, "demo", parallel=32))
            return results
    except (AssertionError, OSError) as error:
        return str(error)


def table(groups: dict[str, dict[str, float]], right: dict[str, float]) -> str:
    """Shares of right answers in Markdown: rows by kind of question, a column for each way."""
    lines = ["| | " + " | ".join(right) + " |", "|---" * (len(right) + 1) + "|"]
    for row, values in groups.items():
        lines.append(f"| {row} | " + " | ".join(f"{values[way]:.1%}" for way in right) + " |")
    lines.append("| all | " + " | ".join(f"{value:.1f}%" for value in right.values()) + " |")
    return "\n".join(lines)


def test_every_way_of_serving_answers_alike(w4a16: Path, tmp_path: Path) -> None:
    cases = evaluate.all_cases(float(os.environ.get("DEMO_SCALE", "0.3")))
    with ThreadPoolExecutor(len(WAYS)) as pool:
        waiting = {
            way: pool.submit(answered, way, w4a16 if "W4A16" in way else FOLDER, cases, tmp_path / f"{i}.log")
            for i, way in enumerate(WAYS)
        }
        found = {way: future.result() for way, future in waiting.items()}
    failed = {way: results for way, results in found.items() if isinstance(results, str)}
    right: dict[str, float] = {}
    groups: dict[str, dict[str, float]] = {}
    for way, results in found.items():
        if isinstance(results, str):
            continue
        right[way] = 100 * sum(r for _, r, _ in results) / len(results)
        for row, values in evaluate.summary(results).items():
            groups.setdefault(row, {})[way] = values["all"]
    print("\n" + table(groups, right))
    if os.environ.get("OUT"):
        (Path(os.environ["OUT"]) / "demo_model.json").write_text(
            json.dumps({"right": right, "groups": groups, "failed": failed}, indent=1), encoding="utf-8"
        )
    assert not failed
    for way, most in BEHIND.items():
        assert right[way] >= right["TurboMind"] - most, way
