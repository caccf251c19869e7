"""How far a job is, read from its log. Pure.

auto_awq writes one line when a layer has been calibrated, smoothed, and for every matrix packed, in that order.
Counting them is enough, and cheap at any length; a percentage made of counts never goes back.
"""

import re
from dataclasses import dataclass, replace

GB = 1 << 30  # what auto_awq calls GB
_MEMORY = re.compile(r"max gpu memory: ([0-9.]+) GB")
# The share of the whole that each stage takes, with 128 x 2048 tokens on a GPU.
_CALIBRATED = {"load": 0.08, "calibrate": 0.50, "smooth": 0.02, "pack": 0.35, "write": 0.05}
_WITHOUT_DATA = {"load": 0.10, "calibrate": 0.0, "smooth": 0.0, "pack": 0.85, "write": 0.05}
_TEXT_TOWER = {"extract": 0.04, "merge": 0.04}
STAGES = ("extract", "load", "calibrate", "smooth", "pack", "write", "merge", "done")


@dataclass(frozen=True)
class Expected:
    """What a job has to do: decoder layers, matrices in them all, with a text or not, through the text tower or not."""

    layers: int
    matrices: int
    calibrated: bool
    text_tower: bool = False


@dataclass(frozen=True)
class Progress:
    """What the log says so far. ``fraction`` is 0…1 of the whole job; ``done`` of ``of`` counts in the present stage.

    ``peak_gpu_bytes`` is the most that PyTorch held, 0 where the log doesn't say (no GPU, no calibration).
    """

    stage: str = "load"
    fraction: float = 0.0
    done: int = 0
    of: int = 0
    peak_gpu_bytes: int = 0
    loaded: bool = False
    extracted: bool = False
    calibrated: int = 0
    smoothed: int = 0
    packed: int = 0
    writing: bool = False
    merging: bool = False
    finished: bool = False


def complete_lines(text: str) -> str:
    """The part of a log that is whole: up to its last line end or carriage return."""
    return text[: max(text.rfind("\n"), text.rfind("\r")) + 1]


def advance(before: Progress, lines: str, expected: Expected) -> Progress:
    """The progress after further complete lines of the log."""
    peaks = _MEMORY.findall(lines)
    counted = replace(
        before,
        extracted=before.extracted or ">>> quantize" in lines,
        loaded=before.loaded or "Loading calibrate dataset" in lines,
        calibrated=before.calibrated + lines.count(", samples: "),
        smoothed=before.smoothed + lines.count(" smooth weight done."),
        packed=before.packed + lines.count(" weight packed.") + lines.count(" weight skipped."),
        writing=before.writing or "Writing model shards" in lines,
        merging=before.merging or ">>> merge" in lines,
        finished=before.finished or ">>> done" in lines,
        peak_gpu_bytes=max([before.peak_gpu_bytes, *(int(float(peak) * GB) for peak in peaks)]),
    )
    stage, done, of = _stage(counted, expected)
    return replace(counted, stage=stage, done=done, of=of, fraction=max(before.fraction, _fraction(counted, expected)))


def remaining_seconds(began: tuple[float, float], fraction: float, now: float) -> float | None:
    """The time left at the rate since ``began``: (seconds, fraction) when counting began, the loading over.

    None while that can't be said yet.
    """
    elapsed, gained = now - began[0], fraction - began[1]
    if elapsed < 2 or gained < 0.02:
        return None
    return elapsed * (1 - fraction) / gained


def is_counting(progress: Progress) -> bool:
    """Whether the log counts layers or matrices by now, so that a rate can be told."""
    return progress.calibrated > 0 or progress.packed > 0


def _stage(seen: Progress, expected: Expected) -> tuple[str, int, int]:
    if seen.finished:
        return "done", 0, 0
    if seen.merging:
        return "merge", 0, 0
    if seen.writing or (expected.matrices and seen.packed >= expected.matrices):
        return "write", 0, 0
    if seen.packed or (expected.layers and seen.smoothed >= expected.layers):
        return "pack", seen.packed, expected.matrices
    if seen.smoothed or (expected.layers and seen.calibrated >= expected.layers):
        return "smooth", seen.smoothed, expected.layers
    if seen.loaded:
        return "calibrate", seen.calibrated, expected.layers
    return ("extract" if expected.text_tower and not seen.extracted else "load"), 0, 0


def _fraction(seen: Progress, expected: Expected) -> float:
    if seen.finished:
        return 1.0
    shares = _CALIBRATED if expected.calibrated else _WITHOUT_DATA
    loaded = seen.loaded or seen.packed > 0
    whole = (
        shares["load"] * loaded
        + shares["calibrate"] * _part(seen.calibrated, expected.layers)
        + shares["smooth"] * _part(seen.smoothed, expected.layers)
        + shares["pack"] * _part(seen.packed, expected.matrices)
        + shares["write"] * seen.merging
    )
    if not expected.text_tower:
        return whole
    inner = 1 - sum(_TEXT_TOWER.values())
    return _TEXT_TOWER["extract"] * seen.extracted + inner * whole


def _part(done: int, of: int) -> float:
    return min(done / of, 1.0) if of else 0.0
