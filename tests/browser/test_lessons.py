"""Every lesson but the one that test_lab.py walks: each step shown, done and ticked off, the report opened.

One console, one page, the demo model on the CPU. What a lesson waits for is done once for all of them, after they were
begun; steps that need a GPU are done by their recorded run.
"""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from backend.lab.lessons.book import SHELF
from backend.lab.lessons.figures import load_replays
from backend.lab.lessons.lesson import Lesson, read_lesson
from backend.quantization.base import QuantConfig
from backend.quantization.job import Job, JobState
from backend.quantization.log_reader import Expected
from backend.quantization.manager import AREA
from backend.store import Store
from tests.support.console import Console
from tests.support.controls import choose

LOAD_MS = 180_000
REPLAYS = load_replays()
LESSONS = [
    read_lesson(file.read_bytes(), file.name, REPLAYS)
    for file in sorted(SHELF.glob("*.md"))
    if file.name != "README.md"
]
WALKED = [lesson for lesson in LESSONS if lesson.id != "kv-int4"]
LAST = "first-model"  # its last step stops the server


@pytest.fixture(scope="module")
def console_arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """No models but the one that comes along."""
    return ["--models", str(tmp_path_factory.mktemp("none"))]


@pytest.fixture(scope="module")
def prepare_state() -> Callable[[Path], None]:
    """A quantization that succeeded: tests/browser/test_quantize.py runs one."""

    def prepare(state_dir: Path) -> None:
        store = Store(state_dir)
        job = Job(
            id="past", config=QuantConfig("demo", "/gone/demo-awq"), state=JobState.SUCCEEDED, slot="cpu", order=1.0,
            created_at=1e9, model_name="demo", model_path="/gone/demo", output="/gone/demo-awq", partial="",
            command="lmdeploy lite auto_awq /gone/demo", environment="", python="", deploy_dtype="", model_format="awq",
            expected=Expected(layers=2, matrices=14, calibrated=True), started_at=1e9, ended_at=1e9 + 60,
        )  # fmt: skip
        store.put_json(AREA, job.id, job.to_json())
        store.close()

    return prepare


def tab(page: Page, name: str) -> None:
    page.locator(f"#{name}-tab-button").click()
    expect(page.locator(f"#{name}-tab-button")).to_have_attribute("aria-selected", "true")


def open_lesson(page: Page, lesson: Lesson) -> Locator:
    """The lesson, begun."""
    tab(page, "lab")
    page.locator('[data-section="lesson"]').click()
    page.locator(f'[data-lesson="{lesson.id}"].lab-book').click()
    opened = page.locator(f'#lab-lesson-open [data-lesson="{lesson.id}"]')
    expect(opened).to_be_visible()
    return opened


def do_what_they_wait_for(page: Page) -> None:
    """A server, a question about a picture, one with tools, and one by the console's own address."""
    tab(page, "deploy")
    expect(page.locator("#deploy-plan")).to_have_attribute("data-verdict", "fits")
    page.locator("#deploy-start").click()
    expect(page.locator("#deploy-status")).to_have_attribute("data-state", "running", timeout=LOAD_MS)
    tab(page, "chat")
    stats = page.locator("#chat-stats")
    page.locator("#chat-starter [data-sample]").first.click()
    expect(page.locator("#chat-box")).to_contain_text("2 shapes", timeout=LOAD_MS)
    expect(stats).to_have_attribute("data-state", "done")
    page.locator("#chat-clear").click()
    expect(stats).to_have_attribute("data-state", "idle")
    for tool in ("add", "mul"):
        choose(page, "#chat-tools", tool)
    page.keyboard.press("Escape")
    page.locator("#chat-input textarea").fill("Compute (3+5)*2.")
    page.locator("#chat-input textarea").press("Enter")
    expect(page.locator("#chat-box")).to_contain_text("16", timeout=LOAD_MS)
    expect(stats).to_have_attribute("data-state", "done")
    page.locator("#chat-code-panel > button, #chat-code-panel .label-wrap").first.click()
    line = page.locator("#chat-code [data-language=curl]")
    expect(line).to_contain_text("/v1/chat/completions")
    argv = ["bash", "-c", line.text_content() or ""]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LOAD_MS / 1000, check=False)
    assert "choices" in done.stdout, done.stderr
    page.locator("#chat-code-panel > button, #chat-code-panel .label-wrap").first.click()


