"""(a) From the command to the first page, and memory, against a minimal Gradio page: at most 1.3 × each.

The rounds alternate, so that a noisy machine is noisy for both; medians are compared. A start is measured to the whole
page with its token: the first 200 for GET / and every script and style that it names. Memory is the process's unique
memory (USS) a moment after that.

    python -m tests.benchmarks.start [rounds]
"""

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from tests.console import ROOT, Console
from tests.waiting import wait_for

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


def console_once(folder: Path) -> tuple[float, int]:
    """Seconds to the page, bytes."""
    begun = time.perf_counter()
    console = Console(folder / "state").ready()
    try:
        page_of(console.base_url, {"authorization": f"Bearer {console.token}"})
        return time.perf_counter() - begun, settled_memory(console.process.pid)
    finally:
        console.close()


def minimal_once(port: int) -> tuple[float, int]:
    """Seconds to the page, bytes."""
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
        return time.perf_counter() - begun, settled_memory(process.pid)
    finally:
        process.kill()
        process.wait()


def main(rounds: int) -> int:
    """Prints both medians and their ratios; 1 where a ratio is beyond the limit."""
    from backend.processes.ports import free_port

    console: list[tuple[float, int]] = []
    minimal: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            minimal.append(minimal_once(free_port()))
            console.append(console_once(Path(folder) / str(number)))
    seconds = [statistics.median(entry[0] for entry in entries) for entries in (console, minimal)]
    memory = [statistics.median(entry[1] for entry in entries) for entries in (console, minimal)]
    ratios = seconds[0] / seconds[1], memory[0] / memory[1]
    print(f"start to first page: console {seconds[0]:.2f} s, minimal {seconds[1]:.2f} s, ratio {ratios[0]:.2f}")
    print(f"memory: console {memory[0] / 2**20:.0f} MiB, minimal {memory[1] / 2**20:.0f} MiB, ratio {ratios[1]:.2f}")
    return int(max(ratios) > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
