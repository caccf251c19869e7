"""What belongs to whom: the operator's browsers share, a guest has only their own."""

from pathlib import Path

from backend.classroom.people import People
from backend.store import Store

ONE, TWO, GUEST, STRANGER = (character * 32 for character in "abcd")


def test_the_operators_browsers_are_one_circle(tmp_path: Path) -> None:
    store = Store(tmp_path)
    people = People(store)
    assert people.circle(ONE) == (ONE,)  # nobody knows yet
    assert people.note(ONE, "operator")
    assert not people.note(ONE, "operator")
    people.note(TWO, "operator")
    people.note(GUEST, "class")
    for known in (people, People(store)):  # it outlives the console
        assert set(known.circle(ONE)) == set(known.circle(TWO)) == {ONE, TWO}
        assert known.circle(GUEST) == (GUEST,)
        assert known.circle(STRANGER) == (STRANGER,)
        assert known.name(ONE) == known.name(TWO) == "operator"
        assert known.name(GUEST) == GUEST
        assert known.guests() == (GUEST,)
        assert known.roles() == {ONE: "operator", TWO: "operator", GUEST: "class"}
        assert [known.role_of(who) for who in (ONE, GUEST, STRANGER)] == ["operator", "class", ""]
    store.close()
