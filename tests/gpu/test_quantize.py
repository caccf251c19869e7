"""Quantization on a real GPU: a 1.9 B model from form to server, the demo model's text tower, one GPU shared.

On a GPU machine, in the project's root: ``python -m pytest -c tests/gpu/pytest.ini tests/gpu/test_quantize.py``; some
25 minutes, two thirds of them for SmoothQuant's two tables. The test of InternLM2's own code runs where the machine's
transformers is version 4. The figures are printed; SmoothQuant's are written as JSON to ``$OUT/smooth_quant.json``,
too, where OUT names a folder.
"""

import base64
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from assets.demo_model.train import evaluate
from backend.engines.base import ServeConfig
from backend.models.catalog import DEMO_MODEL
from backend.models.checkpoint import read_tensors
from backend.quantization.base import NO_DATA, OWN_TEXT, QuantConfig
from backend.quantization.job import Job, JobState, Perplexity
from backend.quantization.texts import demo_text
from backend.servers.server import ServerState
from backend.services import Services, build_services
from backend.settings import Settings
from tests.gpu.many_requests import speed
from tests.support.tiny_models import make_model
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
GIB = 1 << 30
JOB_SECONDS = 300.0
READY_SECONDS = 240.0
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
DEMO_RATIO = 12.70 / 22.05  # of the text model's size: its embeddings stay
SMOOTH: dict[str, list[dict[str, Any]]] = {}  # the figures of each model
PICTURES = ROOT / "assets" / "sample_pictures"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the models are."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Services]:
    """The console's parts, as app.py builds them; at the end nothing of them runs."""
    state = tmp_path_factory.mktemp("console") / "state"
    settings = Settings("127.0.0.1", 0, True, state, (folder,), (), "en", "", False)
    for path in (settings.state_dir, settings.runs_dir, settings.keys_dir, settings.uploads_dir):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = build_services(settings)
    try:
        yield made
    finally:
        for view in made.servers.snapshot():
            stop(made, view.id)
        made.close()


@pytest.fixture(scope="module")
def llama(folder: Path) -> Path:
    """A model of InternLM2.5-1.8B's sizes, its weights random."""
    small = make_model("qwen2", folder / "tokenizer")
    model = folder / "internlm2_5-1_8b-shaped"
    subprocess.run([sys.executable, str(Path(__file__).parent / "make_llama.py"), str(model)], check=True, timeout=240)
    for name in TOKENIZER:
        if (small / name).exists():
            shutil.copy(small / name, model)
    return model


@pytest.fixture
def quantize(services: Services, folder: Path) -> Callable[..., Job]:
    """Runs a job on the first GPU to its end and returns it with its weights compared."""

    def run(model: Path, name: str, **changes: Any) -> Job:
        gpu = services.finder.machine().gpus[0].id
        config = QuantConfig(str(model), str(folder / name), device=f"cuda:{gpu}", **changes)
        job_id = services.jobs.start(config)

        def ended() -> Job | None:
            job = services.jobs.get(job_id).job
            assert job.state in (JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED), job.diagnosis
            return job if job.result is not None and job.result.errors_state != "running" else None

        return wait_for(f"the job of {model.name}", ended, JOB_SECONDS)

    return run


def serve(services: Services, model: str, **changes: Any) -> str:
    """A server, of TurboMind by default, that answers; its id."""
    server = services.servers.start(ServeConfig(**({"engine": "turbomind", "model": model} | changes)))

    def ready() -> bool:
        view = services.servers.get(server)
        assert view.state is not ServerState.FAILED, view.reason_lines
        return view.state is ServerState.RUNNING

    wait_for(f"a server of {model}", ready, READY_SECONDS)
    return server


def stop(services: Services, server: str) -> None:
    """Stop the server and wait until it is gone."""
    if services.servers.get(server).state not in (ServerState.STOPPED, ServerState.FAILED):
        services.servers.stop(server)
    gone = (ServerState.STOPPED, ServerState.FAILED)
    wait_for("the server's end", lambda: services.servers.get(server).state in gone, 60)


def ask(services: Services, server: str, content: Any) -> str:
    """One greedy answer of at most 48 tokens."""
    endpoint = services.servers.endpoint(server)
    body = {
        "model": endpoint.model_id, "messages": [{"role": "user", "content": content}], "max_tokens": 48,
        "temperature": 0.0,
    }  # fmt: skip
    headers = {"authorization": f"Bearer {endpoint.api_key}"}
    answer = httpx.post(
        f"{endpoint.base_url}/chat/completions", json=body, headers=headers, timeout=120, trust_env=False
    )
    answer.raise_for_status()
    return str(answer.json()["choices"][0]["message"]["content"])


def measured(services: Services, job: Job) -> Perplexity:
    """Perplexity before and after, by the engine that serves the result."""
    services.jobs.measure_perplexity(job.id)

    def both() -> Perplexity | None:
        now = services.jobs.get(job.id).job.result
        assert now is not None
        assert now.perplexity_state != "failed", now.perplexity_problem
        return now.perplexity

    perplexity = wait_for("both perplexities", both, 2 * READY_SECONDS)
    assert perplexity.before > 1
    assert perplexity.after > 1
    return perplexity


