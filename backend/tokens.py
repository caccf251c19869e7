"""The console's own secrets: one file each in the state directory, mode 0600, the same across restarts."""

import contextlib
import os
import secrets
from pathlib import Path


def keep_token(path: Path) -> str:
    """The token in that file; made (192 random bits) where there is none yet, or where it is empty or too short."""
    with contextlib.suppress(FileNotFoundError):
        token = path.read_text(encoding="ascii", errors="ignore").strip()
        if len(token) >= 32 and token.isprintable() and " " not in token:
            path.chmod(0o600)
            return token
    token = secrets.token_urlsafe(24)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
    draft.replace(path)
    return token
