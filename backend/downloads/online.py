"""The one child that is let online: its environment, whatever the console's own says."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from backend.console.environment import child_environment
from backend.processes.command import CommandSpec

ROOT = Path(__file__).resolve().parents[2]
CHILDREN = Path(__file__).parent / "children"
LOOK, FETCH = CHILDREN / "look.py", CHILDREN / "fetch.py"
PYTHON = Path(sys.executable)  # the console's own has both hubs' libraries
OWN: Mapping[str, str | None] = {
    "PYTHONPATH": str(ROOT),
    "PYTHONWARNINGS": None,
    "HF_HUB_OFFLINE": None,
    "TRANSFORMERS_OFFLINE": None,
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    # Its blocks can't be gone on with where a line broke, and no mirror has them.
    "HF_HUB_DISABLE_XET": "1",
}


def online_environment() -> dict[str, str | None]:
    """What is added to a child's environment, None = removed: proxies and certificates as the console cleaned them,
    both hubs reachable."""
    cleaned: dict[str, str | None] = {
        name: os.environ.get(name) for name, value in child_environment().items() if os.environ.get(name) != value
    }
    bundle = os.environ.get("SSL_CERT_FILE")
    if bundle and not os.environ.get("REQUESTS_CA_BUNDLE"):  # ModelScope's library knows that name alone
        cleaned["REQUESTS_CA_BUNDLE"] = bundle
    return {**cleaned, **OWN}


def fetch_command(plan: Path) -> CommandSpec:
    """The command of a download."""
    return CommandSpec((str(PYTHON), str(FETCH), str(plan)), env=tuple(online_environment().items()))
