"""What a person does on the Quantize tab, with the real `lmdeploy lite auto_awq` on the CPU, in both environments."""

import contextlib
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from backend.models.checkpoint import read_model, read_tensors
from backend.processes import ports
from tests.support.console import ROOT, Console
from tests.support.controls import choose, write
from tests.support.waiting import wait_for

JOB_MS = 400_000  # three jobs, one after another, on a busy machine
STEP_MS = 90_000  # counting tokens loads the tokenizer in a child
INTERNLM2_PYTHON = ROOT / ".venv-internlm2" / "bin" / "python"
TEXT = "A page of text to calibrate with. 一页用来校准的文字。 Numbers: 1, 2, 3.\n" * 40
NewPage = Callable[..., Page]


class KillableConsole(Console):
    """A console that can be killed and started again at the same address."""

    def start_again(self) -> None:
        Console.__init__(self, self.state_dir, *self.arguments, port=self.port)
        self.ready()

    @classmethod
    def start(cls, state_dir: Path, arguments: list[str]) -> "KillableConsole":
        port = ports.free_port()
        console = cls(state_dir, *arguments, port=port)
        console.arguments, console.port = arguments, port
        return console.ready()  # type: ignore[return-value]

    arguments: list[str]
    port: int


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_qwen2: Path, tiny_internvl: Path) -> Path:
    """A tiny Qwen2, a transformers-native InternVL and an InternLM2 with its own code."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(tiny_qwen2, folder / "qwen2")
    shutil.copytree(tiny_internvl, folder / "internvl")
    script = ROOT / "tests" / "support" / "tiny_internlm2" / "make.py"
    subprocess.run(
        [str(INTERNLM2_PYTHON), str(script), str(folder / "internlm2"), str(folder / "qwen2")],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[KillableConsole]:
    console = KillableConsole.start(tmp_path_factory.mktemp("console") / "state", ["--models", str(models)])
    try:
        yield console
    finally:
        console.close()


def open_tab(page: Page) -> None:
    page.get_by_role("tab").filter(has_text=re.compile("Quantize|量化")).click()
    expect(page.locator("#quantize-jobs h2")).to_be_visible()


def fill(page: Page, control: str, value: str) -> None:
    box = page.locator(f"#{control} input, #{control} textarea").first
    box.fill(value)
    box.blur()


def choose_model(page: Page, folder: Path) -> None:
    """Choose a model and wait for the output folder that the page suggests for it."""
    write(page, "#quantize-model", str(folder))
    suggested = page.locator("#quantize-output input, #quantize-output textarea").first
    expect(suggested).to_have_value(re.compile(rf"{folder.name}-w4a16-4bit(-\d)?$"))


def command(page: Page) -> Locator:
    return page.locator("#quantize-command textarea")


def message(page: Page, key: str) -> Locator:
    return page.locator(f'#quantize-message [data-key="{key}"]')


def card(page: Page, job_id: str) -> Locator:
    return page.locator(f'#quantize-jobs [data-job-id="{job_id}"]')


def start(page: Page) -> str:
    """Press Start; the new job's id."""
    before = page.locator("#quantize-jobs [data-job-id]").count()
    expect(page.locator("#quantize-start")).to_be_enabled(timeout=STEP_MS)
    page.locator("#quantize-start").click()
    expect(page.locator("#quantize-jobs [data-job-id]")).to_have_count(before + 1, timeout=STEP_MS)
    status = page.locator("#quantize-status")
    expect(status).to_have_attribute("data-state", re.compile("queued|running"), timeout=STEP_MS)
    return status.get_attribute("data-job-id") or ""


