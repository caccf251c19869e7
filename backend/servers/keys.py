"""API keys of model servers: one file each, readable by this user alone."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from backend import disk
from backend.errors import Message, Unavailable
from backend.processes.command import CommandSpec, SecretFile


def key_files(command: CommandSpec | None) -> tuple[Path, ...]:
    """The key files that the command reads."""
    return tuple(a.path for a in command.argv if isinstance(a, SecretFile)) if command is not None else ()


def new_key() -> str:
    """A random key (192 bits). Hexadecimal: a key that begins with a dash would be read as a flag."""
    return secrets.token_hex(24)


def write_key(path: Path, key: str) -> None:
    """Write the file with mode 0600, unless it is there. Raises Unavailable."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(key)
    except FileExistsError:
        return
    except OSError as error:
        with suppress(OSError):  # a disk that can't be written
            path.unlink(missing_ok=True)
        raise no_key_file(path, error) from error


def read_key(path: Path | None) -> str:
    """The key; "" for no file. Raises Unavailable where the file is gone or unreadable."""
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise no_key_file(path, error) from error


def no_key_file(path: Path, error: OSError) -> Unavailable:
    """What to raise where keys can't be kept."""
    key = "servers.process.disk-full" if disk.is_full(error) else "servers.key-file"
    return Unavailable(Message(key, {"path": str(path), "error": error.strerror or str(error)}))
