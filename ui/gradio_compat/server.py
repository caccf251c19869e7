"""Gradio's half in this process: the page, its sessions and its routes, set for a class at once (see the package)."""

import asyncio
import hashlib
import json
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import orjson
from fastapi import FastAPI
from gradio.routes import file_upload_statuses
from gradio.server_messages import EventMessage
from gradio.state_holder import SessionState, StateHolder
from gradio.utils import LRUCache
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Router
from starlette.types import ASGIApp, Scope

from ui.gradio_compat.scripts import stub_of, unused_scripts
from ui.web.json_answer import plain

SEEN_IN = "6.31.0"
MAX_THREADS = 200  # Gradio's 40 would be used up by a class's open answers
MOST_WAITING = 256
MOST_UNREAD = 20_000  # messages, of some 10 kB; an open page reads its own at once
QUEUE_LOOK_S = 0.01
SESSIONS = 300  # three pages for each of a class of a hundred
API = "/gradio_api"
UPLOAD, UPLOAD_PROGRESS = f"{API}/upload", f"{API}/upload_progress"
FILES = (f"{API}/file={{path_or_url:path}}", f"{API}/file/{{path:path}}")
PWA_ICON = "/pwa_icon/{size}"
PWA_ICON_SIZES = ("192", "512")  # those that its manifest names; it draws any other while everybody waits
# What Gradio's page and its Python client ask for. Everything else that Gradio serves (other hosts' files, streams of
# media, editing code, running a component's functions, recordings, shared runs, statistics) has no use here: it is no
# part of the console.
USED = frozenset(
    {
        "/", "/config", "/config/", "/theme.css", "/manifest.json", "/robots.txt", "/favicon.ico",
        "/static/{path:path}", "/assets/{path:path}", "/svelte/{path:path}", "/pwa_icon", PWA_ICON,
        UPLOAD, UPLOAD_PROGRESS, FILES[0],
        *(
            f"{API}/{name}"
            for name in (
                "app_id", "app_id/", "user", "user/", "login_check", "login_check/", "token", "token/", "theme.css",
                "info", "info/", "startup-events", "heartbeat/{session_hash}", "cancel", "reset", "reset/",
                "queue/join", "queue/data", "queue/status", "call/{api_name}", "call/{api_name}/",
                "call/{api_name}/{event_id}", "run/{api_name}", "run/{api_name}/", "api/{api_name}", "api/{api_name}/",
            )
        ),
    }
)  # fmt: skip
Messages = asyncio.Queue[EventMessage]
FileCheck = Callable[[gr.Request | None, str], None]
FilesTaken = Callable[[gr.Request | None, Sequence[str]], None]


class Unread(LRUCache[str, Messages]):  # type: ignore[misc]
    """What each session has still to read. Gradio forgets the oldest session's; an event of it may be under way, and
    looking for its place in vain would end Gradio's queue: no handler would answer anybody."""

    def __missing__(self, session: str) -> Messages:
        found = self[session] = Messages()
        return found


