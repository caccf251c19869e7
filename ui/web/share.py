"""What the operator needs to let a class in: the class's address and its QR code, the SSH line, who is here."""

from collections.abc import Mapping, Sequence
from typing import Any

import segno
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from backend.errors import InvalidInput, Message
from backend.machine.network import is_loopback
from backend.services import Services
from ui.cli import shared_addresses, ssh_line
from ui.ssh import load_login
from ui.web.routes import json_route, whole_number
from ui.web.visitor import Role, require_operator, visitor

LONGEST = 1000  # characters of an address in a QR code


def share_routes(services: Services, tokens: Mapping[Role, str]) -> Sequence[BaseRoute]:
    """Under ``console/``; ``tokens`` let people in, by role."""
    settings = services.settings

    def share(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """``token`` opens the page for a class. ``addresses`` are where this machine is on the network, none where the
        console listens on loopback: then a class comes by ``ssh``. ``local_port`` is the operator's own browser's."""
        require_operator(request)
        port = int((request.scope.get("server") or ("", settings.port))[1] or settings.port)
        local = whole_number(request, "local_port")
        local_port = local if 0 < local < 65536 else None
        outside = settings.root_path.startswith("http") or not is_loopback(settings.host)
        return {
            "token": tokens[Role.CLASS],
            "addresses": shared_addresses(settings, port) if outside else [],
            "ssh": ssh_line(load_login(services.store), port, local_port),
        }

    def qr(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A text as a QR code: ``size`` modules a side, and the ``path`` of an SVG that fills the dark ones."""
        require_operator(request)
        text = body.get("text")
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST:
            raise InvalidInput(Message("common.bad_request"))
        rows = [list(row) for row in segno.make(text, error="m", micro=False).matrix]
        return {"size": len(rows), "path": path_of(rows)}

    def answers(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """How many answers of others a stop of that server would break off."""
        require_operator(request)
        return {"others": services.answering(request.path_params["id"], visitor(request).id)}

    return (
        Route("/share", json_route(share), methods=["GET"]),
        Route("/share/qr", json_route(qr), methods=["POST"]),
        Route("/servers/{id}/answers", json_route(answers), methods=["GET"]),
    )


def path_of(rows: Sequence[Sequence[int]]) -> str:
    """Each run of dark modules in a row as one rectangle."""
    parts = []
    for y, row in enumerate(rows):
        x = 0
        while x < len(row):
            length = 0
            while x + length < len(row) and row[x + length]:
                length += 1
            if length:
                parts.append(f"M{x} {y}h{length}v1h-{length}z")
            x += max(length, 1)
    return "".join(parts)
