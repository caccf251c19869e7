"""Several rounds at once, since rounds mostly wait: each process has grounds of its own and records what it plays."""

import contextlib
import multiprocessing
import os
import signal
from typing import Any

from tests.campaign.rounds import AREAS, Played, Player, Record

Sweep = list[tuple[str, int]]  # areas and seeds


def play_all(record: Record, sweeps: list[Sweep], jobs: int) -> None:
    """Has that many processes play them, each the next one that nobody has begun."""
    making = multiprocessing.get_context("spawn")
    turns = making.Value("q", 0)
    workers = [making.Process(target=work, args=(record, sweeps, turns)) for _ in range(min(jobs, len(sweeps)))]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
        for worker in workers:
            if worker.pid is not None:
                worker.join()


def work(record: Record, sweeps: list[Sweep], turns: Any) -> None:
    """Plays sweeps and records each round as it ends, until there are no more or the campaign itself is gone."""
    os.setsid()  # Ctrl-C is the campaign's to hear
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    player, campaign = Player(), multiprocessing.parent_process()
    with contextlib.suppress(KeyboardInterrupt), contextlib.closing(player):
        while True:
            with turns.get_lock():
                turn, turns.value = turns.value, turns.value + 1
            if turn >= len(sweeps):
                return
            player.fresh()
            for name, seed in sweeps[turn]:
                if campaign is not None and not campaign.is_alive():
                    return
                played = player.play(AREAS[name], seed)
                record.keep(played)
                say(played)


def say(played: Played) -> None:
    print(
        f"{played.area}:{played.seed} {played.scenario} {played.result} {played.seconds:.1f} s  {played.what}",
        flush=True,
    )
