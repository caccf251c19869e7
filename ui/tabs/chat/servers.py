"""Which servers a visitor talks to."""

from backend.errors import NotFound
from backend.servers.view import ServerView
from backend.services import Services
from ui.access import Visitor
from ui.tabs.chat import render


async def picks(services: Services, who: Visitor) -> tuple[str, str]:
    """The ids of the server to talk to and of the one to compare it with; "" for none."""
    picked, other = await services.chat.picked(who.id)
    views = services.servers.snapshot()
    chosen = render.choose_server(views, picked)
    return chosen, render.choose_second(views, chosen, other)


def known(services: Services, server_id: str) -> ServerView | None:
    """The server of that id, running or not; None where it is gone, or for ""."""
    try:
        return services.servers.get(server_id) if server_id else None
    except NotFound:
        return None
