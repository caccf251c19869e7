"""A level's figures, the knee, and what a person may type."""

from typing import Any

import pytest

from backend.errors import InvalidInput
from backend.lab.benchmark.checks import estimate_s, read_config, read_table
from backend.lab.benchmark.record import BenchmarkConfig
from backend.lab.benchmark.statistics import Request, knee, level, percentile


def answered(sent: float, first: float, pause: float, pieces: int, tokens: int | None = None) -> Request:
    arrivals = [first + pause * number for number in range(pieces)]
    return Request(sent, arrivals, arrivals[-1], pieces if tokens is None else tokens, 20)


def test_percentiles() -> None:
    assert percentile([], 50) is None
    assert percentile([3.0], 99) == 3.0
    assert percentile([4.0, 1.0, 3.0, 2.0], 50) == 2.5
    assert percentile(range(101), 95) == 95


def test_a_level() -> None:
    requests = [answered(0.0, 0.5, 0.1, 11), answered(0.0, 1.0, 0.1, 11), Request(0.0, problem="HTTP 500")]
    found = level(requests, 0.0, 2.0)
    assert (found["requests"], found["failed"], found["problems"]) == (2, 1, {"HTTP 500": 1})
    assert found["ttft_ms"][0] == pytest.approx(750)
    assert found["tpot_ms"] == pytest.approx([100, 100, 100])
    assert found["tokens_per_s"] == 11.0
    assert found["requests_per_s"] == 1.0
    assert (found["answer_tokens"], found["prompt_tokens"]) == (11, 20)


def test_only_what_came_in_time_counts() -> None:
    late = answered(0.0, 0.5, 0.5, 10)  # half of it after the end
    assert level([late], 0.0, 2.5)["tokens_per_s"] == pytest.approx(5 / 2.5)
    assert level([late], 0.0, 2.5)["requests_per_s"] == 0.0
    cut = Request(0.0, [1.0, 2.0], problem="cut off")
    assert level([cut], 0.0, 4.0)["tokens_per_s"] == pytest.approx(0.5)


def test_several_tokens_in_a_piece_are_several() -> None:
    found = level([answered(0.0, 1.0, 1.0, 3, tokens=9)], 0.0, 10.0)
    assert found["tokens_per_s"] == pytest.approx(0.9)
    assert found["tpot_ms"][0] == pytest.approx(2000 / 8)


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([], None),
        ([(1, 10.0)], None),
        ([(1, 10.0), (2, 20.0), (4, 39.0)], None),
        ([(1, 10.0), (2, 19.0), (4, 36.0), (8, 38.0), (16, 30.0)], 4),
        ([(16, 40.0), (1, 10.0), (4, 39.0)], 4),
        ([(1, 10.0), (2, 10.0)], 1),
        ([(1, 0.0), (2, 5.0)], None),
        ([(1, 10.0), (3, 22.0)], None),
    ],
)
def test_the_knee_is_where_twice_the_users_bring_little(levels: list[tuple[int, float]], expected: int | None) -> None:
    assert knee(levels) == expected


GOOD: dict[str, Any] = {
    "servers": ["a"], "runs": [], "users": "1, 2，4", "prompt_tokens": 64, "answer_tokens": "32", "seconds": "10",
}  # fmt: skip


def test_what_is_typed_is_read() -> None:
    assert read_config(GOOD) == BenchmarkConfig(("a",), (), (1, 2, 4), 64, 32, 10)
    assert read_config({**GOOD, "users": "1-16"}).users == (1, 2, 4, 8, 16)
    assert read_config({**GOOD, "users": "3…20 1"}).users == (1, 3, 6, 12, 20)
    assert estimate_s(BenchmarkConfig(("a", "b"), ("r",), (1, 2), seconds=10), [None]) == 3 * 2 * 15 + 60


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"users": ""}, ["users"]),
        ({"users": "many"}, ["users"]),
        ({"users": "0, 1"}, ["users"]),
        ({"users": "1, 2048"}, ["users"]),
        ({"users": "1 2 3 4 5 6 7 8 9 10 11 12 13"}, ["users"]),
        ({"users": None, "seconds": "1e3", "prompt_tokens": -4}, ["users", "prompt_tokens", "seconds"]),
        ({"answer_tokens": "٣"}, ["answer_tokens"]),
        ({"servers": [], "runs": []}, ["servers"]),
        ({"servers": [str(n) for n in range(9)]}, ["servers"]),
        ({"servers": "a"}, ["servers"]),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_config({**GOOD, **change})
    assert [message.field for message in caught.value.messages] == fields


def test_questions_are_checked_and_cost_time() -> None:
    config = read_config(
        {"kind": "quality", "servers": ["a"], "questions": "zh", "question": " 为什么？\0 ", "text": ""}
    )
    assert (config.users, config.questions, config.question) == ((), "zh", "为什么？")
    assert estimate_s(config, []) == pytest.approx(15 * 3 + 15)
    assert estimate_s(BenchmarkConfig(("a",), users=(1,), seconds=10), []) == 15
    for change, key in (
        ({"questions": "fr"}, "lab.quality.no_set"),
        ({"questions": ""}, "lab.quality.no_question"),
        ({"question": "x" * 4001}, "lab.quality.long.question"),
        ({"text": "x" * 20_001}, "lab.quality.long.text"),
        ({"servers": []}, "lab.benchmark.no_target"),
    ):
        with pytest.raises(InvalidInput) as caught:
            read_config({"kind": "quality", "servers": ["a"], "questions": "en", **change})
        assert [message.key for message in caught.value.messages] == [key]


def test_the_table_needs_a_model_and_asks_in_the_pages_language() -> None:
    config = read_table({"table": "/m", "trusted": True}, True, "zh")
    assert (config.table, config.users, config.questions, config.trusted) == ("/m", (1, 32), "zh", True)
    assert read_table({"table": "/m", "trusted": "yes"}, False, "en").users == (1, 2)
    for wrong in (None, "", "  ", 5, ["/m"]):
        with pytest.raises(InvalidInput):
            read_table({"table": wrong}, True, "en")
