"""Small files that others never see half written."""

import os
import secrets
from pathlib import Path

MODE = 0o600


def write_whole(path: Path, content: bytes | str) -> None:
    """Write the file whole or leave it as it was; text as UTF-8. It is this user's alone (mode 0600).

    Two writers don't disturb each other: the last one wins. Raises OSError. It doesn't wait for the disk; what must
    outlive a power cut is written by runner.write_result.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
