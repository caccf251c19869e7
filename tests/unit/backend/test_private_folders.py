"""Folders of the console's own: private whatever the umask."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.private_folders import make_private


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """This process's umask for a while."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_every_missing_folder_is_private(umask: None, tmp_path: Path) -> None:
    make_private(tmp_path / "a" / "b" / "c")
    for folder in ("a", "a/b", "a/b/c"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700
    make_private(tmp_path / "a" / "b" / "c")


def test_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        make_private(tmp_path, must_be_new=True)
    with pytest.raises(FileExistsError):
        make_private(tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        make_private(tmp_path / "file" / "below")
