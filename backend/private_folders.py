"""Folders that only their owner may enter, whatever the umask says."""

from contextlib import suppress
from pathlib import Path

MODE = 0o700


def make_private(folder: Path, *, must_be_new: bool = False) -> None:
    """Make the folder and all that are missing above it, each with mode 0700; ``mkdir(parents=True)`` gives the mode
    to the last one alone. FileExistsError where it is there already and must be new."""
    for missing in reversed([parent for parent in folder.parents if not parent.exists()]):
        with suppress(FileExistsError):
            missing.mkdir(mode=MODE)
    try:
        folder.mkdir(mode=MODE)
    except FileExistsError:
        if must_be_new or not folder.is_dir():
            raise
