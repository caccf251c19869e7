"""What the state folder keeps, and what Clear removes and leaves."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from backend.console.storage import KINDS, InUse, clear, look, shown_pictures, table
from backend.errors import NotFound
from backend.quantization.children.worker import MARK

VISITOR = "v" * 32
HOME = hashlib.sha256(VISITOR.encode()).hexdigest()[:32]
PICTURES = ((VISITOR, "shown.png"),)
OLD_S = 2 * 3600

FILES = {
    # place: (bytes, kind, cleared)
    "runs/ended/log.txt": (1000, "logs", True),
    "runs/running/log.txt": (500, "logs", False),
    "runs/ended/spec.json": (7, "rest", False),
    "runs/ended/stop.json.part": (40, "rest", False),
    "runs/running/status.json.part": (41, "rest", False),
    "jobs/over/plan.json": (10, "jobs", False),
    "jobs/over/inputs_stats.pth": (2000, "jobs", True),
    "jobs/open/inputs_stats.pth": (2001, "jobs", False),
    "jobs/unknown/plan.json": (11, "jobs", True),
    f"pictures/{HOME}/shown.png": (300, "pictures", False),
    f"pictures/{HOME}/taken-back.png": (301, "pictures", True),
    "pictures/another/gone.jpg": (302, "pictures", True),
    "uploads/abc/red.png": (400, "uploads", True),
    "calibration/used/wikitext/train.txt": (600, "texts", False),
    "calibration/unused/wikitext/train.txt": (601, "texts", True),
    "calibration/.half.part/wikitext/train.txt": (602, "partial", True),
    "console.json.part": (5, "partial", True),
    "downloads/listed/plan.json": (21, "downloads", False),
    "downloads/unknown/plan.json": (22, "downloads", True),
    "downloads/look-1/model.safetensors": (23, "partial", True),
    "benchmarks/listed/0/plan.json": (24, "benchmarks", False),
    "benchmarks/unknown/0/measured.json": (25, "benchmarks", True),
    "lessons/own.md": (26, "lessons", False),
    "cache/environment.json": (27, "rest", False),
    "console.log": (28, "rest", False),
    "console.sqlite3-wal": (29, "database", False),
    "console.sqlite3": (9000, "database", False),
    "console.sqlite3.corrupt-20260101-000000": (8000, "databases", True),
    "console.sqlite3.corrupt-20260101-000000-wal": (80, "databases", True),
    "token": (32, "rest", False),
    "keys/a.key": (48, "rest", False),
}  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> Path:
    for place, (size, _, _) in FILES.items():
        path = tmp_path / "state" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
        os.utime(path, (time.time() - OLD_S,) * 2)
    return tmp_path / "state"


def in_use(**changes: object) -> InUse:
    values: dict[str, object] = {
        "runs": frozenset({"running"}), "jobs": {"over": True, "open": False}, "texts": frozenset({"used"}),
        "pictures": shown_pictures(PICTURES), "downloads": frozenset({"listed"}), "benchmarks": frozenset({"listed"}),
    }  # fmt: skip
    return InUse(**(values | changes))  # type: ignore[arg-type]


def test_the_table_counts_everything_once(state: Path) -> None:
    rows = {row.kind: row for row in table(look(state, in_use(), time.time()))}
    assert tuple(rows) == KINDS
    for kind, row in rows.items():
        mine = [(size, cleared) for size, its, cleared in FILES.values() if its == kind]
        assert (row.files, row.size_bytes) == (len(mine), sum(size for size, _ in mine)), kind
        assert row.clearable_bytes == sum(size for size, cleared in mine if cleared), kind


@pytest.mark.parametrize("kind", KINDS)
def test_clear_removes_that_kind_alone_and_nothing_in_use(state: Path, kind: str) -> None:
    freed = clear(look(state, in_use(), time.time()), kind)
    assert freed == sum(size for size, its, cleared in FILES.values() if its == kind and cleared)
    for place, (size, its, cleared) in FILES.items():
        path = state / place
        if its == kind and cleared:
            assert path.stat().st_size == 0 if kind == "logs" else not path.exists(), place
        else:
            assert path.stat().st_size == size, place
    assert clear(look(state, in_use(), time.time()), kind) == 0
    for folder in ("runs", "jobs", "pictures", "uploads", "calibration", "downloads", "benchmarks"):
        assert (state / folder).is_dir()


def test_what_has_just_come_stays(state: Path) -> None:
    for place in FILES:
        os.utime(state / place)
    entries = look(state, in_use(), time.time())
    cleared = {entry.path.relative_to(state).as_posix() for kind in KINDS for entry in entries[kind] if entry.clearable}
    assert cleared == {
        "runs/ended/log.txt", "jobs/over/inputs_stats.pth",
        "console.sqlite3.corrupt-20260101-000000", "console.sqlite3.corrupt-20260101-000000-wal",
    }  # fmt: skip


def test_half_written_results_beside_the_models(state: Path, tmp_path: Path) -> None:
    partial, theirs = (tmp_path / "models" / f".{name}.partial-awq" for name in ("out", "theirs"))
    for folder, job in ((partial, "over"), (theirs, "another console's")):
        folder.mkdir(parents=True)
        (folder / MARK).write_text(job)
        (folder / "model.safetensors").write_bytes(bytes(5000))
    target = tmp_path / "precious"
    target.mkdir()
    link = tmp_path / "models" / ".link.partial-awq"
    link.symlink_to(target)
    (target / MARK).write_text("over")
    outputs = tuple((folder, "over") for folder in (partial, theirs, link, tmp_path / "gone"))
    entries = look(state, in_use(partial_outputs=outputs), time.time())
    assert sum(entry.size_bytes for entry in entries["partial"] if entry.path == partial) == 5000 + len("over")
    assert theirs not in [entry.path for entry in entries["partial"]]
    clear(entries, "partial")
    assert not partial.exists()
    assert (theirs / "model.safetensors").exists()
    assert target.is_dir()
    assert link.is_symlink()


def test_a_hollow_file_counts_what_it_takes_on_the_disk(state: Path) -> None:
    hollow = state / "downloads" / "look-1" / "weights.safetensors"
    with hollow.open("wb") as file:
        file.truncate(8 << 30)
    found = next(entry for entry in look(state, in_use(), time.time())["partial"] if entry.path == hollow)
    assert found.size_bytes < 1 << 20


def test_links_are_never_followed(state: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(bytes(77))
    (state / "uploads" / "folder").symlink_to(outside)
    (state / "uploads" / "file").symlink_to(outside / "file")
    os.utime(state / "uploads" / "file", (0, 0), follow_symlinks=False)
    clear(look(state, in_use(), time.time()), "uploads")
    assert (outside / "file").stat().st_size == 77
    assert not (state / "uploads" / "file").is_symlink()


def test_a_kind_that_is_none(state: Path) -> None:
    with pytest.raises(NotFound):
        clear(look(state, in_use(), time.time()), "../keys")
