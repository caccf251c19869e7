"""The shipped questions, and the rules that score an answer (assets/questions/README.md). No model judges another."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ASSETS = Path(__file__).parents[3] / "assets"
TEXTS = {"en": ASSETS / "calibration" / "held_out.txt", "zh": ASSETS / "questions" / "text_zh.txt"}
SETS = tuple(TEXTS)
OWN = "own"  # the id of a person's own question
_NUMBER = re.compile(r"-?\d+(?:[,\u202f\u00a0]\d{3})+(?:\.\d+)?|-?\d+(?:\.\d+)?")
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_FENCE = re.compile(r"\s*```\w*\n(.*?)\n?```\s*", re.DOTALL)


@dataclass(frozen=True)
class Question:
    """``kind`` is "arithmetic", "facts", "format" or "own"; ``rule`` has one entry, or none for a person's own."""

    id: str
    kind: str
    text: str
    rule: Mapping[str, Any]


@cache
def shipped(name: str) -> tuple[Question, ...]:
    """The questions of a set of SETS."""
    rows = json.loads((ASSETS / "questions" / f"{name}.json").read_text(encoding="utf-8"))
    return tuple(Question(**row) for row in rows)


def questions_of(name: str, own: str) -> tuple[Question, ...]:
    """What is asked: the set's questions ("" = none), then the person's own."""
    mine = (Question(OWN, OWN, own, {}),) if own else ()
    return (*(shipped(name) if name else ()), *mine)


def text_of(name: str, own: str) -> str:
    """What is measured by: the person's own text, else the one in the set's language."""
    return own or TEXTS[name or "en"].read_text(encoding="utf-8").strip()


def is_right(question: Question, answer: str) -> bool | None:
    """Whether the rule holds; None where there is no rule."""
    said = _THOUGHT.sub("", answer).strip()
    for name, wanted in question.rule.items():
        return RULES[name](said, wanted)
    return None


def _number(said: str, wanted: float) -> bool:
    found = _NUMBER.findall(said)
    return bool(found) and float(re.sub(r"[,\u202f\u00a0]", "", found[-1])) == wanted


def _any(said: str, wanted: list[str]) -> bool:
    for word in wanted:
        edge = r"\b" if word.isascii() else ""
        if re.search(f"{edge}{re.escape(word)}{edge}", said, re.IGNORECASE):
            return True
    return False


def _exactly(said: str, wanted: str) -> bool:
    return said.strip(" \n\"'“”‘’`.。") == wanted


def _lines(said: str, wanted: int) -> bool:
    return len([line for line in said.splitlines() if line.strip()]) == wanted


def _json(said: str, wanted: Mapping[str, Any]) -> bool:
    fenced = _FENCE.fullmatch(said)
    try:
        return bool(json.loads(fenced[1] if fenced else said) == wanted)
    except (ValueError, RecursionError):
        return False


RULES: Mapping[str, Callable[[str, Any], bool]] = {
    "number": _number, "any": _any, "exactly": _exactly, "lines": _lines, "json": _json,
}  # fmt: skip
