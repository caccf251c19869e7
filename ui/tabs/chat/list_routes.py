"""The routes of the list of conversations: what the page's script (list.js) asks and tells.

chat/list                GET a part of the list, or of what is found by ``q``
chat/list/{what}         POST rename, pin, delete, delete-all, branch, better
chat/turn                GET settings of earlier starts, to be asked one after another; the operator's alone
chat/kept                POST for how many days a class's are kept; the operator's alone
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from backend.chat.archive import Entry
from backend.chat.startable import RUNNING, startable
from backend.errors import InvalidInput, Message
from backend.servers.server import ServerState
from backend.services import Services
from ui.tabs.chat.selection import known_visitor
from ui.web.routes import json_route, whole_number
from ui.web.visitor import require_operator, visitor_of

SHOWN = "console-conversation"  # a page's header: the conversation that it shows
Body = Mapping[str, Any]


def shown_on(request: Request) -> str:
    """The conversation that the asking page shows; "" where it doesn't know yet: its browser's newest."""
    return request.headers.get(SHOWN, "")


def list_routes(services: Services) -> Sequence[BaseRoute]:
    """Under ``console/``."""
    chat, library = services.chat, services.chat.library

    async def listed(request: Request, body: Body) -> Body:
        who = known_visitor(services, request)
        revision = library.revision(who.id)
        skip = whole_number(request, "skip")
        entries, total = await library.listed(who.id, request.query_params.get("q", ""), skip)
        return {
            "revision": revision,
            "total": total,
            "entries": [entry_json(entry, library.under_way(entry.id), library.version(entry.id)) for entry in entries],
            "days": library.keeping.days,
        }

    async def rename(request: Request, body: Body) -> Body:
        return {"title": await library.rename(visitor_of(request), word(body, "id"), word(body, "name"))}

    async def pin(request: Request, body: Body) -> Body:
        await library.pin(visitor_of(request), word(body, "id"), body.get("pinned") is True)
        return {}

    async def delete(request: Request, body: Body) -> Body:
        await library.delete(visitor_of(request), word(body, "id"))
        return {}

    async def delete_all(request: Request, body: Body) -> Body:
        return {"count": await library.delete_all(visitor_of(request))}

    async def branch(request: Request, body: Body) -> Body:
        exchange = body.get("exchange")
        if not isinstance(exchange, int):
            raise InvalidInput(Message("common.bad_request"))
        await chat.changes.turn_to(visitor_of(request), exchange, word(body, "id"))
        return {}

    async def better(request: Request, body: Body) -> Body:
        exchange, lane = body.get("exchange"), body.get("lane")
        if type(exchange) is not int or (lane is not None and type(lane) is not int):
            raise InvalidInput(Message("common.bad_request"))
        await chat.changes.vote(visitor_of(request), exchange, lane, word(body, "id"))
        return {}

    def turn(request: Request, body: Body) -> Body:
        require_operator(request)
        running = [view for view in services.servers.snapshot() if view.state is ServerState.RUNNING]
        found: list[dict[str, Any]] = [
            {"id": RUNNING + view.id, "name": view.name, "load_s": None, "bytes": None, "running": True}
            for view in running
        ]
        found += [
            {"id": row.id, "name": name, "load_s": row.load_s, "bytes": row.measured_bytes, "running": False}
            for name, row in startable(services.lab.runs).items()
        ]
        return {"settings": found}

    async def kept(request: Request, body: Body) -> Body:
        require_operator(request)
        library.keeping.set_days(body.get("days"))
        return {"days": library.keeping.days, "deleted": await library.sweep()}

    return (
        Route("/chat/list", json_route(listed), methods=["GET"]),
        Route("/chat/list/rename", json_route(rename), methods=["POST"]),
        Route("/chat/list/pin", json_route(pin), methods=["POST"]),
        Route("/chat/list/delete", json_route(delete), methods=["POST"]),
        Route("/chat/list/delete-all", json_route(delete_all), methods=["POST"]),
        Route("/chat/list/branch", json_route(branch), methods=["POST"]),
        Route("/chat/turn", json_route(turn), methods=["GET"]),
        Route("/chat/list/better", json_route(better), methods=["POST"]),
        Route("/chat/kept", json_route(kept), methods=["POST"]),
    )


def entry_json(entry: Entry, under_way: bool, version: int) -> dict[str, Any]:
    """A row of the list."""
    return {
        "id": entry.id,
        "title": entry.title,
        "named": entry.named,
        "pinned": entry.pinned,
        "changed_at": entry.changed_at,
        "exchanges": entry.exchanges,
        "snippet": entry.snippet,
        "under_way": under_way,
        "version": version,
    }


def word(body: Body, name: str) -> str:
    """A text of the request; InvalidInput where it is none."""
    value = body.get(name)
    if not isinstance(value, str):
        raise InvalidInput(Message("common.bad_request"))
    return value
