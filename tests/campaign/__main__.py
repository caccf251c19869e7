"""``python -m tests.campaign N``: N rounds of each of kills, faults, attacks and network, and one table.

Goes on where it was broken off (.campaign/rounds.jsonl); ``--fresh`` begins anew. ``--round AREA:SEED`` plays one round
alone, ``--areas kills,faults`` only those areas, ``--scenario NAME`` only that scenario's rounds.
"""

import argparse
import os
from pathlib import Path

from tests.campaign.report import table
from tests.campaign.rounds import AREAS, BROKEN, Player, Record, own_home
from tests.campaign.workers import play_all, say

FOLDER = Path(__file__).parents[2] / ".campaign"
JOBS = 1 + (os.cpu_count() or 1)
SWEEP = 10  # rounds of one area, then of the next: broken off early, it has seen something of each


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign")
    parser.add_argument("count", type=int, nargs="?", default=10)
    parser.add_argument("--areas", default=",".join(AREAS))
    parser.add_argument("--scenario", default="")
    parser.add_argument("--round", action="append", default=[], metavar="AREA:SEED")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--jobs", type=int, default=JOBS, help="rounds played at once")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    with own_home():
        if options.round:
            rounds = [one.split(":") for one in options.round]
            return again([(area, int(seed)) for area, seed in rounds])
        record = Record(options.folder)
        if options.fresh:
            record.file.unlink(missing_ok=True)
        return campaign(record, options.count, options.areas.split(","), options.scenario, options.jobs)


def campaign(record: Record, count: int, areas: list[str], scenario: str, jobs: int) -> int:
    """Plays what isn't recorded yet. Ctrl-C breaks it off with the table so far."""
    done = record.all()
    wanted = [
        [
            (name, seed)
            for seed in range(start, min(start + SWEEP, count))
            if not scenario or AREAS[name].scenario(seed) == scenario
        ]
        for start in range(0, count, SWEEP)
        for name in areas
    ]
    left = [rest for sweep in wanted if (rest := [one for one in sweep if one not in done])]
    try:
        play_all(record, left, jobs)
    except KeyboardInterrupt:
        print("broken off; the same command goes on from here")
    done = record.all()
    shown = [done[one] for sweep in wanted for one in sweep if one in done]
    print(table(shown))
    return int(any(one.result == BROKEN for one in shown))


def again(rounds: list[tuple[str, int]]) -> int:
    """Those rounds alone, each on a ground of its own; nothing is recorded."""
    player, worst = Player(), 0
    for name, seed in rounds:
        player.fresh()
        played = player.play(AREAS[name], seed)
        say(played)
        worst |= int(played.result == BROKEN)
    player.close()
    return worst


if __name__ == "__main__":
    raise SystemExit(main())
