"""The VRAM tab on a trace, replayed in the place of this machine's readings."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from tests.support.console import Console
from tests.support.controls import choose
from tests.support.scripted_trace import trace_path
from tests.support.traces import read_trace
from tests.support.vram_page import dataset, open_tab, points
from tests.support.waiting import wait_for

REPLAY = Path(__file__).parent / "replay_console.py"
FAST = """fetch('./console/vram/interval', {
  method: 'POST', headers: {'content-type': 'application/json'}, body: '{"seconds": 0.2}',
})"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trace_path(tmp_path_factory.mktemp("trace"))


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory, trace: Path) -> Iterator[Console]:
    console = Console(tmp_path_factory.mktemp("replay") / "state", python_flags=(str(REPLAY), str(trace)))
    try:
        yield console.ready()
    finally:
        console.close()


@pytest.fixture
def replayed(shared_page: Page) -> Page:
    """The VRAM tab of the replaying console, its window at five minutes, a reading every 0.2 s."""
    page = shared_page
    page.evaluate(FAST)
    open_tab(page)
    expect(page.locator("#vram-chart")).to_have_attribute("data-machine", "gpu")
    return page


def test_what_happened_is_drawn_listed_and_counted(replayed: Page, trace: Path) -> None:
    _, readings = read_trace(trace)
    happened = [event for reading in readings for event in reading.events]
    chart = replayed.locator("#vram-chart")
    expect(chart).to_have_attribute("data-markers", str(len(happened)), timeout=120_000)
    expect(replayed.locator("#vram-events li")).to_have_count(len(happened))
    newest_first = [event.key for event in reversed(happened)]
    shown = replayed.locator("#vram-events li").evaluate_all("items => items.map((item) => item.dataset.key)")
    assert shown == newest_first
    total_mib = (readings[-1].gpus[0].used_bytes or 0) / 2**20
    used = replayed.locator("#vram-table tr[data-gpu]").first
    wait_for("the last reading", lambda: abs(float(used.get_attribute("data-used-mib") or -1) - total_mib) < 1, 120)
    names = replayed.evaluate("document.querySelector('.vram-plot').data.map((trace) => trace.name)")
    assert readings[len(readings) // 2].owners[0].name in names
    most = max((reading.gpus[0].used_bytes or 0) for reading in readings) / 2**30
    highest = """() => {
      const drawn = document.querySelector('.vram-plot').data.filter((trace) => trace.stackgroup === 'row0');
      return Math.max(...drawn[0].x.map((_, at) => drawn.reduce((sum, trace) => sum + trace.y[at], 0)));
    }"""
    wait_for("the highest point", lambda: abs(replayed.evaluate(highest) - most) < 0.01, 120)


def test_it_catches_up_in_one_request(replayed: Page) -> None:
    replayed.locator("#deploy-tab-button").first.click()
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/vram/samples" in request.url:
            asked.append(request.url)

    replayed.on("request", note)
    latest = "async (since) => (await (await fetch('./console/vram/figure?window=300')).json()).n"
    before = int(dataset(replayed)["since"])
    newest = wait_for("forty more readings", lambda: (n := replayed.evaluate(latest)) >= before + 40 and n, 120)
    assert asked == []  # a tab that isn't shown asks for nothing
    replayed.locator("#vram-tab-button").first.click()
    wait_for("the chart to be there", lambda: int(dataset(replayed)["since"]) >= newest)
    assert len(asked) <= 2  # the second may be the next reading's own
    assert points(replayed) >= 40


def test_zoom_hidden_lines_and_pause(replayed: Page) -> None:
    wait_for("some points", lambda: points(replayed) > 20)
    replayed.evaluate("""() => {
      const plot = document.querySelector('.vram-plot');
      const x = plot.data[0].x;
      window.Plotly.relayout(plot, {'xaxis.range[0]': x[2], 'xaxis.range[1]': x[10]});
      window.Plotly.restyle(plot, {visible: 'legendonly'}, [0]);
    }""")
    expect(replayed.locator("#vram-chart")).to_have_attribute("data-zoomed", "true")
    state = """() => {
      const { layout, data } = document.querySelector('.vram-plot');
      return [layout.xaxis.range.map(String), data[0].visible];
    }"""
    before, count = replayed.evaluate(state), points(replayed)
    wait_for("updates", lambda: points(replayed) >= count + 5)
    assert replayed.evaluate(state) == before
    replayed.locator("#vram-reset").click()
    expect(replayed.locator("#vram-chart")).to_have_attribute("data-zoomed", "false")
    _pause(replayed)


def _pause(replayed: Page) -> None:
    """Holds the chart, and loses nothing."""
    replayed.locator("#vram-pause").click()
    expect(replayed.locator("#vram-chart")).to_have_attribute("data-state", "paused")
    expect(replayed.locator("#vram-pause")).to_have_text("Resume")
    held = int(dataset(replayed)["since"])
    latest = "async () => (await (await fetch('./console/vram/figure?window=60')).json()).n"
    wait_for("ten readings", lambda: replayed.evaluate(latest) >= held + 10)
    assert int(dataset(replayed)["since"]) <= held + 2  # what was under way when it was pressed
    replayed.locator("#vram-pause").click()
    wait_for("what was missed", lambda: int(dataset(replayed)["since"]) >= held + 10)


def test_windows_and_files(replayed: Page) -> None:
    choose(replayed, "#vram-window", "1 minute")
    expect(replayed.locator("#vram-chart")).to_have_attribute("data-window", "60")
    with replayed.expect_download() as download:
        replayed.locator("#vram-csv").click()
    header, *lines = Path(download.value.path()).read_text().splitlines()
    assert header.startswith("time,machine_used_bytes")
    assert "gpu0_used_bytes" in header
    assert len(lines) > 3
    with replayed.expect_download() as download:
        replayed.locator("#vram-png").click()
    assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG")


def test_chinese_and_dark(new_page: Callable[..., Page]) -> None:
    page = new_page(locale="zh-CN", color_scheme="dark")
    open_tab(page)
    expect(page.locator("#vram-events")).to_contain_text("事件记录")
    color = page.evaluate("document.querySelector('.vram-plot').layout.font.color")
    assert color == page.evaluate("getComputedStyle(document.body).getPropertyValue('--body-text-color').trim()")
    assert not re.search(r"vram\.[a-z]", page.locator("#vram-tab").first.inner_text())
