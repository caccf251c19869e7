"""Which servers a request may name, and how. Pure."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from backend.errors import Message
from backend.gateway.errors import Refusal
from backend.servers.external import ENGINE as EXTERNAL
from backend.servers.server import ServerState, ServerView

LISTED = (ServerState.RUNNING, ServerState.STARTING, ServerState.UNREACHABLE)
STARTING_RETRY_S = 5.0
UNREACHABLE_RETRY_S = 10.0


@dataclass(frozen=True)
class Listed:
    """One server under the id that a request names it by."""

    id: str
    view: ServerView

    @property
    def ready(self) -> bool:
        """Whether it answers now."""
        return self.view.state is ServerState.RUNNING


def listed(views: Sequence[ServerView], lent: Collection[str] = (), allowed: Collection[str] = ()) -> list[Listed]:
    """The servers that requests may name: the newest ready one first, then those that aren't ready.

    An id is the server's name, ``name@port`` where two share it; an external server without a name goes by its model,
    since its address is nobody's business. ``lent`` are the ids of the external servers that the
    operator lends; ``allowed`` the names that a key is limited to (none: all).
    """
    usable = [v for v in views if v.state in LISTED and (v.config.engine != EXTERNAL or v.id in lent)]
    usable.sort(key=lambda view: (view.state is not ServerState.RUNNING, -view.ready_at, -view.created_at))
    names = Counter(_name(view) for view in usable)
    taken: set[str] = set()
    found = []
    for view in usable:
        own = _name(view)
        name = own if names[own] == 1 else f"{own}@{view.port}"
        number = 2
        unique = name
        while unique in taken:  # two external servers may share name and port
            unique = f"{name}-{number}"
            number += 1
        taken.add(unique)
        found.append(Listed(unique, view))
    return [one for one in found if not allowed or _name(one.view) in allowed or one.id in allowed]


def find(servers: Sequence[Listed], model: object) -> Listed:
    """The server that a request's ``model`` names: by id, by the name that several share (the newest ready one), or by
    what the server itself calls its model.

    Raises Refusal: unknown (the message lists the ids), starting, or not answering.
    """
    ids = ", ".join(one.id for one in servers)
    if not servers:
        raise Refusal(503, "no_server", Message("gateway.no-server", field="model"), retry_after_s=STARTING_RETRY_S)
    if not isinstance(model, str) or not model.strip():
        raise Refusal(400, "missing_model", Message("gateway.model-missing", {"known": ids}, "model"))
    wanted = model.strip()
    by_id = [one for one in servers if one.id == wanted]
    by_name = [one for one in servers if wanted in (_name(one.view), one.view.model_id)]
    if matching := by_id + by_name:
        return _ready(matching[0])
    params = {"value": wanted[:200], "known": ids}
    raise Refusal(404, "model_not_found", Message("gateway.model-unknown", params, "model"))


def _name(view: ServerView) -> str:
    nameless = view.config.engine == EXTERNAL and not view.config.model_name
    return (view.model_id.rstrip("/").rpartition("/")[2] or view.id) if nameless else view.model_name


def _ready(one: Listed) -> Listed:
    view = one.view
    if view.state is ServerState.STARTING:
        percent = round((view.progress or 0.0) * 100)
        message = Message("gateway.starting", {"name": one.id, "percent": percent}, "model")
        raise Refusal(503, "model_loading", message, retry_after_s=STARTING_RETRY_S)
    if view.state is ServerState.UNREACHABLE:
        message = Message("gateway.unreachable", {"name": one.id}, "model")
        raise Refusal(503, "model_unreachable", message, retry_after_s=UNREACHABLE_RETRY_S)
    return one
