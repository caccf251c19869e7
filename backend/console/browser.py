"""Opening the page in this machine's browser without its token on anybody's command line.

Every account can read a program's arguments. So the browser is given a file of this user's own that leads on to the
page, and the file is removed again. It lies where browsers in a sandbox may read: a snap sees neither /tmp nor hidden
folders, a Flatpak often the downloads alone.
"""

import contextlib
import json
import logging
import os
import stat
import tempfile
import threading
import webbrowser
from collections.abc import Iterable
from html import escape
from pathlib import Path

import platformdirs

PREFIX = "lmdeploy-console-open-"
KEPT_SECONDS = 60.0  # a browser that starts first needs a while
PAGE = """<!doctype html><html><head><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<title>LMDeploy Console</title><meta http-equiv="refresh" content="1; url={attribute}">
<script>location.replace({script});</script></head>
<body><a href="{attribute}" rel="noreferrer">LMDeploy Console</a></body></html>
"""
log = logging.getLogger(__name__)


class BrowserOpener:
    """Opens one address. ``close`` removes the file if it is there still; so does the next start's opener."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = [folder for folder in folders if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)]
        self._path: Path | None = None
        self._closed = threading.Event()

    def open(self, address: str) -> None:
        """In a thread of its own: some browsers only return when they end."""
        threading.Thread(target=self._open, args=(address,), daemon=True).start()

    def close(self) -> None:
        """Removes the file."""
        self._closed.set()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _open(self, address: str) -> None:
        for folder in self._folders:
            remove_stale(folder)
        self._path = path = next(filter(None, (write_page(folder, address) for folder in self._folders)), None)
        if path is None:
            log.warning("no folder for the page that leads a browser to the console")
            return
        threading.Thread(target=self._remove_later, daemon=True).start()
        try:
            webbrowser.open(path.as_uri())
        except Exception:  # a browser's own; the address stands in the terminal
            log.warning("the browser can't be started", exc_info=True)

    def _remove_later(self) -> None:
        self._closed.wait(KEPT_SECONDS)
        self.close()


def browsers_folders(state_dir: Path) -> tuple[Path, ...]:
    """Where such a file may lie, the best first."""
    folders = []
    with contextlib.suppress(RuntimeError, OSError):
        folders.append(platformdirs.user_downloads_path())
    with contextlib.suppress(RuntimeError):
        folders.append(Path.home())
    return (*folders, state_dir)


def write_page(folder: Path, address: str) -> Path | None:
    """A page (mode 0600) that leads to the address; None where it can't be written."""
    script = json.dumps(address).replace("<", "\\u003c")
    text = PAGE.format(attribute=escape(address, quote=True), script=script)
    try:
        descriptor, name = tempfile.mkstemp(prefix=PREFIX, suffix=".html", dir=folder)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return None
    return Path(name)


def remove_stale(folder: Path) -> None:
    """Pages of consoles that were killed; of this user's alone."""
    with contextlib.suppress(OSError):
        for path in folder.glob(f"{PREFIX}*.html"):
            with contextlib.suppress(OSError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid():
                    path.unlink()
