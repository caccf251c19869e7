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


def test_who_is_here_by_role() -> None:
    now = [100.0]
    visitors = Visitors(lambda: now[0])
    visitors.note("class", "a")
    now[0] += 15
    visitors.note("class", "b")
    visitors.note("operator", "c")
    assert visitors.who("class") == {"a", "b"}
    now[0] += 10
    assert visitors.who("class") == {"b"}


def test_who_went_is_forgotten_whoever_asks() -> None:
    """Visitors are cheap to make, and the operator may be away."""
    now = [0.0]
    visitors = Visitors(lambda: now[0])
    for number in range(1000):
        now[0] += 1
        visitors.note("class", f"{number}")
        visitors.note("class", "stays")
    assert len(visitors._seen) <= HERE_S + 2
    assert visitors.is_here("stays")
