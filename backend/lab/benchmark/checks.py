"""What a person typed, read and checked; what a benchmark will cost. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from backend.errors import InvalidInput, Message
from backend.lab.benchmark.record import BenchmarkConfig
from backend.lab.quality.questions import SETS, questions_of
from backend.store_forms import storable

MOST_USERS, MOST_LEVELS, MOST_TARGETS = 1024, 12, 8
MOST_QUESTION, MOST_TEXT = 4000, 20_000  # characters
LIMITS = {"prompt_tokens": (1, 200_000), "answer_tokens": (1, 32_768), "seconds": (2, 600)}
DRAIN_S = 5.0  # for the last answers of a level
START_S = 60.0  # of a server whose time to load nobody knows
QUESTION_S, TEXT_S = 3.0, 15.0  # of a short answer; of the text that is measured by
TABLE_USERS = {True: (1, 32), False: (1, 2)}  # with a GPU, and without


def read_config(values: Mapping[str, Any]) -> BenchmarkConfig:
    """The settings as the page sends them; texts and numbers. ``kind`` "quality" asks questions alone. Raises
    InvalidInput with everything that is wrong."""
    problems: list[Message] = []
    if values.get("kind") == "quality":
        read = _quality(values, problems)
    else:
        read = {"users": _users(values.get("users"), problems), "picture": values.get("picture") is True}
        for name in LIMITS:
            read[name] = _whole(name, values.get(name), problems)
    for name in ("servers", "runs"):
        given = values.get(name)
        ids = given if isinstance(given, list) else []
        read[name] = tuple(dict.fromkeys(one for one in ids if isinstance(one, str)))
    if not read["servers"] and not read["runs"]:
        problems.append(Message("lab.benchmark.no_target", field="servers"))
    if len(read["servers"]) + len(read["runs"]) > MOST_TARGETS:
        problems.append(Message("lab.benchmark.many_targets", {"most": MOST_TARGETS}, "servers"))
    if problems:
        raise InvalidInput(*problems)
    return BenchmarkConfig(**read)


def read_table(values: Mapping[str, Any], has_gpu: bool, language: str) -> BenchmarkConfig:
    """The tutorials' table of a model: ``table`` is its folder. Raises InvalidInput."""
    model = values.get("table")
    if not isinstance(model, str) or not model.strip():
        raise InvalidInput(Message("lab.table.no_model", field="table"))
    return BenchmarkConfig(
        table=model, users=TABLE_USERS[has_gpu], questions=language, trusted=values.get("trusted") is True
    )


def _quality(values: Mapping[str, Any], problems: list[Message]) -> dict[str, Any]:
    """What is asked, and by what text is measured."""
    chosen = str(values.get("questions") or "")
    read: dict[str, Any] = {"users": (), "questions": chosen}
    for name, most in (("question", MOST_QUESTION), ("text", MOST_TEXT)):
        read[name] = storable(str(values.get(name) or "")).replace("\0", "").strip()
        if len(read[name]) > most:
            problems.append(Message(f"lab.quality.long.{name}", {"count": len(read[name]), "limit": most}, name))
    if chosen and chosen not in SETS:
        known = ", ".join(SETS)
        problems.append(Message("lab.quality.no_set", {"value": chosen[:80], "known": known}, "questions"))
    if not chosen and not read["question"]:
        problems.append(Message("lab.quality.no_question", field="question"))
    return read


def estimate_s(config: BenchmarkConfig, load_s: Sequence[float | None]) -> float:
    """Seconds that it will take, about. ``load_s``: how long each of the settings that are started took before."""
    targets = len(load_s) + len(config.servers)
    starting = sum(START_S if one is None else one for one in load_s)
    asking = 0.0
    if config.has_quality:
        asking = QUESTION_S * len(questions_of(config.questions, config.question)) + TEXT_S
    return targets * (len(config.users) * (config.seconds + DRAIN_S) + asking) + starting


def _users(value: Any, problems: list[Message]) -> tuple[int, ...]:
    """ "1, 2, 4, 8"; "1-64" = doubled from the first to the last."""
    text = str(value if value is not None else "").strip()
    found: list[int] = []
    for part in re.split(r"[\s,，、;；]+", text):
        bounds = re.fullmatch(r"([0-9]{1,6})(?:\s*(?:-|–|…|\.\.\.?)\s*([0-9]{1,6}))?", part)
        if not bounds:
            problems.append(Message("lab.benchmark.users", {"value": text[:80], "most": MOST_USERS}, "users"))
            return ()
        first, last = int(bounds[1]), int(bounds[2] or bounds[1])
        while 0 < first < last and len(found) <= MOST_LEVELS:
            found.append(first)
            first *= 2
        found.append(last)
    levels = tuple(sorted(set(found)))
    if not levels or levels[0] < 1 or levels[-1] > MOST_USERS:
        problems.append(Message("lab.benchmark.users", {"value": text[:80], "most": MOST_USERS}, "users"))
    elif len(levels) > MOST_LEVELS:
        problems.append(Message("lab.benchmark.levels", {"count": len(levels), "most": MOST_LEVELS}, "users"))
    return levels


def _whole(name: str, value: Any, problems: list[Message]) -> int:
    low, high = LIMITS[name]
    text = str(value if value is not None else "").strip()
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1
    if not low <= number <= high:
        said = Message(f"lab.benchmark.range.{name}", {"value": text[:80], "low": low, "high": high}, name)
        problems.append(said)
    return number
