"""The pictures that visitors sent, each visitor's in a folder of its own."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from backend.chat.conversation import Picture
from backend.chat.images import MAX_BYTES, CheckedPicture, check_picture, data_url, is_large_file
from backend.errors import InvalidInput, Message, NotFound
from backend.private_folders import make_private
from backend.whole_file import write_whole

MIME = {".png": "image/png", ".jpg": "image/jpeg"}


class Pictures:
    """Files under ``folder`` (mode 0700), outside of what Gradio serves. Safe to call from any thread.

    A visitor's folder is named by a hash: the visitor's id is a secret, and paths are shown to the operator.
    """

    def __init__(self, folder: Path, circle: Callable[[str], Sequence[str]] = lambda visitor: (visitor,)) -> None:
        """``circle``: the visitors whose pictures that visitor may see."""
        self._folder = folder
        self._circle = circle
        # Threads of their own: a class that sends large photos keeps no one else waiting, nor each other's small ones.
        self._small = ThreadPoolExecutor(2, "picture")
        self._large = ThreadPoolExecutor(1, "large-picture")

    async def keep_in_turn(self, visitor: str, upload: Path, name: str) -> tuple[Picture, tuple[Message, ...]]:
        """``keep`` in a thread: two small pictures at the same time, and one large."""
        loop = asyncio.get_running_loop()
        large = await loop.run_in_executor(self._small, _is_large, upload, name)
        return await loop.run_in_executor(self._large if large else self._small, self.keep, visitor, upload, name)

    def close(self) -> None:
        """No more pictures are taken; those that wait are given up."""
        for threads in (self._small, self._large):
            threads.shutdown(wait=False, cancel_futures=True)

    def keep(self, visitor: str, upload: Path, name: str) -> tuple[Picture, tuple[Message, ...]]:
        """Check the uploaded file and keep a clean copy. Raises InvalidInput where no model takes such a picture."""
        try:
            with upload.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
                size = os.fstat(file.fileno()).st_size
        except OSError:
            raise InvalidInput(Message("chat.error.picture_gone", {"name": name}, field="question")) from None
        if size > MAX_BYTES:
            sizes = {"name": name, "size": f"{size / 2**20:.0f} MiB", "limit": f"{MAX_BYTES // 2**20} MiB"}
            raise InvalidInput(Message("chat.error.picture_size", sizes, field="question"))
        return self.keep_bytes(visitor, data, name)

    def keep_bytes(self, visitor: str, data: bytes, name: str) -> tuple[Picture, tuple[Message, ...]]:
        """As ``keep``, of a picture that came in a file."""
        checked = check_picture(data, name)
        return self._write(visitor, checked, name), checked.notices

    def path(self, visitor: str, picture_id: str, *, own: bool = False) -> Path:
        """Where a visitor's picture lies; NotFound for another visitor's, and for anything else. ``own``: of this very
        browser."""
        stem, suffix = os.path.splitext(picture_id)
        if suffix in MIME and stem.isalnum():
            for owner in dict.fromkeys((visitor, *(() if own else self._circle(visitor)))):
                path = self._home(owner) / picture_id
                if path.is_file():
                    return path
        raise NotFound(Message("chat.error.picture_missing"))

    def data_url(self, visitor: str, picture_id: str) -> str:
        """The picture as a request carries it."""
        path = self.path(visitor, picture_id)
        return data_url(path.read_bytes(), MIME[path.suffix])

    def bytes_of(self, visitor: str) -> int:
        """The bytes of all of that visitor's."""
        return _bytes_in(self._home(visitor))

    def bytes_in_total(self) -> int:
        """The bytes of all visitors'."""
        try:
            return sum(map(_bytes_in, self._folder.iterdir()))
        except OSError:
            return 0

    def remove(self, visitor: str, picture_id: str) -> None:
        """Delete one of the visitor's pictures."""
        home = self._home(visitor)
        stem, suffix = os.path.splitext(picture_id)
        if suffix in MIME and stem.isalnum():
            (home / picture_id).unlink(missing_ok=True)
        with suppress(OSError):  # others are still there
            home.rmdir()

    def _home(self, visitor: str) -> Path:
        return self._folder / hashlib.sha256(visitor.encode()).hexdigest()[:32]

    def _write(self, visitor: str, checked: CheckedPicture, name: str) -> Picture:
        home = self._home(visitor)
        make_private(home)
        picture_id = hashlib.sha256(checked.data).hexdigest()[:32] + checked.suffix
        write_whole(home / picture_id, checked.data)
        return Picture(picture_id, name, checked.width, checked.height)


def _bytes_in(home: Path) -> int:
    total = 0
    with suppress(OSError), os.scandir(home) as entries:
        for entry in entries:
            with suppress(OSError):
                total += entry.stat(follow_symlinks=False).st_size
    return total


def _is_large(upload: Path, name: str) -> bool:
    """Whether it needs the thread for large ones; ``keep`` says what may be wrong with it."""
    try:
        with upload.open("rb") as file:
            return is_large_file(file.read(MAX_BYTES), name)
    except OSError:
        return False
