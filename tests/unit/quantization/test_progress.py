"""Progress read from the log of a real job: 1.9 B parameters, 128 samples of 2,048 tokens on a GPU."""

import itertools
from pathlib import Path

import pytest

from backend.quantization.progress import (
    GB,
    Expected,
    Progress,
    advance,
    complete_lines,
    is_counting,
    remaining_seconds,
)

LOG = Path(__file__).parents[2] / "logs" / "ok-awq-1_8b-128-samples.log"
EXPECTED = Expected(layers=24, matrices=168, calibrated=True)


def read(text: str, expected: Expected, size: int) -> list[Progress]:
    """The progress after every chunk, as it is read while the log grows."""
    found, at, seen = [Progress()], 0, 0
    while seen < len(text):
        seen = min(len(text), seen + size)
        lines = complete_lines(text[at:seen])
        at += len(lines)
        found.append(advance(found[-1], lines, expected))
    return found


@pytest.mark.parametrize("size", [7, 300, 100_000])
def test_a_real_log_in_any_chunks(size: int) -> None:
    found = read(LOG.read_text(), EXPECTED, size)
    last = found[-1]
    assert (last.calibrated, last.smoothed, last.packed) == (24, 24, 168)
    assert last.stage == "write"
    assert last.peak_gpu_bytes == int(7.89 * GB)
    assert last.fraction == pytest.approx(0.95)
    assert all(a.fraction <= b.fraction for a, b in itertools.pairwise(found))
    order = ["load", "calibrate", "smooth", "pack", "write"]
    stages = [stage for stage, _ in itertools.groupby(found, key=lambda progress: progress.stage)]
    assert stages == [stage for stage in order if stage in stages]
    if size < 1000:
        assert stages == order


def test_counts_within_a_stage() -> None:
    lines = "Loading calibrate dataset ...\n" + "model.layers.0, samples: 8, max gpu memory: 3.50 GB\n" * 6
    progress = advance(Progress(), lines, EXPECTED)
    assert (progress.stage, progress.done, progress.of) == ("calibrate", 6, 24)
    assert progress.fraction == pytest.approx(0.08 + 0.5 * 6 / 24)
    assert is_counting(progress)
    assert not is_counting(Progress())


def test_without_data_and_with_skipped_matrices() -> None:
    expected = Expected(layers=2, matrices=4, calibrated=False)
    progress = advance(Progress(), "a weight packed.\nb weight skipped.\n", expected)
    assert (progress.stage, progress.done) == ("pack", 2)
    assert progress.fraction == pytest.approx(0.1 + 0.85 / 2)


def test_through_the_text_tower() -> None:
    expected = Expected(layers=1, matrices=1, calibrated=False, text_tower=True)
    steps = [">>> extract: x\n", ">>> quantize: x\n", "m weight packed.\n", ">>> merge: x\n", ">>> done: x\n"]
    found = [Progress(stage="extract")]
    for step in steps:
        found.append(advance(found[-1], step, expected))
    assert [progress.stage for progress in found[1:]] == ["extract", "load", "write", "merge", "done"]
    assert found[-1].fraction == 1.0


def test_a_log_never_takes_the_bar_back() -> None:
    expected = Expected(layers=1, matrices=0, calibrated=True)
    progress = Progress(fraction=0.7)
    assert advance(progress, "Move model.layers.0 to CPU.\n", expected).fraction == 0.7


def test_lines_end_with_a_newline_or_a_carriage_return() -> None:
    assert complete_lines("a\nb") == "a\n"
    assert complete_lines("a\rb") == "a\r"
    assert complete_lines("ab") == ""


def test_the_time_left_follows_the_rate() -> None:
    assert remaining_seconds((100.0, 0.1), 0.1, 101.0) is None
    assert remaining_seconds((100.0, 0.1), 0.55, 110.0) == pytest.approx(10.0)
