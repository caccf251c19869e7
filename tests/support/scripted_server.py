"""The scriptable model server (tests/children/openai_server.py) as a test holds it."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

CHILD = Path(__file__).parents[1] / "children" / "openai_server.py"


class Scripted:
    """A running child: its address, what it shall do, and what it was asked."""

    def __init__(self, *arguments: str, port: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), str(port), *arguments], stdout=subprocess.PIPE, start_new_session=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().split()[1])
        self.address = f"http://127.0.0.1:{self.port}"

    def script(self, **settings: Any) -> None:
        """Do this from now on, and forget what happened."""
        httpx.post(f"{self.address}/script", json=settings, trust_env=False).raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        """The questions since the last ``script``: body, times, and how they ended."""
        found: list[dict[str, Any]] = self._state()["requests"]
        return found

    def late_ms(self) -> float:
        """How late it came to what was due since the last ``script``, arrivals included; it was begun with --watch."""
        return float(self._state()["late_ms"])

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = httpx.get(f"{self.address}/script", trust_env=False).json()
        return state

    def close(self) -> None:
        """End it, if it still runs."""
        if self.process.stdout is not None and self.process.stdout.closed:
            return
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
