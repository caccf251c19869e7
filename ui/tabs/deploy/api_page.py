"""A server's API page: Swagger UI from local files, its requests passed through the console's port.

    servers/{id}/api                 the page
    servers/{id}/api/openapi.json    the server's own description
    servers/{id}/api/files/{name}    Swagger UI's files
    servers/{id}/api/call/{path}     a request, passed on with the server's key

Only the operator gets here. A request goes to that server alone, and only to a path that its description names; the
console's cookie stays behind, the server's key is added. What comes back can't run as a page of the console's origin.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from backend.errors import ConsoleError, InvalidInput, Message, NotFound, Unavailable, Value
from backend.machine.clients import async_client
from backend.servers.server import ServerState, ServerView
from backend.services import Services
from ui.i18n import Language, say, t
from ui.web.json_answer import JsonAnswer, whole_text
from ui.web.routes import STATUS, json_route, problem
from ui.web.visitor import language_of, require_operator

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
FILES: Mapping[str, str] = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
MAX_REQUEST_BYTES = 64 << 20  # a conversation with pictures
MAX_DESCRIPTION_BYTES = 8 << 20  # LMDeploy's has 0.1 MB
DESCRIPTION_S = 15.0  # from the first byte asked for to the last
DEEPEST = 100  # levels; LMDeploy's has some 15
MOST_PATHS = 5000
LONGEST_PATH = 4000
TIMEOUT = httpx.Timeout(10.0, read=600.0)  # s; an answer without streaming comes as a whole, at its end
PASSED_ON = ("accept", "content-type")
PASSED_BACK = ("content-type", "cache-control", "retry-after")
PAGE_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'"
ANSWER_POLICY = "sandbox; default-src 'none'"
START = Path(__file__).parent / "api_page.js"


def api_routes(services: Services) -> list[BaseRoute]:
    """The routes, to be mounted under ``console/``."""
    page = ApiPage(services)
    base = "/servers/{id}/api"
    return [
        Route(base, json_route(page.show), methods=["GET"]),
        Route(f"{base}/openapi.json", json_route(page.description), methods=["GET"]),
        Route(f"{base}/files/{{name}}", json_route(page.file), methods=["GET"]),
        Route(f"{base}/call/{{path:path}}", passed_through(page.call), methods=list(METHODS)),
    ]


def passed_through(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A route whose body is handed on as it is; errors are answered as ``json_route`` answers them."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except ConsoleError as error:
            return problem(request, status_of(error), *error.messages)

    return endpoint


def status_of(error: ConsoleError) -> int:
    """The HTTP status that tells of this error."""
    return next(code for kind, code in STATUS if isinstance(error, kind))


class ApiPage:
    """Handlers of the API page's routes."""

    def __init__(self, services: Services) -> None:
        self.services = services

    async def show(self, request: Request, body: Mapping[str, Any]) -> Response:
        """The page itself, or why there is nothing to show. Its texts are in the visitor's language; Swagger UI's own
        are English."""
        language = language_of(request)
        try:
            require_operator(request)
            view = self._view(request)
            await self._described(view)
            return _page(page_html(view, language))
        except ConsoleError as error:
            return _page(problem_html(error.messages, language), status_of(error))

    def file(self, request: Request, body: Mapping[str, Any]) -> Response:
        """Swagger UI's script and style, from the package that holds them, and what starts it."""
        require_operator(request)
        name = request.path_params["name"]
        headers = {"cache-control": "private, max-age=86400", "x-content-type-options": "nosniff"}
        if name == START.name:
            return Response(START.read_bytes(), media_type="text/javascript", headers=headers)
        if name not in FILES:
            raise NotFound(Message("deploy.api.path", {"path": name, "name": "Swagger UI"}))
        try:
            content = files("fastapi_offline").joinpath("static", name).read_bytes()
        except (ModuleNotFoundError, FileNotFoundError):
            raise Unavailable(Message("deploy.api.no_swagger")) from None
        return Response(content, media_type=FILES[name], headers=headers)

    async def description(self, request: Request, body: Mapping[str, Any]) -> Response:
        """The server's /openapi.json, pointing its requests at the console."""
        require_operator(request)
        view = self._view(request)
        document = await self._described(view)
        return await run_in_threadpool(lambda: JsonAnswer(through_console(document)))

    async def call(self, request: Request) -> Response:
        """Pass one request on and its answer back, streamed."""
        require_operator(request)
        view = self._view(request)
        path = "/" + request.path_params["path"]
        if not is_described(await self._described(view), path):
            raise NotFound(Message("deploy.api.path", {"path": path[:200], "name": view.name}))
        content = await _limited_body(request)
        headers = {name: value for name in PASSED_ON if (value := request.headers.get(name))}
        headers |= await self._authorization(view)
        client = _client(view, with_key="authorization" in headers)
        try:
            upstream = await client.send(
                client.build_request(
                    request.method,
                    httpx.URL(view.address.rstrip("/") + quote(path), query=request.url.query.encode()),
                    headers=headers,
                    content=content,
                ),
                stream=True,
            )
        except httpx.HTTPError:
            await client.aclose()
            raise _unreachable(view) from None
        except httpx.InvalidURL:
            await client.aclose()
            raise NotFound(Message("deploy.api.path", {"path": path[:200], "name": view.name})) from None
        except BaseException:
            await client.aclose()
            raise
        kept = {name: value for name in PASSED_BACK if (value := upstream.headers.get(name))}
        kept |= {"content-security-policy": ANSWER_POLICY, "x-content-type-options": "nosniff"}
        return StreamingResponse(_relay(client, upstream), upstream.status_code, headers=kept)

    def _view(self, request: Request) -> ServerView:
        view: ServerView = self.services.servers.get(request.path_params["id"])
        if view.state is not ServerState.RUNNING:
            raise Unavailable(Message("deploy.api.not_running", {"name": view.name}))
        return view

    async def _authorization(self, view: ServerView) -> dict[str, str]:
        endpoint = await run_in_threadpool(self.services.servers.endpoint, view.id)
        return {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}

    async def _described(self, view: ServerView) -> Mapping[str, Any]:
        """The server's own description of its API, read anew: it is local and small.

        An external server may answer anything: what isn't a description within bounds is Unavailable.
        """
        address = view.address.rstrip("/")
        try:
            key = await self._authorization(view)
            async with asyncio.timeout(DESCRIPTION_S), _opened(view, with_key=bool(key)) as client:
                content = await _limited_answer(client, f"{address}/openapi.json", key)
        except (httpx.HTTPError, httpx.InvalidURL):
            raise _unreachable(view) from None
        except TimeoutError:
            params: dict[str, Value] = {"name": view.name, "address": address, "seconds": int(DESCRIPTION_S)}
            raise Unavailable(Message("deploy.api.description_slow", params)) from None
        if content is None:
            params = {"name": view.name, "address": address, "limit": MAX_DESCRIPTION_BYTES >> 20}
            raise Unavailable(Message("deploy.api.description_large", params))
        try:
            document = await run_in_threadpool(parsed_description, content)
        except RecursionError:
            raise Unavailable(Message("deploy.api.description_deep", {"name": view.name, "address": address})) from None
        if document is None:
            raise Unavailable(Message("deploy.api.no_description", {"name": view.name, "address": address}))
        return document