# Not used by the CPU engine: what stands around them is marked.
AROUND = {"deploy-quant-policy", "deploy-cache-ratio", "deploy-model-format"}


MARKS = """() => {
  window.marks = [];
  new MutationObserver((changes) => {
    for (const { target } of changes) if (target.classList.contains("lab-marked")) window.marks.push(target.id);
  }).observe(document.body, { subtree: true, attributes: true, attributeFilter: ["class"] });
}"""


def show(page: Page, step: Locator, control: str) -> None:
    """ "Show me" opens the tab and marks the control there, for some seconds; then back to the lesson."""
    page.evaluate("window.marks.length = 0")
    step.locator('[data-action="show"]').click()
    page.wait_for_function(
        "([id, around]) => window.marks.some((one) => around || one === id)", arg=[control, control in AROUND]
    )
    tab(page, "lab")
    page.locator('[data-section="lesson"]').click()


def walk(page: Page, lesson: Lesson) -> None:
    """Every step in its order, as a student does it."""
    opened = open_lesson(page, lesson)
    for one in lesson.steps:
        step = opened.locator(f'[data-step="{one.id}"].lab-step')
        if one.tab:
            show(page, step, one.control)
        if one.kind == "predict":
            step.locator("input").fill("1")
            step.locator('[data-action="predict"]').click()
            explained = step.locator(".lab-explained")
            expect(explained).to_contain_text("You said 1")
            found = re.search(r"it is ([\d.,]+)", explained.text_content() or "")
            assert found is not None
            step.locator("input").fill(found[1].rstrip("."))
            step.locator('[data-action="predict"]').click()
            expect(explained).to_contain_text("Right.")
        elif one.kind == "read":
            step.locator('[data-action="read"]').click()
        elif one.replay and one.what != "server.measured":
            step.locator('[data-action="replay"]').click()
            expect(step.locator(".lab-replay")).to_contain_text("Recorded, not run here")
        elif one.what == "server.stopped":
            tab(page, "deploy")
            page.locator("#deploy-stop").click()
            expect(page.locator("#deploy-status")).to_have_attribute("data-state", "stopped", timeout=LOAD_MS)
            tab(page, "lab")
        expect(step).to_have_attribute("data-state", "succeeded", timeout=LOAD_MS)
    expect(page.locator(f'[data-lesson="{lesson.id}"].lab-book')).to_have_attribute("data-state", "succeeded")


def hand_in(page: Page, lesson: Lesson, report: Page, console: Console) -> None:
    """The report, opened without a network."""
    with page.expect_download() as download:
        page.locator('#lab-report [data-format="html"]').click()
    assert download.value.suggested_filename == f"{lesson.id}.html"
    text = download.value.path().read_text(encoding="utf-8")
    for secret in (console.token, console.class_token):
        assert secret not in text
    report.set_content(text)
    expect(report.locator("h1")).to_have_text(lesson.title.en)
    expect(report.locator("li b", has_text="✓")).to_have_count(len(lesson.steps))
    expect(report.locator("li b", has_text="○")).to_have_count(0)


def test_every_lesson_is_walked_to_its_end_and_its_report_opened(
    new_page: Callable[..., Page], console: Console
) -> None:
    page = new_page()
    page.evaluate(MARKS)
    report = page.context.new_page()
    for lesson in WALKED:
        open_lesson(page, lesson)
    do_what_they_wait_for(page)
    for lesson in sorted(WALKED, key=lambda one: one.id == LAST):
        walk(page, lesson)
        hand_in(page, lesson, report, console)
    expect(page.locator('.lab-book[data-state="succeeded"]')).to_have_count(len(WALKED))
