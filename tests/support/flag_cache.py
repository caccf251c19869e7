"""What LMDeploy's parsers take is read once, not once a console: it costs ten seconds of a core each time.

The console's own cache files are handed from one state folder to the next; their names hold what they depend on.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from backend.private_folders import make_private
from tests.support.shelf import place

PATTERN = "flags-*.json"


def lend(state_dir: Path) -> None:
    """Before a console starts there: what others have read."""
    if files := list(place("flags").glob(PATTERN)):
        with contextlib.suppress(OSError):  # a folder that can't be made or written is that test's subject
            make_private(state_dir)
            make_private(state_dir / "cache")
            _copy(files, state_dir / "cache")


def collect(state_dir: Path) -> None:
    """After it has ended: what it has read."""
    with contextlib.suppress(OSError):
        _copy((state_dir / "cache").glob(PATTERN), place("flags"))


def _copy(files: Iterable[Path], folder: Path) -> None:
    for file in files:
        if not (folder / file.name).exists():
            half = folder / f"{file.name}.{os.getpid()}.half"  # another process may read it at this moment
            shutil.copyfile(file, half)
            half.chmod(0o600)
            half.rename(folder / file.name)
