"""A server on this machine that speaks both hubs' API, with real files from a folder, and every fault on demand.

Hugging Face: ``/api/models``, ``/ORG/NAME/resolve/REV/FILE`` (large files are a redirect to another host, as there).
ModelScope: ``/api/v1/models/ORG/NAME[/repo/files|/repo?FilePath=]``, ``/openapi/v1/models``.
"""

import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE_BYTES = 10_000  # from here on a file is in LFS
PIECE = 65536


@dataclass
class Faults:
    """What goes wrong. ``speed`` is bytes a second of one connection; ``cut_after`` ends every answer with more than
    so many bytes there, ``cuts`` times; ``corrupt``: files whose first byte is another, ``corruptions`` times;
    ``token``: what must be sent; ``gated``: the files' list is for all, the files are not; ``statuses``: answers by a
    pattern of the path, each the given number of times; ``ranges``: whether parts can be had."""

    speed: float | None = None
    cut_after: int | None = None
    cuts: int = 1
    corrupt: str = ""
    corruptions: int = 1_000_000
    token: str = ""
    gated: bool = False
    statuses: dict[str, list[int]] = field(default_factory=dict)
    ranges: bool = True
    redirect: bool = True


@dataclass
class LocalHub:
    """A running hub. ``repositories``: folders by "org/name". ``asked`` are all requests, as "METHOD path Range"."""

    port: int
    repositories: dict[str, Path]
    faults: Faults = field(default_factory=Faults)
    asked: list[str] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)  # bytes by file
    tokens: list[tuple[str, str]] = field(default_factory=list)  # (Host, Authorization) of the requests for files
    revision: str = COMMIT
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def elsewhere(self) -> str:
        """The same server by another name: where large files are."""
        return f"http://localhost:{self.port}"


