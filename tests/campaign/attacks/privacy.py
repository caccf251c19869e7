"""What stands on this machine for its other users."""

import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psutil

from tests.campaign.attacks.checks import secrets_of
from tests.campaign.ground import Ground, check
from tests.campaign.network import own_server
from tests.support.waiting import wait_for


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
    opened(ground)
    return "files and command lines"


def opened(ground: Ground) -> None:
    """The browser that a console opens is given a file of this user's alone, and no token on its command line."""
    browser, said = ground.folder / "browser", ground.folder / "browser-said"
    said.unlink(missing_ok=True)
    browser.write_text(f'#!/bin/sh\necho "$@" > "{said}.part" && mv "{said}.part" "{said}"\n')
    browser.chmod(0o755)
    other = ground.neighbour(ground.environment)
    other.open("--open", environment={"BROWSER": f"{browser} %s"})
    wait_for("the browser", said.exists, 60)
    text = said.read_text()
    for secret in secrets_of(other):
        check(secret not in text, "the browser's command line holds a secret")
    page = Path(unquote(urlsplit(text.strip()).path))
    check(page.stat().st_mode & 0o077 == 0, f"others may read the page that leads a browser on: {page}")
    other.close()


def lines_of_commands() -> Iterator[str]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid():
                yield " ".join(process.cmdline())
