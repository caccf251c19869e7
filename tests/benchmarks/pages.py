"""(b) 30 open pages: at most 15% of one core more than none.

Each page polls the snapshot once a second as ui/page/snapshot.js does, and keeps its connection; the console's process
time is measured without any page and with 30, one after the other.

    python -m tests.benchmarks.pages [pages] [seconds]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import httpx
import psutil

from tests.support.console import Console

LIMIT = 0.15


def cpu_seconds(pid: int) -> float:
    """The process's CPU time, its threads' included."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


async def open_page(console: Console, stop: asyncio.Event) -> int:
    """One page: the page itself, then a poll a second. Returns the polls."""
    polls, version = 0, ""
    headers = {"authorization": f"Bearer {console.token}"}
    async with httpx.AsyncClient(base_url=console.base_url, headers=headers, trust_env=False, timeout=60) as client:
        while not stop.is_set():
            answer = await client.get("/console/snapshot", params={"since": version} if version else None)
            if answer.status_code == 200:
                version = answer.json()["version"]
            polls += 1
            try:
                await asyncio.wait_for(stop.wait(), 1.0)
            except TimeoutError:
                continue
    return polls


async def share(console: Console, pages: int, seconds: float) -> tuple[float, int]:
    """The share of one core that the console takes with that many pages open, and their polls together."""
    stop = asyncio.Event()
    open_pages = [asyncio.create_task(open_page(console, stop)) for _ in range(pages)]
    await asyncio.sleep(2)  # the pages' first, larger answers are no steady state
    before = cpu_seconds(console.process.pid)
    await asyncio.sleep(seconds)
    used = cpu_seconds(console.process.pid) - before
    stop.set()
    return used / seconds, sum(await asyncio.gather(*open_pages))


async def measure(console: Console, pages: int, seconds: float) -> int:
    """Prints both shares; 1 where the pages cost more than the limit."""
    idle, _ = await share(console, 0, seconds)
    busy, polls = await share(console, pages, seconds)
    print(f"no page: {idle:.1%} of a core; {pages} pages: {busy:.1%} ({polls} polls); more: {busy - idle:.1%}")
    return int(busy - idle > LIMIT)


def main(pages: int, seconds: float) -> int:
    """Starts a console and measures."""
    with tempfile.TemporaryDirectory() as folder:
        console = Console(Path(folder) / "state").ready()
        try:
            return asyncio.run(measure(console, pages, seconds))
        finally:
            console.close()


if __name__ == "__main__":
    raise SystemExit(
        main(
            int(sys.argv[1]) if len(sys.argv) > 1 else 30,
            float(sys.argv[2]) if len(sys.argv) > 2 else 20.0,
        )
    )
