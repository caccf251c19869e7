"""Structured answers: bad schemas and exploding expressions are refused before, answers are checked afterwards."""

import json
import time
from typing import Any

import pytest

from backend.chat.answer_form import problems, read_form, response_format
from backend.chat.conversation import AnswerForm, Sampling
from backend.chat.prompt import sampling_fields
from backend.errors import InvalidInput
from ui.tabs.chat.answer_tree import form_html, tree

MODEL = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20, "pattern": "^[A-Z]"},
        "bits": {"enum": [4, 8, 16]},
        "sizes": {"type": "array", "items": {"type": "number", "minimum": 0}, "maxItems": 3},
        "card": {"$ref": "#/$defs/card"},
    },
    "required": ["name", "bits"],
    "additionalProperties": False,
    "$defs": {"card": {"anyOf": [{"type": "null"}, {"type": "object", "required": ["gib"]}]}},
}


def test_forms_go_to_the_server_in_its_words() -> None:
    assert read_form("", "x") is None
    assert read_form("schema", "  ") is None
    form = read_form("schema", json.dumps({"name": "m", "schema": MODEL}))  # as OpenAI's examples have it
    assert form is not None
    sent = sampling_fields(Sampling(answer_form=form))["response_format"]
    assert sent == {"type": "json_schema", "json_schema": {"name": "answer", "schema": MODEL}}
    regex = read_form("regex", " [0-9]{3} ")
    assert regex is not None
    assert response_format(regex) == {"type": "regex_schema", "regex_schema": "[0-9]{3}"}


@pytest.mark.parametrize(
    ("kind", "text", "key"),
    [
        ("xml", "<a/>", "kind"),
        ("schema", "{'type': 'object'}", "json"),
        ("schema", '{"type": "object"', "json"),
        ("schema", "[1]", "part"),
        ("schema", "{}", "empty"),
        ("schema", '"string"', "part"),
        ("schema", '{"type": "str"}', "type"),
        ("schema", '{"type": "object", "properties": {"a": {"type": "int"}}}', "type"),
        ("schema", '{"type": "object", "properties": [1]}', "part"),
        ("schema", '{"properties": {"a": 5}}', "part"),
        ("schema", '{"enum": []}', "enum"),
        ("schema", '{"$ref": "#/$defs/gone"}', "ref"),
        ("schema", '{"$ref": "https://example.org/schema"}', "ref"),
        ("schema", '{"type": "string", "pattern": "(a+)+$"}', "pattern_explodes"),
        ("schema", '{"items": ' * 40 + "{}" + "}" * 40, "deep"),
        ("schema", "[" * 30_000, "long"),
        ("schema", "[" * 10_000, "deep"),
        ("regex", "(", "pattern"),
        ("regex", "[z-a]", "pattern"),
        ("regex", "(a+)+", "pattern_explodes"),
        ("regex", "(a|b*)*c", "pattern_explodes"),
        ("regex", "(.*)(.*)(.*)=", "pattern_explodes"),
        ("regex", ".*a.*b.*c.*", "pattern_explodes"),
        ("regex", r"\d+x?\d+", "pattern_explodes"),
        ("regex", "a{100000}", "pattern_explodes"),
        ("regex", "((a{50}){50}){50}", "pattern_explodes"),
        ("regex", "(?=a)b", "pattern_unknown"),
        ("regex", r"(a)\1", "pattern_unknown"),
        ("regex", "x" * 1_001, "pattern_long"),
    ],
)
def test_a_bad_form_is_refused_in_clear_words(kind: str, text: str, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_form(kind, text)
    [message] = caught.value.messages
    assert (message.key, message.field) == (f"chat.error.answer_form.{key}", "answer_form")


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ({"name": "Qwen2", "bits": 4}, []),
        ({"name": "Qwen2", "bits": 4, "sizes": [1, 2.5], "card": None}, []),
        ({"name": "qwen", "bits": 5}, [("$.name", "pattern"), ("$.bits", "enum")]),
        ({"name": "Q" * 30, "bits": True}, [("$.name", "length"), ("$.bits", "enum")]),
        ({"bits": 4, "more": 1}, [("$.name", "missing"), ("$.more", "extra")]),
        ({"name": 5, "bits": 4}, [("$.name", "type")]),
        ({"name": "Q", "bits": 8, "sizes": [1, -2, 3, 4]}, [("$.sizes", "length"), ("$.sizes[1]", "range")]),
        ({"name": "Q", "bits": 8, "card": {"mib": 5}}, [("$.card", "none")]),
        ([], [("$", "type")]),
    ],
)
def test_answers_are_checked(answer: Any, wrong: list[tuple[str, str]]) -> None:
    form = AnswerForm("schema", json.dumps(MODEL))
    assert problems(form, json.dumps(answer)) == wrong
    assert problems(form, f"```json\n{json.dumps(answer)}\n```") == wrong


def test_what_is_cut_off_is_said() -> None:
    form = AnswerForm("schema", json.dumps(MODEL))
    for text in ("", '{"name": "Qw', "It is Qwen2.", "[" * 50_000):
        assert problems(form, text) == [("", "json")]
    assert problems(AnswerForm("regex", "[0-9]{3}"), "444") == []
    assert problems(AnswerForm("regex", "[0-9]{3}"), "44") == [("", "pattern")]


def test_no_check_takes_long() -> None:
    began = time.process_time()
    for pattern in (".*a.*", r"[^x]*y\d+z\d*", "(ab?)*c"):
        form = read_form("regex", pattern)
        assert form is not None
        for text in ("a" * 2_000, "1" * 2_000, "ab" * 1_000, "x" * 100_000):
            problems(form, text)
    assert time.process_time() - began < 5


def test_the_tree_holds_everything_as_text() -> None:
    html = tree({"<b>": ["<script>", 1, None], "empty": {}})
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert html.count("<details") == 2
    assert "…" in tree([0] * 3_000)
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    assert "…" in tree(deep)


def test_the_page_says_whether_the_form_was_kept() -> None:
    form = AnswerForm("schema", json.dumps(MODEL))
    right = form_html(form, '{"name": "Qwen2", "bits": 4}', "en")
    assert 'data-form="right"' in right
    assert 'class="chat-tree"' in right
    wrong = form_html(form, '{"bits": "<i>"}', "zh")
    assert 'data-form="wrong"' in wrong
    assert "<code>$.name</code>" in wrong
    assert "<i>" not in wrong
    assert 'data-form="wrong"' in form_html(AnswerForm("regex", "[0-9]{3}"), "44", "en")
