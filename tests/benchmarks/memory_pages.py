"""(m3) 30 pages watching the VRAM tab: at most 5% of a core over idle, and an update of at most 300 bytes.

Each page asks for what came since once a second, as ui/tabs/vram/vram.js does. The console's process time is
measured with none and with thirty, one after the other.

    python -m tests.benchmarks.memory_pages [pages] [seconds]
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import httpx

from tests.benchmarks.pages import cpu_seconds
from tests.support.console import Console

LIMIT, MOST_BYTES = 0.05, 300


async def watch(console: Console, stop: asyncio.Event, sizes: list[int]) -> None:
    """One page: the figure, then an update a second."""
    headers = {"authorization": f"Bearer {console.token}"}
    async with httpx.AsyncClient(base_url=console.base_url, headers=headers, trust_env=False, timeout=60) as client:
        figure = (await client.get("/console/vram/figure", params={"window": 300})).json()
        since, version = figure["n"], figure["v"]
        while not stop.is_set():
            query = {"since": since, "window": 300, "v": version}
            answer = await client.get("/console/vram/samples", params=query)
            update = answer.json()
            assert "reset" not in update, update
            if len(update["r"]) == 1:
                sizes.append(len(answer.content))
            since = update["n"]
            try:
                await asyncio.wait_for(stop.wait(), 1.0)
            except TimeoutError:
                continue


async def share(console: Console, pages: int, seconds: float, sizes: list[int]) -> float:
    """The share of one core that the console takes with that many pages."""
    stop = asyncio.Event()
    watching = [asyncio.create_task(watch(console, stop, sizes)) for _ in range(pages)]
    await asyncio.sleep(3)
    before = cpu_seconds(console.process.pid)
    await asyncio.sleep(seconds)
    used = cpu_seconds(console.process.pid) - before
    stop.set()
    await asyncio.gather(*watching)
    return used / seconds


async def measure(console: Console, pages: int, seconds: float) -> int:
    """Prints both figures; 1 where one is over its limit."""
    sizes: list[int] = []
    idle = await share(console, 0, seconds, sizes)
    busy = await share(console, pages, seconds, sizes)
    print(f"{pages} pages watching: {busy - idle:.2%} of a core over idle's {idle:.2%} (limit {LIMIT:.0%})")
    print(f"an update: at most {max(sizes)} bytes of {len(sizes)} (limit {MOST_BYTES})")
    return int(busy - idle > LIMIT or max(sizes) > MOST_BYTES)


def main() -> int:
    """Starts a console and watches it."""
    pages = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    with tempfile.TemporaryDirectory() as folder:
        console = Console(Path(folder) / "state")
        try:
            return asyncio.run(measure(console.ready(), pages, seconds))
        finally:
            console.close()


if __name__ == "__main__":
    sys.exit(main())
