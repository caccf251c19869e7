"""Scripts that come together: what every page needs as one file, each tab's modules as another.

A browser asks for a file behind a round trip of the line, six at a time: thirty small modules took a slow line seconds.
On disk a module stays a file of its own, and nothing is built. Here the modules of a group are laid into one script, in
the order of their imports, each in a scope of its own; the import map leads from a module's address to the file that
has it. What is imported with ``import("./x.js")`` comes later, as a file of its own with what it alone needs.

Pure: texts in, texts out. tests/unit/ui/web/test_bundles.py holds that a file gives what its modules give.
"""

import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

PAGE = "page/page.js"  # no module: what every page needs
TEXTS = "page/texts.js"
_IMPORT = re.compile(r'^import (?:(?P<what>[^;"]+?) from )?"(?P<path>\.[^"]+\.js)";$', re.MULTILINE)
_LATER = re.compile(r'\bimport\("(\.[^"]+\.js)"\)')
_EXPORT = re.compile(
    r"^export (?:"
    r"(?P<keep>(?:async )?(?:function\*?|class|const) (?P<name>[\w$]+)|const (?P<several>\{[^{}]*\}) =)"
    r"|(?P<list>\{[^{}]*\});$"
    r")",
    re.MULTILINE,
)
_ANY_EXPORT = re.compile(r"^export .*$", re.MULTILINE)
_COMMENT = re.compile(r"^[ ]*(?:/\*(?:(?!\*/).)*\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)
_ALIAS = re.compile(r"([\w$]+)(?: as ([\w$]+))?")


@dataclass(frozen=True)
class Group:
    """Modules that come as one file: its name (that of its first module), and the modules in the order in which they
    run."""

    name: str
    modules: tuple[str, ...]


def groups(sources: Mapping[str, str], first: Iterable[str], tabs: Iterable[str]) -> list[Group]:
    """The files that all modules come in: the page's, each tab's, then those that are asked for later.

    ``sources`` are all modules by their names ("page/dom.js"), without comments; ``first`` those that every page begins
    with, ``tabs`` each tab's own. Raises ValueError where modules import one another.
    """
    begin, openers = list(first), list(tabs)
    needed = in_order(sources, [*begin, *openers])
    found = [Group(PAGE, tuple(name for name in needed if name.startswith("page/")))]
    taken = set(found[0].modules)
    for opener in [*openers, *_asked_for_later(sources, needed)]:
        own = tuple(name for name in in_order(sources, [opener]) if name not in taken)
        if own:
            found.append(Group(opener, own))
            taken.update(own)
    return found


def without_comments(source: str) -> str:
    """Scripts and styles without the comments that have lines of their own: a sixth of what a slow line carries."""
    return _COMMENT.sub("", source)


def in_order(sources: Mapping[str, str], first: Iterable[str]) -> list[str]:
    """These modules and what they import, each after what it imports."""
    done: dict[str, None] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"modules import one another: {' → '.join((*above[above.index(name) :], name))}")
        if name in done or name not in sources:
            return
        for imported in imports_of(name, sources[name]):
            visit(imported, (*above, name))
        done[name] = None

    for name in first:
        visit(name, ())
    return list(done)


def imports_of(name: str, source: str) -> list[str]:
    """The modules that one imports at once."""
    return [_beside(name, found["path"]) for found in _IMPORT.finditer(source)]


def later_of(name: str, source: str) -> list[str]:
    """The modules that one imports when they are used first."""
    return [_beside(name, path) for path in _LATER.findall(source)]


def _asked_for_later(sources: Mapping[str, str], first: Iterable[str]) -> Iterator[str]:
    seen = set(first)
    waiting = list(first)
    while waiting:
        name = waiting.pop(0)
        for later in later_of(name, sources[name]):
            if later in seen or later not in sources:
                continue
            yield later
            more = [one for one in in_order(sources, [later]) if one not in seen]
            seen.update(more)
            waiting += more


def _beside(name: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), path))


def addresses(made: Iterable[Group], sources: Mapping[str, str], first: Iterable[str]) -> dict[str, str]:
    """For each module that another file imports, the group's name that has it: what the import map says."""
    return {name: group.name for group in made for name in _exported(group, sources, first)}


