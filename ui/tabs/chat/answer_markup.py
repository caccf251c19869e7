"""What a model writes, as Gradio's Markdown component shows it: every character of it, with its formatting. Pure.

Gradio reads Markdown with marked, which takes ``<word>`` for HTML and drops what it doesn't know, hides definitions and
cells, strikes out ranges like 3~5, and draws diagrams of its own. So the Markdown is read here, and what comes out is
HTML of our own in which all that the model wrote is escaped; only blocks of code at the top level stay Markdown, which
colours them. The reading is CommonMark's as far as models use it, but where a mark would eat text, the text wins:
``__init__``, ``a*b*c``, ``x**2``, ``COUNT(*)``, ``>>>``, ``---`` under a line, cells that a table has no column for.

An answer that grows gives a text that grows at its end, as long as what came before keeps its meaning: closing tags at
the very end are left out, and a browser closes them by itself.
"""

import logging
import re
from collections.abc import Iterator
from functools import lru_cache

from ui.tabs.chat.answer_blocks import (
    FENCE,
    HEADING,
    ITEM,
    QUOTE,
    Lines,
    block_places,
    cells_of,
    fence_end,
    indent,
    split,
)
from ui.tabs.chat.answer_inline import escape, inline

log = logging.getLogger(__name__)

BIG_BLOCK = 20_000  # characters; a block without end isn't formatted
BIG_ANSWER = 300_000
STEP = 1_000
LONGEST_END = 400  # characters of closing tags at the end
CACHED_BLOCK = 4_000
CACHED_ANSWER = 32_000
DEEPEST = 12  # lists in lists, quotes in quotes


# Gradio (6.31) fetches the colours of these two without those that they build on, and then draws nothing that comes
# after the code: C++ is coloured as C, PHP not at all.
_COLOURED = {"cpp": "c", "c++": "c", "php": ""}
# What may stand behind a fence and be left out: it says how the code is coloured. Anything else is shown.
_LANGUAGES = frozenset(
    """
    ada apache apl arduino asm assembly awk bash bat batch c c# c++ cfg clojure cmake cmd cobol code
    coffeescript conf console cpp cs csharp css csv cuda cypher d dart delphi diff django dockerfile dot
    elixir elm erlang f# fortran fsharp glsl go golang gradle graphql groovy haskell hcl hlsl html http ini
    java javascript jinja jinja2 jl js json json5 jsonc jsonl jsx julia kotlin kt latex less lisp log lua
    make makefile markdown mathematica matlab md mermaid mysql nginx nim nix objc objective-c objectivec
    ocaml output pascal patch perl php plain plaintext plpgsql postgres postgresql powershell prolog proto
    protobuf ps1 pseudocode py py3 pycon python python3 r racket rb regex rs rst ruby rust sas sass scala
    scheme scss sh shell solidity sparql sql svelte svg swift systemverilog tcl terraform tex text toml ts
    tsv tsx txt typescript vb vba verilog vhdl vim vue wasm xml xslt yaml yml zig zsh
    """.split()  # noqa: SIM905
)
_RUN = re.compile(r"[~`]{3,}")
_CLOSING = re.compile(r"(?:</[a-z0-9]+>)+$")
_PLACEHOLDER = "%%%LATEX_BLOCK_"  # what Gradio puts in a formula's place while it reads
_UNTIDY = re.compile("[\0\ufdd0-\ufdef]")  # what HTML can't hold, and where our own signs for formulas are


def answer_markup(text: str, *, ended: bool = True) -> str:
    """The answer for Gradio's Markdown component. ``ended``: it doesn't grow any more."""
    try:
        if not ended:
            return _growing(_tidied(text))
        return _kept(text) if len(text) <= CACHED_ANSWER else _markup(_tidied(text))
    except Exception:  # no answer may make its conversation unreadable: without formatting it is still all there
        log.exception("an answer can't be formatted")
        return f"<p>{_broken(_tidied(text))}"


def plain(text: str) -> str:
    """One line for a place that Gradio reads as Markdown, in which nothing means anything."""
    return "".join(c if c.isalnum() or c == " " else f"&#{ord(c)};" for c in text.replace("\n", " "))


