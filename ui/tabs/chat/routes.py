"""The Chat tab's own routes: a visitor's pictures and answers, for that visitor alone."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from backend.errors import InvalidInput, Message, NotFound
from backend.services import Services
from ui.tabs.chat.file_routes import file_routes
from ui.tabs.chat.list_routes import list_routes, shown_on, word
from ui.tabs.chat.samples import sample_pictures
from ui.tabs.chat.selection import known_visitor
from ui.tabs.chat.stream import lines
from ui.web.routes import json_route
from ui.web.visitor import visitor_of


def routes(services: Services) -> Sequence[BaseRoute]:
    """Under ``console/``."""

    async def picture(request: Request, body: Mapping[str, Any]) -> Response:
        path = await services.chat.picture(visitor_of(request), request.path_params["id"])
        return FileResponse(path, headers={"cache-control": "private, max-age=86400, immutable"})

    def sample(request: Request, body: Mapping[str, Any]) -> Response:
        wanted = request.path_params["name"]
        for path in sample_pictures():
            if path.name == wanted:
                return FileResponse(path, headers={"cache-control": "private, max-age=86400"})
        raise NotFound(Message("chat.error.picture_missing"))

    async def answer(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        view = await services.chat.view(visitor_of(request), shown_on(request))
        number, lane = request.path_params["number"], request.path_params["lane"]
        try:
            answer = view.conversation.exchanges[number].answers[lane]
        except IndexError:
            raise NotFound(Message("chat.error.nothing_asked")) from None
        end = answer.end.key if answer.end is not None else ""
        return {"text": answer.text, "state": answer.state, "end": end, "stats": asdict(answer.stats)}

    async def rewrite(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        exchange, lane = body.get("exchange"), body.get("lane")
        if type(exchange) is not int or type(lane) is not int:
            raise InvalidInput(Message("common.bad_request"))
        await services.chat.changes.rewrite(visitor_of(request), exchange, lane, word(body, "text"), shown_on(request))
        return {}

    async def document(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        view = await services.chat.view(visitor_of(request), shown_on(request))
        exchange, number = request.path_params["exchange"], request.path_params["number"]
        for one in view.conversation.exchanges:
            if one.id == exchange and number < len(one.question.documents):
                found = one.question.documents[number]
                return {"name": found.name, "text": found.text}
        raise NotFound(Message("chat.error.document_missing"))

    async def tokens(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        view = await services.chat.view(visitor_of(request), shown_on(request))
        exchange, lane = request.path_params["exchange"], request.path_params["lane"]
        for one in view.conversation.exchanges:
            if one.id == exchange and lane < len(one.answers):
                return {"tokens": one.answers[lane].tokens or ()}
        raise NotFound(Message("chat.error.nothing_asked"))

    async def give(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        call, result = word(body, "call"), word(body, "result")
        await services.chat.asking.give(visitor_of(request), call, result, shown_on(request))
        return {}

    async def stream(request: Request, body: Mapping[str, Any]) -> Response:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        who, conversation = known_visitor(services, request), shown_on(request)
        await services.chat.view(who.id, conversation)  # what isn't there is said before the stream begins
        return StreamingResponse(lines(services, who, conversation), media_type="application/x-ndjson", headers=headers)

    return (
        *list_routes(services),
        *file_routes(services),
        Route("/chat/stream", json_route(stream), methods=["GET"]),
        Route("/chat/tool", json_route(give), methods=["POST"]),
        Route("/chat/picture/{id}", json_route(picture), methods=["GET"]),
        Route("/chat/document/{exchange:int}/{number:int}", json_route(document), methods=["GET"]),
        Route("/chat/sample/{name}", json_route(sample), methods=["GET"]),
        Route("/chat/tokens/{exchange:int}/{lane:int}", json_route(tokens), methods=["GET"]),
        Route("/chat/answer", json_route(rewrite), methods=["POST"]),
        Route("/chat/answer/{number:int}/{lane:int}", json_route(answer), methods=["GET"]),
    )
