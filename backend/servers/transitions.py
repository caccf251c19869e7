"""How a server's state follows from what is seen of it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from backend.errors import Message
from backend.processes.supervisor import Run
from backend.servers.server import ServerState, ServerView

# A server that is busy may miss a probe or two.
MISSES_UNTIL_UNREACHABLE = 3

ENDED = (ServerState.STOPPED, ServerState.FAILED)


@dataclass(frozen=True)
class Seen:
    """One look at a server. ``misses`` counts the probes since the last that /health answered.

    ``stage`` and ``progress`` are what its log says of the loading ("" and None: nothing).
    """

    healthy: bool
    misses: int
    now: float
    stage: str = ""
    progress: float | None = None


def next_view(view: ServerView, run: Run | None, seen: Seen) -> ServerView:
    """The view of a server that hasn't ended. ``run`` is None for one that the console didn't start."""
    pid = view.pid if run is None else run.pid
    if run is not None and (run.stop_requested or run.command_ended):  # what it left behind may still be ending
        return replace(view, state=ServerState.STOPPING, pid=pid, progress=None, stage="")
    if seen.healthy:
        ready_at = view.ready_at or seen.now
        return replace(view, state=ServerState.RUNNING, pid=pid, ready_at=ready_at, progress=None, stage="")
    if run is not None and not view.ready_at:
        stage = seen.stage or view.stage
        progress = seen.progress if seen.stage else view.progress
        rounded = None if progress is None else round(progress, 2)
        return replace(view, state=ServerState.STARTING, pid=pid, progress=rounded, stage=stage)
    if seen.misses >= MISSES_UNTIL_UNREACHABLE:
        return replace(view, state=ServerState.UNREACHABLE, pid=pid)
    return replace(view, pid=pid)


def ended_view(view: ServerView, run: Run, why: Message | None, lines: Sequence[str]) -> ServerView:
    """The view of a server whose process is gone. ``why`` and ``lines`` are what the log says of a death.

    A stop that a person asked for isn't a failure; one that the console decided on has its reason in the view already.
    """
    ended = replace(
        view,
        pid=run.pid,
        ended_at=run.ended_at or run.started_at,
        exit_code=run.exit_code,
        stop_signal=run.stop_signal,
        progress=None,
        stage="",
        nodes=(),
        asleep=False,
    )
    if view.reason is not None:
        return replace(ended, state=ServerState.FAILED)
    if run.stop_requested:
        return replace(ended, state=ServerState.STOPPED)
    if run.interrupted:
        return replace(ended, state=ServerState.STOPPED, reason=run.problem)
    if run.problem is not None:
        return replace(ended, state=ServerState.FAILED, reason=run.problem, reason_lines=tuple(lines))
    if run.exit_code == 0 and view.ready_at:
        return replace(ended, state=ServerState.STOPPED)
    return replace(ended, state=ServerState.FAILED, reason=why, reason_lines=tuple(lines))
