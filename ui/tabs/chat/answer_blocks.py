"""Where the blocks of a Markdown text begin and end: paragraphs, lists, quotes, tables, code, formulas. Pure."""

import re
from collections.abc import Iterator

Lines = list[str]
FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})(.*)$")
HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(\S.*)$")
_RULE = re.compile(r"^ {0,3}(?:(?:-[ \t]*){3,}|(?:_[ \t]*){3,}|(?:\*[ \t]*){3,})$")
QUOTE = re.compile(r"^ {0,3}>(?!>>)(?:[ \t]|$|(?=>[ \t]))")
_QUOTE_BEGIN = re.compile(r"^ {0,3}>(?!>>)(?:[ \t]+\S|>[ \t])")
ITEM = re.compile(r"^( *)([-*+]|\d{1,9}[.)])([ \t]+)(?=\S)")
_TABLE_RULE = re.compile(r"^[ |]*:?-+:?[ ]*(?:\|[ ]*:?-+:?[ ]*)*\|?[ ]*$")
_MATH_BLOCK = re.compile(r"^ {0,3}(\$\$|\\\[)")
_MATH_END = {"$$": "$$", "\\[": "\\]"}
_BEGINNERS = frozenset("#-_*>`~+$\\0123456789")  # the first signs of lines that may begin a block


def split(lines: Lines) -> Iterator[tuple[str, Lines]]:
    """The blocks, one after another: what kind each is, and its lines."""
    for kind, start, end in block_places(lines):
        yield kind, lines[start:end]


def block_places(lines: Lines) -> Iterator[tuple[str, int, int]]:
    """Each block's kind, its first line, and the one behind its last."""
    at = 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        kind, end = _block(lines, at)
        yield kind, at, end
        at = end


def _block(lines: Lines, at: int) -> tuple[str, int]:
    """The kind of the block that begins there, and where it ends."""
    line = lines[at]
    if (fence := FENCE.match(line)) and (end := fence_end(lines, at, fence)):
        return "code", end
    if indent(line) >= 4:
        return "indented", _indented_end(lines, at)
    if HEADING.match(line):
        return "heading", at + 1
    elif _RULE.match(line):
        return "rule", at + 1
    elif QUOTE.match(line):
        end = at + 1
        while end < len(lines) and QUOTE.match(lines[end]):
            end += 1
        return "quote", end
    elif ITEM.match(line):
        return "list", _list_end(lines, at)
    elif _is_table(lines, at):
        end = at + 2
        while end < len(lines) and "|" in lines[end] and not _begins(lines, end):
            end += 1
        return "table", end
    elif end := _math_end(lines, at):
        return "paragraph", end
    end = at + 1
    while end < len(lines) and lines[end].strip() and not _begins(lines, end) and not _is_table(lines, end):
        end += 1
    return "paragraph", end


def _begins(lines: Lines, at: int) -> bool:
    """Whether a line ends the paragraph before it."""
    line = lines[at]
    if line.lstrip(" ")[:1] not in _BEGINNERS:
        return False
    if HEADING.match(line) or _RULE.match(line) or _QUOTE_BEGIN.match(line):
        return True
    if fence := FENCE.match(line):
        return bool(fence_end(lines, at, fence))
    item = ITEM.match(line)
    if item and indent(line) < 4:
        return item[2] in "-*+" or item[2][:-1] in ("0", "1")
    return bool(_math_end(lines, at))


def fence_end(lines: Lines, at: int, fence: re.Match[str]) -> int:
    """Where the code ends that begins there (at the end of all where nothing closes it), 0 where it is no fence."""
    mark = fence[2]
    if mark[0] == "`" and "`" in fence[3]:
        return 0
    for end in range(at + 1, len(lines)):
        closing = lines[end].strip()
        if closing.startswith(mark) and not closing.strip(mark[0]):
            return end + 1
    return len(lines)


def _indented_end(lines: Lines, at: int) -> int:
    end = last = at
    while end < len(lines) and (not lines[end].strip() or indent(lines[end]) >= 4):
        if lines[end].strip():
            last = end
        end += 1
    return last + 1


def _math_end(lines: Lines, at: int) -> int:
    """Where a formula of several lines ends that begins there, 0 for none: lists and blanks in it mean nothing."""
    opening = _MATH_BLOCK.match(lines[at])
    if not opening:
        return 0
    closing = _MATH_END[opening[1]]
    if closing in lines[at][opening.end() :]:
        return 0
    for end in range(at + 1, min(len(lines), at + 200)):
        if closing in lines[end]:
            return end + 1
    return 0


def _is_table(lines: Lines, at: int) -> bool:
    if at + 1 >= len(lines) or "|" not in lines[at] or "|" not in lines[at + 1]:
        return False
    return bool(_TABLE_RULE.match(lines[at + 1])) and len(cells_of(lines[at])) == len(cells_of(lines[at + 1]))


def _list_end(lines: Lines, at: int) -> int:
    """Where the list ends: before the first line that neither is an item nor belongs to one."""
    base = indent(lines[at])
    end = last = at
    while end < len(lines):
        line = lines[end]
        if not line.strip():
            end += 1
            continue
        blank_before = end > at and not lines[end - 1].strip()
        inside = indent(line) >= base + 2
        if inside and (fence := FENCE.match(line.lstrip(" "))) and (closed := fence_end(lines, end, fence)):
            end = last = closed
            continue
        if not inside and not ITEM.match(line) and (blank_before or _begins(lines, end) or _is_table(lines, end)):
            break
        if not inside and _RULE.match(line):
            break
        end += 1
        last = end
    return last


def cells_of(line: str) -> list[str]:
    """A row's cells: a bar ends one, unless it stands behind a backslash or in code."""
    row = line.strip()
    row = row.removeprefix("|")
    if row.endswith("|") and not row.endswith("\\|"):
        row = row[:-1]
    cells, start, code = [], 0, False
    at = 0
    while at < len(row):
        sign = row[at]
        if sign == "\\":
            at += 1
        elif sign == "`":
            code = not code and "`" in row[at + 1 :]
        elif sign == "|" and not code:
            cells.append(row[start:at])
            start = at + 1
        at += 1
    return [cell.strip().replace("\\|", "|") for cell in (*cells, row[start:])]


def indent(line: str) -> int:
    """How far a line begins to the right; a tab goes to the next multiple of four."""
    if line[:1] not in (" ", "\t"):
        return 0
    width = 0
    for sign in line:
        if sign == " ":
            width += 1
        elif sign == "\t":
            width += 4 - width % 4
        else:
            break
    return width