def _tidied(text: str) -> str:
    """With one kind of line end, and without what HTML can't hold."""
    return _UNTIDY.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def _markup(text: str) -> str:
    if len(text) > BIG_ANSWER:
        return f"<p>{_broken(text)}"
    return _unclosed([_render(kind, "\n".join(lines)) for kind, lines in split(text.split("\n"))])


@lru_cache(maxsize=256)
def _kept(text: str) -> str:
    return _markup(_tidied(text))


def _growing(text: str) -> str:
    """As ``_markup``, many times a second: the blocks at the beginning, which stay as they are, are read once."""
    if not STEP <= len(text) <= BIG_ANSWER:
        return _markup(text)
    blocks, rest = _settled(text[: len(text) // STEP * STEP])
    more = [_render(kind, "\n".join(lines)) for kind, lines in split(text[rest:].split("\n"))]
    return _unclosed([*blocks, *more])


@lru_cache(maxsize=64)
def _settled(text: str) -> tuple[tuple[str, ...], int]:
    """All blocks but the last, which may go on, and where that begins."""
    lines = text.split("\n")
    places = list(block_places(lines))
    if not places:
        return (), 0
    blocks = tuple(_render(kind, "\n".join(lines[start:end])) for kind, start, end in places[:-1])
    return blocks, sum(len(line) + 1 for line in lines[: places[-1][1]])


def _unclosed(blocks: list[str]) -> str:
    text = "\n\n".join(blocks)
    return text[:-LONGEST_END] + _CLOSING.sub("", text[-LONGEST_END:])


# -- blocks ----------------------------------------------------------------------------------------------------------


# -- what a block looks like -----------------------------------------------------------------------------------------


def _render(kind: str, text: str) -> str:
    if kind == "code":
        return _code(text)
    if len(text) > BIG_BLOCK:
        return f"<p>{_broken(text)}</p>"
    return _kept_block(kind, text) if len(text) <= CACHED_BLOCK else _html(kind, text.split("\n"), 0)


@lru_cache(maxsize=1024)
def _kept_block(kind: str, text: str) -> str:
    return _html(kind, text.split("\n"), 0)


def _html(kind: str, lines: Lines, depth: int) -> str:
    """A block as HTML without a line feed in it: an empty line would end it for Gradio."""
    if kind == "heading" and (heading := HEADING.match(lines[0])):
        level = len(heading[1])
        return f"<h{level}>{inline(heading[2].strip())}</h{level}>"
    if kind == "rule":
        return "<hr>"
    if kind == "quote":
        return f"<blockquote>{_inside([QUOTE.sub('', line, count=1) for line in lines], depth + 1)}</blockquote>"
    if kind == "list":
        return _list(lines, depth + 1)
    if kind == "table":
        return _table(lines)
    if kind == "indented":
        return _pre("\n".join(_dedented(line, 4) for line in lines))
    if kind == "code":
        return _nested_code(lines)
    return f"<p>{inline(_joined(lines))}</p>"


def _inside(lines: Lines, depth: int) -> str:
    if depth > DEEPEST:
        return f"<p>{_broken(chr(10).join(lines))}</p>"
    return "".join(_html(kind, block, depth) for kind, block in split(lines))


def _list(lines: Lines, depth: int) -> str:
    """Lists of one kind after another: another kind of mark begins a new one."""
    html, tag = [], ""
    for mark, item in _items(lines):
        wanted = "ul" if mark in "-*+" else "ol"
        if wanted != tag:
            html.append((f"</{tag}>" if tag else "") + f"<{wanted}>")
            tag = wanted
        number = "" if wanted == "ul" else f' value="{int(mark[:-1])}"'
        html.append(f"<li{number}>{_item(item, depth)}</li>")
    return "".join(html) + f"</{tag}>"


def _items(lines: Lines) -> Iterator[tuple[str, Lines]]:
    """Each item's mark and its lines, moved to the left by as much as its text is to the right."""
    base = indent(lines[0])
    mark, item, offset = "", Lines(), 0
    at = 0
    while at < len(lines):
        line = lines[at]
        inside = indent(line) >= base + 2
        bullet = None if inside else ITEM.match(line)
        if bullet:
            if mark:
                yield mark, item
            mark, offset = bullet[2], bullet.end() if len(bullet[3]) <= 4 else bullet.end(2) + 1
            item = [line[offset:]]
        elif inside and (fence := FENCE.match(line.lstrip(" "))) and (end := fence_end(lines, at, fence)):
            left = min(offset, indent(line))
            item += [_dedented(code, left) for code in lines[at:end]]
            at = end
            continue
        elif inside and ITEM.match(line):
            item.append(_dedented(line, min(offset, base + 2)))
        else:
            item.append(_dedented(line, offset))
        at += 1
    if mark:
        yield mark, item


def _item(lines: Lines, depth: int) -> str:
    """The text of an item stands by itself, whatever follows it."""
    if depth > DEEPEST:
        return _broken("\n".join(lines))
    html = []
    for number, (kind, block) in enumerate(split(lines)):
        first = number == 0 and kind == "paragraph"
        html.append(inline(_joined(block)) if first else _html(kind, block, depth))
    return "".join(html)


def _table(lines: Lines) -> str:
    heads, rules = cells_of(lines[0]), cells_of(lines[1])
    sides = []
    for rule in rules:
        left, right = rule.startswith(":"), rule.endswith(":")
        side = "center" if left and right else "right" if right else "left" if left else ""
        sides.append(f' align="{side}"' if side else "")
    html = ["<table><thead><tr>"]
    html += [f"<th{side}>{inline(cell)}</th>" for cell, side in zip(heads, sides, strict=True)]
    html.append("</tr></thead><tbody>")
    for line in lines[2:]:
        cells = cells_of(line)
        if len(cells) > len(heads):  # no column is left for these: they stay in the last
            cells = [*cells[: len(heads) - 1], " | ".join(cells[len(heads) - 1 :])]
        cells += [""] * (len(heads) - len(cells))
        row = "".join(f"<td{side}>{inline(cell)}</td>" for cell, side in zip(cells, sides, strict=True))
        html.append(f"<tr>{row}</tr>")
    return "".join(html) + "</tbody></table>"


def _code(text: str) -> str:
    """Code at the top level stays Markdown, between fences that nothing in it can close."""
    lines = text.split("\n")
    info, content = _parts(lines)
    if _PLACEHOLDER in text:
        return _nested_code(lines)
    fence = "~" * max([8, *(len(run) + 1 for run in _RUN.findall(content) if len(run) >= 8)])
    named = info.lower() in _LANGUAGES
    language = _COLOURED.get(info.lower(), info) if named else ""
    heading = f"<p>{escape(info)}</p>\n\n" if info and not named else ""
    closed = f"\n{fence}" if _is_closed(lines) else ""
    return f"{heading}{fence} {language}\n{content}{closed}"


def _nested_code(lines: Lines) -> str:
    info, content = _parts(lines)
    heading = f"<p>{escape(info)}</p>" if info and info.lower() not in _LANGUAGES else ""
    return heading + _pre(content)


def _parts(lines: Lines) -> tuple[str, str]:
    """What stands behind the opening fence, and the code."""
    fence = FENCE.match(lines[0])
    left = len(fence[1]) if fence else 0
    content = lines[1:-1] if _is_closed(lines) else lines[1:]
    return (fence[3].strip() if fence else ""), "\n".join(_dedented(line, left) for line in content)


def _is_closed(lines: Lines) -> bool:
    fence = FENCE.match(lines[0])
    last = lines[-1].strip()
    return bool(fence) and len(lines) > 1 and last.startswith(fence[2]) and not last.strip(fence[2][0])  # type: ignore[index]


def _pre(code: str) -> str:
    return f"<pre><code>{escape(code).replace(chr(10), '&#10;')}</code></pre>"


def _broken(text: str) -> str:
    """Text as it is, line by line."""
    return escape(text).replace("\n", "<br>")


def _joined(lines: Lines) -> str:
    return "\n".join(line.strip() for line in lines)


def _dedented(line: str, width: int) -> str:
    """Moved to the left, as far as there are blanks."""
    if line.startswith("\t"):
        line = line.expandtabs(4)
    return line[min(width, len(line) - len(line.lstrip(" "))) :]


__all__ = ["answer_markup", "escape", "plain"]
