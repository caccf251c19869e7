"""Who is here."""

from backend.classroom.visitors import HERE_S, Visitors


def test_each_visitor_counts_once_and_for_a_while() -> None:
    now = 100.0
    visitors = Visitors(lambda: now)
    for who in ("a", "b", "a"):
        visitors.note("class", who)
    visitors.note("operator", "a")
    assert (visitors.here("class"), visitors.here("operator")) == (2, 1)
    now += HERE_S / 2
    visitors.note("class", "b")
    now += HERE_S / 2 + 1
    assert (visitors.here("class"), visitors.here("operator")) == (1, 0)
