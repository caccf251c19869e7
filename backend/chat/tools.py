"""Tools that a model may call in the chat. Arguments are checked numbers; nothing a model writes is ever evaluated."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_ROUNDS = 8
MAX_CALLS = 16  # a round


@dataclass(frozen=True)
class Tool:
    """One function: what the model is told of it, what it does with two numbers, and that as a Python expression of a
    and b, for the code that the page shows."""

    name: str
    description: str
    run: Callable[[float, float], float]
    expression: str

    def schema(self) -> dict[str, Any]:
        """As the request's ``tools`` has it."""
        number = {"type": "number"}
        parameters = {"type": "object", "properties": {"a": number, "b": number}, "required": ["a", "b"]}
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": parameters},
        }


TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("add", "Compute the sum of two numbers", lambda a, b: a + b, "a + b"),
        Tool("mul", "Compute the product of two numbers", lambda a, b: a * b, "a * b"),
    )
}


def schemas(names: Sequence[str]) -> list[dict[str, Any]]:
    """What the model is told; names that aren't tools are left out."""
    return [TOOLS[name].schema() for name in names if name in TOOLS]


def run_tool(name: str, arguments: str, allowed: Sequence[str]) -> str:
    """The result as the model reads it: a number, or a sentence that says what was wrong with the call."""
    if name not in allowed or name not in TOOLS:
        return f"error: there is no tool named {name[:80]!r}; there are: {', '.join(allowed)}"
    try:
        given = json.loads(arguments)
    except ValueError:
        return "error: the arguments are not JSON"
    if not isinstance(given, dict) or set(given) != {"a", "b"}:
        return 'error: the arguments must be {"a": number, "b": number}'
    numbers = [_number(given[key]) for key in ("a", "b")]
    if numbers[0] is None or numbers[1] is None:
        return "error: a and b must be finite numbers"
    try:
        result = TOOLS[name].run(numbers[0], numbers[1])
    except OverflowError:
        return "error: the result is too large"
    return _write(result)


def _number(value: object) -> float | None:
    """A finite number, also one written as a string, as small models do."""
    if isinstance(value, str) and len(value) <= 40:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int) and abs(value) > 10**15:
        return None
    return float(value) if math.isfinite(value) else None


def _write(result: float) -> str:
    if not math.isfinite(result):
        return "error: the result is too large"
    return str(int(result)) if result.is_integer() and abs(result) < 1e15 else repr(result)