@contextlib.contextmanager
def held_back(console: Console, job_id: str) -> Iterator[None]:
    """The job's processes stand still meanwhile: what is done to the queue behind it needs no haste."""
    plan = str(console.state_dir / "jobs" / job_id / "plan.json")

    def working() -> psutil.Process | None:
        every = psutil.process_iter(["cmdline"])
        return next((one for one in every if (one.info["cmdline"] or [""])[-1] == plan), None)

    worker = wait_for("the job's process", working)
    worker.suspend()  # from here on it starts none
    held = [worker, *worker.children(recursive=True)]
    for process in held[1:]:
        process.suspend()
    try:
        yield
    finally:
        for process in held:
            process.resume()


def config_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def dtypes(folder: Path) -> dict[str, str]:
    return {tensor.name: tensor.dtype for tensor in read_tensors(folder)}


@pytest.mark.timeout(1200)
def test_three_models_through_a_queue_and_a_killed_console(
    page: Page, new_page: NewPage, console: KillableConsole, models: Path
) -> None:
    open_tab(page)
    expect(page.locator("#quantize-jobs .empty-state")).to_be_visible()

    # A text model, calibrated with pasted text
    write(page, "#quantize-model", str(models / "qwen2"))
    expect(page.locator("#quantize-output input, #quantize-output textarea").first).to_have_value(
        re.compile(r"qwen2-w4a16-4bit$")
    )
    fill(page, "quantize-samples", "4")
    fill(page, "quantize-seqlen", "64")
    fill(page, "quantize-text", TEXT)
    expect(page.locator("#quantize-dataset input")).to_have_value(re.compile("^own"))
    expect(command(page)).to_have_value(re.compile(r"lite auto_awq \S+qwen2 .*--calib-samples 4 --calib-seqlen 64 "))
    expect(page.locator("#quantize-text-info")).to_contain_text(re.compile(r"\d,?\d+ tokens"), timeout=STEP_MS)
    qwen2 = start(page)
    expect(card(page, qwen2)).to_have_attribute("data-state", "running", timeout=STEP_MS)
    page.evaluate(
        """() => {
            const bar = document.querySelector("#quantize-progress");
            window.seen = [];
            new MutationObserver(() => {
              const job = document.querySelector("#quantize-status").dataset.jobId;
              window.seen.push([job, Number(bar.dataset.percent)]);
            }).observe(bar, { attributes: true });
        }"""
    )

    with held_back(console, qwen2):
        # A vision model of transformers' own layout, without data: it waits
        choose(page, "#quantize-dataset", "none")
        write(page, "#quantize-model", str(models / "internvl"))
        expect(message(page, "quantize.info.text-tower")).to_be_visible()
        expect(command(page)).to_have_value(re.compile(r"text_tower\.py extract [\s\S]*text_tower\.py merge "))
        internvl = start(page)
        expect(card(page, internvl)).to_have_attribute("data-state", "queued")

        # A model whose own code must be trusted, and that runs in the other environment
        write(page, "#quantize-model", str(models / "internlm2"))
        expect(message(page, "quantize.trust")).to_be_visible()
        expect(page.locator("#quantize-start")).to_be_disabled()
        page.locator("#quantize-trust-remote-code input").check()
        expect(message(page, "quantize.info.environment-internlm2")).to_be_visible()
        choose(page, "#quantize-dataset", "own")
        expect(page.locator("#quantize-text-info")).to_contain_text(re.compile(r"\d,?\d+ tokens"), timeout=STEP_MS)
        internlm2 = start(page)
        card(page, internlm2).locator("[data-action=up]").click()
        expect(page.locator("#quantize-jobs [data-job-id]").nth(1)).to_have_attribute("data-job-id", internlm2)

    # Another browser sees the same; the console dies, the job doesn't
    other = new_page()
    open_tab(other)
    for job_id in (qwen2, internlm2, internvl):
        expect(card(other, job_id)).to_be_visible()
    fill(page, "quantize-samples", "5")
    console.end(signal.SIGKILL)
    fill(page, "quantize-seqlen", "32")  # nobody hears it
    expect(page.locator("#console-offline")).to_be_visible()
    console.start_again()
    expect(page.locator("#console-offline")).to_be_hidden(timeout=STEP_MS)
    for job_id in (qwen2, internlm2, internvl):
        expect(card(page, job_id)).to_have_attribute("data-state", "succeeded", timeout=JOB_MS)
    card(page, qwen2).locator("button").first.click()
    expect(page.locator("#quantize-result")).to_have_attribute("data-errors", "done", timeout=STEP_MS)

    # It is the same page still: what it has seen, and what a person had typed, is there.
    seen = [percent for job, percent in page.evaluate("window.seen") if job == qwen2]
    assert seen == sorted(seen)
    expect(page.locator("#quantize-samples input")).to_have_value("5")
    fill(page, "quantize-samples", "6")
    expect(command(page)).to_have_value(re.compile("--calib-samples 6 --calib-seqlen 32 "))

    check_qwen2(page, models)
    check_internvl(models)
    check_internlm2(models)
    assert not [path for path in models.iterdir() if path.name.startswith(".")]

    page.locator("#quantize-result [data-action=deploy]").click()
    expect(page.locator("#deploy-tab")).to_be_visible()
    expect(page.locator("#deploy-model input")).to_have_value(re.compile("qwen2-w4a16-4bit"))


