"""The console's own files that a browser may fetch: a list of names below console/assets/, never a folder.

Scripts are ES modules with relative imports; they come as a few files that are made of them (ui/web/bundles.py), in the
page's language, all styles as one. The list begins with what every page needs and with each tab's own module; what
these import, at once or later, follows. A module that is added needs no line here.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from ui.i18n import LANGUAGES, Language, script_texts
from ui.web.bundles import PAGE, addresses, groups, imports_of, later_of, linked, without_comments
from ui.web.compression import accepted

UI = Path(__file__).parents[1]
ICONS = UI.parent / "assets" / "icons"
PLOTLY = UI.parent / "assets" / "plotly" / "plotly-basic.min.js"
PLOTLY_NAME = f"plotly/{PLOTLY.name}"
PLOTLY_PACKED = PLOTLY.with_name(f"{PLOTLY.name}.br")  # as small as brotli can, which takes seconds
CHART_TAB = "vram"
STYLES = "page/page.css"
PAGE_STYLES = ("console", "header", "log_view", "paste", "shell", "share", "storage_panel", "tokens")
CARRIED = "gradio/{}.js"  # Gradio's small scripts, for a role
FIRST_MODULES = ("page/bridge.js", "page/header.js")  # what every page begins with
FILES = {PLOTLY_NAME: PLOTLY, **{f"icons/{name}": ICONS / name for name in ("favicon.svg", "favicon.png")}}


@dataclass(frozen=True, eq=False)
class Made:
    """What is made of the files on disk."""

    files: Mapping[str, str]  # the text of each by its name
    map: Mapping[str, str]  # from a module to the file that has it, without the language


def tabs_with_script() -> list[str]:
    """The tabs' names, by their folders."""
    return sorted(path.name for path in (UI / "tabs").iterdir() if (UI / tab_module(path.name)).is_file())


def tab_module(tab: str) -> str:
    """The module that a tab's elements are filled by; loaded when the tab opens."""
    return f"tabs/{tab}/{tab}.js"


def tab_styles(tab: str) -> list[str]:
    """A tab's style sheets: the one of its name, then those of its parts."""
    parts = sorted(path.name for path in (UI / "tabs" / tab).glob("*.css") if path.stem != tab)
    return [f"tabs/{tab}/{tab}.css", *(f"tabs/{tab}/{name}" for name in parts)]


def modules() -> dict[str, Path]:
    """All modules of the page's, by their names: what the first ones import, at once or later, all the way down."""
    found: dict[str, Path] = {}
    waiting = [*FIRST_MODULES, *map(tab_module, tabs_with_script())]
    while waiting:
        name = waiting.pop(0)
        if name in found or not (path := UI / name).is_file():
            continue
        found[name] = path
        source = without_comments(path.read_text(encoding="utf-8"))
        waiting += [*imports_of(name, source), *later_of(name, source)]
    return found


def styles() -> list[Path]:
    """All style sheets, in their order."""
    names = [f"page/{name}.css" for name in PAGE_STYLES]
    names += [name for tab in tabs_with_script() for name in tab_styles(tab)]
    return [path for name in names if (path := UI / name).is_file()]


def made() -> Made:
    """Scripts and styles as browsers get them; made anew where a file has changed."""
    folders = [UI / "page", *(UI / "tabs").iterdir()]
    found = (path for folder in folders for kind in ("*.js", "*.css") for path in folder.glob(kind))
    return _made(tuple(sorted((str(path), path.stat().st_mtime_ns) for path in found)))


@lru_cache(maxsize=1)
def _made(_: tuple[tuple[str, int], ...]) -> Made:
    sources = {name: without_comments(path.read_text(encoding="utf-8")) for name, path in modules().items()}
    found = groups(sources, FIRST_MODULES, map(tab_module, tabs_with_script()))
    files = {STYLES: "\n".join(without_comments(path.read_text(encoding="utf-8")) for path in styles())}
    for language in LANGUAGES:
        texts = partial(script_texts, language=language)
        files |= {in_language(group.name, language): linked(group, sources, FIRST_MODULES, texts) for group in found}
    return Made(files, addresses(found, sources, FIRST_MODULES))


