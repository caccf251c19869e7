"""The one JSON encoder of the console's answers: whatever a value holds, the answer is JSON that a browser reads.

What JSON or UTF-8 has no place for is shown as near as can be: half a surrogate pair as U+FFFD, NaN and infinities as
null, bytes as text, numbers that no reader holds exactly as strings of their digits, unknown objects by their type.
Nothing that one model, file or server names can take an answer away from everyone.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

from starlette.responses import Response

DEEPEST = 100
MOST_VALUES = 1_000_000
LARGEST = 1 << 63  # what 64 bits hold; beyond it readers differ
ELSE = "…"
_LONG_NUMBER = re.compile(r"\d{19}")
_HALVES = re.compile("[\ud800-\udfff]")


def encode(value: Any, *, ascii_only: bool = False) -> bytes:
    """The value as JSON in UTF-8. Never raises.

    ``ascii_only`` escapes all that isn't ASCII and keeps halves of surrogate pairs: in a stream the other half may
    come with the next line.
    """
    try:
        text = _dumped(value, ascii_only)
        if not _LONG_NUMBER.search(text):
            return text.encode()
    except (TypeError, ValueError, RecursionError, OverflowError):  # a UnicodeError is a ValueError
        pass
    return _dumped(plain(value, keep_halves=ascii_only), ascii_only).encode()


def plain(value: Any, *, keep_halves: bool = False) -> Any:
    """The value made of what JSON knows, all the way down. Never raises."""
    return _Plainer(keep_halves).plain(value, 0)


def whole_text(text: str) -> str:
    """The text without halves of surrogate pairs: two that belong together are one character, others U+FFFD."""
    if _HALVES.search(text) is None:
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class JsonAnswer(Response):
    """A value as an answer."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return encode(content)


class _Plainer:
    """Within bounds: nesting, what holds itself, the number of values."""

    def __init__(self, keep_halves: bool) -> None:
        self._keep_halves = keep_halves
        self._left = MOST_VALUES
        self._inside: set[int] = set()  # the values that hold the present one

    def plain(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if self._left < 0 or depth > DEEPEST or id(value) in self._inside:
            return ELSE
        self._inside.add(id(value))
        try:
            return self._plain(value, depth)
        except Exception:  # a value whose own methods fail
            return f"<{type(value).__name__}>"
        finally:
            self._inside.discard(id(value))

    def _plain(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Enum):
            return self.plain(value.value, depth + 1)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int):
            return int(value) if -LARGEST < value < LARGEST else _digits(int(value))
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else None
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value).decode("utf-8", "replace")
        if isinstance(value, PurePath):
            return self._text(str(value))
        if is_dataclass(value) and not isinstance(value, type):
            return {field.name: self.plain(getattr(value, field.name), depth + 1) for field in fields(value)}
        if isinstance(value, Mapping):
            return {self._key(key): self.plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple, Set)):
            return self._list(value, depth)
        return f"<{type(value).__name__}>"

    def _list(self, values: Iterable[Any], depth: int) -> list[Any]:
        items = []
        for item in values:
            if self._left < 0:
                break
            items.append(self.plain(item, depth + 1))
        return items

    def _key(self, key: Any) -> str:
        """A name of a field, as the standard encoder writes simple ones (true, null, 1.5)."""
        name = self.plain(key, DEEPEST - 5)
        return name if isinstance(name, str) else json.dumps(name, ensure_ascii=False)

    def _text(self, text: str) -> str:
        return str(text) if self._keep_halves else whole_text(str(text))


def _digits(number: int) -> str:
    """A number that is too long for a number; one of thousands of digits by its size."""
    if number.bit_length() < 10_000:
        return str(number)
    return f"{'-' if number < 0 else ''}2^{number.bit_length() - 1}+"


def _dumped(value: Any, ascii_only: bool) -> str:
    return json.dumps(value, ensure_ascii=ascii_only, allow_nan=False, separators=(",", ":"))
