"""Hugging Face by its own library: a repository, a range of a file, a whole file that goes on where a line broke.

(``snapshot_download`` throws away what had come of a file when its process ends: its ``http_get`` is used instead.)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from backend.downloads.children.hubs import (
    PIECE,
    READ_TIMEOUT_S,
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

# What came of a piece is lost with a broken line, and not seen before it is whole: 10 MB are minutes of a slow one.
constants.DOWNLOAD_CHUNK_SIZE = PIECE


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
                hf_raise_for_status(answer)
                yield from limited(answer.iter_bytes(65536), count, start if answer.status_code == 200 else 0)

    def search(self, text: str, most: int) -> list[Found]:
        with self._told(text):
            models = self._api.list_models(search=text, sort="downloads", limit=most, expand=["downloads", "gated"])
            return [Found(model.id, model.downloads or 0, bool(model.gated)) for model in models]

    def fetch(self, repository: str, revision: str, file: RemoteFile, target: Path, arrived: Arrived) -> None:
        url = hf_hub_url(repository, file.path, revision=revision, endpoint=self._endpoint)

        def attempt(part: Path, checked: Checked) -> None:
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
            raise of_status(
                error.response.status_code if error.response is not None else 0, name, self._endpoint
            ) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise unreachable(self._endpoint, error) from error
        except OSError as error:
            raise of_disk(error, self._endpoint) from error


def _licence(info: Any) -> str:
    named = getattr(info.card_data, "license_name", None) or getattr(info.card_data, "license", None)
    if not named:
        named = next((tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")), "")
    return ", ".join(named) if isinstance(named, list) else str(named)
