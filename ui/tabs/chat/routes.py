"""The Chat tab's own routes: a visitor's pictures and answers, for that visitor alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from backend.errors import Message, NotFound
from backend.services import Services
from ui.access import visitor, visitor_of
from ui.routes import json_route
from ui.tabs.chat.samples import sample_pictures
from ui.tabs.chat.stream import lines


def routes(services: Services) -> Sequence[BaseRoute]:
    """Under ``console/``."""

    def picture(request: Request, body: Mapping[str, Any]) -> Response:
        path = services.chat.pictures.path(visitor_of(request), request.path_params["id"])
        return FileResponse(path, headers={"cache-control": "private, max-age=86400, immutable"})

    def sample(request: Request, body: Mapping[str, Any]) -> Response:
        wanted = request.path_params["name"]
        for path in sample_pictures():
            if path.name == wanted:
                return FileResponse(path, headers={"cache-control": "private, max-age=86400"})
        raise NotFound(Message("chat.error.picture_missing"))

    async def answer(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        view = await services.chat.view(visitor_of(request))
        number, lane = request.path_params["number"], request.path_params["lane"]
        try:
            found = view.conversation.exchanges[number].answers[lane]
        except IndexError:
            raise NotFound(Message("chat.error.nothing_asked")) from None
        end = found.end.key if found.end is not None else ""
        return {"text": found.text, "state": found.state, "end": end, "stats": asdict(found.stats)}

    async def stream(request: Request, body: Mapping[str, Any]) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(lines(services, visitor(request)), media_type="application/x-ndjson", headers=headers)

    return (
        Route("/chat/stream", json_route(stream), methods=["GET"]),
        Route("/chat/picture/{id}", json_route(picture), methods=["GET"]),
        Route("/chat/sample/{name}", json_route(sample), methods=["GET"]),
        Route("/chat/answer/{number:int}/{lane:int}", json_route(answer), methods=["GET"]),
    )
