"""Both hubs by their own libraries, behind one interface: what a repository holds, a range of a file, a whole file.

In a child alone: it is the one that is let online. What goes wrong is a Trouble, whose key the console has a text for.
"""

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2
import requests
from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, get_session
from modelscope_hub import HubApi
from modelscope_hub.errors import APIError, FileIntegrityError, HubError

from backend.downloads.values import Found, RemoteFile, Repository

PART = ".incomplete"
SILENCE_S = 300.0  # so long a source may give nothing before it is given up
LONGEST_PAUSE_S = 30.0
RETRIED = (408, 425, 429, 500, 502, 503, 504)
READ_TIMEOUT_S = 15.0

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
    return ModelScope(endpoint, token) if kind == "modelscope" else HuggingFace(endpoint, token)


class HuggingFace:
    """huggingface.co, and what speaks its language."""

    def __init__(self, endpoint: str, token: str | None) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._token: str | bool | None = False if token == "" else token
        self._api = HfApi(endpoint=self._endpoint, token=self._token)

    def repository(self, name: str, revision: str) -> Repository:
        with self._told(name):
            info = self._api.model_info(name, revision=revision or None, files_metadata=True, timeout=READ_TIMEOUT_S)
        files = []
        for one in info.siblings or ():
            lfs = one.lfs
            size = (lfs.size if lfs else one.size) or 0
            files.append(RemoteFile(one.rfilename, size, lfs.sha256 if lfs else "", "" if lfs else one.blob_id or ""))
        return Repository(info.id, info.sha or revision or "main", tuple(files), _licence(info), bool(info.gated))

    def read(self, repository: str, revision: str, path: str, start: int, count: int) -> Iterator[bytes]:
        with self._told(repository):
            headers = build_hf_headers(token=self._token) | {"Accept-Encoding": "identity"}
            headers["Range"] = f"bytes={start}-{start + count - 1}"
            url = hf_hub_url(repository, path, revision=revision, endpoint=self._endpoint)
            options: Any = {"headers": headers, "follow_redirects": True, "timeout": READ_TIMEOUT_S}
            with get_session().stream("GET", url, **options) as answer:
                _raise_for(answer)
                yield from _limited(answer.iter_bytes(65536), count, start if answer.status_code == 200 else 0)

    def search(self, text: str, most: int) -> list[Found]:
        with self._told(text):
            models = self._api.list_models(search=text, sort="downloads", limit=most, expand=["downloads", "gated"])
            return [Found(model.id, model.downloads or 0, bool(model.gated)) for model in models]

    def fetch(self, repository: str, revision: str, file: RemoteFile, target: Path, arrived: Arrived) -> None:
        url = hf_hub_url(repository, file.path, revision=revision, endpoint=self._endpoint)

        def attempt(part: Path, checked: "Checked") -> None:
            with self._told(repository):
                # The address behind a redirect, which is signed for a while: asked for anew each time.
                about = get_hf_file_metadata(url, token=self._token, endpoint=self._endpoint, timeout=READ_TIMEOUT_S)
                headers = build_hf_headers(token=self._token)
                if urlsplit(about.location).netloc != urlsplit(url).netloc:
                    headers.pop("authorization", None)
                http_get(
                    about.location,
                    checked,  # it writes, seeks, tells and truncates, no more
                    resume_size=checked.tell(),
                    headers=headers,
                    expected_size=file.size,
                )

        fetch_with_patience(file, target, arrived, attempt)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """The library's errors as Trouble."""
        try:
            yield
        except GatedRepoError as error:
            raise Trouble("gated", repository=name, address=f"{self._endpoint}/{name}") from error
        except HfHubHTTPError as error:
            raise _of_status(
                error.response.status_code if error.response is not None else 0, name, self._endpoint
            ) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _unreachable(self._endpoint, error) from error
        except OSError as error:
            raise _of_disk(error, self._endpoint) from error


