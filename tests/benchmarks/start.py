"""(a) From the command to the first page, and memory, against a minimal Gradio page: at most 1.3 × each.

The rounds alternate, so that a noisy machine is noisy for both; the best of each are compared, and the CPU time, which
other programs disturb least. A start is measured to the whole
page with its token: the first 200 for GET / and every script and style that it names. Memory is the process's unique
memory (USS) a moment after that.

    python -m tests.benchmarks.start [rounds]
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from tests.support.console import ROOT, Console
from tests.support.waiting import wait_for

LIMIT = 1.3


def page_of(base_url: str, headers: dict[str, str]) -> None:
    """Fetches the page and what it names."""
    with httpx.Client(base_url=base_url, headers=headers, trust_env=False, timeout=60) as client:
        page = client.get("/")
        page.raise_for_status()
        for address in re.findall(r'(?:src|href)="\./([^"]+\.(?:js|css)[^"]*)"', page.text):
            client.get(f"/{address}").raise_for_status()


def settled_memory(pid: int) -> int:
    """USS in bytes, once two readings in a row agree to 1%."""
    process = psutil.Process(pid)
    readings = [process.memory_full_info().uss]

    def settled() -> bool:
        readings.append(process.memory_full_info().uss)
        return abs(readings[-1] - readings[-2]) < 0.01 * readings[-2]

    wait_for("memory to settle", settled, 30, every_s=0.5)
    return readings[-1]


Figures = tuple[float, float, int]


def figures(pid: int, begun: float) -> Figures:
    """Seconds since then, the process's CPU seconds, its memory in bytes."""
    seconds = time.perf_counter() - begun
    times = psutil.Process(pid).cpu_times()
    return seconds, times.user + times.system, settled_memory(pid)


def console_once(folder: Path) -> Figures:
    """One start of the console, to its page."""
    begun = time.perf_counter()
    console = Console(folder / "state").ready()
    try:
        page_of(console.base_url, {"authorization": f"Bearer {console.token}"})
        return figures(console.process.pid, begun)
    finally:
        console.close()


def minimal_once(port: int) -> Figures:
    """One start of the minimal page."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.minimal_page", str(port)], cwd=ROOT)
    try:

        def answers() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 200
            except httpx.TransportError:
                return False

        wait_for("the minimal page", answers, 120)
        page_of(f"http://127.0.0.1:{port}", {})
        return figures(process.pid, begun)
    finally:
        process.kill()
        process.wait()


def main(rounds: int) -> int:
    """Prints what both took and the ratios; 1 where a ratio is beyond the limit."""
    from backend.processes.ports import free_port

    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as everywhere but the first time: compiled files are there
    console: list[Figures] = []
    minimal: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            minimal.append(minimal_once(free_port()))
            console.append(console_once(Path(folder) / str(number)))
    del minimal[0], console[0]  # they compiled
    ratios = []
    for place, (name, unit, scale) in enumerate((("start", "s", 1), ("CPU", "s", 1), ("memory", "MiB", 2**20))):
        ours, theirs = (min(entry[place] for entry in entries) / scale for entries in (console, minimal))
        ratios.append(ours / theirs)
        print(f"{name}: console {ours:.2f} {unit}, minimal {theirs:.2f} {unit}, ratio {ours / theirs:.2f}")
    return int(max(ratios) > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