def linked(
    group: Group,
    sources: Mapping[str, str],
    first: Iterable[str],
    texts_of: Callable[[str], Mapping[str, str]] = lambda _: {},
) -> str:
    """The script of a group. ``texts_of(source)`` are the texts that scripts of that source show: they come along.

    Raises ValueError for a module that this can't do, or where two give the same name to other files.
    """
    own = set(group.modules)
    outside = dict.fromkeys(
        imported for name in group.modules for imported in imports_of(name, sources[name]) if imported not in own
    )
    texts = texts_of("\n".join(sources[name] for name in group.modules))
    if texts and TEXTS not in own:
        outside[TEXTS] = None
    lines = [f"import * as {_scope(name)} from {json.dumps(_path_to(group, name))};" for name in outside]
    carried = f"{_scope(TEXTS)}.addTexts({json.dumps(texts, ensure_ascii=False)});" if texts else ""
    if TEXTS not in own:
        lines.append(carried)
    for name in group.modules:
        lines.append(_in_a_scope(group, name, sources[name]))
        if name == TEXTS:
            lines.append(carried)
    given: dict[str, str] = {}
    for name, names in _exported(group, sources, first).items():
        for exported in sorted(names):
            if other := given.get(exported):
                raise ValueError(f"{other} and {name} both give {exported} to other files: one needs another name")
            given[exported] = name
        lines.append(f"export const {{ {', '.join(sorted(names))} }} = {_scope(name)};" if names else "")
    return "\n".join(filter(None, lines)) + "\n"


def _path_to(group: Group, name: str) -> str:
    path = posixpath.relpath(name, posixpath.dirname(group.name))
    return path if path.startswith(".") else f"./{path}"


def _exported(group: Group, sources: Mapping[str, str], first: Iterable[str]) -> dict[str, set[str]]:
    """What those of a group's modules give that other files import, or that something begins with."""
    own = set(group.modules)
    asked = {group.name, TEXTS, *first}
    for other, source in sources.items():
        if other not in own:
            asked.update(imports_of(other, source))
    return {name: set(_split(name, sources[name])[1]) for name in group.modules if name in asked}


def _in_a_scope(group: Group, name: str, source: str) -> str:
    if "import.meta" in source and posixpath.dirname(name) != posixpath.dirname(group.name):
        raise ValueError(f"{name} comes in {group.name}, where import.meta is another folder's")
    body, exported = _split(name, source)
    body = _LATER.sub(lambda found: f'import("{_path_to(group, _beside(name, found[1]))}")', body)
    body = _IMPORT.sub(lambda found: _taken(_beside(name, found["path"]), found["what"]), body)
    given = ", ".join(f"{outer}: {inner}" if outer != inner else outer for outer, inner in exported.items())
    return f"const {_scope(name)} = (() => {{\n{body}\nreturn {{ {given} }};\n}})();"


def _taken(module: str, what: str | None) -> str:
    """An import, of a module that is a scope here."""
    if what is None:
        return ""
    if what.startswith("* as "):
        return f"const {what[5:]} = {_scope(module)};"
    names = ", ".join(f"{one}: {alias}" if one != alias else one for one, alias in _names(what))
    return f"const {{ {names} }} = {_scope(module)};"


def _split(name: str, source: str) -> tuple[str, dict[str, str]]:
    """A module's text without the word export, and what it exports: outer name → inner name."""
    exported: dict[str, str] = {}

    def keep(found: re.Match[str]) -> str:
        if found["name"]:
            exported[found["name"]] = found["name"]
        elif found["several"]:
            for part in re.findall(r"(?:[\w$]+: )?([\w$]+)", found["several"]):
                exported[part] = part
        else:
            exported.update({outer: inner for inner, outer in _names(found["list"])})
        return found["keep"] or ""

    body = _EXPORT.sub(keep, source)
    if left := _ANY_EXPORT.search(body):
        raise ValueError(f"{name}: this way of exporting isn't known: {left[0]}")
    return body, exported


def _names(what: str) -> list[tuple[str, str]]:
    """``{ a, b as c }`` → [("a", "a"), ("b", "c")]."""
    return [(one, alias or one) for one, alias in _ALIAS.findall(what)]


def _scope(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name.removesuffix(".js"))
