"""What holds after every attack: nothing changed, nothing was given away, nothing hangs."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx

from tests.campaign.ground import Ground, check
from tests.support.gradio_calls import Visitor

CANARY = "canary-7c1f-never-to-be-read"
ANSWER_S = 15.0  # a call that takes longer hangs


def unchanged(ground: Ground) -> Callable[[], None]:
    """To be called after the attack: servers, jobs and files of the state are as they were, everyone is answered."""
    before = ground.snapshot()
    secrets = (ground.state_dir / "token").read_text().strip()

    def same() -> None:
        began = time.monotonic()
        now = ground.snapshot()
        check(time.monotonic() - began < ANSWER_S, "the console hangs after it")
        for kind in ("servers", "jobs"):
            old = {entry["id"]: (entry["state"], entry["name"]) for entry in before[kind]}
            new = {entry["id"]: (entry["state"], entry["name"]) for entry in now[kind]}
            check(old == new, f"{kind} changed from {old} to {new}")
        check((ground.state_dir / "token").read_text().strip() == secrets, "the token changed")

    return same


def secrets_of(ground: Ground) -> list[str]:
    """What must never stand in an answer to who hasn't it."""
    found = [CANARY]
    for name in ("token", "path-secret"):
        with suppress(OSError):
            found.append((ground.state_dir / name).read_text().strip())
    found += [file.read_text() for file in (ground.state_dir / "keys").glob("*")]
    return [secret for secret in found if secret]


def leaks_nothing(ground: Ground, answer: str, where: str) -> None:
    for secret in secrets_of(ground):
        check(secret not in answer, f"{where} gives away {secret[:6]}…")
    check("root:x:0" not in answer, f"{where} gives /etc/passwd away")


def called(visitor: Visitor, name: str, data: list[Any]) -> dict[str, Any]:
    """How the call ended; Broken where it doesn't end."""
    done: list[dict[str, Any]] = []

    def call() -> None:
        try:
            done.extend(visitor.call(name, data))
        except httpx.HTTPStatusError as error:
            done.append({"success": False, "output": {"error": f"refused by {error.response.status_code}"}})

    calling = threading.Thread(target=call, daemon=True)
    calling.start()
    calling.join(ANSWER_S)
    check(done and not calling.is_alive(), f"{name} hasn't ended after {ANSWER_S:g} s")
    return done[-1]


def one_of(rng: random.Random, *values: Any) -> Any:
    """One of values of any kinds."""
    return rng.choice(values)
