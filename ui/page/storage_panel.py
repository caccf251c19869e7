"""What the state folder keeps, as a table with a Clear for each kind: its place on the page, and its routes.

    storage                  GET the table
    storage/{kind}/clear     POST: what of that kind nobody needs is removed

The operator's alone. The table is read from the disk at each request: nothing is remembered, and no page waits for it
but the one that asks.
"""

import shutil
from collections.abc import Mapping
from typing import Any

import gradio as gr
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from backend.console import storage
from backend.services import Services
from ui.i18n import Language, say
from ui.page.bridge import part
from ui.web.routes import json_route
from ui.web.visitor import language_of, require_operator


def storage_panel(area: str) -> gr.HTML:
    """Its place: the area's script fills its part ``storage`` by ui/page/storage_panel.js.

    No gr.Accordion: what is in a closed one isn't there yet, and couldn't hide it from a class.
    """
    return part(area, "storage")


def storage_routes(services: Services) -> list[BaseRoute]:
    """The routes, to be mounted under ``console/``."""

    def show(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        require_operator(request)
        return table_json(services, language_of(request))

    def clear(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        require_operator(request)
        freed = storage.clear(services.kept(), request.path_params["kind"])
        return {"freed_bytes": freed, **table_json(services, language_of(request))}

    return [
        Route("/storage", json_route(show), methods=["GET"]),
        Route("/storage/{kind}/clear", json_route(clear), methods=["POST"]),
    ]


def table_json(services: Services, language: Language) -> dict[str, Any]:
    """The table as the page shows it. ``free_bytes`` is what the folder's disk has left, None where it doesn't tell."""
    folder = services.settings.state_dir
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError:
        free_bytes = None
    return {
        "folder": str(folder),
        "free_bytes": free_bytes,
        "kinds": [kind_json(kept, language) for kept in storage.table(services.kept())],
    }


def kind_json(kept: storage.Kept, language: Language) -> dict[str, Any]:
    """A row: what it is, how large, for how long it is kept, and how much of it a Clear would remove."""
    return {
        "kind": kept.kind,
        "title": say(kept.title, language),
        "until": say(kept.until, language),
        "files": kept.files,
        "size_bytes": kept.size_bytes,
        "clearable_bytes": kept.clearable_bytes,
    }
