"""What ``--log-level INFO`` costs a TurboMind server, in tokens/s.

usage, on a GPU machine, in the project's root: ``python tests/gpu/log_level_cost.py [--rounds 20]``

Two servers of a 1.8 B model's shape run side by side, one with the option, and answer in turns, so that whatever else
the machine does hits both. TurboMind prints the size of its KV cache at that level only.
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from backend.processes.ports import free_port
from tests.gpu.models import servable
from tests.support.model_servers import complete, model_server
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B

AT_ONCE, TOKENS, READY_S = 8, 256, 180


def answer(port: int) -> int:
    """One answer of TOKENS tokens; how many it has."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Tell a story."}], "max_tokens": TOKENS,
            "ignore_eos": True, "temperature": 0}  # fmt: skip
    return int(complete(f"http://127.0.0.1:{port}/v1", body, 120)["usage"]["completion_tokens"])


def speed(port: int) -> float:
    """Tokens/s of AT_ONCE answers at once."""
    began = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tokens = sum(pool.map(answer, [port] * AT_ONCE))
    return tokens / (time.perf_counter() - began)


def main() -> int:
    """Prints the speeds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        model = servable(folder / "model", INTERNLM2_5_1_8B)
        ports = {"INFO": free_port(), "default": free_port()}
        for level, port in ports.items():
            argv = ["lmdeploy", "serve", "api_server", str(model), "--backend", "turbomind", "--model-name", "m"]
            argv += ["--server-name", "127.0.0.1", "--server-port", str(port), "--cache-max-entry-count", "0.1"]
            argv += ["--log-level", "INFO"] if level == "INFO" else []
            stack.enter_context(model_server(argv, port, folder / f"{level}.log", READY_S))
            speed(port)  # the first requests are slower
        measured = [{level: speed(port) for level, port in ports.items()} for _ in range(rounds)]
    ratios = [one["INFO"] / one["default"] for one in measured]
    figures = {level: round(statistics.median(one[level] for one in measured), 1) for level in ports}
    print(json.dumps({"tokens_per_s": figures, "ratio_median": round(statistics.median(ratios), 4),
                      "ratio_quartiles": [round(q, 4) for q in statistics.quantiles(ratios, n=4)]}))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