def in_language(name: str, language: Language) -> str:
    """The name of the file that is made of a group of modules: "page/page.js" → "page/page.zh.js"."""
    return f"{name.removesuffix('.js')}.{language}.js"


def import_map(language: Language, tabs: Iterable[str]) -> dict[str, str]:
    """From each module's address, which the others import, to that of the file that has it, for a page with those
    tabs."""
    theirs = ("page/", *(f"tabs/{tab}/" for tab in tabs))
    whole = made()
    imports = {
        plain_url(module): made_url(whole, in_language(name, language))
        for module, name in whole.map.items()
        if name.startswith(theirs)
    }
    return imports | {plain_url(PLOTLY_NAME): file_url(PLOTLY_NAME)}


def first_scripts(language: Language, tabs: Iterable[str]) -> list[str]:
    """The addresses of the scripts that a page needs at once: its own, and the one of the tab that opens."""
    whole = made()
    names = [in_language(name, language) for name in (PAGE, *map(tab_module, list(tabs)[:1]))]
    return [made_url(whole, name) for name in names if name in whole.files]


def next_scripts(language: Language, tabs: Iterable[str]) -> list[str]:
    """The addresses of what is large and may be needed soon: the memory chart's."""
    if CHART_TAB not in tabs:
        return []
    name = in_language(tab_module(CHART_TAB), language)
    return [made_url(made(), name), file_url(PLOTLY_NAME)]


def styles_url(gradio: str) -> str:
    """The address of all styles, the console's and these of Gradio's."""
    return f"{plain_url(STYLES)}?v={_digest(made().files[STYLES] + gradio)}"


def all_urls() -> list[str]:
    """The addresses of all that a page of this version may be made of."""
    whole = made()
    return [*(made_url(whole, name) for name in whole.files), *map(file_url, FILES)]


def carried_url(role: str, script: str) -> str:
    """The address of Gradio's small scripts as one, for a role."""
    return f"{plain_url(CARRIED.format(role))}?v={_digest(script)}"


def asset_route(gradio_styles: str = "", carried: Mapping[str, str] | None = None) -> BaseRoute:
    """Serves exactly these files; everything else is 404. ``carried``: Gradio's small scripts as one, by role."""
    more = {CARRIED.format(role): script for role, script in (carried or {}).items()}

    async def serve(request: Request) -> Response:
        name = request.path_params["name"]
        if (path := FILES.get(name)) is not None:
            headers = _keeping(request, _file_digest(path, path.stat().st_mtime_ns))
            if name == PLOTLY_NAME and accepted(request.headers.get("accept-encoding", "")) == "br":
                headers |= {"content-encoding": "br", "vary": "accept-encoding"}
                return FileResponse(PLOTLY_PACKED, media_type="text/javascript", headers=headers)
            return FileResponse(path, headers=headers)
        text = more.get(name) or made().files.get(name)
        if text is None:
            raise HTTPException(404)
        if name == STYLES:
            headers = _keeping(request, _digest(text + gradio_styles))
            return Response(f"{text}\n{gradio_styles}", media_type="text/css", headers=headers)
        return Response(text, media_type="text/javascript", headers=_keeping(request, _digest(text)))

    return Route("/assets/{name:path}", serve, methods=["GET"])


def _keeping(request: Request, digest: str) -> dict[str, str]:
    """What is asked for by another digest, of another version, is not what any browser may keep under it."""
    return {} if request.query_params.get("v", digest) == digest else {"cache-control": "no-store"}


def plain_url(name: str) -> str:
    """An asset's address as modules import it, relative to the page."""
    return f"./console/assets/{name}"


def made_url(whole: Made, name: str) -> str:
    """The address of a file that is made, relative to the page, with a digest: browsers may keep it for ever."""
    return f"{plain_url(name)}?v={_digest(whole.files[name])}"


def file_url(name: str) -> str:
    """The address of one of FILES, with a digest."""
    path = FILES[name]
    return f"{plain_url(name)}?v={_file_digest(path, path.stat().st_mtime_ns)}"


@lru_cache(maxsize=64)
def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@lru_cache(maxsize=16)
def _file_digest(path: Path, mtime_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
