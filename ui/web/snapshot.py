"""What every page polls: servers, jobs and the header's figures as one JSON text with a version.

Hundreds of visible pages that nobody touches ask for it a hundred times a second, and nearly always nothing is new. So
what was made a moment ago is answered at once, right behind the guard; only what is new takes the whole way.
"""

import hashlib
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.downloads.download import DownloadView
from backend.quantization.job import JobView
from backend.services import Services
from ui.i18n import Language, say
from ui.page.header import header_view
from ui.web.json_answer import encode
from ui.web.snapshot_json import view_json
from ui.web.visitor import STATE_KEY, Role, Visitor, visitor

CALM_MS = 1000
BUSY_MS = 250  # while a server starts or stops
MOST_MS = 2700  # every change is on every page within 3 s
PAGE_MS = 9  # so much longer for every page: 300 of them ask some 110 times a second
WINDOW_S = 6.0
FRESH_S = 0.2  # so old a snapshot may be whose servers, jobs and downloads haven't changed since: figures, notices
PATH = "/console/snapshot"
SINCE = b"since="
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
        self._looked: dict[tuple[Role, Language], tuple[float, tuple[int, ...]]] = {}
        self._parts: dict[tuple[str, Role, Language], dict[str, tuple[Any, bytes]]] = {}

    def get(self, role: Role, language: Language) -> Snapshot:
        """``version``, ``started_at`` (the console), ``role``, ``language``, ``servers``, ``jobs`` and ``downloads`` in
        their order, ``header``, ``notices``; the operator's has ``installation``, the newest one of the engines, and in
        the header how many of the class are here, and how many answers are under way.
        """
        looked = (time.monotonic(), self._changes())
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
            self._looked[role, language] = looked
            return known
        servers = self._services.servers.snapshot()
        fields = {
            "version": encode(version),
            "started_at": encode(self._services.started_at),
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
            self._looked[role, language] = looked
        return made

    def recent(self, role: Role, language: Language) -> Snapshot | None:
        """What ``get`` would give, where it was made a moment ago and no server, job or download has changed since;
        None elsewhere. Costs nothing, and waits for nothing."""
        looked = self._looked.get((role, language))
        if looked is None or time.monotonic() - looked[0] > FRESH_S or looked[1] != self._changes():
            return None
        return self._made.get((role, language))

    def _changes(self) -> tuple[int, ...]:
        services = self._services
        return services.servers.version, services.jobs.version, services.downloads.version

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


class SnapshotPoll:
    """Answers the poll: ``route`` in full, ``before`` right behind the guard where nothing has to be made."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._snapshots = Snapshots(services)
        self._pace = Pace()

    def route(self, request: Request, body: Any) -> Response:
        """Everything that every page shows; 204 where ``since`` is its version still.

        ``next_ms`` in the answer, and the header ``console-next-ms`` of every answer (a 204 has no body), say in how
        many milliseconds the page should ask again. A page that has just changed something asks at once.
        """
        who = visitor(request)
        made = self._snapshots.get(who.role, who.language)
        status, headers, content = self._answer(who, made, request.query_params.get("since"))
        response = Response(content, status)
        response.raw_headers[:] = headers
        return response

    def before(self, app: ASGIApp) -> ASGIApp:
        """The application with the quick way in front."""

        async def quick(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "GET":
                who, query = scope["state"].get(STATE_KEY), scope["query_string"]
                plain = not query or (query.startswith(SINCE) and query[len(SINCE) :].isalnum())
                made = self._snapshots.recent(who.role, who.language) if plain and isinstance(who, Visitor) else None
                if made is not None:
                    status, headers, content = self._answer(who, made, query[len(SINCE) :].decode("ascii"))
                    await send({"type": "http.response.start", "status": status, "headers": headers})
                    await send({"type": "http.response.body", "body": content})
                    return
            await app(scope, receive, send)

        return quick

    def _answer(self, who: Visitor, made: Snapshot, since: str | None) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Counts one poll: status, headers and body of its answer."""
        self._services.visitors.note(who.role.value, who.id)
        wait = b"%d" % self._pace.next_ms(made.busy)
        headers = [
            (b"console-next-ms", wait),
            (b"console-chat", self._services.chat.library.revision(who.id).encode()),
            (b"cache-control", b"no-store"),
        ]
        if since == made.version:
            return 204, headers, b""
        content = b'{"next_ms":' + wait + b"," + made.body[1:]
        headers += [(b"content-length", b"%d" % len(content)), (b"content-type", b"application/json")]
        return 200, headers, content
