"""Reading a finished log of 10,000 layers' lines, as a page does after a restart: under 50 ms.

python -m tests.benchmarks.quantize_log
"""

import sys
import time

from backend.quantization.log_reader import Expected, Progress, advance

LIMIT_S = 0.050
LAYERS = 10_000
MATRICES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def finished_log() -> str:
    """What auto_awq writes of that many layers."""
    lines = ["Loading calibrate dataset ..."]
    lines += [f"model.layers.{n}, samples: 128, max gpu memory: 4.50 GB" for n in range(LAYERS)]
    lines += [f"model.layers.{n} smooth weight done. max gpu memory: 7.89 GB" for n in range(LAYERS)]
    lines += [f"model.layers.{n}.{name} weight packed." for n in range(LAYERS) for name in MATRICES]
    return "\n".join([*lines, "Writing model shards: 100%", ""])


def main() -> None:
    """Prints the time; exit status 1 beyond the limit."""
    log = finished_log()
    expected = Expected(LAYERS, LAYERS * len(MATRICES), calibrated=True)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        progress = advance(Progress(), log, expected)
        times.append(time.perf_counter() - began)
    assert (progress.stage, progress.packed) == ("write", LAYERS * len(MATRICES))
    print(f"{len(log) / 1e6:.1f} MB read in {min(times) * 1000:.1f} ms (at most {LIMIT_S * 1000:.0f})")
    sys.exit(min(times) > LIMIT_S)


if __name__ == "__main__":
    main()
