"""ModelScope by its own library: a repository, a range of a file, a whole file that goes on where a line broke.

(Its own downloader gives up a file after an hour, and counts no bytes that other programs could read.)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from modelscope_hub import HubApi
from modelscope_hub.errors import APIError, HubError

from backend.downloads.children.hubs import (
    PIECE,
    Arrived,
    Checked,
    Trouble,
    fetch_with_patience,
    limited,
    of_disk,
    of_status,
    unreachable,
)
from backend.downloads.values import Found, RemoteFile, Repository


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
        gated = about.get("ProtectedMode") == 1  # 2 is off
        return Repository(name, revision or "master", files, str(about.get("License") or ""), gated)

    def read(self, repository: str, revision: str, path: str, start: int, count: int) -> Iterator[bytes]:
        with self._told(repository):
            headers = {"Range": f"bytes={start}-{start + count - 1}", "Accept-Encoding": "identity"}
            answer = self._api.legacy.download_stream(repository, "model", path, revision, headers=headers)
            with answer:
                yield from limited(answer.iter_content(65536), count, start if answer.status_code == 200 else 0)

    def search(self, text: str, most: int) -> list[Found]:
        with self._told(text):
            page = self._api.list_repos("model", search=text, sort="downloads", page_size=most)
        found = []
        for item in page.items:
            name = item.id if isinstance(item.id, str) and "/" in item.id else f"{item.owner}/{item.name}"
            found.append(Found(name, item.downloads or 0, bool(item.gated)))
        return found

    def fetch(self, repository: str, revision: str, file: RemoteFile, target: Path, arrived: Arrived) -> None:
        def attempt(part: Path, checked: Checked) -> None:
            with self._told(repository):
                headers = {"Accept-Encoding": "identity"}
                if begun := checked.tell():
                    headers["Range"] = f"bytes={begun}-"
                answer = self._api.legacy.download_stream(repository, "model", file.path, revision, headers=headers)
                with answer:
                    if begun and answer.status_code == 200:  # it has no ranges: from the beginning
                        checked.seek(0)
                        checked.truncate()
                    for piece in answer.iter_content(PIECE):
                        checked.write(piece)
                if checked.tell() != file.size:
                    raise Trouble("unreachable", False, address=self._endpoint, error=f"{checked.tell()} B")

        fetch_with_patience(file, target, arrived, attempt)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except APIError as error:
            raise of_status(error.status_code or 0, name, self._endpoint) from error
        except (HubError, requests.RequestException) as error:
            raise unreachable(self._endpoint, error) from error
        except OSError as error:
            raise of_disk(error, self._endpoint) from error
