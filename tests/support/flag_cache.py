"""What LMDeploy's parsers take is read once a test run, not once a console: it costs ten seconds of a core each time.

The console's own cache files are handed from one state folder to the next; their names hold what they depend on.
"""

import atexit
import contextlib
import shutil
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from backend.private_folders import make_private

PATTERN = "flags-*.json"


@cache
def _shelf() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="console-flags-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def lend(state_dir: Path) -> None:
    """Before a console starts there: what others have read."""
    if files := list(_shelf().glob(PATTERN)):
        with contextlib.suppress(OSError):  # a folder that can't be made or written is that test's subject
            make_private(state_dir)
            make_private(state_dir / "cache")
            _copy(files, state_dir / "cache")


def collect(state_dir: Path) -> None:
    """After it has ended: what it has read."""
    with contextlib.suppress(OSError):
        _copy((state_dir / "cache").glob(PATTERN), _shelf())


def _copy(files: Iterable[Path], folder: Path) -> None:
    for file in files:
        if not (folder / file.name).exists():
            shutil.copyfile(file, folder / file.name)
            (folder / file.name).chmod(0o600)