def test_a_model_of_1_9_billion_parameters(
    services: Services, llama: Path, quantize: Callable[..., Job], capsys: pytest.CaptureFixture[str]
) -> None:
    text = services.jobs.texts.keep(demo_text().file.read_text(encoding="utf-8") * 3, "own.txt")
    job = quantize(llama, "llama-awq", dataset=OWN_TEXT, text=text.id)
    result = job.result
    assert result is not None
    before, after = sum(result.before.values()), sum(result.after.values())
    assert before / GIB == pytest.approx(3.52, abs=0.02)
    assert after / GIB == pytest.approx(1.44, abs=0.03)
    assert result.errors_state == "done"
    assert len(result.errors) == 24
    assert all(0.05 < layer.error < 0.2 for layer in result.errors)
    assert 4 * GIB < result.peak_gpu_bytes < 12 * GIB

    perplexity = measured(services, job)

    server = serve(services, job.output, model_format="awq", quant_policy=4, cache_max_entry_count=0.1)
    assert isinstance(ask(services, server, "Hello"), str)
    stop(services, server)
    with capsys.disabled():
        print(
            f"\n1.9 B, 128 x 2048: {result.seconds:.0f} s, peak {result.peak_gpu_bytes / GIB:.2f} GiB, "
            f"{before / GIB:.2f} -> {after / GIB:.2f} GiB, "
            f"perplexity {perplexity.before:.1f} -> {perplexity.after:.1f}, "
            f"largest error {max(layer.error for layer in result.errors):.4f}"
        )


@dataclass(frozen=True)
class Served:
    """A model under the PyTorch engine: tokens/s of one and of 32 requests, and the share of right answers (0 to 1)."""

    one: float
    many: float
    right: float | None = None


def served_by_pytorch(services: Services, model: str, cases: Sequence[evaluate.Case] = ()) -> Served:
    server = serve(services, model, engine="pytorch", cache_max_entry_count=0.1)
    try:
        assert isinstance(ask(services, server, "Hello"), str)
        endpoint = services.servers.endpoint(server)
        one, many = (speed(endpoint.base_url, endpoint.api_key, n, endpoint.model_id, runs=1) for n in (1, 32))
        asking = evaluate.server(endpoint.base_url, endpoint.model_id, 32, endpoint.api_key)
        results = evaluate.evaluate(list(cases), asking)
        return Served(one, many, sum(right for _, right, _ in results) / len(results) if results else None)
    finally:
        stop(services, server)


def row(
    name: str, size: int, served: Served, perplexity: float | None = None, job: Job | None = None
) -> dict[str, Any]:
    """A line of a model's table; ``errors`` are the smallest and the largest of its layers'."""
    errors = [layer.error for layer in job.result.errors] if job is not None and job.result is not None else []
    return {
        "weights": name, "mib": round(size / (1 << 20), 1), "perplexity": perplexity, "right": served.right,
        "tokens_s_one": round(served.one), "tokens_s_32": round(served.many),
        "errors": [round(min(errors), 5), round(max(errors), 5)] if errors else None,
        "seconds": round(job.result.seconds) if job is not None and job.result is not None else None,
    }  # fmt: skip


def smooth_table(
    services: Services, quantize: Callable[..., Job], model: Path, ratio: float, cases: Sequence[evaluate.Case] = ()
) -> list[dict[str, Any]]:
    """Rows of the model as it is, in int8 and in fp8; the jobs' results are ``ratio`` of its size."""
    rows: list[dict[str, Any]] = []
    for quant_dtype in ("int8", "fp8"):
        changes = {"method": "smooth_quant", "quant_dtype": quant_dtype, "samples": 64, "seqlen": 512}
        job = quantize(model, f"{model.name}-{quant_dtype}", **changes)
        assert job.result is not None
        before, after = sum(job.result.before.values()), sum(job.result.after.values())
        assert after / before == pytest.approx(ratio, abs=0.02)
        perplexity = measured(services, job)
        if not rows:
            rows.append(row("16 bits", before, served_by_pytorch(services, str(model), cases), perplexity.before))
            print(model.name, rows[-1], flush=True)  # a run that is broken off has shown what it had
        rows.append(row(quant_dtype, after, served_by_pytorch(services, job.output, cases), perplexity.after, job))
        print(model.name, rows[-1], flush=True)
    SMOOTH[model.name] = rows
    return rows


@pytest.fixture(scope="module", autouse=True)
def _smooth_figures() -> Iterator[None]:
    yield
    print("\n" + json.dumps(SMOOTH, indent=1))
    if os.environ.get("OUT"):
        Path(os.environ["OUT"], "smooth_quant.json").write_text(json.dumps(SMOOTH, indent=1), encoding="utf-8")


