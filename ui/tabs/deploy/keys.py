"""Routes of "Keys" on the Deploy tab: keys of the console's API address, and which external servers it lends.

    keys                     GET the list, POST a new one
    keys/{id}/withdraw       POST
    servers/{id}/lend        POST {"lent": true}

The operator's alone. A new key's secret is in the answer to its making and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from backend.errors import InvalidInput, Message
from backend.gateway.keys import Limits, NamedKey
from backend.gateway.names import listed
from backend.gateway.service import Gateway
from backend.services import Services
from ui.web.routes import json_route
from ui.web.visitor import require_operator

MOST = 10**12


def key_routes(services: Services) -> list[BaseRoute]:
    """The routes, to be mounted under ``console/``."""
    gateway = services.gateway

    def show(request: Request, body: Mapping[str, Any]) -> Response:
        require_operator(request)
        views = services.servers.snapshot()
        return JSONResponse(
            {
                "keys": [key_json(key, gateway) for key in gateway.keys.all()],
                "servers": {one.view.id: one.id for one in listed(views, gateway.lent())},
                "lent": sorted(gateway.lent()),
            }
        )

    def make(request: Request, body: Mapping[str, Any]) -> Response:
        require_operator(request)
        secret, key = gateway.keys.make(str(body.get("name") or ""), read_limits(body))
        return JSONResponse({"secret": secret, "key": key_json(key, gateway)}, 201)

    def withdraw(request: Request, body: Mapping[str, Any]) -> Response:
        require_operator(request)
        key_id = request.path_params["id"]
        gateway.keys.withdraw(key_id)
        gateway.meter.forget(key_id)
        return Response(status_code=204)

    def lend(request: Request, body: Mapping[str, Any]) -> Response:
        require_operator(request)
        gateway.lend(request.path_params["id"], body.get("lent") is True)
        return Response(status_code=204)

    return [
        Route("/keys", json_route(show), methods=["GET"]),
        Route("/keys", json_route(make), methods=["POST"]),
        Route("/keys/{id}/withdraw", json_route(withdraw), methods=["POST"]),
        Route("/servers/{id}/lend", json_route(lend), methods=["POST"]),
    ]


def key_json(key: NamedKey, gateway: Gateway) -> dict[str, Any]:
    """A key as the page shows it: without its hash."""
    shown = asdict(key)
    del shown["digest"]
    return {**shown, "usage": asdict(gateway.meter.of(key.id))}


def read_limits(body: Mapping[str, Any]) -> Limits:
    """The limits of a request; empty fields are no limit. Raises InvalidInput naming the field."""
    servers = body.get("servers") or []
    if not isinstance(servers, list) or not all(isinstance(name, str) for name in servers):
        raise InvalidInput(Message("gateway.key-servers", field="key_servers"))
    return Limits(
        _whole(body.get("requests_a_minute"), "requests_a_minute"),
        _whole(body.get("tokens_a_day"), "tokens_a_day"),
        tuple(servers),
    )


def _whole(value: object, field: str) -> int | None:
    text = "" if value is None else str(value).strip().replace(",", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:20]) <= MOST:
        raise InvalidInput(Message("gateway.key-limit", {"value": text[:40]}, field))
    return int(text)
