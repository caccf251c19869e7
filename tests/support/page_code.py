"""The code that Chat shows, and the tutorials' own, run as somebody would run it."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.chat.conversation import Conversation
from tests.support.gateway_world import TOKENS, World
from ui.tabs.chat.code import ADDRESS, code_view
from ui.web.visitor import Role, Visitor

DEADLINE_S = 240.0  # the CPU engine takes its time on a busy machine
TUTORIALS = Path(__file__).parents[1] / "data" / "tutorials"


def shown(world: World, role: Role, conversation: Conversation) -> Mapping[str, Any]:
    """What a page gets, with the address as its browser knows it."""
    [server] = world.services.servers.snapshot()
    view = code_view(world.services, Visitor(role, "en", "a" * 32), server, conversation, conversation.sampling)
    for token in TOKENS.values():
        assert token not in str(view)
    address = f"{world.address}/v1"
    return {
        variant: {language: code.replace(ADDRESS, address) for language, code in codes.items()}
        for variant, codes in view["variants"].items()
    }


def run(language: str, code: str, folder: Path) -> str:
    """Its output; from an empty folder, as on somebody's own computer."""
    argv = [sys.executable, "-c", code] if language == "python" else ["bash", "-c", code]
    folder.mkdir(exist_ok=True)
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEADLINE_S, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def tutorial(world: World, name: str) -> str:
    """A tutorial's script, unchanged but for address and key."""
    text = (TUTORIALS / f"{name}.txt").read_text(encoding="utf-8")
    return text.replace("http://0.0.0.0:23333", world.address).replace("YOUR_API_KEY", TOKENS["operator"])
