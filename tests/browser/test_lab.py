"""The Lab in a browser: runs side by side, a benchmark to its curve, a lesson to its report, for a class too."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from backend.engines.base import ServeConfig
from backend.lab.row import Seen, of_server
from backend.lab.runs import Runs
from backend.servers.server import ServerState
from backend.store import Store
from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.scripted_server import Scripted
from tests.support.waiting import wait_for
from tests.unit.backend.lab.test_runs import MACHINE, MEASURED, a_view

LESSONS = Path(__file__).parents[2] / "assets" / "lessons"


@pytest.fixture(scope="module")
def prepare_state() -> Callable[[Path], None]:
    """Two starts of the past."""

    def prepare(state_dir: Path) -> None:
        store = Store(state_dir)
        runs = Runs(store)
        for number, policy in ((1, 0), (2, 4)):
            view = a_view(id=f"s{number}", name=f"m :{number}", state=ServerState.STOPPED, created_at=1e9 + number)
            view = replace(view, config=ServeConfig("turbomind", "/m", quant_policy=policy))
            tokens = {**MEASURED["measured"], "tokens": 1000 * number}
            runs.keep(
                of_server(view, MACHINE, {**MEASURED, "measured": tokens}, Seen().with_answer(80.0, 10.0 * number))
            )
        store.close()

    return prepare


@pytest.fixture
def server() -> Iterator[Scripted]:
    child = Scripted()
    child.script(tokens=20, rate=80)
    yield child
    child.close()


def open_lab(page: Page, section: str = "") -> None:
    page.locator("#lab-tab-button").click()
    if section:
        page.locator(f'[data-section="{section}"]').click()


def test_runs_are_compared_and_started_again(new_page: Callable[..., Page]) -> None:
    page = new_page()
    open_lab(page)
    rows = page.locator(".lab-runs-table tbody tr")
    expect(rows).to_have_count(2)
    page.locator('[data-column="tokens"].lab-sort').click()
    expect(rows.first).to_have_attribute("data-run", "s2")
    page.locator('[data-column="tokens"].lab-sort').click()
    expect(rows.first).to_have_attribute("data-run", "s1")
    page.locator("#lab-runs-search").fill("kv int4")
    expect(rows).to_have_count(1)
    page.locator("#lab-runs-search").fill("")
    expect(rows).to_have_count(2)
    for place in (0, 1):
        rows.nth(place).locator("input").check()
    beside = page.locator("#lab-compare .lab-beside")
    expect(beside.locator("tr", has_text="quant_policy")).to_have_attribute("data-differs", "1")
    expect(beside.locator("tr", has_text="Settings: tp")).to_have_attribute("data-differs", "0")
    page.get_by_label("only what differs").check()
    expect(beside.locator("tr", has_text="Settings: tp")).to_be_hidden()
    beside.locator("textarea").first.fill("for the report")
    beside.locator("textarea").first.blur()
    expect(rows.first).to_contain_text("for the report")
    with page.expect_download() as download:
        page.locator("#lab-runs-actions").get_by_text("Markdown").click()
    assert "for the report" in download.value.path().read_text(encoding="utf-8")
    page.get_by_text("Two columns as a chart").click()
    expect(page.locator("#lab-runs-chart circle")).to_have_count(2)
    beside.locator('[data-action="again"]').nth(1).click()
    expect(page.locator("#deploy-tab-button")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#deploy-quant-policy input").first).to_have_value(re.compile("^4"))


def test_a_benchmark_is_watched_to_its_curve(new_page: Callable[..., Page], console: Console, server: Scripted) -> None:
    with Visitor(console) as visitor:
        visitor.start(ServeConfig("external", "", address=server.address))
    page = new_page()
    open_lab(page, "benchmark")
    page.locator("#lab-benchmark-targets input").first.check()
    page.locator("#lab-benchmark-users").fill("none")
    expect(page.locator("#lab-benchmark-cost")).to_contain_text("none")
    for name, value in (("users", "1, 2"), ("answer_tokens", "20"), ("seconds", "2")):
        page.locator(f"#lab-benchmark-{name}").fill(value)
    expect(page.locator("#lab-benchmark-cost")).to_contain_text("levels 2")
    page.locator("#lab-benchmark-start").click()
    dialog = page.locator("#lab-benchmark-ask")  # it isn't the console's own
    expect(dialog).to_contain_text("somebody else's")
    dialog.get_by_role("button", name="Start the benchmark").click()
    card = page.locator("#lab-benchmarks .lab-card").first
    expect(card).to_have_attribute("data-state", "succeeded", timeout=90_000)
    expect(card.locator(".lab-levels tbody tr")).to_have_count(2)
    expect(card.locator("svg circle")).to_have_count(2)
    with page.expect_download() as download:
        card.get_by_text("CSV").click()
    assert len(download.value.path().read_text(encoding="utf-8").splitlines()) == 3
    page.reload()
    open_lab(page, "benchmark")
    expect(page.locator("#lab-benchmarks .lab-card")).to_have_count(1)


def test_answers_are_compared_from_their_first_difference_on(
    new_page: Callable[..., Page], console: Console, server: Scripted
) -> None:
    other = Scripted()
    own, markup = "Why is the sky blue?", "air <img src=x onerror=alert(1)>."
    server.script(answers={own: "Light is scattered by air."}, text="936", ppl=2.0)
    other.script(answers={own: f"Light is scattered by {markup}"}, text="937")
    try:
        with Visitor(console) as visitor:
            ids = [visitor.start(ServeConfig("external", "", address=one.address)) for one in (server, other)]
        page = new_page()
        open_lab(page, "quality")
        start = page.locator("#lab-quality-start")
        expect(start).to_be_disabled()
        boxes = [page.locator(f'#lab-quality-targets [data-server="{server_id}"]') for server_id in ids]
        for box in boxes:  # both are there before one is clicked
            expect(box).to_be_visible()
        for box in boxes:
            box.check()
        page.locator("#lab-quality-questions").select_option("")
        cost = page.locator("#lab-quality-cost")
        expect(cost).to_contain_text("write one of your own")
        page.locator("#lab-quality-questions").select_option("en")
        page.locator("#lab-quality-question").fill(own)
        page.locator("#lab-quality-text").fill("one two three " * 20)
        expect(cost).to_contain_text("questions 15 each")
        start.click()
        page.locator("#lab-quality-ask").get_by_role("button", name="Compare the answers").click()
        card = page.locator("#lab-qualities .lab-card").first
        expect(card).to_have_attribute("data-state", "succeeded", timeout=90_000)
        with console.client() as client:

            def kept() -> bool:
                rows = client.get("/console/lab/runs").json()["rows"]
                return any(row["id"] == ids[0] and row["perplexity"] for row in rows)

            wait_for("the perplexity in the server's row", kept)
    finally:
        other.close()
    asked = card.locator('.lab-answers [data-question="own"]')
    expect(asked.locator("td").first.locator("mark")).to_have_count(0)
    expect(asked.locator("mark")).to_have_text(markup.removeprefix("air "))
    expect(card.locator('[data-question="add"] [data-right="1"]')).to_have_count(1)
    expect(card.locator('[data-question="add"] [data-right="0"]')).to_have_count(1)
    figures = card.locator(".lab-quality-figures tbody tr")
    expect(figures.first).to_contain_text("1 / 14")
    expect(figures.first).to_contain_text("7.389")
    expect(figures.nth(1)).to_contain_text("0 / 15")
    with page.expect_download() as download:
        card.get_by_text("Markdown").click()
    assert "⟦≠⟧" in download.value.path().read_text(encoding="utf-8")
    page.locator('[data-section="runs"]').click()
    page.locator(f'[data-run="{ids[0]}"] input').check()
    expect(page.locator("#lab-compare")).to_contain_text("Quality: perplexity")

    # One look that is cut isn't the last one.
    page.route("**/compared", lambda route: route.abort(), times=1)
    page.reload()
    open_lab(page, "quality")
    expect(figures.first).to_contain_text("1 / 14")

    # The tutorials' table says first what it needs and what it takes; here there is no GPU.
    page.locator('[data-section="benchmark"]').click()
    expect(page.locator("#lab-table-needs")).to_contain_text("needs a GPU")
    expect(page.locator("#lab-table-cost")).to_contain_text("servers 1, started and stopped")
    expect(page.locator("#lab-table-start")).to_be_enabled()


def test_a_lesson_is_walked_to_its_end_and_handed_in(
    new_page: Callable[..., Page], console: Console, tmp_path: Path
) -> None:
    page = new_page(token=console.class_token)
    open_lab(page)
    expect(page.locator('[data-section="runs"]')).to_have_count(0)  # a class learns; the rest is the operator's
    page.locator('[data-lesson="kv-int4"]').click()
    steps = page.locator(".lab-steps")
    step = steps.locator('[data-step="times"].lab-step')
    for said, answer in (("lots", None), ("9", "off"), ("3,6", "Right")):
        step.locator("input").fill(said)
        step.locator('[data-action="predict"]').click()
        if answer is None:
            expect(page.locator("#lab-lesson .lab-problem")).to_contain_text("lots")
        else:
            expect(step).to_contain_text(answer)
    steps.locator('[data-step="times-8"] input').fill("1.9")
    steps.locator('[data-step="times-8"] [data-action="predict"]').click()
    steps.locator('[data-step="start"] [data-action="replay"]').click()
    expect(steps.locator(".lab-replay")).to_contain_text("Recorded, not run here")
    expect(page.locator('[data-lesson="kv-int4"].lab-book')).to_have_attribute("data-state", "succeeded")
    page.locator("#lab-lesson-name").fill("Li Lei")
    page.locator("#lab-lesson-name").blur()
    page.locator("#lab-lesson-words").fill("Four bits, <b>not</b> four times.")
    page.locator("#lab-lesson-words").blur()
    expect(page.locator("#lab-lesson").get_by_text("Kept.")).to_be_visible()
    with page.expect_download() as download:
        page.locator('#lab-report [data-format="html"]').click()
    file = tmp_path / "report.html"
    download.value.save_as(file)
    text = file.read_text(encoding="utf-8")
    assert console.class_token not in text
    report = page.context.new_page()
    report.set_content(text)
    expect(report.locator("li b", has_text="✓")).to_have_count(3)
    expect(report.locator(".words")).to_have_text("Four bits, <b>not</b> four times.")
    expect(report.locator("body")).to_contain_text("Li Lei")

    teacher = new_page()
    open_lab(teacher, "lesson")
    teacher.get_by_text("How far each visitor is").click()
    expect(teacher.locator("#lab-class tbody tr", has_text="Li Lei")).to_contain_text("3 / 3")
    lesson = {"name": "mine.md", "mimeType": "text/markdown"}
    picker = teacher.locator("#lab-lesson-file")
    picker.set_input_files({**lesson, "buffer": "不是课程".encode("gbk")})  # type: ignore[arg-type]
    expect(teacher.locator("#lab-lesson .lab-problem")).to_contain_text("UTF-8")
    good = (LESSONS / "10-tools.md").read_text(encoding="utf-8").replace("id: tools", "id: mine", 1)
    picker.set_input_files({**lesson, "buffer": good.encode()})  # type: ignore[arg-type]
    expect(teacher.locator('[data-lesson="mine"]')).to_be_visible()
