"""What costs seconds to make is made once a checkout, not once a test process: it lies in pytest's cache folder."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

SHELF = Path(__file__).parents[2] / ".pytest_cache" / "d"


def place(name: str) -> Path:
    """The folder of that name on the shelf; it is made where it isn't there."""
    folder = SHELF / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def made_once(name: str, make: Callable[[Path], None], folder: Path) -> Path:
    """A copy, at ``folder``, of what ``make`` writes into the folder that it is given. ``name`` holds what it depends
    on. Who comes while another process makes it waits for that."""
    kept = place("made") / name
    with (kept.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            half = kept.parent / f"{name}.{os.getpid()}.half"
            shutil.rmtree(half, ignore_errors=True)
            make(half)
            half.rename(kept)
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    return folder
