"""The routes behind the cards' buttons, and the servers' API pages."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from backend.services import Services
from ui.access import require_operator
from ui.api_page import api_routes
from ui.routes import json_route
from ui.ssh_login import load_login
from ui.tabs.deploy.code_lines import code_lines


def routes(services: Services) -> Sequence[BaseRoute]:
    """``POST servers/{id}/stop``, ``restart``, ``forget``; ``GET servers/{id}/code``; the API page."""
    servers = services.servers

    def restart(server_id: str) -> Mapping[str, Any]:
        return {"id": servers.restart(server_id)}

    def stop(server_id: str) -> Mapping[str, Any]:
        servers.stop(server_id)
        return {}

    def forget(server_id: str) -> Mapping[str, Any]:
        servers.forget(server_id)
        return {}

    def code(server_id: str) -> Mapping[str, Any]:
        view = servers.get(server_id)
        takes_key = bool(servers.endpoint(server_id).api_key)
        login = load_login(services.store)
        lines = code_lines(view, services.settings.keys_dir / f"{view.id}.key" if takes_key else None, login)
        return {"lines": lines, "login": login is not None}

    return [
        _route("stop", stop, "POST"),
        _route("restart", restart, "POST"),
        _route("forget", forget, "POST"),
        _route("code", code, "GET"),
        *api_routes(services),
    ]


def _route(name: str, act: Callable[[str], Mapping[str, Any]], method: str) -> Route:
    """A route that only the operator may use, on the server that its path names."""

    def handle(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        require_operator(request)
        return act(request.path_params["id"])

    return Route(f"/servers/{{id}}/{name}", json_route(handle), methods=[method])
