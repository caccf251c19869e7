"""Files of tens of gigabytes, as a 72B model has them: counted, gone on with, and held against the disk. They are
holes: nothing of that size is written."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.downloads import manager, places
from backend.downloads.children import hubs
from backend.downloads.children.hubs import Checked, Trouble, limited
from backend.downloads.progress import ByteReader
from backend.downloads.values import RemoteFile
from backend.downloads.watcher import DownloadWatcher
from backend.errors import ConsoleError

GB = 10**9
TOTAL = 145_412_407_296  # bytes of a 72B model in bfloat16
PAST_32_BITS = (1 << 32) + 12_345


def hole(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.truncate(size)
    return path


def test_progress_and_the_time_that_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = ByteReader()
    for second in range(30):
        reader.feed(f"{60 * GB + second * 30_000_000} of {TOTAL} bytes\n", float(second))
    assert reader.done == 60 * GB + 29 * 30_000_000
    assert reader.speed(29.0) == 30_000_000.0
    watcher: Any = DownloadWatcher.__new__(DownloadWatcher)
    watcher._following = {"d": SimpleNamespace(reader=reader)}
    monkeypatch.setattr(time, "monotonic", lambda: 29.0)
    download: Any = SimpleNamespace(id="d", total_bytes=TOTAL, done_bytes=reader.done)
    speed, left = watcher.pace(download)
    assert (speed, left) == (30_000_000.0, pytest.approx((TOTAL - reader.done) / 30_000_000))


def test_what_is_there_already_counts_against_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = tmp_path / "stage"
    hole(stage / "model-00001-of-00003.safetensors", 60 * GB)
    hole(stage / "model-00002-of-00003.safetensors.incomplete", 51 * GB)
    assert places.staged_bytes(stage) == 111 * GB
    download: Any = SimpleNamespace(stage=str(stage), total_bytes=TOTAL, target=str(tmp_path / "t"), name="m")
    needed = TOTAL - 111 * GB + manager.SPARE_BYTES
    monkeypatch.setattr(places, "free_bytes", lambda folder: needed)
    manager._check_room(download)
    monkeypatch.setattr(places, "free_bytes", lambda folder: needed - 1)
    with pytest.raises(ConsoleError):
        manager._check_room(download)


class Sum:
    """A hash that takes no time: of how many bytes it was given."""

    def __init__(self) -> None:
        self.count = 0

    def update(self, piece: bytes) -> None:
        self.count += len(piece)

    def hexdigest(self) -> str:
        return f"{self.count:x}"


def test_a_file_goes_on_beyond_32_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = hole(tmp_path / "m.safetensors.incomplete", 0)
    monkeypatch.setattr(hashlib, "sha256", Sum)
    file = RemoteFile("m.safetensors", PAST_32_BITS + 5, f"{PAST_32_BITS + 5:x}")
    arrived: list[int] = []
    checked = Checked(part, file, arrived.append)
    # As if so much had been read: a hole of that size takes a busy machine a minute.
    checked._stream.seek(PAST_32_BITS)
    checked._size = checked._digest.count = PAST_32_BITS
    assert checked.tell() == PAST_32_BITS
    assert not checked.is_right()
    checked.write(b"tail.")
    assert checked.is_right()
    assert part.stat().st_size == file.size
    with pytest.raises(Trouble):
        checked.write(b"!")
    checked.close()
    # A server without ranges sends all of it once more: what is there is left aside.
    piece = bytes(hubs.PIECE)

    def everything() -> Iterator[bytes]:
        for _ in range(PAST_32_BITS // len(piece)):
            yield piece
        yield bytes(PAST_32_BITS % len(piece))
        yield b"tail."

    assert b"".join(limited(everything(), 5, PAST_32_BITS)) == b"tail."
