"""The console's own files that a browser may fetch: a list of names below console/assets/, never a folder.

Scripts are ES modules with relative imports. The list is what the pages' first modules import, all the way down.
"""

import gzip
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from ui.first_files import FirstFiles, style_sheet

GRADIO_STYLES = "gradio/first.css"
UI = Path(__file__).parents[1]
ICONS = UI.parent / "assets" / "icons"
PLOTLY = UI.parent / "assets" / "plotly" / "plotly-basic.min.js"
FIRST_MODULES = ("page/bridge.js", "page/header.js")  # what every page begins with
_IMPORT = re.compile(r'^(?:import|export|\}) ?[^;"]*"(\.[^"]+\.js)";$', re.MULTILINE)


def asset_files(tabs: Iterable[str]) -> Mapping[str, Path]:
    """What stands at console/assets/<name>: styles, modules, plotly.js, icons."""
    named = list(tabs)
    styles = ["page/console.css", "page/shell.css", "page/storage_panel.css", "page/tokens.css"]
    names = [*styles, *(name for tab in named for name in tab_styles(tab))]
    names += modules([*FIRST_MODULES, *(tab_module(tab) for tab in named)])
    files = {name: UI / name for name in names if (UI / name).is_file()}
    files[f"plotly/{PLOTLY.name}"] = PLOTLY
    return files | {f"icons/{path.name}": path for path in (ICONS / "favicon.svg", ICONS / "favicon.png")}


def tab_styles(tab: str) -> list[str]:
    """A tab's style sheets: the one of its name, then those of its parts."""
    parts = sorted(path.name for path in (UI / "tabs" / tab).glob("*.css") if path.stem != tab)
    return [f"tabs/{tab}/{tab}.css", *(f"tabs/{tab}/{name}" for name in parts)]


def tab_module(tab: str) -> str:
    """The module that a tab's elements are filled by; loaded when the tab opens."""
    return f"tabs/{tab}/{tab}.js"


def modules(first: Iterable[str]) -> list[str]:
    """These modules and what they import, each once, in the order in which they are needed."""
    found: dict[str, None] = {}
    waiting = list(first)
    while waiting:
        name = waiting.pop(0)
        if name in found or not (UI / name).is_file():
            continue
        found[name] = None
        waiting += _imports(name)
    return list(found)


def _imports(name: str) -> Iterator[str]:
    for path in _IMPORT.findall((UI / name).read_text(encoding="utf-8")):
        yield (UI / name).parent.joinpath(path).resolve().relative_to(UI).as_posix()


def asset_route(files: Mapping[str, Path]) -> BaseRoute:
    """Serves exactly these files; everything else is 404."""

    async def serve(request: Request) -> Response:
        path = files.get(request.path_params["name"])
        if path is None:
            raise HTTPException(404)
        answer = FileResponse(path)
        if path.suffix not in (".js", ".css") or "gzip" not in request.headers.get("accept-encoding", ""):
            return answer
        # A tunnel may be slow. Once a file; plotly.js takes a tenth of a second.
        body = await run_in_threadpool(_compressed, path, path.stat().st_mtime_ns)
        headers = {"content-encoding": "gzip", "vary": "accept-encoding"}
        return Response(body, media_type=answer.media_type, headers=headers)

    return Route("/assets/{name:path}", serve, methods=["GET"])


def gradio_styles_route(files: FirstFiles) -> BaseRoute:
    """Gradio's first styles as one file."""
    styles = style_sheet(files).encode()
    packed = gzip.compress(styles, 9)

    async def serve(request: Request) -> Response:
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(styles, media_type="text/css")
        return Response(packed, media_type="text/css", headers={"content-encoding": "gzip", "vary": "accept-encoding"})

    return Route(f"/assets/{GRADIO_STYLES}", serve, methods=["GET"])


def gradio_styles_url(files: FirstFiles) -> str:
    """Its address, with a digest."""
    return f"{plain_url(GRADIO_STYLES)}?v={_text_digest(style_sheet(files))}"


def plain_url(name: str) -> str:
    """An asset's address as modules import it, relative to the page."""
    return f"./console/assets/{name}"


def asset_url(name: str, path: Path) -> str:
    """An asset's address with a digest of its content, so that browsers may keep it for ever; relative to the page."""
    return f"{plain_url(name)}?v={_digest(path, path.stat().st_mtime_ns)}"


@lru_cache(maxsize=8)
def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@lru_cache(maxsize=256)
def _digest(path: Path, mtime_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@lru_cache(maxsize=256)
def _compressed(path: Path, mtime_ns: int) -> bytes:
    return gzip.compress(path.read_bytes(), 9)