def check_qwen2(page: Page, models: Path) -> None:
    """The page's figures are the files'."""
    before, after = (models / "qwen2", models / "qwen2-w4a16-4bit")
    for label, folder in (("before", before), ("after", after)):
        total = sum(tensor.size_bytes for tensor in read_tensors(folder))
        shown = page.locator(f'#quantize-result [data-size="{label}"]')
        assert int(shown.get_attribute("data-bytes") or 0) == total
    layers = config_of(before)["num_hidden_layers"]
    expect(page.locator("#quantize-result [data-layer]")).to_have_count(layers)
    expect(page.locator("#quantize-result [data-worst]").first).to_be_visible()
    assert read_model(after).quantization == "awq"
    packed = [name for name in dtypes(after) if name.endswith(".qweight")]
    assert len(packed) == 7 * layers
    assert not list(after.glob("*.pth"))


def check_internvl(models: Path) -> None:
    """The vision part is as it was but for its dtype, the text model packed, both in one dtype and said so."""
    before, after = models / "internvl", models / "internvl-w4a16-4bit"
    config = config_of(after)
    assert config["architectures"] == ["InternVLForConditionalGeneration"]
    assert config["quantization_config"]["quant_method"] == "awq"
    assert config["text_config"]["quantization_config"] == config["quantization_config"]
    found = dtypes(after)
    assert set(found.values()) == {"F16", "I32"}
    kept = {name for name in dtypes(before) if not re.search(r"layers\.\d+\.(self_attn|mlp)\.\w+\.weight$", name)}
    assert kept <= set(found)
    layers = config["text_config"]["num_hidden_layers"]
    packed = [name for name in found if name.endswith(".qweight")]
    assert len(packed) == 7 * layers
    assert all(name.startswith("language_model.model.layers.") for name in packed)
    others = {path.name for path in before.iterdir()} - {"model.safetensors"}
    assert others <= {path.name for path in after.iterdir()}


def check_internlm2(models: Path) -> None:
    """Packed under its own names, by transformers 4; its code comes along."""
    after = models / "internlm2-w4a16-4bit"
    packed = {name.rsplit(".", 2)[1] for name in dtypes(after) if name.endswith(".qweight")}
    assert packed == {"wqkv", "wo", "w1", "w2", "w3"}
    assert (after / "modeling_internlm2.py").exists()
    record = json.loads((after / "lmdeploy_console.json").read_bytes())
    assert record["versions"]["transformers"].startswith("4.")
    assert record["settings"]["trust_remote_code"] is True


