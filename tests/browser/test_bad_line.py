"""The page through a connection that is cut, slow, silent or gone for an hour: it shows the truth or says that it
doesn't know, and goes on by itself.

Between browser and console stands a forward (tests/support/bad_line.py). An hour passes on the page's clock alone.
"""

import random
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.campaign.ground import Ground, ground
from tests.support.bad_line import BadLine, Trouble, bad_line
from tests.support.controls import choose, write
from tests.support.scripted_server import Scripted
from tests.support.sparse_checkpoints import INTERNLM2_5_7B, llama
from tests.support.waiting import wait_for
from ui.i18n import t

DEADLINE_MS = 30_000
TEXT = "The fox found a watermelon by the river and carried it home over seven hills before the rain came down"
OFFLINE = "#console-offline"
LOST = t("common.toast.lost", "en")


@pytest.fixture(scope="module")
def place() -> Iterator[Ground]:
    """A console with quick models, which the tests also ask without the forward."""
    with ground() as made:
        made.open()
        yield made


@pytest.fixture(scope="module")
def line(place: Ground) -> Iterator[BadLine]:
    with bad_line(int(urlsplit(place.running.base_url).port or 0)) as made:
        yield made


@pytest.fixture(scope="module")
def opened(browser: Browser, line: BadLine, place: Ground) -> Iterator[Page]:
    """One page for all of it: what one test does to it, the next one must not feel."""
    problems: list[str] = []
    context = browser.new_context(locale="en-US", viewport={"width": 1366, "height": 850})
    made = context.new_page()
    made.set_default_timeout(DEADLINE_MS)
    made.on("pageerror", lambda error: problems.append(str(error)))
    made.clock.install()
    made.goto(f"{line.address}/?token={place.running.token}")
    made.locator("#header-servers[data-count]").wait_for()
    yield made
    context.close()
    assert not problems, "\n".join(problems)


@pytest.fixture
def page(opened: Page, line: BadLine) -> Iterator[Page]:
    opened.get_by_role("tab", name="Deploy").click()
    expect(opened.locator("#deploy-start")).to_be_enabled()
    yield opened
    line.back()


@pytest.fixture(scope="module")
def talker(place: Ground) -> tuple[Scripted, str]:
    """A chat server at some address, which the console is connected to."""
    child = place.child()
    server_id = place.connect(child.address, "talker")
    place.until(place.server, server_id, "running")
    return child, server_id


def running(place: Ground) -> str:
    return str(sum(server["state"] == "running" for server in place.snapshot()["servers"]))


def struck(line: BadLine, times: int) -> None:
    """Waits until the trouble has come to so many connections more."""
    before = line.struck
    wait_for("the trouble", lambda: line.struck >= before + times, 30)


def test_the_snapshot_cut_at_any_byte(page: Page, line: BadLine, place: Ground) -> None:
    size = len(place.operator.client.get("/console/snapshot").content) + 600
    rng = random.Random("snapshot")
    server_id = ""
    for kind in ("cut", "reset", "dribble"):
        for after in (0, rng.randint(1, 300), rng.randint(300, size)):
            line.trouble = Trouble(kind, after)
            line.cut()
            if server_id:  # what the page must come to know: one server more, one less
                place.operator.client.post(f"/console/servers/{server_id}/forget", json={}).raise_for_status()
                server_id = ""
            else:
                server_id = place.connect(place.child().address, f"cut-{kind}-{after}")
                place.until(place.server, server_id, "running")
            if kind != "dribble":
                struck(line, 1)
                line.back()
            expect(page.locator("#header-servers")).to_have_attribute("data-count", running(place))
            expect(page.locator(OFFLINE)).to_have_count(0)


def test_a_silent_console_is_said_to_be_silent(page: Page, line: BadLine) -> None:
    line.hold()
    page.clock.fast_forward(2000)  # the next poll is under way
    page.clock.fast_forward(6000)
    page.clock.fast_forward(2000)
    page.clock.fast_forward(6000)
    expect(page.locator(OFFLINE)).to_be_visible()
    line.back()
    expect(page.locator(OFFLINE)).to_have_count(0)


