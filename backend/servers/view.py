"""A server as everyone sees it: one frozen value, made by the manager and read by pages, chat and memory."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from backend.engines.base import ServeConfig
from backend.errors import Message


class ServerState(StrEnum):
    """``unreachable``: it runs (or an external address is known), but /health doesn't answer."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class ServerView:
    """One server. Times are seconds since the epoch (0 = not yet); ``progress`` is 0…1, or None where the log says
    nothing.

    ``stage`` is a key of ui/locales ("deploy.stage.weights"). ``base_url`` ends in "/v1". ``model_id`` is what a
    request names. ``reason`` says why it failed, ``reason_lines`` are the log lines behind it. ``rung`` is what ended
    it: "" (by itself), "SIGTERM" or "SIGKILL". ``command`` is the preview line.
    """

    id: str
    name: str
    state: ServerState
    config: ServeConfig
    model_path: str
    model_id: str
    address: str
    base_url: str
    port: int
    pid: int
    command: str
    environment: str
    takes_images: bool
    context_length: int
    created_at: float
    ready_at: float = 0.0
    ended_at: float = 0.0
    progress: float | None = None
    stage: str = ""
    exit_code: int | None = None
    rung: str = ""
    reason: Message | None = None
    reason_lines: tuple[str, ...] = ()
    log_path: Path | None = None
