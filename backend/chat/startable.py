"""What Lab keeps of earlier starts, as settings that a question can go to in turn (in_turn.py)."""

from collections.abc import Callable, Mapping

from backend.chat.in_turn import Turn, not_startable
from backend.engines.proxy import NAME as PROXY
from backend.errors import InvalidInput, Message
from backend.lab.row import SERVER, RunRow, serve_config
from backend.lab.runs import Query, Runs
from backend.servers import external
from backend.servers.server import ServerState, ServerView

ELSEWHERE = frozenset({external.ENGINE, PROXY})  # engines of which there is nothing to start again


RUNNING = "server:"  # before the id of a server that runs, where else the id of a start stands


def title_of(row: RunRow) -> str:
    """What a person calls the settings: the model, the engine, and what differs from the usual."""
    return " · ".join(filter(None, (row.model, row.engine, row.settings)))


def startable(runs: Runs) -> Mapping[str, RunRow]:
    """The newest start of each settings by their title, the newest first. Raises Unavailable."""
    found: dict[str, RunRow] = {}
    for row in runs.listed(Query(kind=SERVER))[0]:
        if row.engine not in ELSEWHERE:
            found.setdefault(title_of(row), row)
    return found


def settings_of(runs: Runs, get: Callable[[str], ServerView], run_id: str) -> Turn:
    """What a server was started with, to start one like it; after ``RUNNING``, one that runs. ``get`` finds a server.
    Raises NotFound, InvalidInput."""
    if run_id.startswith(RUNNING):
        view = get(run_id.removeprefix(RUNNING))
        if view.state is not ServerState.RUNNING:
            raise InvalidInput(Message("servers.not-running", {"name": view.name}, field="server"))
        return Turn(view.name, view.config, view.id)
    row = runs.get(run_id)
    if row.kind != SERVER or row.engine in ELSEWHERE:
        not_startable(row.name)
    try:
        return Turn(title_of(row), serve_config(row))
    except (KeyError, TypeError, ValueError):  # of another version
        not_startable(row.name)