def test_smooth_quant_of_the_1_8b_shape(services: Services, llama: Path, quantize: Callable[..., Job]) -> None:
    """Random weights: sizes, errors of the layers and speeds are a model's, its perplexity means nothing."""
    rows = smooth_table(services, quantize, llama, 2.11 / 3.52)
    assert all(0.001 < error < 0.1 for line in rows[1:] for error in line["errors"])


@pytest.mark.skipif(not (DEMO_MODEL / "config.json").exists(), reason="the demo model isn't here")
def test_smooth_quant_of_the_demo_model(services: Services, folder: Path, quantize: Callable[..., Job]) -> None:
    """Its text model, which is quantized and served as a checkpoint of its own: smooth_quant refuses the whole."""
    text = folder / "demo-text"
    tower = ROOT / "backend" / "quantization" / "children" / "text_tower.py"
    subprocess.run([sys.executable, str(tower), "extract", str(DEMO_MODEL), str(text)], check=True, timeout=120)
    cases = evaluate.text_cases(random.Random(2026))
    plain, *quantized = smooth_table(services, quantize, text, DEMO_RATIO, cases)
    assert plain["right"] > 0.95
    for line in quantized:
        assert line["right"] > plain["right"] - 0.03, line
        assert line["perplexity"] < 1.1 * plain["perplexity"], line
        assert line["errors"][1] < 0.1, line


def test_a_job_and_a_server_on_one_gpu(services: Services, llama: Path, quantize: Callable[..., Job]) -> None:
    server = serve(services, str(llama), cache_max_entry_count=0.2)
    gpu = services.finder.machine().gpus[0].id
    config = QuantConfig(str(llama), str(llama.parent / "shared"), device=f"cuda:{gpu}", dataset=NO_DATA)
    said = wait_for(
        "the server named",
        lambda: [m for m in services.jobs.preview(config).messages if m.key.startswith("quantize.gpu.shared")],
        60,
    )
    assert said[0].level == "warning"
    job = quantize(llama, "shared", dataset=NO_DATA)
    assert job.result is not None
    assert sum(job.result.after.values()) / GIB == pytest.approx(1.44, abs=0.03)
    assert isinstance(ask(services, server, "Still there?"), str)
    stop(services, server)


@pytest.mark.skipif(not (DEMO_MODEL / "config.json").exists(), reason="the demo model isn't here")
def test_the_demo_model_through_its_text_tower(
    services: Services, quantize: Callable[..., Job], capsys: pytest.CaptureFixture[str]
) -> None:
    job = quantize(DEMO_MODEL, "demo-awq", seqlen=512, samples=64)
    assert job.result is not None
    assert job.result.before["vision"] == job.result.after["vision"]
    assert {tensor.dtype for tensor in read_tensors(Path(job.output))} in ({"BF16", "I32"}, {"F16", "I32"})
    pictures = sorted(path for path in PICTURES.rglob("*") if path.suffix in (".png", ".jpg", ".jpeg", ".webp"))
    answers: list[list[str]] = []
    for model, changes in (
        (str(DEMO_MODEL), {}),
        (job.output, {"model_format": "awq", "dtype": job.result.deploy_dtype}),
    ):
        server = serve(services, model, cache_max_entry_count=0.1, **changes)
        answers.append([ask(services, server, question(picture)) for picture in pictures])
        stop(services, server)
    same = sum(a == b for a, b in zip(*answers, strict=True))
    with capsys.disabled():
        print(f"\ndemo model: {same} of {len(pictures)} pictures answered in the same words by its 4-bit text model")
        for picture, before, after in zip(pictures, *answers, strict=True):
            print(f"  {picture.name}: {before!r} | {after!r}")
    assert all(answer.strip() for answer in answers[1])
    assert same >= len(pictures) / 2


def question(picture: Path) -> list[dict[str, Any]]:
    """ "What is in the picture?" as a request has it."""
    kind = {"jpg": "jpeg"}.get(picture.suffix[1:], picture.suffix[1:])
    url = f"data:image/{kind};base64,{base64.b64encode(picture.read_bytes()).decode()}"
    return [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": "Describe the picture."},
    ]


def test_internlm2_with_its_own_code(services: Services, folder: Path, quantize: Callable[..., Job]) -> None:
    environment = services.finder.machine().environments[0]
    if not environment.transformers.startswith("4."):
        pytest.skip("runs where transformers is version 4")
    script = ROOT / "tests" / "support" / "tiny_internlm2" / "make.py"
    subprocess.run([sys.executable, str(script), str(folder / "internlm2"), str(DEMO_MODEL)], check=True, timeout=240)
    job = quantize(folder / "internlm2", "internlm2-awq", samples=8, seqlen=128, trust_remote_code=True)
    assert job.result is not None
    assert [layer.layer for layer in job.result.errors] == [0, 1]
    record = json.loads((Path(job.output) / "lmdeploy_console.json").read_bytes())
    assert record["versions"]["transformers"].startswith("4.")
    server = serve(services, job.output, model_format="awq", cache_max_entry_count=0.1, trust_remote_code=True)
    assert isinstance(ask(services, server, "Hello"), str)
    stop(services, server)
