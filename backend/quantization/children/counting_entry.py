"""Runs `lmdeploy lite …` as it is, and says which sample it computes: ``counting_entry.py PROGRAM ARGUMENT…``.

auto_awq prints a line when a whole layer has been calibrated, which takes minutes on a CPU. Its loop over the samples
takes them one by one from a list; here that list says so. Where this LMDeploy has no such loop, nothing is said.
"""

import importlib
import runpy
import sys
import time
from typing import Any

CALIBRATION = "lmdeploy.lite.quantization.calibration"
SPLIT = "split_decoder_layer_inputs"
EVERY_S = 0.5


class Counted(list):  # type: ignore[type-arg]  # of whatever the loop takes from it
    """A list that tells which of its items is taken, at most every half a second."""

    told_at = 0.0

    def __getitem__(self, index: Any) -> Any:
        now = time.monotonic()
        if isinstance(index, int) and now - Counted.told_at >= EVERY_S:
            Counted.told_at = now
            print(f">>> sample {index} of {len(self)}", flush=True)
        return super().__getitem__(index)


def count_samples() -> None:
    """Make the calibration tell its samples. It goes on untold where that can't be done."""
    try:
        calibration = importlib.import_module(CALIBRATION)
        split = getattr(calibration, SPLIT)
    except Exception as error:
        print(f"Samples aren't counted: {error}", flush=True)
        return

    def telling(*arguments: Any, **named: Any) -> Any:
        inputs, others = split(*arguments, **named)
        return Counted(inputs), others

    setattr(calibration, SPLIT, telling)


if __name__ == "__main__":
    del sys.path[0]
    arguments = sys.argv[1:]
    count_samples()
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
