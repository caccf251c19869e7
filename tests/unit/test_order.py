"""The order in which test files begin."""

from pathlib import Path
from types import SimpleNamespace

from tests.support.order import LONG, PARTS, place, processes

TESTS = Path(__file__).parents[1]


def test_every_long_file_is_there() -> None:
    assert [name for name in LONG if not (TESTS / name).is_file()] == []


def test_parts_and_long_files() -> None:
    names = ["browser/test_a.py", "browser/test_quantize.py", "integration/test_b.py", "integration/test_chat.py"]
    tests = [SimpleNamespace(path=TESTS / name) for name in [*names, "unit/backend/test_c.py", "browser/test_a.py"]]
    assert [str(test.path.relative_to(TESTS)) for test in sorted(tests, key=place)] == [
        "unit/backend/test_c.py", "integration/test_chat.py", "integration/test_b.py", "browser/test_quantize.py",
        "browser/test_a.py", "browser/test_a.py",
    ]  # fmt: skip
    assert [part for part in PARTS if not (TESTS / part).is_dir()] == []


def test_there_is_always_a_process() -> None:
    assert processes() >= 1
