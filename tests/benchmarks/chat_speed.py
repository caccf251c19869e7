"""What the console costs a conversation: ``python tests/benchmarks/chat_speed.py [a] [b] [c] [d]``.

(a) through the console against the openai client, on the same server, at 50 and at 500 tokens/s: tokens/s, and how much
    later than the server sent it the first token is there, each in turns, the medians;
(b) how busy the browser's main thread is at 200 tokens/s for 2,000 tokens;
(c) how long after a click on Stop the server's connection is closed;
(d) the console's CPU for 10 conversations at 50 tokens/s.
Each is a figure with its limit; the exit code is 1 where one is missed. The machine should have nothing else to do.

A process that was idle for seconds runs its next request several times slower on a shared machine: what it needs isn't
in the processor's caches any more, in the console as in the server. While one side of (a) is measured the other idles.
So each is asked something short right before it is measured, on the same path, and after the same pause; how late that
one's first token was, the cold figure, is printed too, without a limit.
"""

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import psutil
from openai import DefaultHttpxClient, OpenAI
from playwright.sync_api import Page, sync_playwright

from backend.engines.base import ServeConfig
from tests.benchmarks.figures import told
from tests.support.chromium import launch
from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.scripted_server import Scripted
from tests.support.waiting import wait_for

RUNS = 5
WARM_WORDS = 5
PAUSE_S = 0.2  # between the short question and the one that is measured
Figure = tuple[str, float, str, float | None]  # name, value, "at most" or "at least", limit; None: for information


def external(console: Console, child: Scripted) -> str:
    """Add the server as the Deploy tab does; its id."""
    with Visitor(console) as visitor:
        return visitor.start(ServeConfig("external", "", address=child.address))


