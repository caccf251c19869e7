"""What each opened page leaves in the console's memory: flat (± 20 MB) over 2,000 of them.

Each load is what a browser does: the page, its configuration, and its first events in a session of its own; then it is
closed. The first 200 fill what is kept on purpose (compressed files, most of the last 300 sessions).

    python -m tests.benchmarks.page_loads [loads]
"""

import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.support.console import Console
from tests.support.gradio_calls import Visitor

LIMIT_MB = 20.0
WARM_UP = 200
EVENTS = ("deploy_load", "quantize_load", "chat_opened")


def load(console: Console) -> None:
    """One page, opened and closed."""
    with Visitor(console) as visitor:
        visitor.client.get("/").raise_for_status()
        names = {dependency["api_name"] for dependency in visitor.config["dependencies"]}
        for name in EVENTS:
            if name in names:
                list(visitor.call(name, []))
        visitor.client.get("/console/snapshot").raise_for_status()


def main(loads: int) -> int:
    """Prints the memory as it goes; 1 where it grew by more than the limit."""
    with tempfile.TemporaryDirectory() as folder:
        console = Console(Path(folder) / "state").ready()
        try:
            process = psutil.Process(console.process.pid)
            begun, held = time.monotonic(), list[float]()
            for number in range(1, loads + 1):
                load(console)
                if number % 100 == 0:
                    mb = process.memory_info().rss / 1e6
                    print(f"{number} loads, {time.monotonic() - begun:.0f} s: {mb:.0f} MB", flush=True)
                    if number >= WARM_UP:
                        held.append(mb)
        finally:
            console.close()
    grown = max(held) - held[0]
    print(f"grown by {grown:.1f} MB since load {WARM_UP}")
    return int(grown > LIMIT_MB)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
