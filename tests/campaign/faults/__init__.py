"""Faults of the machine below the console: disk, database, folders, clock, descriptors, and what lies in its folders.

Each round has a console of its own and spoils something while servers and a job run. The page goes on for everyone,
what it says is so, and once the fault is gone everything is stored and found again.
"""

import random
from collections.abc import Callable, Mapping

from tests.campaign.faults.database import damaged_database, held_database
from tests.campaign.faults.disk import full_disk, no_inodes, read_only
from tests.campaign.faults.folders import removed_folders, same_output
from tests.campaign.faults.machine import clock, few_descriptors, stubborn_children, suspend
from tests.campaign.faults.models import hostile_models
from tests.campaign.ground import Ground

SCENARIOS: Mapping[str, Callable[[Ground, random.Random], str]] = {
    "full-disk": full_disk, "held-database": held_database, "damaged-database": damaged_database,
    "removed-folders": removed_folders, "hostile-models": hostile_models, "stubborn-children": stubborn_children,
    "clock": clock, "same-output": same_output, "read-only": read_only, "few-descriptors": few_descriptors,
    "suspend": suspend, "no-inodes": no_inodes,
}  # fmt: skip
QUICK = ("clock", "hostile-models")
