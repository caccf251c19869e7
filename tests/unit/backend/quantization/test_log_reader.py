"""Progress read from the log of a real job: 1.9 B parameters, 128 samples of 2,048 tokens on a GPU."""

import itertools
from pathlib import Path

import pytest

from backend.quantization.log_reader import (
    GB,
    Expected,
    Progress,
    ProgressReader,
    advance,
    is_counting,
    remaining_seconds,
)

LOG = Path(__file__).parents[3] / "logs" / "ok-awq-1_8b-128-samples.log"
EXPECTED = Expected(layers=24, matrices=168, calibrated=True)


def read(text: str, expected: Expected, size: int) -> list[Progress]:
    """The progress after every chunk, as it is read while the log grows."""
    reader = ProgressReader(expected)
    return [reader.progress, *(reader.feed(text[at : at + size]) for at in range(0, len(text), size))]


@pytest.mark.parametrize("size", [1, 7, 63, 64, 65, 300, 100_000])
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


def test_a_line_that_never_ends_hides_nothing() -> None:
    giant = "x" * 3_000_000
    text = f"{giant}model.layers.0, samples: 8, max gpu memory: 3.50 GB{giant} weight packed.\r{giant}"
    for size in (999_983, 1_048_576, len(text)):
        last = read(text, EXPECTED, size)[-1]
        assert (last.calibrated, last.packed, last.peak_gpu_bytes) == (1, 1, int(3.5 * GB))


def test_numbers_that_are_none_stop_nothing() -> None:
    text = "max gpu memory: 1.2.3 GB\nmax gpu memory: . GB\nmax gpu memory: " + "9" * 400 + " GB\na weight packed.\n"
    last = read(text, EXPECTED, 50)[-1]
    assert (last.packed, last.peak_gpu_bytes) == (1, 0)


def test_the_time_left_follows_the_rate() -> None:
    assert remaining_seconds((100.0, 0.1), 0.1, 101.0) is None
    assert remaining_seconds((100.0, 0.1), 0.55, 110.0) == pytest.approx(10.0)


def test_samples_within_a_layer_move_the_bar() -> None:
    expected = Expected(layers=2, matrices=4, calibrated=True, on_cpu=True)
    lines = ["Loading calibrate dataset ...\n"]
    for layer in range(2):
        lines += [f">>> sample {sample} of 8\n" for sample in (0, 3, 7)]
        lines.append(f"model.layers.{layer}, samples: 8, max gpu memory: 0.00 GB\n")
    for size in (1, 5, 23, 64, 1000):
        found = read("".join(lines), expected, size)
        fractions = [progress.fraction for progress in found]
        assert fractions == sorted(fractions)
        assert (found[-1].calibrated, found[-1].sample) == (2, 0)
        seen = {(progress.calibrated, progress.sample) for progress in found if progress.samples}
        if size < 23:
            assert {(0, 3), (0, 7), (1, 3), (1, 7)} <= seen
    halfway = advance(Progress(), "Loading calibrate dataset ...\n>>> sample 4 of 8\n", expected)
    assert halfway.fraction == pytest.approx(0.05 + 0.85 * 4 / 8 / 2)
    assert is_counting(halfway)
