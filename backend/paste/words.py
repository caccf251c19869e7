"""A line's words, as a shell would split them, each with its place in the text. Pure; never raises.

What differs between shells is taken as meant: a backslash in a Windows path is a letter, ``<model>`` is a placeholder,
a quote that nobody closes is none.
"""

import re
from dataclasses import dataclass
from typing import Literal

from backend.paste.lines import PROGRAM, Line

Kind = Literal["word", "operator", "redirection", "comment"]
_OPERATOR = re.compile(r"&&|\|\||;;|[;|`；]|&(?!>)")
_REDIRECTION = re.compile(r"(?:\d|&)?(?:>>|>\||<<<|<<|>|<)(?:&\d|&-)?[ \t]*(?:\"[^\"]*\"|'[^']*'|[^\s|&;<>]*)")
_NAME = re.compile(rf"{PROGRAM}(?=\s)", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"<[^<>\n|&;]{1,60}>")
_WINDOWS = re.compile(r"(?:[A-Za-z]:|\\\\|\.{1,2}\\|%\w+%|[\w.\-]+(?=\\[\w.\-]+(?:\\|\.exe)))")


@dataclass(frozen=True)
class Token:
    """``text`` is what the program would get; ``start`` to ``end`` what stands there. ``open`` marks a word with a
    quote that is never closed."""

    kind: Kind
    text: str
    start: int
    end: int
    open: bool = False


def tokens(text: str, line: Line) -> list[Token]:
    """The line's words, operators, redirections and comments."""
    found: list[Token] = []
    place = line.prompt_end
    while place < line.end:
        if text[place] in " \t\n":
            place += 1
            continue
        token = _token(text, place, line)
        found.append(token)
        place = max(token.end, place + 1)
    return found


def _token(text: str, place: int, line: Line) -> Token:
    if text[place] == "#":
        end = next((b for b in line.breaks if b >= place), line.end)
        return Token("comment", text[place + 1 : end].strip(), place, end)
    if text[place] in "\\^`" and (place + 1 >= line.end or text[place + 1] in " \t"):
        return Token("operator", "", place, place + 1)  # a joint whose line end was lost
    placeholder = _PLACEHOLDER.match(text, place, line.end)
    redirection = None if placeholder else _REDIRECTION.match(text, place, line.end)
    if redirection:
        return Token("redirection", redirection[0], place, redirection.end())
    operator = _OPERATOR.match(text, place, line.end)
    if operator:
        return Token("operator", operator[0], place, operator.end())
    if text[place] == "(" and text[place + 1 : place + 2] not in ("", " "):
        return Token("operator", "(", place, place + 1)
    return _word(text, place, line.end)


def _word(text: str, start: int, end: int) -> Token:
    out: list[str] = []
    place = start
    literal = bool(_WINDOWS.match(text, start, end)) and "\\" in text[start:end]
    unclosed = False
    while place < end:
        c = text[place]
        if c in " \t\n":
            break
        if c in "\"'":
            close = _closing(text, place, end)
            if close < 0:
                unclosed, place = True, place + 1
                continue
            out.append(_unescaped(text[place + 1 : close]) if c == '"' and not literal else text[place + 1 : close])
            place = close + 1
        elif c == "\\" and not literal and place + 1 < end:
            if text[place + 1] in "\n":
                break
            out.append(text[place + 1])
            place += 2
        elif c == "<" and (placeholder := _PLACEHOLDER.match(text, place, end)):
            out.append(placeholder[0])
            place = placeholder.end()
        elif c in "|`;；<>&" and not _belongs(text, start, place, end):
            break
        elif place > start and (not text[place - 1].isascii() or text[place - 1] == ":") and _NAME.match(text, place):
            break  # "请运行：lmdeploy …"
        elif c == ")" and "(" not in text[start:place] and (place + 1 >= end or text[place + 1] in " \t;|&"):
            place += 1  # of a group
            break
        else:
            out.append(c)
            place += 1
    return Token("word", "".join(out), start, max(place, start + 1), unclosed)


def _belongs(text: str, start: int, place: int, end: int) -> bool:
    """Whether an operator's character is a part of the word: in an address, in an arrow, a Chinese mark in a name."""
    after = text[place + 1] if place + 1 < end else " "
    if text[place] == "&":
        return "://" in text[start:place] and after not in " \t&"
    if text[place] == ">":
        return place > start and text[place - 1] in "-="
    return text[place] == "；" and after not in " \t" and not text[place + 1 : end].lstrip().startswith("lmdeploy")


def _closing(text: str, place: int, end: int) -> int:
    """Where the quote that opens at ``place`` closes, or -1."""
    quote = text[place]
    at = place + 1
    while at < end:
        if text[at] == "\\" and quote == '"':
            at += 2
            continue
        if text[at] == quote:
            return at
        at += 1
    return -1


def _unescaped(text: str) -> str:
    return re.sub(r'\\(["\\$`])', r"\1", text)
