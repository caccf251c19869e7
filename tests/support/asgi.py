"""Asking an ASGI application directly, as uvicorn would."""

from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.web.visitor import language_of, role_of, visitor_of


async def tell_visitor(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers with what the guard left behind."""
    request = Request(scope)
    who = {"role": role_of(request), "language": language_of(request), "visitor": visitor_of(request)}
    await JSONResponse({"path": scope["path"], "query": scope["query_string"].decode(), **who})(scope, receive, send)


def client(app: ASGIApp, host: str = "127.0.0.1:8300", **options: Any) -> httpx.AsyncClient:
    """A client whose requests name that host; cookies are kept as a browser would."""
    transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 50000))
    return httpx.AsyncClient(transport=transport, base_url=f"http://{host}", follow_redirects=False, **options)
