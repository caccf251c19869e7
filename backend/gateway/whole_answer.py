"""Whole answers and streams turn into each other: some servers give the one where the other was asked for. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

_SAID_ONCE = frozenset({"id", "role", "type", "name", "finish_reason", "object", "model"})
_OF_A_CHUNK = {"chat.completion": "chat.completion.chunk"}
_OF_A_WHOLE = {"chat.completion.chunk": "chat.completion"}


def as_chunk(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A whole completion as the one chunk of a stream; a chunk, or anything else, as it is."""
    choices = answer.get("choices")
    if not isinstance(choices, list) or not any(isinstance(one, dict) and one.get("message") for one in choices):
        return dict(answer)
    kind = str(answer.get("object") or "chat.completion")
    return {**answer, "object": _OF_A_CHUNK.get(kind, kind), "choices": [_with_delta(choice) for choice in choices]}


def joined(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The chunks of a stream as the whole answer, which takes over what they hold: its lists grow in place."""
    answer: dict[str, Any] = {}
    choices: dict[Any, dict[str, Any]] = {}
    for chunk in chunks:
        answer.update((name, value) for name, value in chunk.items() if name != "choices" and value is not None)
        given = chunk.get("choices")
        for choice in given if isinstance(given, list) else ():
            if isinstance(choice, dict):
                number = choice.get("index", 0)
                key = number if isinstance(number, int) else 0
                choices[key] = _merged(choices.get(key, {}), choice)
    kind = str(answer.get("object") or "chat.completion")
    whole = [_with_message(choices[number]) for number in sorted(choices)]
    return {**answer, "object": _OF_A_WHOLE.get(kind, kind), "choices": whole}


def _with_delta(choice: Any) -> Any:
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        return choice
    message = dict(choice["message"])
    if isinstance(calls := message.get("tool_calls"), list):
        message["tool_calls"] = [
            {"index": number, **call} if isinstance(call, dict) else call for number, call in enumerate(calls)
        ]
    return {**{name: value for name, value in choice.items() if name != "message"}, "delta": message}


def _with_message(choice: dict[str, Any]) -> dict[str, Any]:
    delta = choice.pop("delta", None)
    if not isinstance(delta, dict) or choice.get("message"):
        return choice
    message = {"role": "assistant", "content": None, **delta}
    if isinstance(calls := message.get("tool_calls"), list):
        message["tool_calls"] = [
            {name: value for name, value in call.items() if name != "index"} if isinstance(call, dict) else call
            for call in calls
        ]
    return {**choice, "message": message}


def _merged(old: Any, new: Any, name: str = "") -> Any:
    """What two pieces say together: texts go on, lists grow by their items' ``index``."""
    if new is None or old is None:
        return old if new is None else new
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _merged(old.get(key), value, key) for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list):
        for item in new:
            number = _number(item)
            numbers = enumerate(map(_number, old)) if number is not None else ()
            place = next((at for at, one in numbers if one == number), None)
            if place is None:
                old.append(item)
            else:
                old[place] = _merged(old[place], item)
        return old
    if isinstance(old, str) and isinstance(new, str) and name not in _SAID_ONCE:
        return old + new
    return new or old


def _number(item: Any) -> Any:
    return item.get("index") if isinstance(item, dict) else None
