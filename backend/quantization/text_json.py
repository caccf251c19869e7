"""JSON as people have it: any numbers, raw line ends within texts, Python's way of writing the same. Pure."""

import ast
import json
from typing import Any

LONGEST_LITERAL = 1 << 20  # Python's own reader of values takes memory many times over


def _skipped(_: str) -> int:
    return 0


_DECODER = json.JSONDecoder(strict=False, parse_int=_skipped, parse_float=_skipped, parse_constant=_skipped)


def loads(text: str) -> Any:
    """A value; its numbers, which are no text, are all 0. Raises ValueError, RecursionError.

    What pandas or ``print`` made of a list or a record, Python's form of it, is taken too.
    """
    try:
        return _DECODER.decode(text)
    except ValueError:
        start = text[:40].lstrip()
        if len(text) <= LONGEST_LITERAL and start.startswith(("{'", "['", "[{'", '[{"', "[[{'")):
            try:
                return ast.literal_eval(text.strip())
            except (SyntaxError, MemoryError, TypeError, ValueError):
                pass
        raise


def one_after_another(text: str) -> tuple[list[object], int]:
    """The values that can be read, of a broken list its items; and where the reading broke off, -1 at the end."""
    values, at, listed = list[object](), 0, False
    while True:
        while at < len(text) and (text[at].isspace() or text[at] == ","):
            at += 1
        if at >= len(text):
            return values, -1
        if listed and text[at] == "]":
            listed, at = False, at + 1
            continue
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            if listed or text[at] != "[":
                return values, at
            listed, at = True, at + 1
            continue
        values.append(value)


def begins_a_value(text: str) -> bool:
    """Whether more JSON is meant there, though it may be broken, rather than prose."""
    return text.lstrip()[:1] in ("{", "[", '"')