class ModelScope:
    """modelscope.cn and modelscope.ai."""

    def __init__(self, endpoint: str, token: str | None) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._api = HubApi(endpoint=self._endpoint, token=token)

    def repository(self, name: str, revision: str) -> Repository:
        with self._told(name):
            about = self._api.legacy.get_repo_info(name, "model")
            entries = self._api.legacy.list_repo_files(name, "model", revision or "master", recursive=True)
        files = tuple(
            RemoteFile(str(entry["Path"]), int(entry.get("Size") or 0), str(entry.get("Sha256") or ""))
            for entry in entries
            if entry.get("Type") != "tree" and entry.get("Path")
        )
        about = about if isinstance(about, dict) else {}
        gated = bool(about.get("ProtectedMode") == 1 or about.get("ApprovalMode"))
        return Repository(name, revision or "master", files, str(about.get("License") or ""), gated)

    def read(self, repository: str, revision: str, path: str, start: int, count: int) -> Iterator[bytes]:
        with self._told(repository):
            headers = {"Range": f"bytes={start}-{start + count - 1}", "Accept-Encoding": "identity"}
            answer = self._api.legacy.download_stream(repository, "model", path, revision, headers=headers)
            with answer:
                yield from _limited(answer.iter_content(65536), count, start if answer.status_code == 200 else 0)

    def search(self, text: str, most: int) -> list[Found]:
        with self._told(text):
            page = self._api.list_repos("model", search=text, sort="downloads", page_size=most)
        found = []
        for item in page.items:
            name = item.id if isinstance(item.id, str) and "/" in item.id else f"{item.owner}/{item.name}"
            found.append(Found(name, item.downloads or 0, bool(item.gated)))
        return found

    def fetch(self, repository: str, revision: str, file: RemoteFile, target: Path, arrived: Arrived) -> None:
        def attempt(part: Path, checked: "Checked") -> None:
            with self._told(repository):
                headers = {"Accept-Encoding": "identity"}
                if begun := checked.tell():
                    headers["Range"] = f"bytes={begun}-"
                answer = self._api.legacy.download_stream(repository, "model", file.path, revision, headers=headers)
                with answer:
                    if begun and answer.status_code == 200:  # it has no ranges: from the beginning
                        checked.seek(0)
                        checked.truncate()
                    for piece in answer.iter_content(1 << 20):
                        checked.write(piece)
                if checked.tell() != file.size:
                    raise Trouble("unreachable", False, address=self._endpoint, error=f"{checked.tell()} B")

        fetch_with_patience(file, target, arrived, attempt)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileIntegrityError as error:
            raise Trouble("hash", False, file=name) from error
        except APIError as error:
            raise _of_status(error.status_code or 0, name, self._endpoint) from error
        except (HubError, requests.RequestException) as error:
            raise _unreachable(self._endpoint, error) from error
        except OSError as error:
            raise _of_disk(error, self._endpoint) from error


# A file, with patience


class Checked:
    """The file that is being loaded: what is written is counted and its hash made, what was there is read once."""

    def __init__(self, part: Path, file: RemoteFile, arrived: Arrived) -> None:
        self._file = file
        self._arrived = arrived
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._stream = os.fdopen(descriptor, "r+b", buffering=0)
        self._digest = self._new()
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
        self._size, self._digest = 0, self._new()
        return self._stream.truncate(0)

    def close(self) -> None:
        """What was written stays for the next attempt."""
        self._stream.close()

    def is_right(self) -> bool:
        """Whether it is the file that the hub has named."""
        wanted = self._file.sha256 or self._file.sha1
        return self._size == self._file.size and (not wanted or self._digest.hexdigest() == wanted.lower())

    def _new(self) -> Any:
        if self._file.sha256 or not self._file.sha1:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self._file.size)  # git's name for a file

    def _count(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._size += len(piece)
        self._arrived(len(piece))


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
                trouble = _of_disk(error, "")
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


def _limited(pieces: Iterator[bytes], count: int, skip: int) -> Iterator[bytes]:
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


def _raise_for(answer: httpx2.Response) -> None:
    from huggingface_hub.utils import hf_raise_for_status

    hf_raise_for_status(answer)


def _licence(info: Any) -> str:
    named = getattr(info.card_data, "license_name", None) or getattr(info.card_data, "license", None)
    if not named:
        named = next((tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")), "")
    return ", ".join(named) if isinstance(named, list) else str(named)


def _of_status(status: int, name: str, endpoint: str) -> Trouble:
    keys = {401: "unauthorized", 403: "forbidden", 404: "not-found", 429: "too-many", 416: "hash"}
    key = keys.get(status, "answer")
    return Trouble(key, status not in RETRIED, repository=name, address=endpoint, status=status)


def _unreachable(endpoint: str, error: Exception) -> Trouble:
    return Trouble("unreachable", False, address=endpoint, error=str(error)[:200] or type(error).__name__)


def _of_disk(error: OSError, endpoint: str) -> Trouble:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Trouble("no-space")
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.EFBIG):
        return Trouble("disk", error=error.strerror or str(error))
    return _unreachable(endpoint, error)


def token_of(file: str, implicit: bool) -> str | None:
    """The kept token; without one the library's own (None) where ``implicit``, else none ("")."""
    with suppress(OSError):
        if file and (kept := Path(file).read_text(encoding="utf-8").strip()):
            return kept
    return None if implicit else ""
