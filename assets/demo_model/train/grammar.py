"""A small grammar for wordings: ``{a|b}`` is a choice, ``[a]`` is optional; choices may be nested.

In Chinese patterns an ASCII ``?`` makes the character or group before it optional (a question mark there is ``？``).
"""

from __future__ import annotations

import random
from functools import cache

Node = tuple[str, object]


@cache
def _parse(pattern: str, optional_mark: bool) -> Node:
    node, position = _sequence(pattern, 0, "", optional_mark)
    if position != len(pattern):
        raise ValueError(f"unbalanced bracket at {position} in {pattern!r}")
    return node


def _sequence(text: str, position: int, stop: str, optional_mark: bool) -> tuple[Node, int]:
    parts: list[Node] = []
    while position < len(text) and text[position] not in stop:
        char = text[position]
        if char in "{[":
            closing = "}" if char == "{" else "]"
            options: list[Node] = []
            position += 1
            while True:
                option, position = _sequence(text, position, "|" + closing, optional_mark)
                options.append(option)
                if position >= len(text):
                    raise ValueError(f"missing {closing} in {text!r}")
                position += 1
                if text[position - 1] == closing:
                    break
            if char == "[":
                options += [("text", "")] * len(options)
            parts.append(("choice", options))
        elif char == "?" and optional_mark and parts:
            parts.append(("choice", [parts.pop(), ("text", "")]))
            position += 1
        else:
            parts.append(("text", char))
            position += 1
    return ("sequence", parts), position


def _write(node: Node, rng: random.Random) -> str:
    kind, value = node
    if kind == "text":
        return str(value)
    if kind == "choice":
        return _write(rng.choice(value), rng)  # type: ignore[arg-type]
    return "".join(_write(part, rng) for part in value)  # type: ignore[union-attr]


def expand(pattern: str, rng: random.Random, chinese: bool = False) -> str:
    """One random wording of ``pattern``, with single spaces."""
    return " ".join(_write(_parse(pattern, chinese), rng).split())


def pick(patterns: list[str], rng: random.Random, chinese: bool = False) -> str:
    """One random wording of one of ``patterns``."""
    return expand(rng.choice(patterns), rng, chinese)
