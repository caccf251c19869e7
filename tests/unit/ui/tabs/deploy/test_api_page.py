import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ui.tabs.deploy.api_page import fits_segment, is_described, parsed_description, through_console
from ui.web.json_answer import encode

DOCUMENT = {
    "openapi": "3.1.0",
    "servers": [{"url": "http://elsewhere"}],
    "security": [{"HTTPBearer": []}],
    "components": {"securitySchemes": {"HTTPBearer": {}}, "schemas": {"A": {}}},
    "paths": {
        "/v1/models": {"get": {"security": [{"HTTPBearer": []}], "summary": "models"}},
        "/v1/responses/{id}": {"get": {}, "servers": [{"url": "http://elsewhere"}]},
        "/health": {"get": {}},
    },
}


def test_requests_go_through_the_console_without_a_key_to_fill_in() -> None:
    document = through_console(DOCUMENT)
    assert document["servers"] == [{"url": "./call"}]
    assert document["paths"]["/v1/models"] == {"get": {"summary": "models"}}
    assert document["paths"]["/v1/responses/{id}"] == {"get": {}}
    assert document["components"] == {"schemas": {"A": {}}}
    assert "security" not in document


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/v1/responses/abc-1"])
def test_a_described_path_is_passed_on(path: str) -> None:
    assert is_described(DOCUMENT, path)


@pytest.mark.parametrize(
    "path",
    ["/", "/metrics", "/v1/models/", "/v1/responses/", "/v1/responses/a/b", "/v1/responses/..", "/v1/../health",
     "//elsewhere/health", "/health\\", "/healthx"],
)  # fmt: skip
def test_any_other_path_is_refused(path: str) -> None:
    assert not is_described(DOCUMENT, path)


@pytest.mark.parametrize(
    ("template", "segment", "fits"),
    [
        ("{a}", "x", True), ("{a}", "", False), ("models", "models", True), ("models", "model", False),
        ("v{a}", "v1", True), ("v{a}", "v", False), ("v{a}", "w1", False), ("{a}.json", "x.json", True),
        ("{a}.json", ".json", False), ("{a}-{b}", "x-y", True), ("{a}-{b}", "x-", False), ("{a}-{b}", "-y", False),
        ("{a}-{b}", "--y", True), ("{a}{b}", "x", False), ("{a}{b}", "xy", True), ("{a", "{a", True),
        ("a}", "a}", True),
        ("{a{b}", "{ax", True), ("{}", "x", True), ("a{b}a{c}a", "axaya", True), ("a{b}a", "aa", False),
        ("[a]+", "a", False), ("(.*)", "anything", False), ("a.c", "abc", False),
    ],
)  # fmt: skip
def test_a_segment_of_a_template(template: str, segment: str, fits: bool) -> None:
    assert fits_segment(template, segment) is fits


def test_no_template_makes_it_slow() -> None:
    for template in ("{a}" * 1300, "{a}-" * 900, "{a}a" * 900, "{" * 3000, "}" * 3000, "{}" * 1900 + "b"):
        document: dict[str, dict[str, dict[str, object]]] = {
            "paths": {f"/{template}{number}": {} for number in range(100)}
        }
        begun = time.process_time()
        assert not is_described(document, "/" + "a" * 3500 + "!")
        assert not is_described(document, "/" + "-a" * 1900 + "!")
        assert time.process_time() - begun < 1


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    st.lists(st.text("ab-.{}", max_size=4), max_size=5), st.lists(st.text("ab-.", min_size=1, max_size=3), max_size=5)
)
def test_a_segment_fits_as_a_pattern_says(literals: list[str], values: list[str]) -> None:
    """What is made from a template fits it; and the answer is that of the (slow) pattern."""
    literals = [literal.replace("{", "").replace("}", "") for literal in literals] or [""]
    values = (values + ["x"] * len(literals))[: len(literals) - 1]
    template = "{p}".join(literals)
    made = literals[0] + "".join(v + literal for v, literal in zip(values, literals[1:], strict=True))
    assert fits_segment(template, made)
    pattern = re.compile("[^/]+".join(re.escape(literal) for literal in literals))
    for other in (made[1:], made[:-1], made + "a", made[::-1], "".join(literals)):
        assert fits_segment(template, other) is bool(pattern.fullmatch(other)), (template, other)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["paths", "/a", "get", "$ref", "servers", "security", "components", "x"]), inner, max_size=4
    ),
    max_leaves=20,
)  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=100)
@given(json_values, st.text(max_size=10))
def test_an_odd_description_is_none_or_shown(value: Any, path: str) -> None:
    for content in (json.dumps(value).encode(), json.dumps({"paths": value}).encode(), path.encode("utf-8", "replace")):
        document = parsed_description(content)
        if document is not None:
            shown = json.loads(encode(through_console(document)))
            assert shown["servers"] == [{"url": "./call"}]
            is_described(document, "/" + path)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"null", b"[]", b'"text"', b"{}", b'{"paths": []}', b'{"paths": {}}', b'{"paths": {"a": {}}}',
        b'{"paths": {"/a": []}}', b"\xff\xfe\x00", b"<html>", b'{"paths": {"/a": ' + b"1" * 5000 + b"}}",
    ],
)  # fmt: skip
def test_what_names_no_path_describes_nothing(content: bytes) -> None:
    assert parsed_description(content) is None


@pytest.mark.parametrize("depth", [101, 500, 900, 10_000, 1_000_000])
def test_a_description_nested_too_deep(depth: int) -> None:
    for nested in (b"[" * depth + b"]" * depth, b'{"a":' * depth + b"1" + b"}" * depth):
        with pytest.raises(RecursionError):
            parsed_description(b'{"paths": {"/a": {"x": ' + nested + b"}}}")


def test_references_to_elsewhere_are_left_out() -> None:
    item = {"get": {"a": {"$ref": "#/components/schemas/A"}, "b": {"$ref": "http://evil.example/x", "kept": 1}}}
    document = through_console({"paths": {"/a": item, "/b": {"$ref": "../../secrets"}, "/c": {"$ref": 5}}})
    assert document["paths"]["/a"]["get"] == {"a": {"$ref": "#/components/schemas/A"}, "b": {"kept": 1}}
    assert document["paths"]["/b"] == document["paths"]["/c"] == {}
