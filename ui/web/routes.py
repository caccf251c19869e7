"""The console's own routes: the snapshot that every page polls, logs by byte offset, the wrapper for JSON routes."""

import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from backend.errors import Conflict, ConsoleError, Forbidden, InvalidInput, Message, NotFound, Unavailable
from backend.processes.log_file import CHUNK_BYTES, line_starts, read_before, read_chunk, read_whole, search
from backend.processes.quiet_log import read_back, read_on
from backend.services import Services
from ui.i18n import say, texts
from ui.web.json_answer import JsonAnswer
from ui.web.snapshot import SnapshotPoll
from ui.web.visitor import language_of, require_operator, visitor

MAX_BODY_BYTES = 1 << 20
STATUS: tuple[tuple[type[ConsoleError], int], ...] = (
    (InvalidInput, 400),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Unavailable, 409),
)
Body = Mapping[str, Any]
Handler = Callable[[Request, Body], Any]
MOST_MATCHES = 200
MOST_DIGITS = 15
log = logging.getLogger(__name__)


def json_route(handler: Handler, *, reads: bool = False) -> Callable[[Request], Awaitable[Response]]:
    """A route's endpoint from ``handler(request, body)``, plain or async; a plain one runs in a thread.

    ``body`` is the JSON object of a POST, empty for a GET and where the handler ``reads`` it by itself. What the
    handler returns is sent as JSON, a Response as it is. A ConsoleError becomes a 4xx with ``{"messages": […]}`` in the
    page's language.
    """

    async def endpoint(request: Request) -> Response:
        try:
            body = {} if reads else await read_body(request)
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
        return result if isinstance(result, Response) else JsonAnswer(result)

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
    except (ValueError, RecursionError):
        raise InvalidInput(Message("common.bad_request")) from None
    if not isinstance(body, dict):
        raise InvalidInput(Message("common.bad_request"))
    return body


def problem(request: Request, status: int, *messages: Message) -> Response:
    """An error answer in the page's language."""
    who = visitor(request)
    return JsonAnswer({"messages": [say(message, who.language, audience=who.role) for message in messages]}, status)


def console_routes(services: Services, poll: SnapshotPoll) -> list[BaseRoute]:
    """What is mounted under ``console/`` beside the tabs' own routes."""
    shared = SharedRoutes(services)
    return [
        Route("/snapshot", json_route(poll.route), methods=["GET"]),
        Route("/texts.json", json_route(shared.texts), methods=["GET"]),
        Route("/log/{run_id}", json_route(shared.log), methods=["GET"]),
        Route("/log/{run_id}/search", json_route(shared.search), methods=["GET"]),
        Route("/log/{run_id}/file", json_route(shared.log_file), methods=["GET"]),
    ]


class SharedRoutes:
    """The routes that every tab uses."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def texts(self, request: Request, body: Body) -> Any:
        """All texts in the page's language, by key. A HEAD makes none: pages ask every minute for the date alone."""
        if request.method == "HEAD":
            return Response(status_code=204)
        language = language_of(request)
        return {key: text[language] for key, text in texts().items()}

    def log(self, request: Request, body: Body) -> Any:
        """A part of a run's log: from byte ``offset`` on, or up to byte ``before`` ("end": the log's last part).

        ``text``, the bytes ``offset`` … ``next`` that it was read from, the log's ``size``, and ``starts``: the byte
        where each line of ``text.split("\\n")`` begins. All offsets are bytes of the file. A page counts with these,
        never with the text's length: bytes that are no text become U+FFFD in it. A part begins with a whole line,
        unless the line is longer than a part; so a page joins text that comes "earlier" with what it has as it is.
        With ``own=0`` the lines that the console's own questions cause are left out of ``text``; the bytes count them.
        """
        path = self._log_path(request)
        before = request.query_params.get("before")
        place = whole_number(request, "offset" if before is None else "before") if before != "end" else None
        if request.query_params.get("own") == "0":
            chunk, starts = read_on(path, place or 0) if before is None else read_back(path, place)
        else:
            if place is None:
                chunk = read_chunk(path, -CHUNK_BYTES)
            else:
                chunk = read_chunk(path, place) if before is None else read_before(path, place)
            starts = line_starts(chunk, path)
        return {
            "text": chunk.text,
            "offset": chunk.offset,
            "next": chunk.next_offset,
            "size": chunk.size,
            "starts": starts,
        }

    def search(self, request: Request, body: Body) -> Any:
        """Lines of a run's log that hold ``text``, the last first, from byte ``before`` backwards (8 MiB a call)."""
        before = whole_number(request, "before", -1)
        found = search(self._log_path(request), request.query_params.get("text", ""), None if before < 0 else before)
        matches = [{"offset": match.offset, "line": match.line} for match in found.matches[:MOST_MATCHES]]
        return {"matches": matches, "more": len(found.matches) > len(matches), "before": found.next_before}

    def log_file(self, request: Request, body: Body) -> Any:
        """The whole log as a file to keep, as it is now: what is written meanwhile isn't in it."""
        size, parts = read_whole(self._log_path(request))
        headers = {
            "content-length": str(size),
            "content-disposition": f'attachment; filename="{request.path_params["run_id"]}.log"',
        }
        return StreamingResponse(parts, media_type="text/plain; charset=utf-8", headers=headers)

    def _log_path(self, request: Request) -> Path:
        require_operator(request)
        return self._services.supervisor.get(request.path_params["run_id"]).log_path


def whole_number(request: Request, name: str, otherwise: int = 0) -> int:
    """The number that an address gives by that name. InvalidInput where it is none, or larger than anything is here."""
    value = request.query_params.get(name, "")
    if not value:
        return otherwise
    if not value.isdecimal() or len(value) > MOST_DIGITS:
        raise InvalidInput(Message("common.bad_request"))
    return int(value)
