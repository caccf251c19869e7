"""What is to be done for a server while nobody looks: started again after a crash, put to sleep. Pure."""

from dataclasses import replace

from backend.errors import InvalidInput, Message
from backend.servers.server import Crash, Life, ServerState, ServerView

# TurboMind of LMDeploy 0.18.0 has no sleep: its /sleep answers 500, and from then on it refuses every question.
SLEEPERS = ("pytorch",)
MOST_RESTARTS = 20
LONGEST_IDLE_S = 7 * 24 * 3600.0
SHORTEST_IDLE_S = 10.0
BACKOFF_S = (5.0, 15.0, 45.0, 120.0, 300.0)  # the first restarts come soon, later ones every five minutes
GOOD_S = 600.0  # a server that served for so long begins to count its crashes anew
# The console's own decision, not a crash: it would only take as long again.
DECIDED = frozenset({"servers.not-ready-in-time"})
INTERRUPTED = "servers.process.interrupted"  # the machine was restarted while it ran


def checked(life: Life, view: ServerView) -> Life:
    """The wishes as they are kept, without an earlier problem. Raises InvalidInput for what can't be."""
    engine = view.config.engine
    if engine == "external":
        raise InvalidInput(Message("life.external", {"name": view.name}))
    if not 0 <= life.restarts <= MOST_RESTARTS:
        raise InvalidInput(Message("life.restarts-range", {"value": life.restarts, "most": MOST_RESTARTS}, "restarts"))
    if life.idle_s and engine not in SLEEPERS:
        raise InvalidInput(Message("life.sleep-engine", {"engine": engine}, "idle_s"))
    if life.idle_s and not SHORTEST_IDLE_S <= life.idle_s <= LONGEST_IDLE_S:
        minutes = round(life.idle_s / 60, 2)
        params = {"value": minutes, "low": round(SHORTEST_IDLE_S / 60, 2), "high": round(LONGEST_IDLE_S / 60)}
        raise InvalidInput(Message("life.idle-range", params, "idle_s"))
    return replace(life, problem=None)


def crashed(view: ServerView) -> bool:
    """Whether it ended as nobody wanted, after it had served; or one that was started again because of that."""
    decided = view.reason is not None and view.reason.key in DECIDED
    return view.state is ServerState.FAILED and not decided and bool(view.ready_at or view.crash)


def new_crash(view: ServerView, now: float) -> Crash | None:
    """What is to be noted of a crash that isn't yet: whether and when it is started again. None for nothing to note."""
    if not view.life.restarts or not crashed(view):
        return None
    if view.crash is not None and view.crash.at >= view.ended_at:
        return None
    served = view.ended_at - view.ready_at if view.ready_at else 0.0
    before = 0 if view.crash is None or served >= GOOD_S else view.crash.count
    count = before + 1
    again_at = now + BACKOFF_S[min(count, len(BACKOFF_S)) - 1] if count <= view.life.restarts else 0.0
    return Crash(view.ended_at, count, view.reason, again_at, view.reason_lines)


def is_due(view: ServerView, now: float) -> bool:
    """Whether it is to be started again now. A clock that was set back must not make it wait for ever."""
    if view.crash is None or view.state is not ServerState.FAILED or not view.life.restarts:
        return False
    again = view.crash.again_at
    return bool(again) and (now >= again or again - now > BACKOFF_S[-1])


def comes_back(view: ServerView) -> bool:
    """Whether it is to be started since the machine was started again."""
    interrupted = view.reason is not None and view.reason.key == INTERRUPTED
    return view.life.comes_back and view.state is ServerState.STOPPED and interrupted
