"""The routes behind the cards' buttons, and the servers' API pages."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from backend.engines.remedies import restarts
from backend.errors import InvalidInput, Message, NotFound
from backend.servers.server import Life
from backend.services import Services
from ui.i18n import say
from ui.ssh import load_login
from ui.tabs.deploy.api_page import api_routes
from ui.tabs.deploy.code_lines import code_lines
from ui.tabs.deploy.get_model import download_routes
from ui.tabs.deploy.keys import key_routes
from ui.tabs.deploy.presets import preset_routes
from ui.web.report import server_report
from ui.web.routes import json_route
from ui.web.visitor import language_of, require_operator


def routes(services: Services) -> Sequence[BaseRoute]:
    """``POST servers/{id}/stop``, ``restart`` {remedy}, ``forget``, ``life``, ``wake``; ``GET servers/{id}/code``,
    ``report``; ``POST leftovers/end``; the engines' installation: ``GET installation``, ``POST installation/{start,
    cancel,forget}``; the API page; keys; downloads; presets."""
    servers = services.servers

    def restart(server_id: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """``remedy`` is the number of one that its card offers; without it nothing is changed."""
        number = body.get("remedy")
        if number is None:
            return {"id": servers.restart(server_id)}
        view = servers.get(server_id)
        offered = restarts(view.trouble, view.config)
        if not isinstance(number, int) or number not in range(len(offered)):
            raise InvalidInput(Message("common.bad_request"))
        return {"id": servers.restart(server_id, offered[number].settings)}

    def stop(server_id: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        servers.stop(server_id)
        return {}

    def forget(server_id: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        servers.forget(server_id)
        return {}

    def code(server_id: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        view = servers.get(server_id)
        takes_key = bool(servers.endpoint(server_id).api_key)
        login = load_login(services.store)
        lines = code_lines(view, services.settings.keys_dir / f"{view.id}.key" if takes_key else None, login)
        return {"lines": lines, "login": login is not None}

    def report(server_id: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"text": server_report(services, servers.get(server_id))}

    def life(server_id: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """``restarts`` (a whole number), ``idle_minutes`` (a number; 0 = never), ``comes_back``."""
        restarts, minutes, comes_back = body.get("restarts"), body.get("idle_minutes"), body.get("comes_back")
        sound = isinstance(restarts, int) and isinstance(minutes, int | float) and isinstance(comes_back, bool)
        if not sound or isinstance(restarts, bool) or isinstance(minutes, bool):
            raise InvalidInput(Message("life.not-numbers", {"restarts": str(restarts), "minutes": str(minutes)}))
        services.keeper.set_life(server_id, Life(int(restarts or 0), float(minutes or 0) * 60, bool(comes_back)))
        return {}

    def wake(server_id: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        servers.wake(server_id)
        return {}

    def end_leftover(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """``pid`` and ``start`` (clock ticks since boot) of a process that the list before the start named."""
        require_operator(request)
        pid, start = body.get("pid"), body.get("start")
        if not isinstance(pid, int) or not isinstance(start, int) or isinstance(pid, bool) or pid < 1:
            raise InvalidInput(Message("common.bad_request"))
        services.end_leftover(pid, start)
        return {}

    def installation(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        require_operator(request)
        told = services.installer.progress()
        problem = told["problem"]
        return {"lines": told["lines"], "problem": None if problem is None else say(problem, language_of(request))}

    def install(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        require_operator(request)
        acts = {name: getattr(services.installer, name) for name in ("start", "cancel", "forget")}
        act = acts.get(request.path_params["act"])
        if act is None:
            raise NotFound(Message("common.bad_request"))
        act()
        return {}

    return [
        _route("stop", stop, "POST"),
        _route("restart", restart, "POST"),
        _route("forget", forget, "POST"),
        _route("life", life, "POST"),
        _route("wake", wake, "POST"),
        _route("code", code, "GET"),
        _route("report", report, "GET"),
        Route("/leftovers/end", json_route(end_leftover), methods=["POST"]),
        Route("/installation", json_route(installation), methods=["GET"]),
        Route("/installation/{act}", json_route(install), methods=["POST"]),
        *api_routes(services),
        *key_routes(services),
        *download_routes(services),
        *preset_routes(services),
    ]


def _route(name: str, act: Callable[[str, Mapping[str, Any]], Mapping[str, Any]], method: str) -> Route:
    """A route that only the operator may use, on the server that its path names."""

    def handle(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        require_operator(request)
        return act(request.path_params["id"], body)

    return Route(f"/servers/{{id}}/{name}", json_route(handle), methods=[method])
