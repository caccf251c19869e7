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
    """The values that can be read, of a list its items; and where the reading broke off, -1 at the end."""
    values, at = list[object](), 0
    listed = text.lstrip().startswith("[")
    while True:
        while at < len(text) and (text[at].isspace() or text[at] == "," or (listed and not values and text[at] == "[")):
            at += 1
        if at >= len(text) or (listed and text[at] == "]"):
            return values, -1
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return values, at
        values.append(value)