class Page(gr.Blocks):  # type: ignore[misc]  # Gradio's types are not followed
    """Gradio's page, set for a class at once: no handler waits for another, nothing goes around the queue.

    ``check_file(request, path)`` raises ``gr.Error`` for a file that whoever asks may not hand over; ``taken(request,
    paths)`` is told of those that a handler was given.
    """

    def __init__(self, check_file: FileCheck, taken: FilesTaken, **options: Any) -> None:
        super().__init__(**options)
        self._check_file = check_file
        self._taken = taken
        # Each open page costs memory for as long as Gradio keeps its session, and it keeps 10,000. One that it
        # forgot is made anew at the next event; nothing of the console's is kept there. `launch()` takes the number
        # as an argument, `mount_gradio_app()` doesn't.
        self.state_session_capacity = SESSIONS
        # A mounted page never launches, and `_check_allowed` (processing_utils.py) then lets every path of this
        # machine pass: a handler would be given a copy of any file that a request names.
        self.has_launched = True

    def queue(self, *_: Any, **__: Any) -> "Page":
        """Gradio calls this itself when the page is made, and builds its web application at each call: once will do."""
        self.max_threads = MAX_THREADS
        super().queue(default_concurrency_limit=None, api_open=False, max_size=MOST_WAITING)
        self._queue.pending_messages_per_session = Unread(self._queue.pending_messages_per_session.max_size)
        # Gradio looks for new events every millisecond, which takes an idle console 6% of a core.
        self._queue.sleep_when_free = QUEUE_LOOK_S
        # Of 10,000 events it would remember when each came and ended, for a page that isn't there.
        self._queue.ANALYTICS_MAX_EVENTS = MOST_WAITING
        return self

    def known_by(self, scripts: Iterable[str]) -> None:
        """Give the page the number by which one that is open knows, after the console was started again, whether it
        can go on (Gradio would draw lots): that of its components, its events, and its ``scripts`` with their digests.
        """
        kinds = [(number, block.get_block_name(), block.elem_id) for number, block in sorted(self.blocks.items())]
        made_of = [SEEN_IN, gr.__version__, kinds, self.get_config_file()["dependencies"], sorted(scripts)]
        digest = hashlib.sha256(json.dumps(made_of, sort_keys=True, default=str).encode())
        self.app_id = int(digest.hexdigest()[:13], 16)  # JavaScript's numbers hold 53 bits

    def kinds(self) -> frozenset[str]:
        """The types of its components, by which ui/first_files.py finds their files in Gradio's build."""
        return frozenset(block.get_block_name() for block in self.blocks.values())

    def kinds_at_first(self, tab: str) -> frozenset[str]:
        """Those of what is drawn when the page opens with that tab: not the other tabs', nor what is folded."""
        found: set[str] = set()
        waiting = list(self.children)
        while waiting:
            block = waiting.pop()
            found.add(block.get_block_name())
            folded = isinstance(block, gr.Accordion) and not block.open
            if not folded and not (isinstance(block, gr.Tab) and block.id != tab):
                waiting += getattr(block, "children", ())
        return frozenset(found)

    async def _forget_unread(self) -> None:
        """Gradio keeps what happened in an event until its session has read it: of one that never reads, for ever."""
        messages, events = self._queue.pending_messages_per_session, self._queue.pending_event_ids_session
        if sum(waiting.qsize() for waiting in messages.values()) > MOST_UNREAD:
            most = max(messages, key=lambda session: messages[session].qsize())
            await self._queue.clean_events(session_hash=most)
            messages.pop(most, None)
            events.pop(most, None)
        if len(events) > messages.max_size:  # Gradio bounds the one alone
            for gone in [session for session in events if session not in messages]:
                del events[gone]

    async def process_api(
        self, block_fn: Any, inputs: list[Any], state: Any = None, request: Any = None, *others: Any, **named: Any
    ) -> dict[str, Any]:
        """Every call of every handler comes through here, before Gradio looks at (copies, downloads) what it names."""
        await self._forget_unread()
        asking = request if isinstance(request, gr.Request) else None
        paths = list(file_paths(inputs))
        for path in paths:
            self._check_file(asking, path)
        result: dict[str, Any] = await super().process_api(block_fn, inputs, state, request, *others, **named)
        if paths:
            self._taken(asking, paths)
        # Gradio's encoder ends the page's whole stream of events over one half of a surrogate pair.
        result["data"] = encodable(result.get("data"))
        return result


