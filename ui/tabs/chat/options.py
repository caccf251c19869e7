"""The settings that the page's script holds beside Gradio's form (options.js): read from what it tells, and shown.

They aren't inputs of the handlers: those keep the inputs that programs outside know. Pure.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.chat.abilities import no_logprobs, unable
from backend.chat.answer_form import read_form
from backend.chat.conversation import AnswerForm, Sampling
from backend.chat.own_tools import read_tools
from backend.chat.thinking import switch_of
from backend.chat.toolset import own_schema
from backend.errors import InvalidInput, Message
from backend.servers.server import ServerView

NO_OPTIONS: Mapping[str, Any] = {}


def read_options(told: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of Sampling. InvalidInput where a value is none; a request sent by hand may hold anything."""
    return {
        "top_k": _whole(told, "top_k"),
        "repetition_penalty": _number(told, "repetition_penalty"),
        "seed": _whole(told, "seed"),
        "stop": _words(told.get("stop")),
        "answer_form": read_form(str(told.get("form_kind") or ""), str(told.get("form_text") or "")),
        "thinking": {"on": True, "off": False}.get(str(told.get("thinking"))),
        "logprobs": told.get("logprobs") is True,
        "own_tools": read_tools(str(told.get("own_tools") or "")),
    }


def options_of(sampling: Sampling) -> dict[str, Any]:
    """What ``read_options`` makes the settings of again."""
    return {
        "top_k": sampling.top_k,
        "repetition_penalty": sampling.repetition_penalty,
        "seed": sampling.seed,
        "form_kind": "" if sampling.answer_form is None else sampling.answer_form.kind,
        "form_text": "" if sampling.answer_form is None else _readable(sampling.answer_form),
        "logprobs": sampling.logprobs,
        "thinking": "" if sampling.thinking is None else "on" if sampling.thinking else "off",
        "own_tools": json.dumps([own_schema(tool) for tool in sampling.own_tools], ensure_ascii=False, indent=2)
        if sampling.own_tools
        else "",
        "stop": "\n".join(
            word.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t") for word in sampling.stop
        ),
    }


def _readable(form: AnswerForm) -> str:
    return form.text if form.kind == "regex" else json.dumps(json.loads(form.text), ensure_ascii=False, indent=2)


def _number(told: Mapping[str, Any], name: str) -> float | None:
    value = told.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not abs(number) < 1e18:
        raise InvalidInput(Message("chat.error.no_number", {"value": str(value)[:40]}, field=name))
    return number


def _whole(told: Mapping[str, Any], name: str) -> int | None:
    number = _number(told, name)
    if number is None:
        return None
    if not number.is_integer():
        raise InvalidInput(Message("chat.error.no_whole_number", {"value": str(told.get(name))[:40]}, field=name))
    return int(number)


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def _words(value: Any) -> tuple[str, ...]:
    """One a line; ``\\n`` in it is a line feed, ``\\t`` a tab."""
    lines = value.split("\n") if isinstance(value, str) else []
    marks = {"n": "\n", "t": "\t", "\\": "\\"}
    found = []
    for line in lines:
        word, at = "", 0
        while at < len(line):
            escaped = marks.get(line[at + 1 : at + 2]) if line[at] == "\\" else None
            word += escaped or line[at]
            at += 2 if escaped else 1
        if word:
            found.append(word)
    return tuple(dict.fromkeys(found))


def able(server: ServerView | None) -> dict[str, Any]:
    """What of these settings the chosen server takes: ``thinking``, whether its model's template has a switch, and
    ``unable``, the fields that mean nothing to it. It reads the model's folder."""
    if server is None:
        return {"thinking": False, "unable": []}
    fields = unable(server) | (frozenset({"logprobs"}) if no_logprobs(server) is not None else frozenset())
    return {"thinking": bool(switch_of(Path(server.model_path))), "unable": sorted(fields)}
