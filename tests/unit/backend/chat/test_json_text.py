"""JSON in pieces, behind one another, and cut."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.chat.json_text import JsonScanner, cut_value, json_values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(JSON, max_size=3) | st.dictionaries(st.text(max_size=4), JSON, max_size=3), st.booleans(), st.data())
@settings(deadline=None, derandomize=True, max_examples=200)
def test_the_end_of_a_value_is_seen_wherever_it_is_cut(value: object, ascii_only: bool, data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text)), max_size=8)))
    scanner, wholes = JsonScanner(), []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        scanner.feed(text[start:end])
        wholes.append(scanner.whole)
        assert scanner.whole == (end == len(text))
        assert not scanner.whole or not scanner.missing
    assert wholes[-1]


def test_values_with_anything_between_them() -> None:
    for gap in ("", " ", ",\n", "data: ", " data:", "\n\ndata: ", ";", "\0", "\ufeff", "\u200b", "\x1e"):
        assert json_values(gap.join(('{"a": 1}', "[2]", '{"b": 3}')) + gap) == ([{"a": 1}, [2], {"b": 3}], ""), gap
    assert json_values('{"a": 1}[DONE]') == ([{"a": 1}], "[DONE]")
    assert json_values("no") == ([], "no")


def test_a_cut_value_is_read_as_far_as_it_goes() -> None:
    text = json.dumps({"id": "x", "choices": [{"message": {"content": 'Say "hi", please'}, "finish_reason": "stop"}]})
    begun = text.index("Say")
    for cut in range(begun + 1, len(text)):
        value = cut_value(text[:cut])
        if text[cut - 1] == "\\":
            continue
        assert isinstance(value, dict), text[:cut]
        assert 'Say "hi", please'.startswith(value["choices"][0]["message"]["content"])
    for other in ("", "words", text, '{"a" 1', "[" * 200_000):
        assert cut_value(other) is None
