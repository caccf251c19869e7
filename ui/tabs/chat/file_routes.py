"""The routes of conversations as files.

chat/export     GET one (``id``) or all of them, as ``format`` markdown, json or openai
chat/import     POST a file as it is; its name is ``name``
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from backend.chat.imports import MOST_BYTES
from backend.errors import InvalidInput, Message
from backend.services import Services
from ui.i18n import say
from ui.tabs.chat.selection import known_visitor
from ui.web.routes import json_route
from ui.web.uploads import MOST_DRAINED
from ui.web.visitor import visitor_of

Body = Mapping[str, Any]


def file_routes(services: Services) -> Sequence[BaseRoute]:
    """Under ``console/``."""
    library = services.chat.library

    async def export(request: Request, body: Body) -> Response:
        query = request.query_params
        made = await library.export(visitor_of(request), query.get("id", ""), query.get("format", ""))
        plain = made.name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
        headers = {
            "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(made.name)}",
            "cache-control": "no-store",
        }
        return Response(made.data, media_type=f"{made.mime}; charset=utf-8", headers=headers)

    async def take(request: Request, body: Body) -> Body:
        who = known_visitor(services, request)
        name = request.query_params.get("name", "")
        data = await content(request, name)
        ids, notes = await library.take(who.id, data, name)
        return {
            "first": ids[0],
            "count": len(ids),
            "notes": [say(note, who.language, audience=who.role) for note in notes],
        }

    return (
        Route("/chat/export", json_route(export), methods=["GET"]),
        Route("/chat/import", json_route(take, reads=True), methods=["POST"]),
    )


async def content(request: Request, name: str) -> bytes:
    """The file that comes. InvalidInput where it is too large, or wasn't sent by a page of ours."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":  # a page of another origin can't send that unasked
        raise InvalidInput(Message("common.bad_request"))
    data, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MOST_BYTES:
            data += chunk
        elif size > MOST_DRAINED:
            break
        else:
            data.clear()
    if size > MOST_BYTES:
        sizes = {"name": name[:120] or "?", "size": f"{size >> 20} MiB", "limit": f"{MOST_BYTES >> 20} MiB"}
        raise InvalidInput(Message("chat.import.large", sizes))
    return bytes(data)
