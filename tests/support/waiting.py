"""Waiting for a state with a deadline: tests never sleep."""

import threading
import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")
_tick = threading.Event()


def wait_for(
    what: str, probe: Callable[[], T | Literal[False] | None], deadline_s: float = 60.0, every_s: float = 0.02
) -> T:
    """The first true value of ``probe()``. AssertionError naming ``what`` and the last value after the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        value = probe()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s:g} s: {what}; the last value was {value!r}")
        _tick.wait(every_s)
