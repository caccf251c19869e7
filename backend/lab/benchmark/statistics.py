"""Figures of one level of load, from what was seen of each request. Pure; the standard library alone (the child imports
it).

TTFT: from the moment a request is sent to its first token. Time per token: the tokens after the first, over the time
from the first to the last. Tokens/s counts what arrived within the level's time alone, whatever request it belongs to:
so neither the requests that are under way at its end nor those that began late bend it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

PERCENTILES = (50, 95, 99)
GAIN = 1.2  # twice the users must give so many times the tokens/s, else the server is full


@dataclass
class Request:
    """One request. Times are seconds of a clock that never jumps; ``arrivals`` are those of its pieces with text.

    ``tokens`` and ``prompt_tokens`` are the server's own count, None where it sends none. ``problem`` "" = whole.
    """

    sent_at: float
    arrivals: list[float] = field(default_factory=list)
    ended_at: float = 0.0
    tokens: int | None = None
    prompt_tokens: int | None = None
    problem: str = ""
    pieces: list[str] | None = None  # of the answer itself, without what a model thinks before it; None = not wanted

    @property
    def counted(self) -> int:
        """Its tokens; a piece is one where the server doesn't count."""
        return len(self.arrivals) if self.tokens is None else self.tokens

    @property
    def ttft_s(self) -> float | None:
        """Seconds to the first token."""
        return self.arrivals[0] - self.sent_at if self.arrivals else None

    @property
    def tpot_s(self) -> float | None:
        """Seconds per token after the first."""
        if len(self.arrivals) < 2 or self.counted < 2:
            return None
        return (self.arrivals[-1] - self.arrivals[0]) / (self.counted - 1)


def percentile(values: Sequence[float], percent: float) -> float | None:
    """By linear interpolation between the two nearest ranks; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def level(requests: Sequence[Request], begun: float, seconds: float) -> dict[str, Any]:
    """The figures of a level that began at ``begun`` and took ``seconds``. Times in ms, speeds per second."""
    end = begun + seconds
    whole = [one for one in requests if not one.problem]
    tokens = 0.0
    for one in requests:
        inside = sum(1 for at in one.arrivals if begun <= at <= end)
        tokens += inside * (one.counted / len(one.arrivals) if one.arrivals and not one.problem else 1)
    firsts = [one.ttft_s * 1000 for one in whole if one.ttft_s is not None]
    pauses = [one.tpot_s * 1000 for one in whole if one.tpot_s is not None]
    done = [one for one in whole if one.ended_at <= end]
    problems: dict[str, int] = {}
    for one in requests:
        if one.problem:
            problems[one.problem] = problems.get(one.problem, 0) + 1
    return {
        "requests": len(whole),
        "failed": len(requests) - len(whole),
        "problems": problems,
        "ttft_ms": [percentile(firsts, percent) for percent in PERCENTILES],
        "tpot_ms": [percentile(pauses, percent) for percent in PERCENTILES],
        "tokens_per_s": tokens / seconds,
        "requests_per_s": len(done) / seconds,
        "answer_tokens": _mean([one.counted for one in whole]),
        "prompt_tokens": _mean([one.prompt_tokens for one in whole if one.prompt_tokens is not None]),
        "approximate": any(one.tokens is None for one in whole),
    }


def knee(levels: Sequence[tuple[int, float]]) -> int | None:
    """Of (users, tokens/s): how many users the server takes before twice as many give less than GAIN times the
    tokens/s. None where it never came to that, or where there is nothing to compare."""
    ordered = sorted(levels)
    for (few, slow), (many, fast) in pairwise(ordered):
        if slow <= 0 or many <= few:
            continue
        doublings = math.log2(many / few)
        if (fast / slow) ** (1 / doublings) < GAIN:
            return few
    return None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
