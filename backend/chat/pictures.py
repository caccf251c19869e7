"""The pictures that visitors sent, each visitor's in a folder of its own."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

from backend.chat.conversation import Picture
from backend.chat.images import MAX_BYTES, CheckedPicture, check_picture, data_url
from backend.errors import InvalidInput, Message, NotFound

MIME = {".png": "image/png", ".jpg": "image/jpeg"}


class Pictures:
    """Files under ``folder`` (mode 0700), outside of what Gradio serves. Safe to call from any thread.

    A visitor's folder is named by a hash: the visitor's id is a secret, and paths are shown to the operator.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, visitor: str, upload: Path, name: str) -> tuple[Picture, tuple[Message, ...]]:
        """Check the file that was uploaded and keep a clean copy. InvalidInput where it is no picture that a model
        takes.
        """
        try:
            with upload.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
                size = os.fstat(file.fileno()).st_size
        except OSError:
            raise InvalidInput(Message("chat.error.picture_gone", {"name": name}, field="chat-input")) from None
        if size > MAX_BYTES:
            sizes = {"name": name, "size": f"{size / 2**20:.0f} MiB", "limit": f"{MAX_BYTES // 2**20} MiB"}
            raise InvalidInput(Message("chat.error.picture_size", sizes, field="chat-input"))
        checked = check_picture(data, name)
        return self._write(visitor, checked, name), checked.notices

    def path(self, visitor: str, picture_id: str) -> Path:
        """Where a visitor's picture lies; NotFound for another visitor's, and for anything else."""
        stem, suffix = os.path.splitext(picture_id)
        path = self._home(visitor) / picture_id
        if suffix not in MIME or not stem.isalnum() or not path.is_file():
            raise NotFound(Message("chat.error.picture_missing"))
        return path

    def data_url(self, visitor: str, picture_id: str) -> str:
        """The picture as a request carries it."""
        path = self.path(visitor, picture_id)
        return data_url(path.read_bytes(), MIME[path.suffix])

    def forget(self, visitor: str, keep: Collection[str] = ()) -> None:
        """Delete a visitor's pictures but those."""
        home = self._home(visitor)
        if not keep:
            shutil.rmtree(home, ignore_errors=True)
            return
        for path in home.iterdir() if home.is_dir() else ():
            if path.name not in keep:
                path.unlink(missing_ok=True)

    def _home(self, visitor: str) -> Path:
        return self._folder / hashlib.sha256(visitor.encode()).hexdigest()[:32]

    def _write(self, visitor: str, checked: CheckedPicture, name: str) -> Picture:
        home = self._home(visitor)
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        picture_id = hashlib.sha256(checked.data).hexdigest()[:32] + checked.suffix
        handle, temporary = tempfile.mkstemp(dir=home)  # mode 0600
        with os.fdopen(handle, "wb") as file:
            file.write(checked.data)
        os.replace(temporary, home / picture_id)
        return Picture(picture_id, name, checked.width, checked.height)
