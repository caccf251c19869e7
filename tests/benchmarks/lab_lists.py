"""What a hundred thousand runs and a week of history cost: ``python -m tests.benchmarks.lab_lists [runs]``.

Over HTTP as a page asks: the list, sorted and searched (150 ms is the product's word), and a week of two servers on two
GPUs; then in Chromium, from the choice of the week to the drawn chart (300 ms). Medians of several runs; the machine
should have nothing else to do.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from backend.lab.history import SPANS
from backend.lab.row import RunRow
from backend.lab.runs import Runs
from backend.store import Store
from tests.benchmarks.pages import cpu_seconds
from tests.conftest import make_settings
from tests.support.chromium import launch
from tests.support.console import Console
from tests.support.gradio_calls import Visitor

RUNS = 9
LIST_MS, WEEK_MS = 150.0, 300.0
WEEK = 604_800
GIB = 1024**3
MODELS = ("internlm2_5-7b-chat", "internlm2_5-1_8b-chat", "InternVL2-26B", "书生 模型")
DRAWN = """(week) => new Promise((done) => {
  const place = document.querySelector("#lab-history-chart");
  const begun = performance.now();
  const seen = new MutationObserver(() => {
    if (!place.querySelector("svg")) return;
    seen.disconnect();
    requestAnimationFrame(() => done(performance.now() - begun));
  });
  seen.observe(place, { childList: true, subtree: true });
  const choice = [...document.querySelectorAll("#lab-history select")].at(-1);
  choice.value = String(week);
  choice.dispatchEvent(new Event("change"));
})"""


def fill_runs(store: Store, count: int) -> None:
    """Starts of a server, each a little different, by one statement: a hundred thousand writes would take minutes."""
    runs = Runs(store)
    for place, model in enumerate(MODELS):
        row = RunRow(
            f"r{place}", "server", "stopped", f"{model} :23333", model, "turbomind", "kv int4 · cache 0.4",
            "NVIDIA A100", "course", 1e9, measured_bytes=19 * GIB, tokens=100_000, tokens_per_s=50.0,
        )  # fmt: skip
        runs.keep(row)
    store.settle()
    columns = "kind, state, name, model, engine, settings, gpu, environment, started_at, tokens, note, folded"
    values = "kind, state, name || i, model, engine, settings, gpu, environment, started_at + i, i % 977, ''"
    sql = f"""WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
        INSERT INTO lab_run (id, {columns})
        SELECT 'x' || i, {values}, folded || ' ' || i FROM n, lab_run WHERE id = 'r' || (i % {len(MODELS)})"""
    store.write(("lab_run", "many", ""), ((sql, (count - len(MODELS),)),))


def fill_history(store: Store) -> None:
    """Every width of row for its whole span."""
    now = time.time()
    for step, span in SPANS.items():
        last = int(now // step) * step
        rows = []
        for number in range(int(span // step)):
            wave = number % 60
            value = {
                "host": 30 * GIB,
                "gpus": {gpu: [(10 + wave / 6) * GIB, 200.0 + wave] for gpu in "01"},
                "shares": {"a": 9 * GIB, "b": (5 + wave / 10) * GIB},
                "servers": {name: [wave * 10, wave % 4, 0, 50.0 + wave, 80.0] for name in "ab"},
                "names": {"a": "internlm2_5-7b-chat :23333", "b": "InternVL2-2B :23334"},
            }
            text = json.dumps(value, separators=(",", ":"))
            rows.append(("INSERT OR REPLACE INTO lab_history VALUES (?, ?, ?)", (step, last - number * step, text)))
        store.write(("lab_history", f"fill-{step}", ""), rows)


def median_ms(action: Callable[[], object]) -> float:
    action()
    took = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        action()
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


def week_drawn(page: Page) -> list[float]:
    """Milliseconds from the choice of the week to its drawn chart, each after another span was shown."""
    page.locator("#lab-tab-button").click()
    page.locator('[data-section="runs"]').click()
    page.locator("#lab-history summary").click()
    page.locator("#lab-history-chart svg, #lab-history-chart p").first.wait_for()
    took = []
    for _ in range(RUNS):
        page.evaluate(DRAWN, 86400)
        took.append(float(page.evaluate(DRAWN, WEEK)))
    return took


def main(count: int) -> int:
    """Prints the figures; 1 where one is above its word."""
    state = Path(tempfile.mkdtemp()) / "state"
    make_settings(state)
    store = Store(state)
    fill_runs(store, count)
    fill_history(store)
    store.close()
    slow = False
    console = Console(state).ready()
    try:
        with Visitor(console) as visitor:

            def listed(query: str) -> int:
                answer = visitor.client.get(f"/console/lab/runs?{query}").raise_for_status()
                return int(answer.json()["total"])

            begun, asked = cpu_seconds(console.process.pid), 0
            for query in ("", "sort=tokens", "sort=name&order=up", "text=7b+777", "text=书生", "text=nowhere"):
                took = median_ms(partial(listed, query))
                slow = slow or took > LIST_MS
                print(f"{count} runs, {query or 'as they are'} ({listed(query)} found): {took:.0f} ms")
                asked += RUNS + 2
            used = (cpu_seconds(console.process.pid) - begun) / asked * 1000
            print(f"a list takes {used:.0f} ms of the console's own time, whatever else the machine does")

            def week() -> int:
                answer = visitor.client.get(f"/console/lab/history?window={WEEK}").raise_for_status()
                return len(answer.content)

            print(f"a week of history ({week() / 1024:.0f} KiB): {median_ms(week):.0f} ms")
        with sync_playwright() as playwright:
            browser = launch(playwright)
            page = browser.new_page()
            page.goto(console.address)
            page.locator("#header-servers[data-count]").wait_for()
            drawn = statistics.median(week_drawn(page))
            slow = slow or drawn > WEEK_MS
            print(f"a week of history, from the choice to the chart: {drawn:.0f} ms")
            browser.close()
    finally:
        console.close()
    return int(slow)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
