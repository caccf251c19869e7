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
MOST_TRIES = 100  # lines that begin like JSON and are none

# Blanks inside are cut off afterwards: a pattern for them would try each run of them again and again.
_TAGGED = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)
_PLUGIN = re.compile(r"(?:<\|action_start\|>\s*)?<\|(?:plugin|interpreter)\|>(.*?)(?:<\|action_end\|>|\Z)", re.DOTALL)
_PYTHON_TAG = re.compile(r"<\|python_tag\|>(.*?)(?:<\|eom_id\|>|<\|eot_id\|>|\Z)", re.DOTALL)
_MISTRAL = re.compile(r"\[TOOL_CALLS\](.*?)(?:</s>|\Z)", re.DOTALL)
_FUNCTION = re.compile(r"<function=([\w.-]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([\w.-]+)>(.*?)(?:</parameter>|(?=<parameter=)|\Z)", re.DOTALL)
_FENCE = "```"
_MARKED = (_TAGGED, _PLUGIN, _PYTHON_TAG, _MISTRAL)
_LINE_OF_JSON = re.compile(r"^[ \t]*(?=\{\s*\")", re.MULTILINE)
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
    if calls := _read(_unfenced(text.strip()), offered):
        return "", calls[:MOST]
    return _at_the_end(text, offered)


def _unfenced(text: str) -> str:
    """What stands in a text's code block, where it is nothing but one."""
    first, _, rest = text.partition("\n")
    if first.rstrip() in (_FENCE, f"{_FENCE}json") and rest.endswith(_FENCE):
        return rest.removesuffix(_FENCE)
    return text


def _taken(whole: str, found: list[TextCall], calls: list[TextCall]) -> str:
    calls.extend(found)
    return "" if found else whole


def _read(text: str, offered: Collection[str]) -> list[TextCall]:
    """The calls that a text of nothing but JSON is; [] where anything in it is none."""
    if "<function=" in text:
        return _functions(text, offered)
    text = text.strip()
    calls, at = _row(text, 0, offered)
    return calls if at == len(text) else []


def _row(text: str, at: int, offered: Collection[str]) -> tuple[list[TextCall], int]:
    """The calls that stand there one behind another, and where their row ends; none where another value is in it."""
    found, decoder = list[TextCall](), json.JSONDecoder()
    while at < len(text):
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        calls = [_call(one, offered) for one in (value if isinstance(value, list) else [value])]
        while at < len(text) and text[at] in _BETWEEN:
            at += 1
        if None in calls:
            return [], at
        found += [call for call in calls if call is not None]
    return found, at


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
            given = {key: _plain(value.strip()) for key, value in _PARAMETER.findall(body)}
            calls.append(TextCall(name, json.dumps(given, ensure_ascii=False)))
    return calls


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _at_the_end(text: str, offered: Collection[str]) -> tuple[str, list[TextCall]]:
    """Words, then a call as bare JSON in a line of its own: the special words before it weren't sent along."""
    read, tries = 0, 0
    for found in _LINE_OF_JSON.finditer(text):
        if found.end() < read:
            continue  # what it begins was read, and didn't lead to the end
        calls, read = _row(text, found.end(), offered)
        if calls and read == len(text):
            return text[: found.start()].strip(), calls[:MOST]
        tries += read == found.end()
        if tries > MOST_TRIES:
            break
    return text, []
