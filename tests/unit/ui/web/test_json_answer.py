"""Whatever a value holds, its answer is JSON."""

import datetime
import decimal
import json
import math
import random
from collections import OrderedDict, deque
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ui.web.json_answer import DEEPEST, JsonAnswer, encode, plain


class Colour(Enum):
    RED = "\udc80"


class Number(IntEnum):
    ONE = 1


class Word(StrEnum):
    A = "a"


class Hostile:
    """Fails at whatever is asked of it."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __hash__ = __str__  # type: ignore[assignment]


class HostileText(str):
    def __str__(self) -> str:
        raise RuntimeError


@dataclass
class Held:
    value: Any


surrogates = st.text(st.characters(categories=["Cs", "Lu", "So"]), max_size=6)
leaves = (
    st.none() | st.booleans() | st.text(max_size=6) | surrogates | st.floats() | st.binary(max_size=6)
    | st.integers() | st.integers(0, 20_000).map(lambda bits: 1 << bits) | st.integers(0, 20_000).map(lambda b: -1 << b)
    | st.sampled_from([Colour.RED, Number.ONE, Word.A, Path("/x/\udcff"), object(), len])
    | st.builds(Hostile) | st.builds(HostileText, st.just("x"))
    | st.sampled_from([decimal.Decimal("NaN"), 1j, datetime.datetime(2026, 1, 1), math.inf, -0.0, ..., Held])
)  # fmt: skip
keys = (
    st.text(max_size=4) | surrogates | st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=3)
    | st.tuples(st.integers(), st.text(max_size=2)) | st.sampled_from([Colour.RED, Path("/x"), Word.A])
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4) | st.tuples(inner, inner)
        | st.builds(Held, inner) | st.frozensets(st.integers() | surrogates, max_size=3)
        | st.builds(deque, st.lists(inner, max_size=2)) | st.builds(OrderedDict)
    ),
    max_leaves=25,
)  # fmt: skip


def strict(data: bytes) -> Any:
    """Read as a browser does: NaN and half surrogates are errors."""

    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(data.decode("utf-8"), parse_constant=refuse)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(values)
def test_any_value_is_an_answer(value: Any) -> None:
    for ascii_only in (False, True):
        data = encode(value, ascii_only=ascii_only)
        read = strict(data)
        assert json.loads(encode(read, ascii_only=ascii_only)) == read
    assert JsonAnswer(value).body == encode(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=4
    ),
    max_leaves=25,
)  # fmt: skip


@settings(derandomize=True, deadline=None, max_examples=100)
@given(json_values)
def test_what_json_holds_stays_as_it_is(value: Any) -> None:
    assert strict(encode(value)) == value
    assert strict(encode(value, ascii_only=True)) == value
    assert plain(value) == value


def test_what_has_no_place_is_shown() -> None:
    value = {
        "name": "a\udc80b", "pair": "\ud83d\ude00", "nan": math.nan, "inf": [-math.inf], "bytes": b"\xff\xe5\xa5\xbd",
        "large": 10**30, None: 1, 2: 3, b"k": 4, (1, "\udfff"): Path("/x"), "object": object(),
    }  # fmt: skip
    assert strict(encode(value)) == {
        "name": "a\ufffdb", "pair": "😀", "nan": None, "inf": [None], "bytes": "\ufffd好",
        "large": "1" + "0" * 30, "null": 1, "2": 3, "k": 4, '[1, "\ufffd"]': "/x",
        "object": "<object>",
    }  # fmt: skip


def test_halves_that_come_one_after_the_other() -> None:
    lines = [encode({"grow": half}, ascii_only=True) for half in ("\ud83d", "\ude00")]
    assert lines == [b'{"grow":"\\ud83d"}', b'{"grow":"\\ude00"}']


def test_without_end() -> None:
    circle: list[Any] = []
    circle += [circle, circle]
    assert strict(encode(circle)) == ["…", "…"]
    deep: Any = "bottom"
    for _ in range(100_000):
        deep = {"in": deep}
    assert strict(encode(deep))
    many: Any = math.nan
    for _ in range(12):
        many = [many, many]
    assert len(strict(encode(many))) == 2


def test_nesting_within_the_bound_is_kept() -> None:
    deep: Any = math.nan
    for _ in range(DEEPEST - 1):
        deep = [deep]
    assert strict(encode(deep)) == json.loads("[" * (DEEPEST - 1) + "null" + "]" * (DEEPEST - 1))


@pytest.mark.parametrize("seed", range(20))
def test_random_characters(seed: int) -> None:
    dice = random.Random(seed)
    text = "".join(chr(dice.randrange(0x110000)) for _ in range(2000))
    strict(encode({text: text}))
