"""What every page polls: servers, jobs and the header's figures as one JSON text with a version."""

import hashlib
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from backend.downloads.download import DownloadView
from backend.quantization.job import JobView
from backend.services import Services
from ui.i18n import Language, say
from ui.page.header import header_view
from ui.web.json_answer import encode
from ui.web.snapshot_json import view_json
from ui.web.visitor import Role

CALM_MS = 1000
BUSY_MS = 250  # while a server starts or stops
MOST_MS = 2700  # every change is on every page within 3 s
PAGE_MS = 9  # so much longer for every page: 300 of them ask some 110 times a second
WINDOW_S = 6.0
BUSY_STATES = frozenset({"starting", "stopping"})


@dataclass(frozen=True)
class Snapshot:
    """``body`` is a JSON object's text; ``busy``: something on it changes every moment."""

    version: str
    body: bytes
    busy: bool


class Snapshots:
    """The newest snapshot for each role and language, made anew only when something in it changed, and then only the
    parts that did."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._made: dict[tuple[Role, Language], Snapshot] = {}
        self._parts: dict[tuple[str, Role, Language], dict[str, tuple[Any, bytes]]] = {}

    def get(self, role: Role, language: Language) -> Snapshot:
        """``version``, ``role``, ``language``, ``servers``, ``jobs`` and ``downloads`` in their order, ``header``,
        ``notices``; the operator's has ``installation``, the newest one of the engines, and in the header how many of
        the class are here, and how many answers are under way.
        """
        header = header_view(self._services)
        if role is Role.OPERATOR:
            header |= {
                "class_here": self._services.visitors.here(Role.CLASS.value),
                "answering": self._services.answering(),
            }
        notices = [say(notice, language) for notice in self._services.notices(role is Role.OPERATOR)]
        newest = self._services.installer.newest() if role is Role.OPERATOR else None
        installation = None if newest is None else asdict(newest)
        version = self._version(header, notices, installation, role, language)
        with self._lock:
            known = self._made.get((role, language))
        if known is not None and known.version == version:
            return known
        servers = self._services.servers.snapshot()
        fields = {
            "version": encode(version),
            "role": encode(role.value),
            "language": encode(language),
            "servers": self._list("servers", servers, role, language),
            "jobs": self._list("jobs", self._services.jobs.snapshot(), role, language),
            "downloads": self._list("downloads", self._downloads(role), role, language),
            "installation": encode(installation),
            "header": encode(header),
            "notices": encode(notices),
        }
        body = b"{" + b",".join(encode(name) + b":" + text for name, text in fields.items()) + b"}"
        made = Snapshot(version, body, any(view.state.value in BUSY_STATES for view in servers))
        with self._lock:
            self._made[role, language] = made
        return made

    def _list(self, kind: str, views: Iterable[Any], role: Role, language: Language) -> bytes:
        """The views as a JSON list; the text of one that hasn't changed is still there."""
        before = self._parts.get((kind, role, language), {})
        now: dict[str, tuple[Any, bytes]] = {}
        for view in views:
            key = _id_of(view)
            kept = before.get(key)
            same = kept is not None and kept[0] == view
            now[key] = kept if kept is not None and same else (view, encode(view_json(view, role, language)))
        self._parts[kind, role, language] = now
        return b"[" + b",".join(text for _, text in now.values()) + b"]"

    def _downloads(self, role: Role) -> Iterable[Any]:
        """The operator's alone: a class gets none."""
        return self._services.downloads.snapshot() if role is Role.OPERATOR else ()

    def _version(self, header: Any, notices: list[str], installation: Any, role: Role, language: Language) -> str:
        """Taken before the views are read: a change in between only makes the next poll fetch once more."""
        services = self._services
        views = [services.servers.version, services.jobs.version]
        views += [services.downloads.version] if role is Role.OPERATOR else []
        parts = [*views, role.value, language, services.started_at, header, notices, installation]
        return hashlib.sha256(encode(parts)).hexdigest()[:16]


def _id_of(view: Any) -> str:
    if isinstance(view, DownloadView):
        return view.download.id
    return str(view.job.id if isinstance(view, JobView) else view.id)


class Pace:
    """When a page should ask again: soon while something happens, later the more pages there are, and always so that
    every change is on every page within 3 s."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: deque[tuple[float, int]] = deque()
        self._sum_ms = 0

    def next_ms(self, busy: bool) -> int:
        """Counts one poll, and says when the next one should come."""
        now = time.monotonic()
        with self._lock:
            while self._told and now - self._told[0][0] > WINDOW_S:
                self._sum_ms -= self._told.popleft()[1]
            # Each poll stands for a page for as long as it was told to wait.
            pages = self._sum_ms / (1000 * WINDOW_S)
            wait = min(max(BUSY_MS if busy else CALM_MS, int(pages * PAGE_MS)), MOST_MS)
            self._told.append((now, wait))
            self._sum_ms += wait
        return wait
