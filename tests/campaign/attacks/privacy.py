"""What stands on this machine for its other users."""

import os
import random
from collections.abc import Iterator
from contextlib import suppress

import psutil

from tests.campaign.attacks.checks import secrets_of
from tests.campaign.ground import Ground, check
from tests.campaign.network import own_server


def privacy(ground: Ground, rng: random.Random) -> str:
    """No file of the state can be read by another user, and no command line holds a secret."""
    own_server(ground)
    for path in ground.state_dir.rglob("*"):
        with suppress(FileNotFoundError):
            if not path.is_symlink():
                check(path.stat().st_mode & 0o077 == 0, f"others may read {path.relative_to(ground.folder)}")
    secrets = secrets_of(ground)
    for process in lines_of_commands():
        for secret in secrets:
            check(secret not in process, f"a command line holds a secret: {process[:60]}")
    return "files and command lines"


def lines_of_commands() -> Iterator[str]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid():
                yield " ".join(process.cmdline())
