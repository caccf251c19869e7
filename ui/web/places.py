"""Where a request's path leads: the console's outer prefix, a role's secret prefix, and the page's own path below them.

A cookie belongs to a host and goes to each of its ports: whoever makes the operator open a page of his on another port
of 127.0.0.1 would be given it. A cookie's path is what browsers do tell apart. So the page lives below a path that
nobody can guess, one for each role, and the cookies hold there alone. Without its cookie the path leads nowhere: it is
in the address bar, and what a projector shows must let nobody in.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.web.host_rules import parse_authority
from ui.web.visitor import Role

BASE_KEY = "console_base"
SECRET_FILE = "path-secret"
LONGEST_PATH = 8192
SECRET_SEGMENT = re.compile(r"[0-9a-f]{32}")  # what a role's prefix looks like
# The last: a number that Python reads none of, where a router does that by itself.
ODD_SEGMENTS = re.compile(r"(?:^|/)\.{1,2}(?:/|$)|//|[\\\x00-\x1f\x7f]|[\ud800-\udfff]|(?:^|/)[0-9]{1000,}(?:/|$)")
QUOTED_AS_IS = "/:@!$&'()*+,;=~"
# Parts of Gradio that the console doesn't use: fetching other hosts' files, editing code, sharing runs.
CLOSED_PREFIXES = tuple(
    f"{root}/{name}"
    for root in ("", "/gradio_api")
    for name in (
        "proxy=", "vibe-", "undo-vibe-", "run-history", "runs", "monitoring", "dev/", "deep_link", "process_recording",
        "custom_component/",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """``path`` is what the application sees, ``role`` whose secret prefix stood before it, ``depth`` how many slashes
    an address relative to the console's root has to go back."""

    path: str
    role: Role | None
    depth: int

    @property
    def odd(self) -> bool:
        """Not in the one form that a path has here; two parts of the application might read it differently."""
        return len(self.path) > LONGEST_PATH or ODD_SEGMENTS.search(self.path) is not None

    @property
    def closed(self) -> bool:
        """Whether it is a part of Gradio that nobody may use."""
        return self.path.lower().startswith(CLOSED_PREFIXES)


class Places:
    """``root_path`` is a proxy's prefix or the full address behind it; ``secret`` makes the roles' prefixes."""

    def __init__(self, root_path: str, secret: str, roles: Iterable[Role]) -> None:
        self.outer = urlsplit(root_path).path.rstrip("/")
        self._outer_seen = unquote(self.outer)
        self._prefixes = {role: _digest(secret, f"path of {role}")[:32] for role in roles}

    def locate(self, path: str) -> Place | None:
        """None where it is no path at all: ``*``, an absolute address.

        A proxy may leave its prefix in the path or take it away, and the page may be opened without the proxy."""
        if not path.startswith("/"):
            return None
        if self._outer_seen and f"{path}/".startswith(f"{self._outer_seen}/"):
            path = path.removeprefix(self._outer_seen) or "/"
        depth = path.count("/") - 1
        first, slash, rest = path[1:].partition("/")
        for role, prefix in self._prefixes.items():
            if hmac.compare_digest(first.encode("utf-8", "replace"), prefix.encode()):
                return Place(slash + rest, role, depth)
        return Place(path, None, depth)

    def base(self, role: Role | None) -> str:
        """What stands before the page's own path in the browser: "" or ``/outer/secret``."""
        return self.outer + (f"/{self._prefixes[role]}" if role else "")

    def cookie_paths(self, role: Role | None) -> tuple[str, ...]:
        """The paths of a cookie that holds there: behind the proxy, and where the page is opened without it."""
        inner = f"/{self._prefixes[role]}" if role else ""
        return tuple(dict.fromkeys(f"{outer}{inner}/" for outer in ("", self.outer)))

    def address(self, place: Place, role: Role, query: str) -> str:
        """The same page below the role's prefix, relative to the place: it holds behind any proxy."""
        path = place.path or "/"
        first, _, rest = path[1:].partition("/")
        if place.role is None and SECRET_SEGMENT.fullmatch(first):
            path = f"/{rest}"  # below a prefix that isn't one any more
        if ODD_SEGMENTS.search(path) or place.odd:
            path = "/"
        own = self._prefixes[role] + quote(path, safe=QUOTED_AS_IS)
        return self.root(place) + own + (f"?{query}" if query else "")

    @staticmethod
    def root(place: Place) -> str:
        """The console's root, relative to the place."""
        return "../" * place.depth or "./"


class BelowBase:
    """ASGI layer around the application proper, behind the guard: the application learns under which base its page was
    asked for, as a server's root path. ``root_path`` is the console's own setting: with a full address it also tells
    the host that the browser sees."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app = app
        outer = urlsplit(root_path)
        self._origin = f"{outer.scheme}://{outer.netloc}" if outer.netloc else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            base = scope.get("state", {}).get(BASE_KEY, "")
            headers = MutableHeaders(raw=[pair for pair in scope["headers"] if pair[0] != b"x-gradio-server"])
            if parse_authority(headers.get("x-forwarded-host", "").partition(",")[0].strip()) is None:
                del headers["x-forwarded-host"]
            if self._origin:
                del headers["x-forwarded-host"]
                headers["x-gradio-server"] = f"{self._origin}{base}"  # how Gradio is told the address of its page
            seen = unquote(base)
            path = f"{seen}{scope['path']}"
            raw = quote(path, safe=QUOTED_AS_IS).encode()
            scope = {**scope, "root_path": seen, "path": path, "raw_path": raw, "headers": headers.raw}
        await self.app(scope, receive, send)


def _digest(secret: str, purpose: str) -> str:
    return hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()
