"""The console's own secrets: one file each in the state directory, mode 0600, the same across restarts."""

import contextlib
import secrets
from pathlib import Path

from backend import disk
from backend.whole_file import write_whole


def keep_token(path: Path) -> str:
    """The token in that file; made (192 random bits) where there is none yet, or where it is empty or too short.

    Raises Unavailable where it can't be read or written.
    """
    try:
        with contextlib.suppress(FileNotFoundError):
            token = path.read_text(encoding="ascii", errors="ignore").strip()
            if len(token) >= 32 and token.isprintable() and " " not in token:
                path.chmod(0o600)
                return token
        token = secrets.token_urlsafe(24)
        write_whole(path, token + "\n")
        return token
    except OSError as error:
        raise disk.cannot_use(path, error) from error
