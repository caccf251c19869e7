"""How long the catalogue takes for 50 models: ``python tests/benchmarks/model_catalog.py``.

Once as after a start, every header read, and once as at each later look, when nothing changed. The files are real
headers over holes: models of 1.8 to 70 B, some packed, some with many experts. The limit for the first look is 100 ms
(median of several); the exit code is 1 where it is missed. The machine should have nothing else to do.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from backend.models.catalog import Catalog
from tests.support.sparse_checkpoints import INTERNLM2_5_1_8B, INTERNLM2_5_7B, llama

LIMIT_MS = 100
MODELS = 50
SHAPES = (INTERNLM2_5_1_8B, INTERNLM2_5_7B, (896, 24, 14, 2, 4864, 151936), (5120, 40, 40, 8, 13824, 152064))


def main() -> int:
    """Make the models, list them again and again; print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(MODELS):
            llama(Path(folder) / f"model-{number}", SHAPES[number % len(SHAPES)], awq=number % 10 == 9)
        first: list[float] = []
        later: list[float] = []
        for _ in range(15):
            catalog = Catalog([Path(folder)])
            for times in (first, later):
                began = time.perf_counter()
                models = catalog.models()
                times.append(1000 * (time.perf_counter() - began))
        broken = [model.problem for model in models if model.problem is not None]
        assert len(models) == MODELS, broken
        assert not broken, broken
    median = statistics.median(first)
    print(f"{MODELS} models: first look {median:.0f} ms (limit {LIMIT_MS}), later {statistics.median(later):.1f} ms")
    return int(median > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