async def _limited_answer(client: httpx.AsyncClient, url: str, headers: Mapping[str, str]) -> bytes | None:
    """An answer's body, empty where it isn't 200; None where it is too large."""
    async with client.stream("GET", url, headers={**headers, "accept-encoding": "identity"}) as answer:
        if answer.status_code != httpx.codes.OK:
            return b""
        content = bytearray()
        async for chunk in answer.aiter_bytes(1 << 16):
            content += chunk
            if len(content) > MAX_DESCRIPTION_BYTES:
                return None
    return bytes(content)


def parsed_description(content: bytes) -> Mapping[str, Any] | None:
    """A description's document; None where it is none that names a path. RecursionError where it is nested too deep."""
    try:
        document = json.loads(content)
    except ValueError:
        return None
    level = [document]
    for _ in range(DEEPEST):
        level = [item for value in level for item in _inside(value)]
    if level:
        raise RecursionError
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        return None
    return document if any(True for _ in described_paths(document)) else None


def page_html(view: ServerView, language: Language) -> str:
    """The page's HTML: a heading, and the element that Swagger UI fills."""
    title = escape(t("deploy.api.title", language, {"name": view.name}))
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        '<link rel="icon" href="data:,"><link rel="stylesheet" href="./api/files/swagger-ui.css">'
        "<style>body{margin:0;font-family:system-ui,sans-serif}"
        "header{padding:1rem 1.25rem;background:#1e293b;color:#fff}header h1{font-size:1.25rem;margin:0 0 .25rem}"
        "header p{margin:0;opacity:.85}header a{color:#93c5fd}</style>"
        f"</head><body><header><h1>{title}</h1><p>{escape(t('deploy.api.note', language))} "
        f'<a href="../../../">{escape(t("deploy.api.back", language))}</a></p></header>'
        '<main id="swagger" data-description="./api/openapi.json"></main>'
        '<script src="./api/files/swagger-ui-bundle.js"></script><script src="./api/files/api_page.js"></script>'
        "</body></html>"
    )


def problem_html(messages: Sequence[Message], language: Language) -> str:
    """What the page says where there is no API to show."""
    sentences = "".join(f"<p>{escape(say(message, language))}</p>" for message in messages)
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>LMDeploy Console</title>'
        "<style>body{font-family:system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}</style></head>"
        f'<body role="alert">{sentences}<p><a href="../../../">{escape(t("deploy.api.back", language))}</a></p>'
        "</body></html>"
    )


