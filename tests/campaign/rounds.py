"""Rounds by area and seed: what is played, on which ground, and what came of it. The same seed plays the same round."""

import contextlib
import json
import os
import random
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.campaign import attacks, faults, kills, network
from tests.campaign.ground import Broken, Ground, Unplayable, ground
from tests.support.nursery import Nursery

Scenario = Callable[[Ground, random.Random], str]
HELD, BROKEN, UNPLAYED = "held", "broken", "not played"
ROUNDS_A_GROUND = 25  # a state folder that has seen so much is left for a new one


@dataclass(frozen=True)
class Area:
    """Rounds of one kind. ``own_ground``: each has a ground of its own, since it spoils it."""

    name: str
    scenarios: Mapping[str, Scenario]
    quick: tuple[str, ...]
    own_ground: bool = False

    def scenario(self, seed: int) -> str:
        """Which one that seed plays: each in its turn."""
        names = list(self.scenarios)
        return names[seed % len(names)]

    def seed_of(self, scenario: str) -> int:
        """The first seed that plays it."""
        return list(self.scenarios).index(scenario)


AREAS: Mapping[str, Area] = {
    area.name: area
    for area in (
        Area("kills", kills.SCENARIOS, kills.QUICK),
        Area("faults", faults.SCENARIOS, faults.QUICK, own_ground=True),
        Area("attacks", attacks.SCENARIOS, attacks.QUICK),
        Area("network", network.SCENARIOS, network.QUICK),
    )
}


@dataclass(frozen=True)
class Played:
    """One round's record."""

    area: str
    seed: int
    scenario: str
    result: str
    what: str
    seconds: float
    commit: str = ""


class Player:
    """Plays rounds, keeping a ground for those that leave it whole."""

    def __init__(self) -> None:
        self._nursery: Nursery | None = None
        self._ground: Ground | None = None
        self._stack = contextlib.ExitStack()
        self._rounds = 0

    def play(self, area: Area, seed: int) -> Played:
        """One round. Whatever is raised is a break: a round that can't see its state hasn't held."""
        name = area.scenario(seed)
        began = time.monotonic()
        try:
            if area.own_ground or self._rounds >= ROUNDS_A_GROUND:
                self.fresh()
            what = area.scenarios[name](self._here(), random.Random(f"{area.name}:{seed}"))
            result = HELD
            self._rounds += 1
        except Unplayable as why:
            result, what = UNPLAYED, str(why)
        except Broken as why:
            result, what = BROKEN, str(why)
            self.fresh()
        except Exception:
            result, what = BROKEN, traceback.format_exc(limit=-6)
            self.fresh()
        if area.own_ground:
            self.fresh()
        return Played(area.name, seed, name, result, what, round(time.monotonic() - began, 2), commit())

    def _here(self) -> Ground:
        if self._nursery is None:
            self._nursery = Nursery()
        if self._ground is None:
            self._ground = self._stack.enter_context(ground(nursery=self._nursery))
        return self._ground

    def fresh(self) -> None:
        """The next round gets a new ground."""
        self._stack.close()
        self._ground, self._rounds = None, 0

    def close(self) -> None:
        """Ends everything that rounds started."""
        self.fresh()
        if self._nursery is not None:
            self._nursery.close()
            self._nursery = None


@contextlib.contextmanager
def own_home() -> Iterator[None]:
    """The user's folders, elsewhere: nothing of the real ones is read or written. What the thousands of children
    compile is kept for the next ones."""
    from tests.conftest import user_folders

    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="campaign-home-", ignore_cleanup_errors=True) as home:
        os.environ.update(user_folders(Path(home)), PYTHONPYCACHEPREFIX=str(Path(home) / "bytecode"))
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


class Record:
    """What was played, one JSON line a round, so that a campaign goes on where it was broken off."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "rounds.jsonl"
        folder.mkdir(parents=True, exist_ok=True)

    def all(self) -> dict[tuple[str, int], Played]:
        """The last record of each round; a line that was cut off is no round."""
        found = {}
        if self.file.exists():
            for line in self.file.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError, TypeError):
                    played = Played(**json.loads(line))
                    found[played.area, played.seed] = played
        return found

    def keep(self, played: Played) -> None:
        """Begins a line of its own, also after one that was cut off."""
        with self.file.open("a", encoding="utf-8") as file:
            file.write("\n" + json.dumps(asdict(played), ensure_ascii=False) + "\n")


def commit() -> str:
    """The tree that was played on, as git names it; "" outside git."""
    argv = ["git", "-C", str(Path(__file__).parents[2]), "describe", "--always", "--dirty"]
    with contextlib.suppress(OSError):
        return subprocess.run(argv, capture_output=True, text=True).stdout.strip()
    return ""
