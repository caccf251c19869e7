"""What a benchmark says of its servers side by side: answers, and the tutorials' table with the course's claims."""

from collections.abc import Callable, Mapping
from typing import Any

from backend.lab.benchmark.record import Benchmark, Target
from backend.lab.quality.compare import side_by_side, summary
from backend.lab.quality.questions import questions_of
from backend.lab.row import RunRow
from backend.lab.tutorials import LINES, claimed_bytes


def first_of(benchmark: Benchmark) -> Target | None:
    """The target that the others are held against: the first one that was asked."""
    return next((target for target in benchmark.targets if target.quality is not None), None)


def summary_of(benchmark: Benchmark, place: int) -> dict[str, Any]:
    """One server's figures (quality/compare.py), with what it was asked and held against."""
    target, first = benchmark.targets[place], first_of(benchmark)
    config = benchmark.config
    against = None if first is None or first is target else first
    figures = summary(
        target.quality or {"answers": []},
        None if against is None else against.quality,
        questions_of(config.questions, config.question),
    )
    by = "own" if config.text else config.questions or "en"
    return {**figures, "questions": config.questions, "text": by, "against": "" if against is None else against.name}


def answers(benchmark: Benchmark) -> list[dict[str, Any]]:
    """Each question with every server's answer, in the order of the targets that aren't skipped."""
    config = benchmark.config
    asked = [target for target in benchmark.targets if target.skipped is None]
    return side_by_side([target.quality for target in asked], questions_of(config.questions, config.question))


def table(benchmark: Benchmark, row_of: Callable[[str], RunRow | None], parameters: int) -> list[dict[str, Any]]:
    """The tutorials' table, line by line: what was planned and measured (bytes, tokens, tokens/s), and what the course
    claims. ``row_of`` gives a server's row, ``parameters`` are the model's.

    ``tokens_times`` and ``speed_times`` are held against the 16-bit line: tokens in as much cache, tokens/s of one user
    and of the most. None = not known.
    """
    lines = {line.id: line for line in LINES}
    rows = [(target, row_of(target.server) if target.server else None) for target in benchmark.targets]
    base, base_row = next((one for one in rows if one[0].line == "plain"), (None, None))
    found = []
    for place, (target, row) in enumerate(rows):
        line = lines[target.line]
        detail: Mapping[str, Any] = {} if row is None else row.detail
        free = detail.get("free_bytes") or (base_row.detail.get("free_bytes") if base_row is not None else None)
        quality = summary_of(benchmark, place) if target.quality is not None else {}
        alone, many = _speeds(target)
        alone_base, many_base = _speeds(base) if base is not None else (None, None)
        is_base = target is base
        found.append(
            {
                "line": line.id,
                "ratio": line.ratio,
                "settings": "" if row is None else row.settings,
                "planned_bytes": None if row is None else row.planned_bytes,
                "measured_bytes": None if row is None else row.measured_bytes or row.host_bytes,
                "weights_bytes": None if row is None else row.weights_bytes,
                "planned_tokens": detail.get("planned_tokens"),
                "tokens": None if row is None else row.tokens,
                "speed": alone,
                "speed_many": many,
                "perplexity": quality.get("perplexity"),
                "right": quality.get("right"),
                "scored": quality.get("scored"),
                "same": quality.get("same"),
                "agreement": quality.get("agreement"),
                "tokens_times": None if is_base else _ratio(_density(row), _density(base_row)),
                "speed_times": None if is_base else _ratio(alone, alone_base),
                "speed_many_times": None if is_base else _ratio(many, many_base),
                "claim": {
                    "bytes": claimed_bytes(line, parameters, free) if free else None,
                    "tokens_times": line.tokens_times,
                    "speed_times": line.speed_times,
                },
            }
        )
    return found


def _speeds(target: Target) -> tuple[float | None, float | None]:
    """Tokens/s of the fewest users and of the most."""
    if not target.levels:
        return None, None
    ordered = sorted(target.levels, key=lambda level: level["users"])
    many = ordered[-1]["tokens_per_s"] if len(ordered) > 1 else None
    return ordered[0]["tokens_per_s"], many


def _density(row: RunRow | None) -> float | None:
    """Tokens in a byte of KV cache."""
    return row.tokens / row.kv_bytes if row is not None and row.tokens and row.kv_bytes else None


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None