class Session(SessionState):  # type: ignore[misc]
    """What Gradio keeps of one open page: the components that an event has changed, whose choices count for the next
    one. Gradio keeps each one's settings beside it too, written out, for links that hold a page's state; the console
    has no such links. What no event has changed is the page's own."""

    def __init__(self, page: Any) -> None:
        super().__init__(SimpleNamespace(default_config=page.default_config, blocks={}))
        self.blocks_config.blocks = ChainMap({}, page.default_config.blocks)
        self.blocks_config.fns = page.default_config.fns

    def __setitem__(self, key: int, value: Any) -> None:
        known = self.blocks_config.blocks.get(key)
        if isinstance(known, gr.State):
            super().__setitem__(key, value)
            self.config_values.pop(key, None)
        elif known is not None:
            self.blocks_config.blocks[key] = value
        # Else it is a changed component under the number of its own that it was made with, by which nothing asks for
        # it: Gradio keeps it so at each next event, and an open page would take memory for ever.

    def _update_config(self, key: int) -> None:
        """Nothing is written out."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Nothing is written out."""


class Sessions(StateHolder):  # type: ignore[misc]
    """Of all open pages. Written out, a page's settings took 50 ms at its first event, in which nobody else is served:
    for a class of a hundred five seconds."""

    def __getitem__(self, session_id: str) -> Any:
        if session_id not in self.session_data:
            self.session_data[session_id] = Session(self.blocks)
        return super().__getitem__(session_id)


def mount(app: FastAPI, page: Page, layer: Callable[[ASGIApp], ASGIApp], **options: Any) -> None:
    """Gradio's page at the root of ``app``, with ``layer`` as the last thing before Gradio's own router.

    There a request is what the router will see: no spelling of an address (encoded, doubled, behind a prefix) comes
    after it, and answers aren't compressed yet. Gradio has no place for it, but its application is Starlette's.
    """
    for path in unused_scripts():
        app.add_route(f"/assets/{path.name}", _stub(path), ["GET"])
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        footer_links=[],  # theme and language stand in the header
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        show_error=False,
        **options,
    )
    inner = mounted(app)
    inner.state_holder.__class__ = Sessions  # type: ignore[attr-defined]
    inner.user_middleware.append(Middleware(_layered, layer=layer))


def mounted(app: FastAPI) -> FastAPI:
    """Gradio's own application inside of ``app``."""
    inner: FastAPI = app.routes[-1].app  # type: ignore[attr-defined]  # mount_gradio_app mounts it last
    return inner


def route_of(scope: Scope) -> tuple[str, Mapping[str, Any]]:
    """Which of Gradio's routes a request inside of ``mount``'s layer will reach: its template and its parameters.

    ("", {}) where there is none for that path and method.
    """
    for route in _routes(scope["app"].router):
        match, child = route.matches(scope)
        if match is Match.FULL:
            return str(getattr(route, "path", "")), child.get("path_params", {})
    return "", {}


def is_used(route: str, parameters: Mapping[str, Any]) -> bool:
    """Whether what ``route_of`` found is a part of the console."""
    return route in USED and (route != PWA_ICON or parameters.get("size") in PWA_ICON_SIZES)


def _routes(router: Router) -> Iterator[BaseRoute]:
    """A router's routes in their order. FastAPI (0.165) keeps those of a router that it includes one level down."""
    for route in router.routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from _routes(included)


def forget_upload(upload_id: str) -> None:
    """Gradio keeps how far each upload is until somebody has read of its end."""
    file_upload_statuses.stop_tracking(upload_id)
    file_upload_statuses._signals.pop(upload_id, None)


def file_paths(value: Any) -> Iterator[str]:
    """The paths of the files that an event's data name, at any depth.

    Gradio takes for a file what has a path and says in ``meta`` that it is one; here a path alone is enough.
    """
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            path = item.get("path")
            if isinstance(path, str):
                yield path
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple)):
            waiting.extend(item)


def encodable(data: Any) -> Any:
    """A handler's output as Gradio's encoder (orjson) takes it; the very same where it takes it as it is."""
    try:
        orjson.dumps(data, default=str)
    except (TypeError, ValueError):
        return plain(data)
    return data


def _layered(app: ASGIApp, layer: Callable[[ASGIApp], ASGIApp]) -> ASGIApp:
    return layer(app)


def _stub(path: Path) -> Callable[[Request], Response]:
    stub = stub_of(path.read_text(encoding="utf-8"))
    return lambda request: Response(stub, media_type="text/javascript")
