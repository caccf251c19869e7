"""How often answers under way are read and shown: the more there are, the less often each.

A hundred answers at 50 tokens a second are 5,000 tokens a second. One by one they would take three cores; several
together, none waits for longer than a reader notices.
"""

from collections.abc import Iterator
from contextlib import contextmanager

SHOWN_S = 0.05
# Drawing a longer answer takes a browser longer: from SHORT characters on it is drawn less often, from LONG_ANSWER on
# eight times a second.
SHORT, LONG_ANSWER = 1000, 4000
LONG_SHOWN_S = 0.125
FEW = 8  # answers, each of which is read as its tokens come
EACH_S = 0.002  # so much less often for every one
MOST_S = 0.2


class Pace:
    """Counts what is under way. For one event loop."""

    def __init__(self) -> None:
        self._count = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """One more, within this block."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1

    def pause_s(self, characters: int) -> float:
        """Between two looks at an answer of that length that is shown."""
        length = min(max((characters - SHORT) / (LONG_ANSWER - SHORT), 0.0), 1.0)
        return max(SHOWN_S + length * (LONG_SHOWN_S - SHOWN_S), self._crowded_s)

    def reading_pause_s(self) -> float:
        """Between two looks at what a server has sent."""
        return self._crowded_s if self._count > FEW else 0.0

    @property
    def _crowded_s(self) -> float:
        return min(MOST_S, EACH_S * self._count)