def test_an_answer_is_whole_after_every_cut(
    page: Page, line: BadLine, place: Ground, talker: tuple[Scripted, str]
) -> None:
    child, _ = talker
    child.script(text=TEXT, rate=6.0, fault="", first_s=0.0)
    page.get_by_role("tab", name="Chat").click()
    choose(page, "#chat-server", "talker")
    page.locator("#chat-input textarea").fill("Tell me")
    page.keyboard.press("Enter")
    expect(page.locator("#chat-boxes")).to_contain_text("The fox")
    for after in (0, 90, 700):  # in the answer's head, in its first line, later
        line.trouble = Trouble("reset", after)
        line.cut()
        struck(line, 1)
        line.back()
    expect(page.locator("#chat-boxes")).to_contain_text(TEXT)
    expect(page.locator("#chat-stats")).to_have_attribute("data-state", "done")


def test_a_log_has_every_line_after_every_cut(page: Page, line: BadLine, place: Ground) -> None:
    model = place.model("ok")
    server_id = place.start(model)
    view = place.until(place.server, server_id, "running")
    log = place.state_dir / "runs" / server_id / "log.txt"
    card = page.locator(f'#deploy-servers [data-server-id="{server_id}"]')
    card.locator("button").first.click()
    shown = page.locator("#deploy-log")
    expect(shown).to_contain_text(f"port {view['port']}")
    for number, after in enumerate((0, 150, 400, 5000)):
        line.trouble = Trouble("cut", after)
        line.cut()
        with log.open("a") as file:
            file.writelines(f"round {number} line {n}\n" for n in range(200))
        struck(line, 2)
        line.back()
    expect(shown).to_contain_text("round 3 line 199")
    lines = [text.strip() for text in shown.locator(".log-line").all_text_contents()]
    found = [text for text in lines if text.startswith("round ")]
    assert found == [f"round {number} line {n}" for number in range(4) for n in range(200)]
    place.stop(server_id)


def test_the_form_keeps_what_was_typed_and_the_command_follows(page: Page, line: BadLine, place: Ground) -> None:
    model = place.model("ok")
    choose(page, "#deploy-engine", "transformers")
    write(page, "#deploy-model", str(model))
    command = page.locator("#deploy-command textarea")
    expect(command).to_have_value(pattern(model.name))
    page.locator("#deploy-more > button").click()
    port = page.locator("#deploy-port").locator("input, textarea").first
    for number, spoil in enumerate((line.leave, lambda: cut_at(line, 0), lambda: cut_at(line, 150), line.hold)):
        spoil()
        wanted = str(23450 + number)
        port.fill(wanted)
        port.blur()
        expect(command).not_to_have_value(pattern(f"--port {wanted}"))
        if spoil == line.hold:
            page.clock.fast_forward(8000)
            line.cut()
        else:
            expect(page.get_by_text(LOST)).to_be_visible()
        line.back()
        expect(command).to_have_value(pattern(f"{model.name}.*--port {wanted}"))
        expect(port).to_have_value(wanted)
        expect(page.get_by_text(LOST)).to_have_count(0)


def test_what_was_left_without_a_line_is_kept_once_it_is_back(page: Page, line: BadLine) -> None:
    """What the boxes show is what the console keeps."""
    page.locator("#deploy-connect .label-wrap").first.click()
    login, ssh_line = (page.locator(f"#deploy-{name}").locator("input, textarea").first for name in ("ssh", "ssh-line"))
    line.leave()
    login.fill("ssh -p 4321 ann@gpu.example.org")
    login.blur()
    expect(page.get_by_text(LOST)).to_be_visible()
    expect(ssh_line).not_to_have_value(pattern("ann@gpu"))
    login.fill("ssh -p 4321 bob@gpu.example.org")
    login.blur()
    line.back()
    expect(ssh_line).to_have_value(pattern("-p 4321 .*bob@gpu.example.org"))


