"""Files that can't be written: whether the disk is full decides what is said, since the remedy differs."""

import errno
import shutil
from pathlib import Path

from backend.errors import Message, Unavailable

NEXT_TO_NOTHING_BYTES = 1024 * 1024


def is_full(error: OSError) -> bool:
    """Whether the disk, or this user's share of it, is used up."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def is_next_to_nothing(free_bytes: int | None) -> bool:
    """Whether so little is as good as a full disk. False where it isn't known."""
    return free_bytes is not None and free_bytes < NEXT_TO_NOTHING_BYTES


def nothing_free(path: Path) -> bool:
    """Whether the disk with that file or folder has next to nothing left. False where that can't be told."""
    existing = next((folder for folder in (path, *path.parents) if folder.exists()), path)
    try:
        return is_next_to_nothing(shutil.disk_usage(existing).free)
    except OSError:
        return False


def cannot_use(path: Path, error: OSError) -> Unavailable:
    """What to raise where a file of the console's own can't be read or written."""
    key = "servers.process.disk-full" if is_full(error) else "servers.own-file-unusable"
    return Unavailable(Message(key, {"path": str(path), "error": error.strerror or str(error)}))


def cannot_write(path: Path, error: OSError) -> Unavailable:
    """What to raise where nothing can be started since its folder can't be written."""
    key = "servers.process.disk-full" if is_full(error) else "servers.process.no-run-folder"
    return Unavailable(Message(key, {"path": str(path), "error": error.strerror or str(error)}))
