"""Tool calls that a model wrote into its answer's text, since its server has no parser for them. Pure.

Qwen and Hermes ``<tool_call>{…}</tool_call>``, Qwen3-Coder's ``<function=…>``, InternLM's ``<|plugin|>``, Llama's
``<|python_tag|>`` or bare JSON, Mistral's ``[TOOL_CALLS]``. Only a call of a tool that was offered is one: all else is
text, and stays.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

LIMIT = 200_000  # characters of an answer that is looked at
MOST = 64

_TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
_PLUGIN = re.compile(
    r"(?:<\|action_start\|>)?\s*<\|(?:plugin|interpreter)\|>\s*(.*?)\s*(?:<\|action_end\|>|\Z)", re.DOTALL
)
_PYTHON_TAG = re.compile(r"<\|python_tag\|>\s*(.*?)\s*(?:<\|eom_id\|>|<\|eot_id\|>|\Z)", re.DOTALL)
_MISTRAL = re.compile(r"\[TOOL_CALLS\]\s*(.*?)\s*(?:</s>|\Z)", re.DOTALL)
_FUNCTION = re.compile(r"<function=([\w.-]+)>\s*(.*?)\s*(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([\w.-]+)>\s*(.*?)\s*(?:</parameter>|(?=<parameter=)|\Z)", re.DOTALL)
_FENCED = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n\s*```\s*\Z", re.DOTALL)
_MARKED = (_TAGGED, _PLUGIN, _PYTHON_TAG, _MISTRAL)
_BETWEEN = " \t\r\n,;"


@dataclass(frozen=True)
class TextCall:
    """``arguments`` is JSON."""

    name: str
    arguments: str


def calls_in(text: str, offered: Collection[str]) -> tuple[str, list[TextCall]]:
    """What of the answer is no call, and the calls in it, in their order. Where none is one, the text as it was."""
    if not offered or len(text) > LIMIT:
        return text, []
    for mark in _MARKED:
        calls: list[TextCall] = []
        rest = mark.sub(lambda found: _taken(found[0], _read(found[1], offered), calls), text)  # noqa: B023
        if calls:
            return rest.strip(), calls[:MOST]
    calls = []
    rest = _FUNCTION.sub(lambda found: _taken(found[0], _functions(found[0], offered), calls), text)
    if calls:
        return rest.strip(), calls[:MOST]
    fenced = _FENCED.match(text)
    if calls := _read(fenced[1] if fenced else text, offered):
        return "", calls[:MOST]
    return _at_the_end(text, offered)


def _taken(whole: str, found: list[TextCall], calls: list[TextCall]) -> str:
    calls.extend(found)
    return "" if found else whole


def _read(text: str, offered: Collection[str]) -> list[TextCall]:
    """The calls that a text of nothing but JSON is; [] where anything in it is none."""
    if "<function=" in text:
        return _functions(text, offered)
    values, at, decoder = list[Any](), 0, json.JSONDecoder()
    text = text.strip()
    while at < len(text):
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return []
        values += value if isinstance(value, list) else [value]
        while at < len(text) and text[at] in _BETWEEN:
            at += 1
    calls = [_call(value, offered) for value in values]
    return [call for call in calls if call is not None] if calls and None not in calls else []


def _call(value: Any, offered: Collection[str]) -> TextCall | None:
    if not isinstance(value, Mapping):
        return None
    function = value.get("function")
    if isinstance(function, Mapping):
        value = function
    elif isinstance(function, str) and "name" not in value:
        value = {**value, "name": function}
    name = value.get("name")
    if not isinstance(name, str) or name not in offered:
        return None
    for key in ("arguments", "parameters", "args", "input"):
        given = value.get(key)
        if isinstance(given, Mapping):
            return TextCall(name, json.dumps(given, ensure_ascii=False))
        if isinstance(given, str):
            return TextCall(name, given)
    return TextCall(name, "{}")


def _functions(text: str, offered: Collection[str]) -> list[TextCall]:
    calls = []
    for name, body in _FUNCTION.findall(text):
        if name in offered:
            given = {key: _plain(value) for key, value in _PARAMETER.findall(body)}
            calls.append(TextCall(name, json.dumps(given, ensure_ascii=False)))
    return calls


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _at_the_end(text: str, offered: Collection[str]) -> tuple[str, list[TextCall]]:
    """Words, then a call as bare JSON in a line of its own: the special words before it weren't sent along."""
    for found in re.finditer(r"^[ \t]*(?=\{\s*\")", text, re.MULTILINE):
        if calls := _read(text[found.end() :], offered):
            return text[: found.start()].strip(), calls[:MOST]
    return text, []
