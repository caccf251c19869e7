"""Answers scored by rule, and held against each other."""

import pytest

from backend.lab.children.quality import FIRST_POSITION, MOST_POSITIONS, spread
from backend.lab.quality.compare import agreement, first_difference, hits, side_by_side, summary
from backend.lab.quality.questions import RULES, SETS, Question, is_right, questions_of, shipped, text_of


@pytest.mark.parametrize(
    ("rule", "right", "wrong"),
    [
        ({"number": 1001}, ["1001", "It is 1,001.", "1001.0", "7 × 143 = 1001"], ["", "1001 or 1002", "one", "100 1"]),
        ({"number": -3}, ["-3", "x = -3"], ["3"]),
        ({"any": ["iron"]}, ["Iron.", "It's IRON"], ["environment", "irony", ""]),
        ({"any": ["铁"]}, ["铁", "是铁元素。"], ["铜"]),
        ({"exactly": "1, 4, 7, 9"}, ["1, 4, 7, 9", " “1, 4, 7, 9”.\n"], ["1,4,7,9", "Sure: 1, 4, 7, 9"]),
        ({"lines": 3}, ["a\nb\nc", "a\n\nb\nc\n"], ["a, b, c", "a\nb\nc\nd"]),
        (
            {"json": {"a": 1}},
            ['{"a": 1}', '```json\n{"a": 1}\n```'],
            ['Sure: {"a": 1}', '{"a": 2}', "{", "[" * 100_000],
        ),
    ],
)
def test_a_rule_scores_an_answer(rule: dict[str, object], right: list[str], wrong: list[str]) -> None:
    question = Question("q", "facts", "?", rule)
    assert [is_right(question, text) for text in right] == [True] * len(right)
    assert [is_right(question, text) for text in wrong] == [False] * len(wrong)


def test_what_a_model_thinks_is_no_answer() -> None:
    question = Question("q", "arithmetic", "?", {"number": 8})
    assert is_right(question, "<think>7? No.</think>8")
    assert is_right(question, "<think>8, or perhaps") is False
    assert is_right(Question("own", "own", "?", {}), "anything") is None


@pytest.mark.parametrize("name", SETS)
def test_a_shipped_set_is_whole(name: str) -> None:
    questions = shipped(name)
    assert {question.kind for question in questions} == {"arithmetic", "facts", "format"}
    assert len({question.id for question in questions}) == len(questions)
    for question in questions:
        assert len(question.rule) == 1
        assert set(question.rule) <= set(RULES)
        assert is_right(question, "") is False
    assert [question.id for question in questions_of(name, "Why?")][-1] == "own"
    assert len(text_of(name, "")) > 500
    assert text_of(name, "mine") == "mine"


def test_both_sets_ask_the_same_kinds() -> None:
    english, chinese = (sorted((question.id, question.kind) for question in shipped(name)) for name in ("en", "zh"))
    assert english == chinese


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [
        ("The same.", "The same.", None),
        ("", "", None),
        ("The fox ran home.", "The fox ran away.", 12),
        ("watermelon", "water", 0),  # a word is the same or it isn't
        ("yes", "yes, it is", 3),
        ("三角形是橙色。", "三角形是紫色。", 4),
        ("KV 缓存", "KV 缓冲", 4),
        ("a  b", "a b", 1),
        ("naïve 👍🏽", "naïve 👍", 7),
        ("", "x", 0),
    ],
)
def test_the_first_difference_is_a_whole_word(one: str, other: str, place: int | None) -> None:
    assert first_difference(one, other) == place
    assert first_difference(other, one) == place


def likeliest(*tokens: int, digest: str = "d") -> dict[str, object]:
    return {
        "digest": digest,
        "positions": list(range(len(tokens))),
        "tokens": list(tokens),
        "own": [1, 2, 3, 4][: len(tokens)],
    }


def test_the_likeliest_tokens_agree_where_texts_are_split_alike() -> None:
    assert agreement(likeliest(1, 2, 3, 4), likeliest(1, 2, 3, 5)) == 0.75
    assert agreement(likeliest(1, 2, 3, 4), likeliest(1, 2, 3, 4, digest="other tokenizer")) is None
    assert agreement(None, likeliest(1)) is None
    assert agreement(likeliest(), likeliest()) is None
    assert hits(likeliest(1, 9, 3, 9)) == 0.5
    assert hits(None) is None


@pytest.mark.parametrize("length", [0, 1, FIRST_POSITION, FIRST_POSITION + 1, 50, 72, 73, 500, 100_000])
def test_places_of_a_text_are_spread_over_it(length: int) -> None:
    places = spread(length)
    assert len(places) == max(0, min(MOST_POSITIONS, length - FIRST_POSITION))
    assert places == sorted(set(places))
    assert all(FIRST_POSITION <= place < length for place in places)


def answer(question: str, text: str, tokens: int = 4, seconds: float = 2.0) -> dict[str, object]:
    return {"id": question, "text": text, "tokens": tokens, "seconds": seconds, "cut": False}


def test_servers_are_held_against_the_first() -> None:
    questions = (Question("sum", "arithmetic", "2+2?", {"number": 4}), Question("own", "own", "Why?", {}))
    first = {
        "answers": [answer("sum", "4"), answer("own", "Because it is.")],
        "perplexity": {"value": 7.5, "tokens": 9},
    }
    other = {"answers": [answer("sum", "5"), answer("own", "Because it was.")], "likeliest": likeliest(1)}
    rows = side_by_side([first, None, other], questions)
    assert rows[0]["answers"][1] is None
    assert rows[0]["answers"][2] == {
        "same": "", "rest": "5", "differs": True, "right": False, "tokens": 4, "cut": False,
    }  # fmt: skip
    own = rows[1]["answers"]
    assert (own[0]["same"], own[0]["differs"], own[0]["right"]) == ("Because it is.", False, None)
    assert (own[2]["same"], own[2]["rest"]) == ("Because it ", "was.")
    figures = summary(first, None, questions)
    assert (figures["right"], figures["scored"], figures["same"], figures["perplexity"]) == (1, 1, None, 7.5)
    figures = summary(other, first, questions)
    assert (figures["right"], figures["same"], figures["perplexity"], figures["agreement"]) == (0, 0, None, None)
    assert figures["tokens_per_s"] == 2.0
    assert summary({"answers": []}, None, questions)["tokens_per_s"] is None
