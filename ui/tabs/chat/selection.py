"""Who talks to which servers."""

from typing import Any

from backend.errors import NotFound
from backend.servers.server import ServerView
from backend.services import Services
from ui.tabs.chat import render
from ui.web.visitor import Visitor, visitor


def known_visitor(services: Services, request: Any) -> Visitor:
    """Who asks; from now on the chat knows whose conversations are theirs."""
    who = visitor(request)
    services.chat.people.note(who.id, who.role.value)
    return who


async def picks(services: Services, who: Visitor) -> tuple[str, str]:
    """The ids of the server to talk to and of the one to compare it with; "" for none."""
    chosen, *others = await all_picks(services, who)
    return chosen, others[0] if others else ""


async def all_picks(services: Services, who: Visitor) -> tuple[str, ...]:
    """The ids of the server to talk to ("" = none) and of those to compare it with."""
    picked, *others = await services.chat.picked(who.id)
    views = services.servers.snapshot()
    chosen = render.choose_server(views, picked)
    found = {other: None for other in others if render.choose_second(views, chosen, other)}
    return (chosen, *found)


def known(services: Services, server_id: str) -> ServerView | None:
    """The server of that id, running or not; None where it is gone, or for ""."""
    try:
        return services.servers.get(server_id) if server_id else None
    except NotFound:
        return None
