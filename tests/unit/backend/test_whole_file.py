import os
import stat
from pathlib import Path

import pytest

from backend.whole_file import write_whole


def test_a_new_file_is_this_users_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_whole(tmp_path / "token", "密钥\n")
    finally:
        os.umask(before)
    assert (tmp_path / "token").read_text(encoding="utf-8") == "密钥\n"
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


def test_a_file_is_replaced_and_no_draft_is_left(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "flags.json"
    path.parent.mkdir()
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        write_whole(path, b"new")
        assert reader.read() == b"old"  # who had it open reads it to the end
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["flags.json"]


def test_what_fails_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    taken = tmp_path / "keys" / "taken"
    taken.mkdir(parents=True)
    with pytest.raises(OSError):
        write_whole(taken, b"")
    with pytest.raises(OSError):
        write_whole(taken.parent / "missing" / "file", b"")
    assert os.listdir(taken.parent) == ["taken"]
