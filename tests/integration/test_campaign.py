"""The campaign's short form: some rounds of each area with fixed seeds (`make campaign N=1000` plays all of it)."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaign.ground import Ground, Unplayable, check
from tests.campaign.report import table
from tests.campaign.rounds import AREAS, BROKEN, HELD, UNPLAYED, Area, Played, Player, Record

# Those with a ground of their own come last, so that all others share one.
ROUNDS = [(area.name, name) for area in sorted(AREAS.values(), key=lambda area: area.own_ground) for name in area.quick]


@pytest.fixture(scope="module")
def player() -> Iterator[Player]:
    """Rounds that leave their ground whole share it."""
    made = Player()
    yield made
    made.close()


@pytest.mark.parametrize(("area", "scenario"), ROUNDS, ids=[f"{area}-{name}" for area, name in ROUNDS])
def test_it_holds(player: Player, area: str, scenario: str) -> None:
    played = player.play(AREAS[area], AREAS[area].seed_of(scenario))
    assert played.result in (HELD, UNPLAYED), f"{area}:{played.seed} {played.what}"


# The campaign itself


def _holds(ground: Ground, rng: random.Random) -> str:
    return f"{rng.random():.6f}"


def _breaks(ground: Ground, rng: random.Random) -> str:
    check(False, "a state that isn't so")
    return ""


def _raises(ground: Ground, rng: random.Random) -> str:
    raise KeyError("anything")


def _cant(ground: Ground, rng: random.Random) -> str:
    raise Unplayable("no mount here")


def test_a_round_has_held_only_where_its_state_was_seen() -> None:
    area = Area("made", {"holds": _holds, "breaks": _breaks, "raises": _raises, "cant": _cant}, ())
    player = Player()
    try:
        played = [player.play(area, seed) for seed in (0, 1, 2, 3, 0, 4)]
    finally:
        player.close()
    assert [one.result for one in played] == [HELD, BROKEN, BROKEN, UNPLAYED, HELD, HELD]
    assert "a state that isn't so" in played[1].what
    assert "KeyError" in played[2].what
    assert played[4].what == played[0].what != played[5].what  # the seed alone decides


def test_a_campaign_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    record = Record(tmp_path / "kept")
    first, again = Played("kills", 3, "console", BROKEN, "it", 1.0), Played("kills", 3, "console", HELD, "it", 1.0)
    record.keep(first)
    record.keep(Played("network", 3, "log", HELD, "模型", 1.0))
    record.keep(again)
    with record.file.open("a") as file:
        file.write('{"area": "kills", "seed": 4, "scen')  # killed while it wrote
    assert Record(tmp_path / "kept").all() == {
        ("kills", 3): again,
        ("network", 3): Played("network", 3, "log", HELD, "模型", 1.0),
    }
    record.keep(first)
    assert record.all()["kills", 3] == first


def test_the_table_tells_how_to_play_a_broken_round_again() -> None:
    scenario = AREAS["faults"].scenario(5)
    shown = table([Played("faults", 5, scenario, BROKEN, "why", 2.0), Played("kills", 0, "anything", HELD, "", 1.0)])
    assert [line.split()[2:5] for line in shown.splitlines() if line.startswith("faults ")] == [["1", "0", "1"]]
    assert [line.split()[2:5] for line in shown.splitlines() if line.startswith("kills ")] == [["1", "1", "0"]]
    assert "--round faults:5" in shown
    assert "why" in shown
