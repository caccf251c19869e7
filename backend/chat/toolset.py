"""The tools of one conversation: the console's own, which are safe whatever a model asks of them, and a person's, whose
results that person types."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backend.chat.calculator import NotAFormula, calculate
from backend.chat.conversation import OwnTool, Sampling
from backend.chat.tools import TOOLS, run_tool, schemas
from backend.chat.unit_conversion import convert

RESULT_LENGTH = 8_000  # characters of a built-in tool's result
RUN_S = 10.0
STRING: Mapping[str, Any] = {"type": "string"}

Run = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class BuiltIn:
    """A tool of the console's own. ``run`` gets the checked arguments, and raises NotAFormula with a sentence for the
    model; None: a source that this console may have (Toolbox.sources) gives the result."""

    name: str
    description: str
    parameters: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...]
    run: Run | None = None

    def schema(self) -> dict[str, Any]:
        """As the request's ``tools`` has it."""
        properties = {name: dict(value) for name, value in self.parameters.items()}
        parameters = {"type": "object", "properties": properties, "required": list(self.required)}
        function = {"name": self.name, "description": self.description, "parameters": parameters}
        return {"type": "function", "function": function}


def _now(given: Mapping[str, Any]) -> str:
    zone = str(given.get("timezone") or "").strip()
    try:
        now = datetime.now(ZoneInfo(zone)) if zone else datetime.now().astimezone()
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise NotAFormula(f"there is no time zone {zone[:60]!r}; give a name such as Asia/Shanghai") from error
    return f"{now:%A, %Y-%m-%d %H:%M:%S} ({zone or now.tzname()}, UTC{now:%z})"


def _convert(given: Mapping[str, Any]) -> str:
    try:
        value = float(given["value"])
    except (TypeError, ValueError):
        raise NotAFormula("value must be a number") from None
    return convert(value, str(given["from_unit"]), str(given["to_unit"]))


BUILT_IN: Mapping[str, BuiltIn] = {
    tool.name: tool
    for tool in (
        BuiltIn(
            "calculate",
            "Compute an arithmetic expression exactly, for example (3+5)*2 or sqrt(2)*10^3",
            {"expression": STRING},
            ("expression",),
            lambda given: calculate(str(given["expression"])),
        ),
        BuiltIn(
            "current_time",
            "Tell the date and the time now, in a time zone such as Asia/Shanghai (default: the server's own)",
            {"timezone": STRING},
            (),
            _now,
        ),
        BuiltIn(
            "convert_units",
            "Convert a value between units of length, mass, data, time, speed, area, volume, energy, temperature",
            {"value": {"type": "number"}, "from_unit": STRING, "to_unit": STRING},
            ("value", "from_unit", "to_unit"),
            _convert,
        ),
        BuiltIn("gpu_memory", "Read the GPUs of this machine now: memory used and free, load, temperature", {}, ()),
        BuiltIn(
            "console_help",
            "Search the help of LMDeploy Console, the program that this conversation takes place in",
            {"query": STRING},
            ("query",),
        ),
    )
}
NAMES: tuple[str, ...] = (*TOOLS, *BUILT_IN)


def tool_schemas(sampling: Sampling) -> list[dict[str, Any]]:
    """What the model is told: the console's tools that were chosen, and the person's. One of theirs takes the place of
    the console's of the same name."""
    own = {tool.name for tool in sampling.own_tools}
    names = [name for name in sampling.tools if name not in own]
    built_in = [BUILT_IN[name].schema() for name in names if name in BUILT_IN]
    return [*schemas(names), *built_in, *map(own_schema, sampling.own_tools)]


def own_schema(tool: OwnTool) -> dict[str, Any]:
    """As the request's ``tools`` has it."""
    function = {"name": tool.name, "description": tool.description, "parameters": json.loads(tool.parameters)}
    return {"type": "function", "function": function}


class Toolset:
    """The tools that one question may use. ``sources``: what this console has for the built-in tools without ``run``,
    by name."""

    def __init__(self, sampling: Sampling, sources: Mapping[str, Run]) -> None:
        self.own = frozenset(tool.name for tool in sampling.own_tools)
        self._names = tuple(name for name in sampling.tools if name in NAMES and name not in self.own)
        self._sources = sources

    @property
    def names(self) -> tuple[str, ...]:
        """All that may be called."""
        return (*self._names, *sorted(self.own))

    async def run(self, name: str, arguments: str) -> tuple[str, float]:
        """A built-in tool's result as the model reads it, and the seconds that it took."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(RUN_S):
                result = await asyncio.to_thread(self._run, name, arguments)
        except TimeoutError:
            result = f"error: it took longer than {RUN_S:g} seconds"
        return result[:RESULT_LENGTH], time.monotonic() - began

    def _run(self, name: str, arguments: str) -> str:
        if name not in BUILT_IN or name not in self._names:
            return run_tool(name, arguments, self.names if name not in TOOLS else self._names)
        tool = BUILT_IN[name]
        try:
            given = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            return "error: the arguments are not JSON"
        if not isinstance(given, dict):
            return "error: the arguments must be a JSON object"
        if missing := [key for key in tool.required if given.get(key) in (None, "")]:
            return f"error: {', '.join(missing)} missing; the arguments are {_listed(tool.parameters)}"
        if unknown := sorted(set(given) - set(tool.parameters)):
            return f"error: there is no argument {unknown[0][:40]!r}; the arguments are {_listed(tool.parameters)}"
        run = tool.run or self._sources.get(name)
        if run is None:
            return "error: this console has nothing to answer that with"
        try:
            return run(given)
        except NotAFormula as error:
            return f"error: {error}"


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(names) or "none"
