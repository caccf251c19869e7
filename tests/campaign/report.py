"""The campaign's one table: tried, held, broken, and the seed of each broken round."""

from collections.abc import Iterable

from tests.campaign.rounds import AREAS, BROKEN, HELD, UNPLAYED, Played


def table(rounds: Iterable[Played]) -> str:
    """A row for each scenario and a sum for each area, then how to play each broken round again."""
    played = list(rounds)
    lines = [
        f"{'area':<10}{'scenario':<24}{'tried':>7}{'held':>7}{'broken':>8}{'not played':>12}{'seconds':>10}  seeds"
    ]
    for area in AREAS.values():
        mine = [one for one in played if one.area == area.name]
        for scenario in area.scenarios:
            lines.append(_row("", scenario, [one for one in mine if one.scenario == scenario]))
        lines.append(_row(area.name, "all", mine))
    lines.append(_row("all", "", played))
    broken = [one for one in played if one.result == BROKEN]
    for one in broken:
        lines += ["", f"{one.area}:{one.seed} ({one.scenario}, {one.commit}): {one.what.strip()}"]
        lines.append(f"    again: .venv/bin/python -m tests.campaign --round {one.area}:{one.seed}")
    return "\n".join(lines)


def _row(area: str, scenario: str, rounds: list[Played]) -> str:
    count = {result: sum(one.result == result for one in rounds) for result in (HELD, BROKEN, UNPLAYED)}
    seeds = " ".join(str(one.seed) for one in rounds if one.result == BROKEN)
    tried = count[HELD] + count[BROKEN]
    seconds = sum(one.seconds for one in rounds)
    return (
        f"{area:<10}{scenario:<24}{tried:>7}{count[HELD]:>7}{count[BROKEN]:>8}{count[UNPLAYED]:>12}{seconds:>10.0f}"
        f"  {seeds}"
    ).rstrip()
