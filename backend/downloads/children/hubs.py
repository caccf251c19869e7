"""What both hubs' children share: the interface, what can go wrong, and a file loaded with patience.

In a child alone: it is the one that is let online. What goes wrong is a Trouble, whose key the console has a text for.
"""

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from backend.downloads.values import Found, RemoteFile, Repository

PART = ".incomplete"
SILENCE_S = 300.0  # so long a source may give nothing before it is given up
LONGEST_PAUSE_S = 30.0
RETRIED = (408, 425, 429, 500, 502, 503, 504)
READ_TIMEOUT_S = 15.0

PIECE = 1 << 18

Arrived = Callable[[int], None]


class Trouble(Exception):
    """Why it can't be done: the last part of a text's key, and what fills the text. ``lasting``: asking again is in
    vain."""

    def __init__(self, key: str, lasting: bool = True, **params: str | int) -> None:
        super().__init__(key)
        self.key = key
        self.lasting = lasting
        self.params = params


class Hub(Protocol):
    """A hub at one address. Everything may raise Trouble."""

    def repository(self, name: str, revision: str) -> Repository:
        """What the repository holds; ``revision`` "" is the newest."""

    def read(self, repository: str, revision: str, path: str, start: int, count: int) -> Iterator[bytes]:
        """The bytes of a file from ``start`` on, at most ``count``, as they come."""

    def search(self, text: str, most: int) -> list[Found]:
        """Models with such a name, the most loaded first."""

    def fetch(self, repository: str, revision: str, file: RemoteFile, target: Path, arrived: Arrived) -> None:
        """The whole file, its hash checked. What a broken line left is gone on with. ``arrived`` counts bytes, and is
        told of those that have to come anew as less than none."""


def open_hub(kind: str, endpoint: str, token: str | None) -> Hub:
    """The hub of that kind at that address. ``token`` None: the library's own, if it is logged in; "": none."""
    if kind == "modelscope":  # each library takes half a second to import
        from backend.downloads.children.model_scope import ModelScope

        return ModelScope(endpoint, token)
    from backend.downloads.children.hugging_face import HuggingFace

    return HuggingFace(endpoint, token)


# A file, with patience


class Checked:
    """The file that is being loaded: what is written is counted and its hash made, what was there is read once."""

    def __init__(self, part: Path, file: RemoteFile, arrived: Arrived) -> None:
        self._file = file
        self._arrived = arrived
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._stream = os.fdopen(descriptor, "r+b", buffering=0)
        self._digest = new_digest(self._file)
        self._size = 0
        if os.fstat(descriptor).st_size > file.size:
            self._stream.truncate(0)
        while piece := self._stream.read(1 << 20):
            self._count(piece)

    def write(self, piece: bytes) -> int:
        """Append it. More than the file's size is another file."""
        if self._size + len(piece) > self._file.size:
            raise Trouble("hash", False, file=self._file.path)
        rest = memoryview(piece)
        while rest:
            rest = rest[self._stream.write(rest) :]
        self._count(piece)
        return len(piece)

    def tell(self) -> int:
        """How much is there."""
        return self._size

    def seek(self, position: int) -> int:
        """To the beginning, before all of it comes anew."""
        assert position == 0
        return self._stream.seek(0)

    def truncate(self) -> int:
        """Nothing is there any more."""
        self._arrived(-self._size)
        self._size, self._digest = 0, new_digest(self._file)
        return self._stream.truncate(0)

    def close(self) -> None:
        """What was written stays for the next attempt."""
        self._stream.close()

    def is_right(self) -> bool:
        """Whether it is the file that the hub has named."""
        return self._size == self._file.size and is_named(self._file, self._digest)

    def _count(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._size += len(piece)
        self._arrived(len(piece))


def new_digest(file: RemoteFile) -> Any:
    """What makes the hash by which the hub names it."""
    if file.sha256 or not file.sha1:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size)  # git's name for a file


def is_named(file: RemoteFile, digest: Any) -> bool:
    """Whether that is the hash by which the hub names it; True where it names none."""
    wanted = file.sha256 or file.sha1
    return not wanted or bool(digest.hexdigest() == wanted.lower())


def is_at(place: Path, file: RemoteFile) -> bool:
    """Whether the hub's file stands there, by its size and hash."""
    try:
        if not place.is_file() or place.stat().st_size != file.size:
            return False
        digest = new_digest(file)
        with place.open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    except OSError:
        return False
    return is_named(file, digest)


def fetch_with_patience(
    file: RemoteFile, target: Path, arrived: Arrived, attempt: Callable[[Path, Checked], None]
) -> None:
    """Attempt after attempt, each where the one before broke off, until the file is there and right.

    Given up after SILENCE_S without a byte, after two files with a wrong hash, and at a Trouble that lasts.
    """
    part = target.with_name(target.name + PART)
    wrong = 0
    pause = 1.0
    last_came = time.monotonic()
    while True:
        checked = Checked(part, file, arrived)
        begun = checked.tell()
        trouble: Trouble | None = None
        try:
            if begun < file.size:
                attempt(part, checked)
        except Trouble as problem:
            trouble = problem
        finally:
            came = checked.tell() > begun
            right = checked.is_right()
            try:
                checked.close()
            except OSError as error:
                trouble = of_disk(error, "")
        if trouble is None and right:
            part.replace(target)
            return
        if trouble is None or trouble.key == "hash":
            wrong += 1
            arrived(-part.stat().st_size)
            part.unlink()
            print(f"{file.path}: its hash isn't the hub's", flush=True)
            if wrong > 1:
                raise Trouble("hash", file=file.path)
            continue
        if trouble.lasting:
            raise trouble
        now = time.monotonic()
        if came:
            last_came, pause = now, 1.0
        if now - last_came > SILENCE_S:
            raise trouble
        arrived(-part.stat().st_size)  # counted again when it is opened again
        print(f"{file.path}: {trouble.key} {trouble.params}; on from there in {pause:g} s", flush=True)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)


def limited(pieces: Iterator[bytes], count: int, skip: int) -> Iterator[bytes]:
    """At most ``count`` bytes, after ``skip`` (a server without ranges sends all)."""
    for piece in pieces:
        if skip >= len(piece):
            skip -= len(piece)
            continue
        piece = piece[skip : skip + count]
        skip = 0
        count -= len(piece)
        yield piece
        if count <= 0:
            return


def of_status(status: int, name: str, endpoint: str) -> Trouble:
    keys = {401: "unauthorized", 403: "forbidden", 404: "not-found", 429: "too-many", 416: "hash"}
    key = keys.get(status, "answer")
    return Trouble(key, status not in RETRIED, repository=name, address=endpoint, status=status)


def unreachable(endpoint: str, error: Exception) -> Trouble:
    return Trouble("unreachable", False, address=endpoint, error=str(error)[:200] or type(error).__name__)


def of_disk(error: OSError, endpoint: str) -> Trouble:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Trouble("no-space")
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.EFBIG):
        return Trouble("disk", error=error.strerror or str(error))
    return unreachable(endpoint, error)


def token_of(file: str, implicit: bool) -> str | None:
    """The kept token; without one the library's own (None) where ``implicit``, else none ("")."""
    with suppress(OSError):
        if file and (kept := Path(file).read_text(encoding="utf-8").strip()):
            return kept
    return None if implicit else ""