def test_cancelling_and_starting_again(page: Page, models: Path) -> None:
    open_tab(page)
    choose_model(page, models / "qwen2")
    choose(page, "#quantize-dataset", "none")
    fill(page, "quantize-output", str(models / "cancelled"))
    expect(command(page)).to_have_value(re.compile(r"\.cancelled\.partial-awq "))
    job_id = start(page)
    expect(card(page, job_id)).to_have_attribute("data-state", "running", timeout=STEP_MS)
    # Its own folder is no fault of it: another one is offered.
    taken = message(page, "quantize.output.taken")
    expect(taken).to_have_attribute("role", "status")
    expect(taken).to_contain_text("quantize qwen2")
    expect(page.locator("#quantize-start")).to_be_disabled()
    taken.locator("[data-remedy]").click()
    expect(page.locator("#quantize-output input, #quantize-output textarea").first).to_have_value(
        str(models / "cancelled-2")
    )
    expect(page.locator("#quantize-start")).to_be_enabled()
    expect(page.locator("#quantize-tab [role=alert]:visible")).to_have_count(0)
    page.locator("#quantize-cancel").click()
    expect(page.locator("#quantize-status")).to_have_attribute("data-state", "cancelled", timeout=STEP_MS)
    assert not [path for path in models.iterdir() if "cancelled" in path.name]
    page.locator("#quantize-status [data-action=restart]").click()
    expect(page.locator("#quantize-status")).to_have_attribute("data-state", "running", timeout=STEP_MS)
    again = page.locator("#quantize-status").get_attribute("data-job-id") or ""
    assert again != job_id
    card(page, again).locator("[data-action=cancel]").click()
    expect(card(page, again)).to_have_attribute("data-state", "cancelled", timeout=STEP_MS)
    for gone in (job_id, again):
        card(page, gone).locator("[data-action=forget]").click()
        expect(card(page, gone)).to_have_count(0)


def test_texts_that_cannot_be_used(page: Page, models: Path, tmp_path: Path) -> None:
    open_tab(page)
    choose_model(page, models / "qwen2")
    fill(page, "quantize-output", str(models / "texts"))
    expect(command(page)).to_have_value(re.compile(r"\.texts\.partial-awq "))
    upload = page.locator("#quantize-upload-row input[type=file]")
    for name, content, key in (
        ("binary.txt", b"\x00\x01\x02", "quantize.text.binary"),
        ("scan.pdf", b"%PDF-1.7", "quantize.text.pdf"),
        ("other.jsonl", b'{"id": 1}\n{"id": 2}\n', "quantize.text.no-text"),
    ):
        upload.set_input_files({"name": name, "mimeType": "text/plain", "buffer": content})
        expect(message(page, key)).to_be_visible()
    chinese = '{"messages": [{"role": "user", "content": "怎样用这些文字来校准模型？"}]}\n'.encode("gb18030")
    upload.set_input_files({"name": "chinese.jsonl", "mimeType": "text/plain", "buffer": chinese})
    info = page.locator("#quantize-text-info")
    expect(info).to_contain_text("GB18030")
    expect(info.locator(".quantize-samples li")).to_have_text("怎样用这些文字来校准模型？")
    upload.set_input_files({"name": "short.txt", "mimeType": "text/plain", "buffer": b"Too short."})
    expect(page.locator("#quantize-dataset input")).to_have_value(re.compile("^own"))
    expect(message(page, "quantize.text.short")).to_be_visible(timeout=STEP_MS)
    expect(page.locator("#quantize-start")).to_be_disabled()
    fill(page, "quantize-samples", "0")
    expect(message(page, "quantize.samples.zero")).to_be_visible()


def test_a_class_starts_nothing(new_page: NewPage, console: KillableConsole) -> None:
    page = new_page(token=console.class_token, locale="zh-CN")
    expect(page.locator("#chat-tab")).to_be_visible()
    expect(page.locator("#quantize-tab-button")).to_have_count(0)
    with console.client(console.class_token) as client:
        answer = client.post("/console/jobs/x/cancel", json={})
    assert answer.status_code == 403
