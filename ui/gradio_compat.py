"""The one place that relies on Gradio's insides, which an upgrade may change without a word.

Everything here was seen in Gradio 6.31.0. Each reliance stands with its reason, and has a test of its own in
tests/unit/ui/test_gradio_compat.py that fails where an upgrade breaks it; test_architecture.py holds that no other
module of ui/ touches what Gradio doesn't document.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import orjson
from fastapi import FastAPI
from gradio.state_holder import SessionState, StateHolder
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Router
from starlette.types import ASGIApp, Scope

from ui.web.json_answer import plain

SEEN_IN = "6.31.0"
MAX_THREADS = 200  # Gradio's 40 would be used up by a class's open answers
MOST_WAITING = 256
QUEUE_LOOK_S = 0.01
SESSIONS = 1000
API = "/gradio_api"
UPLOAD, UPLOAD_PROGRESS = f"{API}/upload", f"{API}/upload_progress"
FILES = (f"{API}/file={{path_or_url:path}}", f"{API}/file/{{path:path}}")
# What Gradio's page and its Python client ask for. Everything else that Gradio serves (other hosts' files, streams of
# media, editing code, running a component's functions, recordings, shared runs, statistics) has no use here: it is no
# part of the console.
USED = frozenset(
    {
        "/", "/config", "/config/", "/theme.css", "/manifest.json", "/robots.txt", "/favicon.ico",
        "/static/{path:path}", "/assets/{path:path}", "/svelte/{path:path}", "/pwa_icon", "/pwa_icon/{size}",
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
FileCheck = Callable[[gr.Request | None, str], None]
FilesTaken = Callable[[gr.Request | None, Sequence[str]], None]


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
        # Gradio looks for new events every millisecond, which takes an idle console 6% of a core.
        self._queue.sleep_when_free = QUEUE_LOOK_S
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

    async def process_api(
        self, block_fn: Any, inputs: list[Any], state: Any = None, request: Any = None, *others: Any, **named: Any
    ) -> dict[str, Any]:
        """Every call of every handler comes through here, before Gradio looks at (copies, downloads) what it names."""
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


class Sessions(StateHolder):  # type: ignore[misc]
    """What Gradio keeps of each open page. At a page's first event it writes out every component's settings, for links
    that hold a page's state: 50 ms in which nobody else is served, for a class of a hundred five seconds. The console
    has no such links, and Gradio writes out what it needs later where it isn't there."""

    def __getitem__(self, session_id: str) -> Any:
        if session_id not in self.session_data:
            without_settings = SimpleNamespace(default_config=self.blocks.default_config, blocks={})
            self.session_data[session_id] = SessionState(without_settings)
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


def _routes(router: Router) -> Iterator[BaseRoute]:
    """A router's routes in their order. FastAPI (0.165) keeps those of a router that it includes one level down."""
    for route in router.routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from _routes(included)


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


# When a request of an event fails, Gradio's page handles no event any more, says so, and asks until it gets an answer;
# then it loads itself anew, and what a person had typed and chosen is gone. Here it goes on instead, takes its words
# back, and tells the page's scripts. Where another page answers (another version's: see Page.known_by) it still loads
# itself: its numbers mean something else there.
_RELOADS = re.compile(
    r"(?P<says>function \w+\(\)\{(?P<unsay>\w+\(\w+,\w+\(\w+\)\.filter\(\w+=>\w+\.type!==`error`\),!0\)),"
    r"[^{}]*\{[^{}]*\}\),\w+=setInterval\(async\(\)=>\{try\{let \w+=await [\w.]+\.reconnect\(\);)"
    r"\((?P<state>\w+)===`connected`\|\|(?P=state)===`changed`\)"
    r"&&\((?P<done>clearInterval\(\w+\),\w+=null),window\.location\.reload\(\)\)"
    r"(?P<rest>\}catch\(\w+\)\{console\.debug\(\w+\)\}\},2e3\)\}let (?P<events>\w+)=new )"
)
# A reply of which a part came is no reply: to Gradio's client it is an error like any other, and the event is lost.
_UNREADABLE = re.compile(
    r"(?P<gone>catch\{return\[\{error:(?P<lost>\w+)\},500\]\}let \w+,\w+;try\{\w+=await \w+\.json\(\),\w+=\w+\.status\}"
    r"catch)\(\w+\)\{(?P<reply>\w+)=\{error:`Could not parse server response: \$\{\w+\}`\}"
)
PAGE_SCRIPTS = re.compile(r"/assets/(?:Blocks|index)-[\w-]+\.js")  # where these stand
COMES_BACK = "console-back"  # the event that ui/page/bridge.js hears


def going_on(script: str) -> str | None:
    """A script of Gradio's page so that the page goes on after a failed connection; None where it has no part in it."""

    def no_reload(found: re.Match[str]) -> str:
        part = found.groupdict()
        again = f"{part['done']},{part['events']}.connection_lost=!1,{part['unsay']}"
        told = f"window.dispatchEvent(new Event(`{COMES_BACK}`))"
        state, done = part["state"], part["done"]
        return (
            f"{part['says']}{state}===`connected`?({again},{told})"
            f":{state}===`changed`&&({done},window.location.reload()){part['rest']}"
        )

    def lost(found: re.Match[str]) -> str:
        return f"{found['gone']}{{{found['reply']}={{error:{found['lost']}}}"

    script, reloads = _RELOADS.subn(no_reload, script)
    script, unreadable = _UNREADABLE.subn(lost, script)
    return script if reloads + unreadable == 1 else None


def unused_scripts() -> list[Path]:
    """Gradio's scripts that every page loads and none here runs: hls.js, for streams of video, came with each first
    page and was a quarter of its bytes (the conversation's component can show videos; the console has none)."""
    return sorted((static_folder() / "assets").glob("hls-*.js"))


def stub_of(script: str) -> str:
    """A module with the same exports, which do nothing; what they are called with has no stream in it."""
    exported = re.findall(r"[\w$]+ as ([\w$]+)", script[script.rindex("export{") :])
    return f"const none = () => undefined;\nexport {{ {', '.join(f'none as {name}' for name in exported)} }};\n"


def _stub(path: Path) -> Callable[[Request], Response]:
    stub = stub_of(path.read_text(encoding="utf-8"))
    return lambda request: Response(stub, media_type="text/javascript")


def static_folder() -> Path:
    """Where Gradio keeps the scripts and styles of its page."""
    return Path(gr.__file__).parent / "templates" / "frontend"


def _layered(app: ASGIApp, layer: Callable[[ASGIApp], ASGIApp]) -> ASGIApp:
    return layer(app)
