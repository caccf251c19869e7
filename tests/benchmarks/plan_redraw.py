"""How long after a change of the form its memory plan is drawn anew: ``python tests/benchmarks/plan_redraw.py``.

In Chromium, on the real page, from the control's event to the drawn bar. The limit is 100 ms; the exit code is 1 where
the median misses it. The machine should have nothing else to do.
"""

import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.chat_speed import browser_page
from tests.support.console import Console
from tests.support.controls import choose

LIMIT_MS = 100
RATIOS = [0.3 + step / 50 for step in range(20)]
CHANGE = """(ratio) => new Promise((done, failed) => {
    const drawn = () => document.querySelector("#deploy-plan").dataset.kvBytes;
    const before = drawn();
    const began = performance.now();
    const look = () => drawn() === before ? requestAnimationFrame(look) : done(performance.now() - began);
    setTimeout(() => failed(new Error(`not drawn anew for ${ratio}`)), 10000);
    const slider = document.querySelector("#deploy-cache-ratio input[type=range]");
    slider.value = ratio;
    for (const type of ["input", "change", "pointerup"]) slider.dispatchEvent(new Event(type, { bubbles: true }));
    look();
})"""


def main() -> int:
    """Change the KV cache's share again and again; print the median and the slowest."""
    with tempfile.TemporaryDirectory() as folder:
        console = Console(Path(folder) / "state").ready()
        try:
            with browser_page(console) as page:
                choose(page, "#deploy-engine", "turbomind")
                choose(page, "#deploy-plan-card", "24")
                page.locator("#deploy-plan[data-kv-bytes]").wait_for()
                page.wait_for_load_state("networkidle")
                times = [page.evaluate(CHANGE, round(ratio, 2)) for ratio in RATIOS]
        finally:
            console.close()
    median = statistics.median(times)
    print(f"plan drawn anew after a change (ms): median {median:.0f}, slowest {max(times):.0f} (limit {LIMIT_MS})")
    return int(median > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
