"""The tutorials' table and what it says: which lines are started, what is held against what, what is kept."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.errors import InvalidInput
from backend.lab.benchmark.compared import answers, summary_of, table
from backend.lab.benchmark.record import Benchmark, BenchmarkConfig, JobState, Target, from_json
from backend.lab.benchmark.tables import Tables
from backend.lab.row import RunRow
from backend.lab.tutorials import LINES
from backend.machine.machine import Gpu
from backend.models.checkpoint import ModelInfo
from tests.unit.backend.lab.test_runs import a_row
from tests.unit.backend.lab.test_tutorials import model

GIB = 1024**3
PLAIN = model("m-7b")
PACKED = model("m-7b-4bit", quantization="awq")


class Models:
    """The catalogue, of these models."""

    def __init__(self, *models: ModelInfo) -> None:
        self._models = models

    def models(self) -> tuple[ModelInfo, ...]:
        return self._models

    def find(self, text: str) -> ModelInfo:
        return next(one for one in self._models if str(one.path) == text)


class Cards:
    """A planner that knows of GPUs alone."""

    def __init__(self, count: int) -> None:
        self._gpus = tuple(Gpu(str(n), "", "Card", 24 * GIB, 24 * GIB) for n in range(count))

    def gpus(self) -> Sequence[Gpu]:
        return self._gpus


def tables(gpus: int, *models: ModelInfo) -> Tables:
    return Tables(Models(*models), Cards(gpus), lambda: ())  # type: ignore[arg-type]


def keys(targets: Sequence[Target]) -> list[tuple[str, str, str]]:
    return [(one.line, one.engine, one.skipped.key if one.skipped else "") for one in targets]


def test_every_line_is_started_where_all_is_there() -> None:
    made = tables(2, PLAIN, PACKED).targets(BenchmarkConfig(table=str(PLAIN.path)))
    assert keys(made) == [(line.id, "turbomind", "") for line in LINES]
    assert [one.config["gpus"] for one in made if one.config] == [("0",)] * 4
    assert all(one.is_started for one in made)


def test_what_is_missing_is_said_and_not_made_up() -> None:
    made = tables(1, PLAIN).targets(BenchmarkConfig(table=str(PLAIN.path)))
    missing = "lab.table.no_weights"
    assert keys(made) == [
        ("plain", "turbomind", ""),
        ("kv4", "turbomind", ""),
        ("w4a16", "", missing),
        ("all", "", missing),
    ]
    assert [one.stage for one in made] == ["waiting", "waiting", "over", "over"]
    without = tables(0, PLAIN, PACKED).targets(BenchmarkConfig(table=str(PLAIN.path)))
    assert keys(without) == [
        ("plain", "transformers", ""),
        *((name, "", "lab.table.needs_gpu") for name in ("kv4", "w4a16", "all")),
    ]
    with pytest.raises(InvalidInput):
        tables(1, PACKED).targets(BenchmarkConfig(table=str(PACKED.path)))


def test_16_bit_models_are_offered() -> None:
    own = replace(PLAIN, path=Path("/m/own"), name="own", needs_remote_code=True)
    found = tables(1, PLAIN, PACKED, own).offers()
    assert [(one["name"], one["weights"], one["own_code"]) for one in found] == [
        ("m-7b", str(PACKED.path), False), ("own", "", True),
    ]  # fmt: skip
    assert [one["name"] for one in tables(0, PLAIN, PACKED, own).offers()] == ["m-7b"]


def quality(text: str, ppl: float | None, *likeliest: int) -> dict[str, Any]:
    places = list(range(len(likeliest)))
    return {
        "answers": [{"id": "capital", "text": text, "tokens": 2, "seconds": 0.5, "cut": False}],
        "perplexity": None if ppl is None else {"value": ppl, "tokens": 100},
        "likeliest": {"digest": "d", "positions": places, "tokens": list(likeliest), "own": places},
        "problems": {},
    }


def level(users: int, tokens_per_s: float) -> dict[str, Any]:
    return {"users": users, "tokens_per_s": tokens_per_s}


def benchmark() -> Benchmark:
    plain, kv4, w4a16, everything = tables(1, PLAIN, PACKED).targets(BenchmarkConfig(table=str(PLAIN.path)))
    targets = (
        replace(plain, server="r1", levels=(level(32, 900.0), level(1, 50.0)), quality=quality("Canberra", 7.0, 0, 1)),
        replace(kv4, server="r2", levels=(level(1, 45.0),), quality=quality("Canberra.", 7.5, 0, 5)),
        replace(w4a16, server="gone"),
        everything,
    )
    config = BenchmarkConfig(table=str(PLAIN.path), users=(1, 32), questions="en")
    return Benchmark("b", "m-7b", config, JobState.SUCCEEDED, 1.0, targets)


def row_of(server_id: str) -> RunRow | None:
    figures = {"planned_bytes": 22 * GIB, "measured_bytes": 23 * GIB}
    detail = {"free_bytes": 24 * GIB, "planned_tokens": 60_000}
    if server_id == "r1":
        return a_row(1, **figures, kv_bytes=8 * GIB, tokens=64_000, detail=detail)
    return a_row(2, **figures, kv_bytes=4 * GIB, tokens=120_000, detail=detail) if server_id == "r2" else None


def test_lines_are_held_against_16_bits_beside_the_courses_word() -> None:
    plain, kv4, w4a16, everything = table(benchmark(), row_of, PLAIN.parameters)
    assert (plain["speed"], plain["speed_many"], plain["tokens_times"]) == (50.0, 900.0, None)
    assert kv4["tokens_times"] == pytest.approx(3.75)  # twice the tokens in half the cache, nearly
    assert (kv4["speed_times"], kv4["speed_many_times"], kv4["perplexity"]) == (0.9, None, 7.5)
    assert (kv4["claim"]["tokens_times"], w4a16["claim"]["speed_times"]) == (4, 2.4)
    assert plain["claim"]["bytes"] == pytest.approx(23.08 * GIB, rel=0.001)
    # What wasn't measured is not known; the course's arithmetic goes by the 16-bit line's card.
    assert (w4a16["measured_bytes"], w4a16["speed"], everything["perplexity"]) == (None, None, None)
    assert everything["claim"]["bytes"] == pytest.approx(13.56 * GIB, rel=0.001)
    assert table(benchmark(), lambda server_id: None, 0)[0]["claim"]["bytes"] is None


def test_a_comparison_is_summed_up_for_its_row_and_stored() -> None:
    one = benchmark()
    first, second = summary_of(one, 0), summary_of(one, 1)
    assert (first["against"], first["right"], first["scored"], first["agreement"]) == ("", 1, 1, None)
    assert (second["against"], second["same"], second["agreement"], second["perplexity"]) == ("m-7b", 0, 0.5, 7.5)
    assert summary_of(one, 3)["answered"] == 0
    capital = next(row for row in answers(one) if row["id"] == "capital")
    assert [given and given["differs"] for given in capital["answers"]] == [False, True, None, None]
    again = from_json(json.loads(json.dumps(one.to_json())))
    assert table(again, row_of, PLAIN.parameters) == table(one, row_of, PLAIN.parameters)
    skipped = tables(0, PLAIN).targets(BenchmarkConfig(table=str(PLAIN.path)))
    kept = from_json(json.loads(json.dumps(replace(one, targets=skipped).to_json())))
    assert keys(kept.targets) == keys(skipped)
    # One that an earlier version stored.
    older = one.to_json()
    for target in older["targets"]:
        for name in ("line", "config", "skipped", "quality"):
            del target[name]
    assert from_json(older).targets[0].quality is None
