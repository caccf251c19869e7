"""What a lesson may have a student predict: named figures, worked out by the course's arithmetic or by the console's
memory plan; and the runs that were recorded for machines without a GPU. Pure, but for ``load_replays``."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from backend.engines.base import ServeConfig
from backend.errors import InvalidInput, Message
from backend.memory_plan.planner import Planned
from backend.units import GIB

RECORDED = Path(__file__).parents[3] / "assets" / "lessons" / "recorded.json"
CLOSE = 0.1  # of the figure: so near a prediction counts as right
_TYPED = re.compile(r"([0-9]{1,12}(?:[.,][0-9]{1,6})?)\s*(?:gib|gb|g|tokens?|×|x|%)?", re.IGNORECASE)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:[,\u202f\u00a0 ][0-9]{3})+")


class Plans(Protocol):
    """What is needed of the planner."""

    def plan(self, config: ServeConfig, card: str = "", /) -> Planned:
        """The plan of these settings on that card."""


@dataclass(frozen=True)
class Figure:
    """``work_out(values, plans, model)`` gives it; ``unit`` is "GiB", "tokens" or "times"."""

    work_out: Callable[[Mapping[str, Any], Plans, str], float]
    unit: str
    needs: frozenset[str]
    may: frozenset[str] = frozenset()

    @property
    def takes(self) -> frozenset[str]:
        """Every value that it knows."""
        return self.needs | self.may


def _weights(given: Mapping[str, Any], plans: Plans, model: str) -> float:
    return float(given["parameters_b"]) * 1e9 * float(given["bits"]) / 8 / GIB


def _cache(given: Mapping[str, Any], plans: Plans, model: str) -> float:
    return float(given["ratio"]) * (float(given["card_gib"]) - float(given["weights_gib"]))


def _total(given: Mapping[str, Any], plans: Plans, model: str) -> float:
    return float(given["weights_gib"]) + _cache(given, plans, model) + float(given.get("other_gib", 1))


def _config(given: Mapping[str, Any], model: str) -> ServeConfig:
    names = ("quant_policy", "cache_max_entry_count", "session_len", "model_format")
    chosen = {name: given[name] for name in names if name in given}
    return ServeConfig("turbomind", model, **chosen)


def _card(given: Mapping[str, Any]) -> str:
    return f"{given.get('card_gib', 24)} GiB"


def _planned_total(given: Mapping[str, Any], plans: Plans, model: str) -> float:
    return plans.plan(_config(given, model), _card(given)).plan.ready_bytes / GIB


def _planned_tokens(given: Mapping[str, Any], plans: Plans, model: str) -> float:
    return float(plans.plan(_config(given, model), _card(given)).plan.tokens)


def _times(given: Mapping[str, Any], plans: Plans, model: str) -> float:
    """How many times the tokens of a 16-bit cache fit in the same memory."""
    plain = plans.plan(_config({**given, "quant_policy": 0}, model), _card(given)).plan
    packed = plans.plan(_config(given, model), _card(given)).plan
    return plain.token_bytes / packed.token_bytes


_PLAN = frozenset({"quant_policy", "cache_max_entry_count", "session_len", "model_format", "card_gib"})
FIGURES: Mapping[str, Figure] = {
    "weights": Figure(_weights, "GiB", frozenset({"parameters_b", "bits"})),
    "cache": Figure(_cache, "GiB", frozenset({"card_gib", "weights_gib", "ratio"})),
    "total": Figure(_total, "GiB", frozenset({"card_gib", "weights_gib", "ratio"}), frozenset({"other_gib"})),
    "planned.total": Figure(_planned_total, "GiB", frozenset(), _PLAN),
    "planned.tokens": Figure(_planned_tokens, "tokens", frozenset(), _PLAN),
    "tokens.times": Figure(_times, "times", frozenset({"quant_policy"}), _PLAN),
}


def read_prediction(typed: object) -> float:
    """ "14", "14,4", "14.4 GiB", "2,048 tokens" → the number. Raises InvalidInput."""
    text = " ".join(str(typed if typed is not None else "").split())
    bare = re.sub(r"\s*(?:gib|gb|g|tokens?|×|x)$", "", text, flags=re.IGNORECASE)
    if _THOUSANDS.fullmatch(bare):
        return float(re.sub(r"[^0-9]", "", bare))
    match = _TYPED.fullmatch(text)
    if match is None:
        raise InvalidInput(Message("lab.lesson.no_number", {"value": text[:80]}, "prediction"))
    return float(match[1].replace(",", "."))


def is_close(said: float, true: float) -> bool:
    """Whether a prediction counts as right."""
    return math.isclose(said, true, rel_tol=CLOSE, abs_tol=0.05)


def load_replays(file: Path = RECORDED) -> Mapping[str, Mapping[str, Any]]:
    """The recorded runs by name."""
    value: Mapping[str, Mapping[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return value
