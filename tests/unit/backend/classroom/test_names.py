"""Names that visitors give themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.classroom.names import LONGEST, Names, tidy
from backend.errors import InvalidInput
from backend.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


def test_a_name_is_its_visitors_and_stays(store: Store) -> None:
    circle = {"o1": "operator", "o2": "operator"}
    names = Names(store, lambda visitor: circle.get(visitor, visitor))
    assert names.give("a", "  李 \t 雷\n") == "李 雷"
    names.give("o1", "Frau Müller")
    assert (names.of("a"), names.of("b"), names.of("o2")) == ("李 雷", "", "Frau Müller")
    again = Names(store, lambda visitor: circle.get(visitor, visitor))
    assert again.by_person() == {"a": "李 雷", "operator": "Frau Müller"}
    assert again.give("a", "") == ""
    assert again.by_person() == {"operator": "Frau Müller"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<b>Zoë</b>", "<b>Zoë</b>"),  # it is shown as text
        ("Zoe\u0308", "Zoë"),
        ("أحمد", "أحمد"),
        ("a\ud800b", "a?b"),
        ("x" * LONGEST, "x" * LONGEST),
    ],
)
def test_a_name_is_kept_as_it_reads(given: str, kept: str) -> None:
    assert tidy(given) == kept


@pytest.mark.parametrize(
    ("given", "key"),
    [("x" * (LONGEST + 1), "long"), ("Li\u202eieL", "unseen"), ("Li\u200bLei", "unseen"), ("Li\x07", "unseen")],
)
def test_a_name_that_cannot_be_is_refused_and_says_why(given: str, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        tidy(given)
    assert caught.value.messages[0].key == f"classroom.name.{key}"
