"""Moments that nobody can set: for deadlines and durations. The time of day is for showing alone; it may jump."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backend.processes.runner import boot_id


@dataclass(frozen=True)
class Moment:
    """Seconds since the boot of that id, without those that the machine slept: the same for every process of the boot.

    It can be stored, so that a console that is started again goes on counting where the one before it was.
    """

    boot: str
    seconds: float

    @staticmethod
    def now() -> "Moment":
        """This very moment."""
        return Moment(boot_id(), time.monotonic())

    def elapsed_s(self) -> float | None:
        """Seconds since then; None where the machine was started again in between."""
        now = Moment.now()
        return now.seconds - self.seconds if now.boot == self.boot else None

    def to_json(self) -> dict[str, Any]:
        """As a document of the store."""
        return {"boot": self.boot, "seconds": self.seconds}

    @staticmethod
    def from_json(value: Mapping[str, Any] | None) -> "Moment | None":
        """The moment that ``to_json`` wrote; None for None, which an older version leaves."""
        return None if value is None else Moment(str(value["boot"]), float(value["seconds"]))
