"""The console's own routes: the snapshot that every page polls, logs by byte offset, the wrapper for JSON routes."""

import hashlib
import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from backend.errors import Conflict, ConsoleError, Forbidden, InvalidInput, Message, NotFound, Unavailable
from backend.services import Services
from ui.access import language_of, role_of
from ui.header import header_view
from ui.i18n import say

MAX_BODY_BYTES = 1 << 20
STATUS: tuple[tuple[type[ConsoleError], int], ...] = (
    (InvalidInput, 400),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Unavailable, 409),
)
Handler = Callable[[Request, Mapping[str, Any]], Any]
log = logging.getLogger(__name__)


def json_route(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """A route's endpoint from ``handler(request, body)``, plain or async; a plain one runs in a thread.

    ``body`` is the JSON object of a POST, empty for a GET. What the handler returns is sent as JSON, a Response as it
    is. A ConsoleError becomes a 4xx with ``{"messages": […]}`` in the page's language.
    """

    async def endpoint(request: Request) -> Response:
        try:
            body = await read_body(request)
            if inspect.iscoroutinefunction(handler):
                result = await handler(request, body)
            else:
                result = await run_in_threadpool(handler, request, body)
        except ConsoleError as error:
            status = next(code for kind, code in STATUS if isinstance(error, kind))
            return problem(request, status, *error.messages)
        except Exception as error:
            log.exception("%s %s failed", request.method, request.url.path)
            return problem(request, 500, Message("common.unexpected", {"error": type(error).__name__}))
        return result if isinstance(result, Response) else JSONResponse(result)

    return endpoint


async def read_body(request: Request) -> Mapping[str, Any]:
    """A POST's JSON object (at most 1 MiB); InvalidInput for anything else. Forms and plain text are refused."""
    if request.method in ("GET", "HEAD"):
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidInput(Message("common.bad_request"))
    chunks = bytearray()
    async for chunk in request.stream():
        chunks += chunk
        if len(chunks) > MAX_BODY_BYTES:
            raise InvalidInput(Message("common.bad_request"))
    try:
        body = json.loads(bytes(chunks) or b"{}")
    except ValueError:
        raise InvalidInput(Message("common.bad_request")) from None
    if not isinstance(body, dict):
        raise InvalidInput(Message("common.bad_request"))
    return body


def problem(request: Request, status: int, *messages: Message) -> Response:
    """An error answer in the page's language."""
    language = language_of(request)
    return JSONResponse({"messages": [say(message, language) for message in messages]}, status)


def console_routes(services: Services) -> list[BaseRoute]:
    """What is mounted under ``console/`` beside the tabs' own routes."""
    snapshot = Snapshot(services)
    return [Route("/snapshot", json_route(snapshot.route), methods=["GET"])]


class Snapshot:
    """Everything that every page shows, as one value with a version."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def route(self, request: Request, body: Mapping[str, Any]) -> Any:
        """The snapshot, or 204 where ``since`` is its version."""
        header = header_view(self._services)
        payload = {"role": role_of(request), "language": language_of(request), "servers": [], "jobs": [], "header": header}
        version = hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:16]
        if request.query_params.get("since") == version:
            return Response(status_code=204)
        return {"version": version, **payload}
