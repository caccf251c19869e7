"""Which of Gradio's own files a page needs before it can be used, found in Gradio's build.

Gradio's page finds them in four waves, each behind a round trip to the server, a style a request: some ninety of them.
With their list the page asks for all scripts at once that its first tab needs, the small ones among them as one file
(ui/page/imports.js tells the page's modules), for the others when it has settled, and for all styles as one file. Where
an upgrade builds its files otherwise, the list is empty, and the page loads as Gradio made it;
tests/unit/ui/test_first_files.py says so.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from ui.gradio_compat.scripts import mended, static_folder

_ENTRY = re.compile(r'src="\./assets/(index-[\w-]+\.js)"')
_LISTED = re.compile(r"m\.f=\[([^\]]*)\]")
_LATER = re.compile(r"import\(`\./([^`]+)`\)(?:\.then\([^()]*\)|;return\{[^{}]*\}\})?,__vite__mapDeps\(\[([\d,]*)\]\)")
_STATIC = re.compile(r'\b(from|import)"\./([\w-]+(?:\.[\w-]+)*\.js)"')
_NAME = re.compile(r'"\./([\w-]+(?:\.[\w-]+)*\.js)"')
_SMALL = 12_000  # bytes: what costs a round trip more than it costs to carry
_ELSEWHERE = re.compile(r"url\((?![\"']?(?:data:|#))")  # a style with files beside it


@dataclass(frozen=True)
class FirstFiles:
    """Names below assets/, scripts in the order in which they are needed."""

    scripts: tuple[str, ...] = ()
    carried: tuple[str, ...] = ()  # scripts that come as one file
    later: tuple[str, ...] = ()  # scripts that what isn't seen at first needs
    styles: tuple[str, ...] = ()


def first_files(first: Iterable[str], types: Iterable[str] = ()) -> FirstFiles:
    """The files of a page that begins with components of the types ``first`` ("textbox"), and has those of ``types``
    too; none where Gradio's build isn't as expected."""
    begin = frozenset(first)
    try:
        needed = _found(static_folder(), begin)
        whole = _found(static_folder(), begin | frozenset(types))
    finally:
        _text.cache_clear()  # megabytes that nobody reads again
        _imports.cache_clear()
    later = tuple(name for name in whole.scripts if name not in set(needed.scripts))
    carried = tuple(name for name in needed.scripts if _can_be_carried(name))
    return FirstFiles(tuple(name for name in needed.scripts if name not in carried), carried, later, whole.styles)


@lru_cache(maxsize=8)
def carried_script(files: FirstFiles) -> str:
    """The small scripts as one, which leaves them at its own element for ui/page/imports.js; "" where there are none.
    What they import is named so that an import map leads to it from anywhere."""
    if not files.carried:
        return ""
    others: dict[str, None] = {}

    def anywhere(found: re.Match[str]) -> str:
        if found[2] not in files.carried:
            others[found[2]] = None
        return f'{found[1]}"gradio/{found[2]}"'

    scripts = {name: _STATIC.sub(anywhere, _served(name)) for name in files.carried}
    carried = json.dumps({"scripts": scripts, "others": list(others)}, ensure_ascii=False)
    return f"document.currentScript.dataset.scripts = JSON.stringify({carried});\n"


def _can_be_carried(name: str) -> bool:
    """A script that asks for nothing by its own address."""
    source = _served(name)
    return len(source) <= _SMALL and "import.meta" not in source and not re.search(r"\bimport\(", source)


def _served(name: str) -> str:
    source = (static_folder() / "assets" / name).read_text(encoding="utf-8")
    return mended(source) or source


@lru_cache(maxsize=8)
def style_sheet(files: FirstFiles) -> str:
    """The styles as one."""
    return "\n".join((static_folder() / "assets" / name).read_text(encoding="utf-8") for name in files.styles)


def _found(folder: Path, types: frozenset[str]) -> FirstFiles:
    try:
        entry = _ENTRY.search((folder / "index.html").read_text(encoding="utf-8"))
        if entry is None:
            return FirstFiles()
        names = dict.fromkeys(_needed(folder / "assets", entry[1], types))
        already = {entry[1], *_linked(folder / "index.html")}
        wanted = [name for name in names if name not in already and (folder / "assets" / name).is_file()]
    except (OSError, LookupError, ValueError):
        return FirstFiles()
    styles = [n for n in wanted if n.endswith(".css") and not _ELSEWHERE.search(_text(folder / "assets" / n))]
    return FirstFiles(tuple(n for n in wanted if n.endswith(".js")), styles=tuple(styles))


def _needed(assets: Path, entry: str, types: frozenset[str]) -> Iterator[str]:
    """Wave by wave: the application, its blocks, each component."""
    application, first = _imported(assets, entry, "Index-")
    yield from _with_imports(assets, first)
    _, blocks = _imported(assets, application, "Blocks-")
    yield from _with_imports(assets, blocks)
    core = next(name for name in first if name.startswith("core-"))
    text, listed = _text(assets / core), _list(assets / core)
    for kind in sorted(types):
        found = re.search(rf"[,{{]{re.escape(kind)}:\{{([^{{}}]*)\}}", text)
        component = found[1].partition("component:")[2] if found else ""
        later = _LATER.search(component)
        if later is not None:
            yield from _with_imports(assets, [later[1], *_of(listed, later[2])])


def _imported(assets: Path, name: str, begins: str) -> tuple[str, list[str]]:
    """The file of that beginning which ``name`` imports later, with what comes with it. Raises LookupError."""
    for later in _LATER.finditer(_text(assets / name)):
        if later[1].startswith(begins):
            return later[1], [later[1], *_of(_list(assets / name), later[2])]
    raise LookupError(begins)


def _with_imports(assets: Path, names: Iterable[str]) -> Iterator[str]:
    """These, and what they import at once, all the way down."""
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name in seen or not (assets / name).is_file():
            continue
        seen.add(name)
        yield name
        if name.endswith(".js"):
            waiting += _imports(assets / name)


def _of(listed: list[str], places: str) -> list[str]:
    return [listed[int(place)] for place in places.split(",") if place]


def _list(path: Path) -> list[str]:
    found = _LISTED.search(_text(path))
    return re.findall(r'"\./([^"]+)"', found[1]) if found else []


def _linked(page: Path) -> list[str]:
    return re.findall(r'href="\./assets/([^"]+)"', page.read_text(encoding="utf-8"))


@cache
def _imports(script: Path) -> tuple[str, ...]:
    """The names of what a script imports at once. Found by the name, which is rare, in megabytes."""
    text = _text(script)
    return tuple(found[1] for found in _NAME.finditer(text) if text.endswith(("from", "import"), 0, found.start()))


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
