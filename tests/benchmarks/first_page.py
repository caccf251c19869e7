"""The first page on slow lines, as through a tunnel: 10 Mbit/s and 50 ms, 2 Mbit/s and 150 ms; at first, and with a
warm cache; and the memory chart.

Chromium loads the page with nothing in its cache, then again; printed are the time until the header has its figures and
the form its command, the requests and the bytes. "chart" is a fresh browser too, which opens VRAM as soon as the tab
can be clicked, until the chart is drawn. Give another checkout's folder to measure it in the same run:

    python -m tests.benchmarks.first_page [loads] [other checkout]
"""

import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from tests.support import console as support
from tests.support.chromium import launch

LINES = ((10_000_000, 50), (2_000_000, 150))  # bits a second, delay in ms
DEADLINE_MS = 120_000
Figures = tuple[float, int, int]  # s, requests, bytes
Loads = dict[str, Figures]


def measured(page: Page, session: CDPSession, go: str, shown: Callable[[Page], None]) -> Figures:
    """One load."""
    sizes: list[float] = []

    def count(event: Any) -> None:
        sizes.append(event["encodedDataLength"])

    session.on("Network.loadingFinished", count)
    begin = time.monotonic()
    page.goto(go, wait_until="commit")
    shown(page)
    took = time.monotonic() - begin
    session.remove_listener("Network.loadingFinished", count)
    return took, len(sizes), round(sum(sizes))


def form(page: Page) -> None:
    """Until the page can be worked with."""
    page.locator("#header-servers[data-count]").wait_for(timeout=DEADLINE_MS)
    page.wait_for_function(
        "document.querySelector('#deploy-command textarea')?.value.length > 0", timeout=DEADLINE_MS, polling=50
    )


def chart(page: Page) -> None:
    """Until memory is drawn, in a tab that was opened as soon as it could be."""
    tab = page.get_by_role("tab", name="VRAM", exact=True)
    tab.click(timeout=DEADLINE_MS)
    page.locator("#vram-chart[data-points] .main-svg").first.wait_for(timeout=DEADLINE_MS)


def one(browser: Browser, address: str, line: tuple[int, int]) -> Loads:
    """A fresh browser's first load, and its second; then another's, for the chart."""
    found: Loads = {}
    for names in (("first", "again"), ("chart",)):
        context = browser.new_context(locale="en-US")
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        bits, delay_ms = line
        slow = {"offline": False, "latency": delay_ms, "downloadThroughput": bits / 8, "uploadThroughput": bits / 8}
        session.send("Network.emulateNetworkConditions", slow)
        for name in names:
            go = page.url if name == "again" else address  # below its secret path
            found[name] = measured(page, session, go, chart if name == "chart" else form)
        context.close()
    return found


def main(loads: int, *checkouts: Path) -> None:
    """Prints the median of so many loads of each checkout, which take turns."""
    consoles: dict[Path, support.Console] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        try:
            for index, checkout in enumerate(checkouts):
                support.ROOT = checkout
                consoles[checkout] = support.Console(Path(folder) / f"state{index}").ready()
            browser = launch(playwright)
            found: dict[tuple[Path, tuple[int, int]], list[Loads]] = defaultdict(list)
            for line in LINES:
                for checkout in [*checkouts, *checkouts * loads]:  # the first of each warms the console up
                    found[checkout, line].append(one(browser, consoles[checkout].address, line))
            browser.close()
        finally:
            for running in consoles.values():
                running.close()
    for (checkout, (bits, delay_ms)), all_loads in found.items():
        print(f"{checkout}, {bits // 1_000_000} Mbit/s, {delay_ms} ms")
        for name in all_loads[0]:
            seconds, requests, size = (
                statistics.median(load[name][part] for load in all_loads[1:]) for part in range(3)
            )
            print(f"  {name}: {seconds:.2f} s, {requests:.0f} requests, {size / 1000:.0f} kB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, *map(Path, sys.argv[2:]), support.ROOT)
