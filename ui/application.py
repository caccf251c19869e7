"""The ASGI application: guard, page rewriting, asset cache, then the console's routes and Gradio."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote, urlsplit

import gradio as gr
from fastapi import FastAPI
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.services import Services
from ui.access import Role
from ui.asset_cache import AssetCache
from ui.blocks import create_blocks, theme
from ui.guard import Guard
from ui.html_head import ASSETS, HtmlHead
from ui.i18n import gradio_i18n
from ui.routes import console_routes
from ui.tabs import TABS
from ui.uploads import OwnUploads

ASSET_FOLDERS = ("js", "css", "icons", "pictures")
MAX_UPLOAD = "64mb"


def create_app(services: Services, tokens: dict[Role, str]) -> ASGIApp:
    """Everything that answers on the console's port. ``tokens`` let people in, by role."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await services.chat.close()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    routes = console_routes(services)
    for tab in TABS:
        routes += tab.routes(services)
    files = [Mount(f"/assets/{name}", StaticFiles(directory=ASSETS / name, check_dir=False)) for name in ASSET_FOLDERS]
    app.mount("/console", Mount("/", routes=[*routes, *files]))
    gr.mount_gradio_app(
        app,
        create_blocks(services),
        path="/",
        root_path=services.settings.root_path or None,
        footer_links=["settings"],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        show_error=False,
        max_file_size=MAX_UPLOAD,
        favicon_path=str(ASSETS / "icons" / "favicon.png"),
        i18n=gradio_i18n(),
        theme=theme(),
    )
    page = OwnUploads(app, services.settings.uploads_dir)
    guarded = Guard(AssetCache(HtmlHead(page, [tab.name for tab in TABS])), tokens, services.settings)
    return without_prefix(guarded, urlsplit(services.settings.root_path).path)


def without_prefix(app: ASGIApp, prefix: str) -> ASGIApp:
    """The same application where a proxy leaves its prefix in the path, and where the page is opened without the proxy:
    either way Gradio's page asks under the prefix that it was told of."""
    if not prefix:
        return app

    async def stripped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"].startswith(f"{prefix}/"):
            path = scope["path"].removeprefix(prefix)
            scope = {**scope, "path": path, "raw_path": quote(path).encode()}
        await app(scope, receive, send)

    return stripped
