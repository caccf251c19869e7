"""Puts a model's tool calls together, whose pieces servers number, name and repeat in many ways. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FILLERS = ("{}", "null")
LISTS = ("tool_calls", "toolCalls", "tool_call")
ARGUMENTS = ("arguments", "parameters", "input", "args", "params", "kwargs")


@dataclass(frozen=True)
class CallDelta:
    """A piece of a tool call: the index tells calls apart, names and arguments come in parts that add up."""

    index: int
    id: str
    name: str
    arguments: str


@dataclass
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""
    held: str = ""  # what some servers begin with whatever follows, and others where there are no arguments

    @property
    def whole(self) -> bool:
        """Whether its arguments are a JSON object already."""
        given = self.arguments or self.held
        return bool(self.name) and given.rstrip().endswith("}") and isinstance(_read(given), dict)

    def repeats(self, arguments: str) -> bool:
        """Whether these are all its arguments once more, maybe with other blanks."""
        if not (arguments.lstrip().startswith("{") and arguments.rstrip().endswith("}") and self.whole):
            return False
        given = self.arguments or self.held
        return arguments == given or (isinstance(again := _read(arguments), dict) and again == _read(given))

    def more(self, arguments: str) -> str:
        """What these arguments add: they come in pieces, whole once more, or longer each time."""
        if not self.arguments and arguments.strip() in FILLERS:
            self.held = arguments.strip()
            return ""
        if arguments and self.held:
            self.held = ""
        elif self.repeats(arguments):
            return ""
        elif self.arguments.startswith("{") and arguments.startswith(self.arguments):
            return arguments[len(self.arguments) :]
        return arguments


class CallReader:
    """``read`` turns what a chunk says of calls into pieces, whose index is the call's place in the answer."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_key: dict[object, int] = {}

    @property
    def count(self) -> int:
        """How many calls there are."""
        return len(self._calls)

    def read(self, piece: object) -> list[CallDelta]:
        """The calls of a delta or a message."""
        if not isinstance(piece, Mapping):
            return []
        given: Any = next(
            (piece[name] for name in LISTS if isinstance(piece.get(name), list | Mapping) and piece[name]), []
        )
        if isinstance(given, Mapping):
            numbered = all(isinstance(call, Mapping) for call in given.values()) and "function" not in given
            given = [{"index": number, **call} for number, call in given.items()] if numbered else [given]
        calls = list(given)
        if legacy := piece.get("function_call"):
            calls.append({"function": legacy})
        return [found for place, call in enumerate(calls) for found in self._read(call, place, len(calls))]

    def end(self) -> list[CallDelta]:
        """No more comes: what was held back, since it might have been nothing."""
        return [CallDelta(number, "", "", "{}") for number, call in enumerate(self._calls) if call.held]

    def _read(self, call: object, place: int, of: int) -> list[CallDelta]:
        if isinstance(call, str):
            call = {"function": call}
        if not isinstance(call, Mapping):
            return []
        function = call.get("function")
        if isinstance(function, str):
            function = {"name": function}
        source: Mapping[str, Any] = function if isinstance(function, Mapping) else call
        name = _text(source.get("name") or call.get("name"))
        arguments = _arguments(source, call)
        call_id = _text(call.get("id") or call.get("call_id") or call.get("tool_call_id"))
        if not (name or arguments or call_id) and call.get("index") is None:
            return []
        number = self._number(call.get("index"), place, of, call_id, name, arguments)
        known = self._calls[number]
        more = CallDelta(
            number,
            "" if known.id else call_id,
            _more_name(known, name),
            known.more(arguments),
        )
        known.id, known.name, known.arguments = (
            known.id + more.id,
            known.name + more.name,
            known.arguments + more.arguments,
        )
        return [more]

    def _number(self, index: object, place: int, of: int, call_id: str, name: str, arguments: str) -> int:
        """Which call it is a piece of: known by its id, else by its index, unless a new one plainly begins."""
        given = index is not None or of > 1
        if isinstance(index, str) and index.isdigit():
            index = int(index)
        key = index if isinstance(index, int) and not isinstance(index, bool) else f"place {place}"
        if call_id:
            same = [number for number, known in enumerate(self._calls) if known.id == call_id]
            if (there := self._by_key.get(key)) in same and there is not None:
                if not (name and self._calls[there].whole and name != self._calls[there].name):
                    return there
            elif same and not (name and given):  # else one id stands for all calls
                return same[-1]
        number_known = self._by_key.get(key)
        if number_known is None and key == "place 0" and of == 1 and self._calls and not call_id and not name:
            number_known = len(self._calls) - 1  # more arguments of the last one, without its number
        if number_known is not None and not self._begins(self._calls[number_known], call_id, name, arguments):
            return number_known
        self._calls.append(_Call())
        self._by_key[key] = len(self._calls) - 1
        return len(self._calls) - 1

    @staticmethod
    def _begins(known: _Call, call_id: str, name: str, arguments: str) -> bool:
        """Whether a new call begins, under a number that was used before."""
        if call_id and known.id and name:  # some give each piece another id
            return known.whole or name != known.name or not known.arguments
        return bool(name) and known.whole and not (name == known.name and (not arguments or known.repeats(arguments)))


def _more_name(known: _Call, name: str) -> str:
    """What a name adds: names come in pieces, whole once more with each piece, or longer each time."""
    if not name or name == known.name or (known.name and known.arguments):
        return ""
    return name[len(known.name) :] if known.name and name.startswith(known.name) else name


def _arguments(source: Mapping[str, Any], call: Mapping[str, Any]) -> str:
    for holder in (source, call):
        for name in ARGUMENTS:
            value = holder.get(name)
            if isinstance(value, str):
                return value
            if isinstance(value, Mapping | list) and value:
                return json.dumps(value, ensure_ascii=False)
    return ""


def once_decoded(arguments: str) -> str:
    """Arguments that were written as JSON in a string of JSON, as they were meant."""
    inner = _read(arguments) if arguments.lstrip()[:1] == '"' else None
    return inner if isinstance(inner, str) and isinstance(_read(inner), dict) else arguments


def _read(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) and value else ""
