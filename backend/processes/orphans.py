"""Finds processes by the mark that a run leaves in the environment of everything it starts.

The last resort, for when a runner was killed: whatever it owned went to init, maybe in other sessions and groups.
"""

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from backend.processes import runner


def find(folder: Path) -> list[psutil.Process]:
    """Every living process of this user that belongs to the run of that folder: runner, command, what they started."""
    marks = runner.marks(folder)
    members = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if runner.bears(process.environ(), marks) and process.pid != os.getpid():
                members.append(process)
    return members


def send_signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Signal each; one that has ended, or whose pid is another's by now, is left out (psutil compares start times)."""
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)