def test_the_plan_follows_the_form(page: Page, line: BadLine, place: Ground) -> None:
    """It says nothing of a form that it was never asked about; once the line is back, it is that form's plan."""
    model = llama(place.models / "seven-billion", INTERNLM2_5_7B)
    plan, lost = page.locator("#deploy-plan"), page.get_by_text(LOST)
    choose(page, "#deploy-engine", "turbomind")
    expect(page.locator("#deploy-engine input").first).to_have_value(pattern("turbomind"))
    write(page, "#deploy-model", str(model))
    write(page, "#deploy-plan-card", "24")
    expect(plan).to_have_attribute("data-verdict", "fits")
    ways: tuple[Callable[[], None], ...] = (line.leave, lambda: cut_at(line, 0), lambda: cut_at(line, 150), line.hold)
    before = "fits"
    for spoil in ways:
        spoil()
        verdict = "over" if before == "fits" else "fits"
        write(page, "#deploy-plan-card", "12" if verdict == "over" else "24")
        if spoil == line.hold:
            page.clock.fast_forward(8000)
            line.cut()
        else:
            expect(lost).to_be_visible()
        expect(plan).to_have_attribute("data-verdict", before)
        line.back()
        expect(plan).to_have_attribute("data-verdict", verdict)
        expect(lost).to_have_count(0)
        before = verdict
    choose(page, "#deploy-engine", "transformers")
    expect(page.locator("#deploy-engine input").first).to_have_value(pattern("transformers"))


def pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.DOTALL)


def cut_at(line: BadLine, after: int) -> None:
    line.trouble = Trouble("cut", after)
    line.cut()


def test_words_in_a_lesson_arrive_when_the_line_is_back(page: Page, line: BadLine) -> None:
    page.get_by_role("tab", name="Lab").click()
    page.locator('[data-section="lesson"]').click()
    page.locator("#lab-lessons .lab-book").first.click()
    words, name = page.locator("#lab-lesson-words"), page.locator("#lab-lesson-name")
    expect(words).to_be_visible()
    line.leave()
    words.fill("What I saw")
    name.fill("Ann")
    words.focus()
    said = page.locator("#lab-lesson [role=alert]:visible")
    expect(said.first).to_contain_text("tries again")
    page.clock.fast_forward(5000)
    line.back()
    page.clock.fast_forward(5000)
    expect(said).to_have_count(0)
    expect(page.locator("#lab-lesson-open [role=status]")).to_have_text(pattern(r"\w"))
    page.locator("#lab-lessons .lab-book").last.click()
    expect(words).to_have_value("")
    page.locator("#lab-lessons .lab-book").first.click()
    expect(words).to_have_value("What I saw")
    expect(name).to_have_value("Ann")


def test_an_hour_away(page: Page, line: BadLine, place: Ground) -> None:
    """A job ends, a server stops and memory is measured meanwhile; the page says that it doesn't know, then knows."""
    model = place.model("wait")
    job = place.start_job(model)
    server_id = place.start(place.model("ok"))
    place.until(place.server, server_id, "running")
    place.until(place.job, job, "running")
    card = page.locator(f'#deploy-servers [data-server-id="{server_id}"]')
    expect(card.locator('[data-state="running"]').first).to_be_visible()
    page.get_by_role("tab", name="VRAM").click()
    chart = page.locator("#vram-chart")
    expect(chart).to_have_attribute("data-since", pattern(r"[1-9]\d*"))
    since = int(chart.get_attribute("data-since") or 0)
    line.leave()
    page.clock.fast_forward("01:00:00")
    expect(page.locator(OFFLINE)).to_be_visible()
    (model / "go").touch()
    place.stop(server_id)
    place.until(place.job, job, "succeeded")
    place.until(place.server, server_id, "stopped")
    line.back()
    expect(page.locator(OFFLINE)).to_have_count(0)
    page.clock.fast_forward(20_000)  # the chart asks more and more seldom
    wait_for("new readings", lambda: int(chart.get_attribute("data-since") or 0) > since, 30)
    page.get_by_role("tab", name="Deploy").click()
    expect(card.locator('[data-state="stopped"]').first).to_be_visible()
    page.get_by_role("tab", name="Quantize").click()
    expect(page.locator(f'#quantize-jobs [data-job-id="{job}"] [data-state="succeeded"]').first).to_be_visible()
