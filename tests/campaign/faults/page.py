"""What a page shows while something is broken."""

import time
from typing import Any

from tests.campaign.ground import (
    Ground,
    check,
)

PAGE_S = 3.0  # what a page may wait on a machine that is busy with something else


def quick_page(ground: Ground, what: str) -> dict[str, Any]:
    """The snapshot, which never waits for what is broken."""
    began = time.monotonic()
    found = ground.snapshot()
    took = time.monotonic() - began
    check(took < PAGE_S, f"a page waits {took:.1f} s while {what}")
    return found


def told(ground: Ground) -> str:
    return " ".join(ground.snapshot()["notices"])
