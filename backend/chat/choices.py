"""Tells the answer from further choices. Pure."""

from collections.abc import Mapping
from typing import Any

from backend.chat.completion_values import whole_number

SEPARATOR = "\n\n---\n\n"
Piece = tuple[str, str]  # text and thought


class Choices:
    """Servers that were asked for one answer may number it oddly: 7, always another number, or none at all."""

    def __init__(self) -> None:
        self._main: object = None
        self._others: dict[object, list[Piece]] = {}
        self._calls: list[Mapping[str, Any]] = []
        self._counting = False  # each chunk has a number of its own: all are one answer
        self._together = False
        self._written = False  # the answer has text
        self._last: object = None

    @property
    def single(self) -> bool:
        """Whether there was nothing but one answer, numbered 0."""
        return self._main in (None, 0) and not (self._others or self._counting or self._together or self._calls)

    def take_first(self) -> None:
        """A piece of the answer that is numbered 0."""
        self._main = self._last = 0
        self._written = True

    def is_main(self, index: object, position: int, of: int, text: str, thinking: str) -> bool:
        """Whether a piece with this number, at this place of its chunk, belongs to the answer."""
        main = self._is_main(index, position, of, text, thinking)
        self._written = self._written or (main and bool(text))
        return main

    def _is_main(self, index: object, position: int, of: int, text: str, thinking: str) -> bool:
        key = whole_number(index)
        if of > 1:
            self._together = True
            key = position if key is None else key
        elif key is None or self._counting:
            return True
        if self._main is None:
            self._main = key
        self._last = key
        if key == self._main:
            return True
        if not (text or thinking) and not self._together:
            return key not in self._others  # the end of one that counts
        if text and not self._written and not self._together and key not in self._others:
            self._main = key  # a thought has one number, the answer another
            return True
        if not self._together and key not in self._others and len(self._others) >= 2:
            self._counting = all(len(pieces) == 1 for pieces in self._others.values())
            return self._counting
        return False

    def keep(self, text: str, thinking: str, calls: Mapping[str, Any]) -> None:
        """What isn't the answer's, as far as is known."""
        if text or thinking:
            self._others.setdefault(self._last, []).append((text, thinking))
        if calls:
            self._calls.append(calls)

    def released(self) -> list[Piece]:
        """What was held back and turns out to be the answer's own."""
        if not self._counting or not self._others:
            return []
        pieces = [piece for kept in self._others.values() for piece in kept]
        self._others = {}
        return pieces

    def rest(self) -> list[Piece]:
        """What is still held back: further answers, one behind another, or the pieces of one that counted."""
        others, self._others = self._others, {}
        if not self._together and len(others) <= 2 and all(len(kept) == 1 for kept in others.values()):
            return [piece for kept in others.values() for piece in kept]
        pieces = []
        for kept in others.values():
            text, thinking = ("".join(part) for part in zip(*kept, strict=True))
            pieces.append((SEPARATOR + text if text else "", thinking))
        return pieces

    def rest_of_calls(self) -> list[Mapping[str, Any]]:
        """The tool calls that were held back."""
        calls, self._calls = self._calls, []
        return calls