@contextmanager
def local_hub(repositories: dict[str, Path], faults: Faults | None = None) -> Iterator[LocalHub]:
    """Serves the folders until the end of the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    hub = LocalHub(server.server_address[1], repositories, faults or Faults())
    server.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def files_of(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


_digests: dict[tuple[Path, int], str] = {}


def sha256(path: Path) -> str:
    key = (path, path.stat().st_mtime_ns)
    if key not in _digests:
        with path.open("rb") as stream:
            _digests[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _digests[key]


def git_sha1(path: Path) -> str:
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> LocalHub:
        return self.server.hub  # type: ignore[attr-defined,no-any-return]

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        with self.hub.lock:
            self.hub.asked.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
        for pattern, left in self.hub.faults.statuses.items():
            if re.search(pattern, self.path):
                with self.hub.lock:
                    status = left.pop(0) if left else 0
                if status:
                    return self._error(status)
        if path == "/api/models":
            return self._json([self._model(name) for name in self._named(query.get("search", [""])[0])])
        if path == "/openapi/v1/models":
            found = [
                {"id": name, "downloads": 7, "owner": name.split("/")[0], "name": name.split("/")[1]}
                for name in self._named(query.get("search", [""])[0])
            ]
            return self._json({"success": True, "data": {"models": found, "total_count": len(found)}})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            return self._json(self._model(match[1])) if match[1] in self.hub.repositories else self._error(404)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            return self._json(self._tree(match[1])) if match[1] in self.hub.repositories else self._error(404)
        if match := re.fullmatch(r"/api/v1/models/([^/]+/[^/]+)(/repo/files|/repo)?", path):
            return self._modelscope(match[1], match[2] or "", query)
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._resolve(match[1], match[3])
        if match := re.fullmatch(r"/lfs/([^/]+/[^/]+)/(.+)", path):
            return self._file(self.hub.repositories[match[1]], match[2])
        return self._error(404)

    def _named(self, text: str) -> list[str]:
        return [name for name in self.hub.repositories if text.lower() in name.lower()]

    def _model(self, name: str) -> dict[str, Any]:
        folder = self.hub.repositories[name]
        siblings = []
        for path in files_of(folder):
            file = folder / path
            size = file.stat().st_size
            one: dict[str, Any] = {
                "rfilename": path,
                "size": size,
                "blobId": git_sha1(file) if size < LARGE_BYTES else "0" * 40,
            }
            if size >= LARGE_BYTES:
                one["lfs"] = {"sha256": sha256(file), "size": size, "pointerSize": 130}
            siblings.append(one)
        gated: str | bool = "manual" if self.hub.faults.gated else False
        return {
            "_id": "1", "id": name, "modelId": name, "sha": self.hub.revision, "siblings": siblings, "gated": gated,
            "private": False, "tags": ["license:apache-2.0"], "downloads": 42, "likes": 1,
            "cardData": {"license": "apache-2.0"},
        }  # fmt: skip

    def _tree(self, name: str) -> list[dict[str, Any]]:
        """The files once more, as Hugging Face's library asks for them before it loads them."""
        entries = []
        for one in self._model(name)["siblings"]:
            entry = {"type": "file", "path": one["rfilename"], "size": one["size"], "oid": one["blobId"]}
            if lfs := one.get("lfs"):
                entry["lfs"] = {"oid": lfs["sha256"], "size": lfs["size"], "pointerSize": lfs["pointerSize"]}
            entries.append(entry)
        return entries

    def _modelscope(self, name: str, what: str, query: dict[str, list[str]]) -> None:
        folder = self.hub.repositories.get(name)
        if folder is None:
            return self._error(404)
        if what == "":
            return self._json({"Code": 200, "Data": {"Name": name, "License": "Apache License 2.0"}})
        if what == "/repo/files":
            files = [
                {"Path": path, "Size": (folder / path).stat().st_size, "Sha256": sha256(folder / path), "Type": "blob"}
                for path in files_of(folder)
            ]
            return self._json({"Code": 200, "Data": {"Files": files}})
        if not self._may():
            return self._error(403)
        return self._file(folder, query["FilePath"][0])

    def _resolve(self, name: str, path: str) -> None:
        folder = self.hub.repositories.get(name)
        if folder is None or not (folder / path).is_file():
            return self._error(404, {"X-Error-Code": "EntryNotFound" if folder else "RepoNotFound"})
        if not self._may():
            return self._error(
                403 if self.hub.faults.gated else 401, {"X-Error-Code": "GatedRepo"} if self.hub.faults.gated else {}
            )
        file = folder / path
        if file.stat().st_size >= LARGE_BYTES and self.hub.faults.redirect:
            self.send_response(302)
            self.send_header("Location", f"{self.hub.elsewhere}/lfs/{name}/{path}")
            self.send_header("X-Linked-Etag", f'"{sha256(file)}"')
            self.send_header("X-Linked-Size", str(file.stat().st_size))
            self.send_header("X-Repo-Commit", self.hub.revision)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        return self._file(folder, path)

    def _may(self) -> bool:
        sent = self.headers.get("Authorization", "")
        with self.hub.lock:
            self.hub.tokens.append((self.headers.get("Host", ""), sent))
        return not self.hub.faults.token or sent == f"Bearer {self.hub.faults.token}"

    def _file(self, folder: Path, path: str) -> None:
        file = folder / path
        if not file.is_file():
            return self._error(404)
        if path.startswith("model") and self.path.startswith("/lfs/"):
            with self.hub.lock:
                self.hub.tokens.append((self.headers.get("Host", ""), self.headers.get("Authorization", "")))
        size = file.stat().st_size
        start, end = 0, size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and self.hub.faults.ranges:
            start = int(asked[1])
            end = min(int(asked[2]) + 1, size) if asked[2] else size
            if start >= size:
                return self._error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("ETag", f'"{sha256(file) if size >= LARGE_BYTES else git_sha1(file)}"')
        self.send_header("X-Repo-Commit", self.hub.revision)
        self.end_headers()
        if self.command == "GET":
            with suppress(OSError):
                self._send(file, path, start, end)

    def _send(self, file: Path, path: str, start: int, end: int) -> None:
        faults, hub = self.hub.faults, self.hub
        began, sent = time.monotonic(), 0
        cut = None
        with hub.lock:
            if faults.cut_after is not None and faults.cuts > 0 and end - start > faults.cut_after:
                faults.cuts -= 1
                cut = faults.cut_after
            corrupt = path == faults.corrupt and start == 0 and faults.corruptions > 0
            faults.corruptions -= corrupt
        with file.open("rb") as stream:
            stream.seek(start)
            while sent < end - start:
                piece = stream.read(min(PIECE, end - start - sent))
                if corrupt and sent == 0:
                    piece = bytes([piece[0] ^ 255]) + piece[1:]
                if cut is not None and sent + len(piece) > cut:
                    self.wfile.write(piece[: cut - sent])
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                self.wfile.write(piece)
                sent += len(piece)
                with hub.lock:
                    hub.sent[path] = hub.sent.get(path, 0) + len(piece)
                if faults.speed and hub.closing.wait(max(began + sent / faults.speed - time.monotonic(), 0)):
                    return

    def _json(self, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def _error(self, status: int, headers: dict[str, str] | None = None) -> None:
        data = json.dumps({"error": "no", "Message": "no", "Code": status}).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)
