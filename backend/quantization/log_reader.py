"""What a job's log says: how far it is. Pure.

auto_awq writes one line when a layer has been calibrated, smoothed, and for every matrix packed, in that order; within
a layer, children/counting_entry.py tells the sample. Counting them is enough, and cheap at any length; a percentage
made of counts never goes back. (Why a job failed is diagnose.py's to say.)
"""

import re
from dataclasses import dataclass, replace

GB = 1 << 30  # what auto_awq calls GB
_MEMORY = re.compile(r"max gpu memory: ([0-9]{1,9}(?:\.[0-9]{1,9})?) GB")
_SAMPLE = re.compile(r">>> sample ([0-9]{1,9}) of ([0-9]{1,9})\n")
_LAYER = ", samples: "
# The share of the whole that each stage takes, with 128 x 2048 tokens on a GPU; on a CPU the samples take nearly all.
_CALIBRATED = {"load": 0.08, "calibrate": 0.50, "smooth": 0.02, "pack": 0.35, "write": 0.05}
_ON_CPU = {"load": 0.05, "calibrate": 0.85, "smooth": 0.01, "pack": 0.07, "write": 0.02}
_WITHOUT_DATA = {"load": 0.10, "calibrate": 0.0, "smooth": 0.0, "pack": 0.85, "write": 0.05}
_SILENT = {"load": 0.10, "calibrate": 0.80, "smooth": 0.05, "pack": 0.0, "write": 0.05}  # SmoothQuant, once smoothed
_TEXT_TOWER = {"extract": 0.04, "merge": 0.04}
# More than the longest of the marks below: so much of the last piece is looked at again together with the next.
_OVERLAP = 64
LEAST_GAINED = 0.0005  # of the whole: a sample or two of a model that takes hours


@dataclass(frozen=True)
class Expected:
    """What a job has to do: decoder layers, matrices that its log tells of (0 where it is silent), with a text or not,
    through the text tower or not, on the CPU or not."""

    layers: int
    matrices: int
    calibrated: bool
    text_tower: bool = False
    on_cpu: bool = False


@dataclass(frozen=True)
class Progress:
    """What the log says so far. ``fraction`` is 0…1 of the whole job; ``done`` of ``of`` counts in the present stage.

    ``sample`` of ``samples`` are computed of the layer that is being calibrated, 0 of 0 where the log doesn't say.
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
    sample: int = 0
    samples: int = 0


class ProgressReader:
    """Follows a log that comes in pieces, cut anywhere: in a line, in a word, in a line that never ends."""

    def __init__(self, expected: Expected, progress: Progress | None = None) -> None:
        self._expected = expected
        self._before = ""
        self.progress = progress or Progress()

    def feed(self, piece: str) -> Progress:
        """The progress after that piece."""
        self.progress = advance(self.progress, piece, self._expected, self._before)
        self._before = (self._before + piece)[-_OVERLAP:]
        return self.progress


def advance(progress: Progress, piece: str, expected: Expected, before: str = "") -> Progress:
    """The progress after a further piece of the log. ``before`` is the end of the piece before, counted already."""
    text = before + piece

    def come(mark: str) -> int:
        return text.count(mark) - before.count(mark)

    peaks = _MEMORY.findall(text)
    counted = replace(
        progress,
        extracted=progress.extracted or ">>> quantize" in text,
        loaded=progress.loaded or "Loading calibrate dataset" in text,
        calibrated=progress.calibrated + come(_LAYER),
        smoothed=progress.smoothed + come(" smooth weight done."),
        packed=progress.packed + come(" weight packed.") + come(" weight skipped."),
        writing=progress.writing or "Writing model shards" in text,
        merging=progress.merging or ">>> merge" in text,
        finished=progress.finished or ">>> done" in text,
        peak_gpu_bytes=max([progress.peak_gpu_bytes, *(int(float(peak) * GB) for peak in peaks)]),
    )
    sample, samples = _samples(progress, text, counted.calibrated > progress.calibrated)
    counted = replace(counted, sample=sample, samples=samples)
    stage, done, of = _stage(counted, expected)
    fraction = max(progress.fraction, _fraction(counted, expected))
    return replace(counted, stage=stage, done=done, of=of, fraction=fraction)


def remaining_seconds(began: tuple[float, float], fraction: float, now: float) -> float | None:
    """The time left at the rate since ``began``: (seconds, fraction) when counting began, the loading over.

    None while that can't be said yet.
    """
    elapsed, gained = now - began[0], fraction - began[1]
    if elapsed < 2 or gained < LEAST_GAINED:
        return None
    return elapsed * (1 - fraction) / gained


def is_counting(progress: Progress) -> bool:
    """Whether the log counts layers or matrices by now, so that a rate can be told."""
    return progress.calibrated > 0 or progress.packed > 0 or progress.samples > 0


def _samples(progress: Progress, text: str, layer_done: bool) -> tuple[int, int]:
    """Where the calibration is in its layer: the sample, of how many."""
    found = list(_SAMPLE.finditer(text))
    if found and found[-1].end() > text.rfind(_LAYER):
        return int(found[-1][1]), int(found[-1][2])
    return (0 if layer_done else progress.sample), progress.samples


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
    calibrated = _SILENT if not expected.matrices else _ON_CPU if expected.on_cpu else _CALIBRATED
    shares = calibrated if expected.calibrated else _WITHOUT_DATA
    within = _part(seen.sample, seen.samples) if seen.calibrated < expected.layers else 0.0
    loaded = seen.loaded or seen.packed > 0
    whole = (
        shares["load"] * loaded
        + shares["calibrate"] * min(_part(seen.calibrated, expected.layers) + _part(1, expected.layers) * within, 1.0)
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