def through_console(document: Mapping[str, Any]) -> dict[str, Any]:
    """The description with its requests pointed at the console, and without keys to fill in: the console adds them.

    References to other files and servers are left out: nothing is fetched from them.
    """
    kept = {key: value for key, value in document.items() if key not in ("servers", "security", "components", "paths")}
    schemes = {key: value for key, value in _mapping(document.get("components")).items() if key != "securitySchemes"}
    paths = {
        path: {
            method: {key: value for key, value in operation.items() if key not in ("security", "servers")}
            if isinstance(operation, Mapping)
            else operation
            for method, operation in item.items()
            if method != "servers"
        }
        for path, item in described_paths(document)
    }
    pointed = {**kept, "components": schemes, "paths": paths, "servers": [{"url": "./call"}]}
    found: dict[str, Any] = without_references(pointed)
    return found


def described_paths(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The paths that a description names, as far as they can be used, with what it says of each."""
    usable = (
        (path, item)
        for path, item in _mapping(document.get("paths")).items()
        if isinstance(item, Mapping) and path.startswith("/") and len(path) <= LONGEST_PATH
    )
    for _, entry in zip(range(MOST_PATHS), usable, strict=False):
        yield entry


def without_references(value: Any) -> Any:
    """The value without ``$ref`` to what isn't in the same document."""
    if isinstance(value, Mapping):
        return {
            key: without_references(item)
            for key, item in value.items()
            if key != "$ref" or (isinstance(item, str) and item.startswith("#"))
        }
    return [without_references(item) for item in value] if isinstance(value, list) else value


def is_described(document: Mapping[str, Any], path: str) -> bool:
    """Whether the description names this path; ``{id}`` stands for one segment or a part of one. A path that climbs
    never is."""
    segments = path.split("/")
    if len(path) > LONGEST_PATH or "\\" in path or "//" in path or any(part in (".", "..") for part in segments):
        return False
    for template, _ in described_paths(document):
        wanted = template.split("/")
        if len(wanted) == len(segments) and all(map(fits_segment, wanted, segments)):
            return True
    return False


def fits_segment(template: str, segment: str) -> bool:
    """Whether a path's segment is what the template's says, with at least one character for each ``{name}``.

    One pass from left to right: no template makes it slow.
    """
    first, *others = _literals(template)
    if not others:
        return segment == first
    if not segment.startswith(first):
        return False
    at = len(first)
    for literal in others[:-1]:
        place = segment.find(literal, at + 1)
        if place < 0:
            return False
        at = place + len(literal)
    return segment.endswith(others[-1]) and len(segment) - len(others[-1]) > at


def _literals(template: str) -> list[str]:
    """What stands between the ``{names}`` of a segment; a brace without its partner is a character."""
    parts, at = [""], 0
    while at < len(template):
        opened = template.find("{", at)
        closed = template.find("}", opened) if opened >= 0 else -1
        if closed < 0:
            parts[-1] += template[at:]
            break
        opened = template.rfind("{", opened, closed)  # the innermost
        parts[-1] += template[at:opened]
        parts.append("")
        at = closed + 1
    return parts


def _inside(value: Any) -> Iterable[Any]:
    """What a value of a document holds."""
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


async def _limited_body(request: Request) -> bytes:
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > MAX_REQUEST_BYTES:
                raise InvalidInput(Message("deploy.api.too_large", {"limit": MAX_REQUEST_BYTES >> 20}))
    except ClientDisconnect:
        return b""
    return bytes(content)


async def _relay(client: httpx.AsyncClient, upstream: httpx.Response) -> AsyncIterator[bytes]:
    """The answer's bytes as they come; a page that goes away closes the connection, which stops the generation."""
    try:
        async for chunk in upstream.aiter_bytes():
            yield chunk
    except httpx.HTTPError:
        yield b""  # the server broke off: so does the answer
    finally:
        await upstream.aclose()
        await client.aclose()


@asynccontextmanager
async def _opened(view: ServerView, *, with_key: bool) -> AsyncIterator[httpx.AsyncClient]:
    client = _client(view, with_key=with_key)
    try:
        yield client
    finally:
        await client.aclose()


def _client(view: ServerView, *, with_key: bool) -> httpx.AsyncClient:
    return async_client(view.address, with_key=with_key, timeout=TIMEOUT)


def _unreachable(view: ServerView) -> Unavailable:
    return Unavailable(Message("deploy.api.unreachable", {"name": view.name, "address": view.address}))


def _page(html: str, status: int = 200) -> HTMLResponse:
    headers = {
        "content-security-policy": PAGE_POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cache-control": "no-store",
    }
    return HTMLResponse(whole_text(html), status, headers=headers)
