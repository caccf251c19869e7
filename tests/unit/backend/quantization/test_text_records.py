"""Which of a record's fields are its text, and that those left out are named."""

from typing import Any

import pytest

from backend.quantization.text_records import TextRecords

PROSE = "This sentence is long enough to be prose."


def read(value: Any) -> tuple[list[str], dict[str, int]]:
    records = TextRecords(value)
    return list(records.texts()), dict(records.left)


@pytest.mark.parametrize(
    "record",
    [
        {"dialogue": "one", "summary": "two"},
        {"system": "one", "chat": "two"},
        {"article": "one", "highlights": "two"},
        {"document": "one", "summary": "two"},
        {"title": "one", "text": "two"},
        {"text": "two", "id": "x", "title": "one"},
        {"text": "one", "response": "two"},
        {"text": "one", "code": "two"},
        {"prompt": "one", "canonical_solution": "two"},
        {"question": "one", "answer": True, "passage": "two"},
        {"ctx": "one", "endings": ["two"]},
        {"question": "one", "choices": ["two"], "answer": 1},
        {"question": "one", "choices": {"text": ["two"], "label": ["A"]}},
        {"问题": "one", "a": "two"},
        {"question": "one", "best_answer": "two"},
        {"answer": "two", "question": "one"},
        {"question": "one", "contexts": [], "ground_truth": "two"},
        {"reasoning_content": "one", "content": "two"},
        {"content": "two", "thinking": "one"},
        {"指令": "one", "输入": "", "输出": "two"},
        {"translation": {"en": "one", "zh": "two"}},
        {"messages": [{"role": "assistant", "content": "two", "reasoning_content": "one"}]},
        {"messages": [{"role": "user", "content": "one"}, {"role": "assistant", "tool_calls": [{"function": "two"}]}]},
        {"messages": '[{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]'},
        {"prompt": "one", "messages": [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]},
        {
            "title": "one",
            "mapping": {"x": {"message": {"author": {"role": "user"}, "content": {"parts": ["two"]}}}},
        },
        {"columns": ["prompt", "output"], "index": [0], "data": [["one", "two"]]},
    ],
    ids=lambda record: ",".join(record),
)
def test_every_text_of_a_record_is_taken(record: Any) -> None:
    texts, _ = read([record])
    assert texts == ["one\ntwo"]


def test_prose_under_an_unknown_name_stands_beside_the_known() -> None:
    record = {"question": "one", "why_so": PROSE, "answer": "two"}
    assert read([record])[0] == [f"one\n{PROSE}\ntwo"]
    cell = {"source": ["print(1)\n", "x = 2"], "outputs": [{"text": ["1\n"]}]}
    assert read({"cells": [cell]})[0] == ["print(1)\nx = 2\n1"]


def test_a_field_is_judged_by_all_its_values() -> None:
    rows = [{"review": PROSE, "sentiment": "positive"}, {"review": "Bad", "sentiment": "negative"}]
    assert read(rows) == ([PROSE, "Bad"], {"sentiment": 2})


def test_a_turn_may_say_the_same_again() -> None:
    turns = [{"role": role, "content": "yes"} for role in ("user", "assistant")]
    assert read({"messages": turns})[0] == ["yes\nyes"]


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ({"prompt": {"0": "a", "1": "b"}, "output": {"0": "c", "1": "d"}}, ["a\nc", "b\nd"]),
        ({"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 0}}, ["a", "b"]),
        ({"about": PROSE, "data": [{"text": "a"}, {"text": "b"}]}, [PROSE, "a", "b"]),
    ],
)
def test_a_table_has_a_sample_in_each_row(value: Any, texts: list[str]) -> None:
    assert read(value)[0] == texts


def test_what_is_left_out_is_counted_by_its_field() -> None:
    rejected = [{"role": "assistant", "content": PROSE}]
    rows: list[dict[str, Any]] = [{"id": "a1", "url": "https://x", "text": f"text {n}", "tags": ["x"]} for n in (1, 2)]
    rows[1] |= {"rejected": rejected, "score": 0.5, "image_path": "a/b.png", "note": ""}
    assert read(rows) == (["text 1", "text 2"], {"id": 2, "url": 2, "tags": 2, "rejected": 1, "image_path": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("license", "Creative Commons Attribution-ShareAlike 4.0 International"),
        ("authors", "Ann Smith, Bob Miller {n}"),
        ("crawled", "2023-02-05 14:23:{n}.98"),
        ("发布时间", "2016年03月05日 12:00:{n}"),
        ("meta", '{{"license": "MIT", "source": "a page of the web", "number": {n}}}'),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/{n} (KHTML, like Gecko)"),
        ("category", "人工智能与机器学习"),
    ],
)
def test_where_a_text_comes_from_is_left_out_and_named(name: str, value: str) -> None:
    rows = [{"text": f"text {n}", name: value.format(n=n)} for n in range(10, 20)]
    assert read(rows) == ([f"text {n}" for n in range(10, 20)], {name: 10})


@pytest.mark.parametrize("name", ["rejected", "rejected_response", "response_rejected", "answer_rejected"])
def test_rejected_answers_are_no_text(name: str) -> None:
    assert read([{"prompt": "one", "chosen": "two", name: PROSE}]) == (["one\ntwo"], {name: 1})
