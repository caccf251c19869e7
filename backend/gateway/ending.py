"""Whether a stream's choices came to their ends. Pure."""

import re
from typing import Any

_HAS_ENDED = re.compile(rb'_reason"\s*:\s*(?!"null"|"")["{\[t0-9]')  # finish_reason, done_reason, stop_reason
_NO_REASON = (None, False, "", "null")


class Ending:
    """``choices``: how many were asked for. Events are only looked into once a reason was seen."""

    def __init__(self, choices: int = 1) -> None:
        self._asked = range(choices)
        self._closed = set[int]()
        self._open = set[int]()  # those that went on since the first reason
        self._means_nothing = False  # more came after a reason: some servers give one with each piece

    @property
    def likely(self) -> bool:
        """Whether the last word of each was a reason: enough where the stream ended by itself."""
        return bool(self._closed) and not self._open

    @property
    def sure(self) -> bool:
        """Whether all that were asked for have ended, also where the connection broke then."""
        return self.likely and self._closed.issuperset(self._asked) and not self._means_nothing

    def concerns(self, events: bytes) -> bool:
        """Whether these events must be taken in, one by one."""
        if self._closed or self._open:
            return True
        reasons = events.count(b'_reason"')
        nulls = events.count(b'_reason":null') + events.count(b'_reason": null')
        return reasons > nulls and _HAS_ENDED.search(events) is not None

    def take(self, event: bytes, value: Any) -> None:
        """An event, and what its data holds."""
        given = value.get("choices") if isinstance(value, dict) else None
        reasons = False
        for choice in given if isinstance(given, list) else ():
            if isinstance(choice, dict):
                reasons = self._take(choice) or reasons
        if not reasons and _HAS_ENDED.search(event):  # it stands outside the choices
            self._closed.update(self._asked)
            self._open.clear()

    def _take(self, choice: dict[str, Any]) -> bool:
        number = choice.get("index", 0)
        number = number if isinstance(number, int) else 0
        more = _says_more(choice)
        reason = any(name.endswith("_reason") and said not in _NO_REASON for name, said in choice.items())
        if more and number in self._closed:
            self._means_nothing = True
        if reason:
            self._closed.add(number)
            self._open.discard(number)
            self._means_nothing = self._means_nothing and more
        elif more:
            self._closed.discard(number)
            self._open.add(number)
        return reason


def _says_more(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta")
    pieces = [said for name, said in delta.items() if name != "role"] if isinstance(delta, dict) else []
    return any((choice.get("text"), *pieces))
