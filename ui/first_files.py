"""Which of Gradio's own files a page needs before it can be used, found in Gradio's build.

Gradio's page finds them in four waves, each behind a round trip to the server, a style a request: some ninety of them.
With their list the page asks for all scripts at once that its first tab needs, for the others when it has settled, and
for all styles as one file. Where an upgrade builds its files otherwise, the list is empty, and the page loads as Gradio
made it; tests/unit/ui/test_first_files.py says so.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from ui.gradio_compat import static_folder

_ENTRY = re.compile(r'src="\./assets/(index-[\w-]+\.js)"')
_LISTED = re.compile(r"m\.f=\[([^\]]*)\]")
_LATER = re.compile(r"import\(`\./([^`]+)`\)(?:\.then\([^()]*\)|;return\{[^{}]*\}\})?,__vite__mapDeps\(\[([\d,]*)\]\)")
_STATIC = re.compile(r'(?:from|import)"\./([\w-]+(?:\.[\w-]+)*\.js)"')
_ELSEWHERE = re.compile(r"url\((?![\"']?(?:data:|#))")  # a style with files beside it


@dataclass(frozen=True)
class FirstFiles:
    """Names below assets/, scripts in the order in which they are needed."""

    scripts: tuple[str, ...] = ()
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
    later = tuple(name for name in whole.scripts if name not in set(needed.scripts))
    return FirstFiles(needed.scripts, later, whole.styles)


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
            waiting += _STATIC.findall(_text(assets / name))


def _of(listed: list[str], places: str) -> list[str]:
    return [listed[int(place)] for place in places.split(",") if place]


def _list(path: Path) -> list[str]:
    found = _LISTED.search(_text(path))
    return re.findall(r'"\./([^"]+)"', found[1]) if found else []


def _linked(page: Path) -> list[str]:
    return re.findall(r'href="\./assets/([^"]+)"', page.read_text(encoding="utf-8"))


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