class browser_page:
    """A page of the console in Chromium."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def __enter__(self) -> Page:
        self.playwright = sync_playwright().start()
        self.browser = launch(self.playwright)
        page = self.browser.new_page(locale="en-US", viewport={"width": 1366, "height": 850})
        page.set_default_timeout(60_000)
        page.goto(self.console.address)
        page.locator("#header-servers[data-count]").wait_for()
        return page

    def __exit__(self, *error: object) -> None:
        self.browser.close()
        self.playwright.stop()


Seen = tuple[float, float]  # seconds from the server's first token to the asker's, tokens/s after it


def directly(child: Scripted, client: OpenAI, text: str) -> Seen:
    """With the openai client."""
    child.script(text=text)
    first, count = 0.0, 0
    stream = client.chat.completions.create(model="scripted", messages=[{"role": "user", "content": "Hi"}], stream=True)
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            count += 1
            last = time.time()
            first = first or last
    (request,) = child.requests()
    return first - request["first_at"], (count - 1) / (last - first)


def through_the_console(visitor: Visitor, server: str, child: Scripted, text: str) -> Seen:
    """With a page's own requests. The text's first word is in no answer before."""
    first = last = 0.0
    word, tokens = text.split(" ", 1)[0], text.count(" ") + 1
    child.script(text=text)
    for line in visitor.ask(server, "Hi", max_tokens=None):
        last = time.time()
        if not first and word in json.dumps(line["boxes"]):
            first = last
    (request,) = child.requests()
    return first - request["first_at"], (tokens - 1) / (last - first)


def speed(console: Console, child: Scripted, server: str) -> Iterator[Figure]:
    """(a)"""
    client = OpenAI(
        base_url=f"{child.address}/v1", api_key="none", http_client=DefaultHttpxClient(trust_env=False), max_retries=0
    )
    for rate in (50, 500):
        tokens = rate * 4
        # It thinks for a moment before the first token, as a model that reads the prompt.
        child.script(rate=rate, first_s=0.2)
        with Visitor(console) as visitor:
            sides: dict[str, Callable[[str], Seen]] = {
                "direct": lambda text: directly(child, client, text),
                "console": partial(through_the_console, visitor, server, child),
            }
            cold: dict[str, list[Seen]] = {side: [] for side in sides}
            warm: dict[str, list[Seen]] = {side: [] for side in sides}
            for run in range(RUNS + 1):
                for side, ask in sides.items():
                    cold[side].append(ask(answer(f"okapi{run}.", WARM_WORDS)))
                    time.sleep(PAUSE_S)
                    warm[side].append(ask(answer(f"zebra{run}.", tokens)))

        def late(seen: list[Seen]) -> float:
            """ms; the first run opens connections."""
            return statistics.median(delay for delay, _ in seen[1:]) * 1000

        speeds = {side: statistics.median(speed for _, speed in seen[1:]) for side, seen in warm.items()}
        at = f"at {rate} tokens/s"
        yield f"speed {at}, console / direct", speeds["console"] / speeds["direct"], "at least", 0.99
        yield (
            f"first token later than directly by, {at} (ms)",
            late(warm["console"]) - late(warm["direct"]),
            "at most",
            2,
        )
        for state, seen in (("", warm), (" after idling", cold)):
            for side in sides:
                yield f"first token{state}, {side}, after the server's, {at} (ms)", late(seen[side]), "at most", None


def answer(first: str, words: int) -> str:
    """So many words, the first of which nothing else has."""
    return " ".join([first, *["fox"] * (words - 1)])


def busy(console: Console, child: Scripted) -> Iterator[Figure]:
    """(b)"""
    child.script(tokens=2000, rate=200, text="", first_s=0.0)
    with browser_page(console) as page:
        page.locator("#chat-tab-button").click()
        session = page.context.new_cdp_session(page)
        # CPU time of the thread: what other processes take of the machine isn't the page's
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def task_seconds() -> float:
            metrics = session.send("Performance.getMetrics")["metrics"]
            return next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")

        page.locator("#chat-max-tokens input").fill("4000")
        page.locator("#chat-input textarea").fill("A long story")
        page.locator("#chat-input textarea").press("Enter")
        page.locator("#chat-stats[data-state=streaming]").wait_for()
        before, began = task_seconds(), time.perf_counter()
        page.locator("#chat-stats[data-state=done]").wait_for()
        share = (task_seconds() - before) / (time.perf_counter() - began)
    yield "main thread busy at 200 tokens/s for 2,000 tokens (%)", share * 100, "at most", 15


def stopping(console: Console, child: Scripted) -> Iterator[Figure]:
    """(c)"""
    delays = []
    with browser_page(console) as page:
        page.locator("#chat-tab-button").click()
        page.evaluate("addEventListener('click', () => { window.clickedAt = Date.now(); }, true)")
        for fault in ("", "silent", "", "silent", ""):
            child.script(tokens=100_000, rate=50, fault=fault)
            page.locator("#chat-input textarea").fill("Go on")
            page.locator("#chat-input textarea").press("Enter")
            wait_for("the request", child.requests, 30)
            page.locator("button#chat-stop:enabled").wait_for()
            page.locator("button#chat-stop").click()
            wait_for("its end", lambda: child.requests()[0]["ended_at"], 30)
            delays.append(child.requests()[0]["ended_at"] * 1000 - page.evaluate("window.clickedAt"))
            page.locator("#chat-stats[data-state=stopped]").wait_for()
        child.script(fault="")
    yield "from the click on Stop to the closed request (ms, the slowest of 5)", max(delays), "at most", 100


def ten_at_once(console: Console, child: Scripted, server: str) -> Iterator[Figure]:
    """(d)"""
    child.script(tokens=750, rate=50, text="")
    visitors = [Visitor(console) for _ in range(10)]
    process = psutil.Process(console.process.pid)

    def run(visitor: Visitor) -> None:
        for _ in visitor.ask(server, "Hi", max_tokens=None):
            pass

    threads = [threading.Thread(target=run, args=(visitor,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    wait_for("all questions", lambda: len(child.requests()) == 10 and child.requests()[-1]["sent"] > 25, 60)
    before, began = process.cpu_times(), time.perf_counter()
    wait_for("most of the answers", lambda: child.requests()[0]["sent"] > 700, 60, 0.2)
    after, seconds = process.cpu_times(), time.perf_counter() - began
    for thread in threads:
        thread.join(60)
    for visitor in visitors:
        visitor.client.close()
    used = after.user + after.system - before.user - before.system
    yield "the console's CPU for 10 conversations at 50 tokens/s (% of a core)", used / seconds * 100, "at most", 30


def main(wanted: str) -> int:
    """Run what was asked for and print a line for each figure."""
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        console, child = Console(Path(folder) / "state").ready(), Scripted()
        try:
            server = external(console, child)
            parts: dict[str, Callable[[], Iterator[Figure]]] = {
                "a": lambda: speed(console, child, server),
                "b": lambda: busy(console, child),
                "c": lambda: stopping(console, child),
                "d": lambda: ten_at_once(console, child, server),
            }
            for part in wanted:
                for name, value, which, limit in parts[part]():
                    missed += not told(f"({part}) {name}", value, which, limit)
        finally:
            child.close()
            console.close()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main("".join(sys.argv[1:]) or "abcd"))
