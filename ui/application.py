"""The ASGI application: guard, asset cache, page rewriting, then the console's routes and Gradio."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.routing import Mount
from starlette.types import ASGIApp

from backend.services import Services
from ui.blocks import create_blocks, theme
from ui.first_files import carried_script, first_files, style_sheet
from ui.gradio_compat.server import mount
from ui.i18n import page_i18n
from ui.page.storage_panel import storage_routes
from ui.tabs import TABS
from ui.web.asset_cache import AssetCache
from ui.web.asset_files import FILES, all_urls, asset_route
from ui.web.bodies import BoundedBodies
from ui.web.classroom import class_routes
from ui.web.gateway import GatewayRoutes
from ui.web.going_on import GoesOn
from ui.web.guard import Guard
from ui.web.html_head import HtmlHead
from ui.web.places import BelowBase
from ui.web.routes import console_routes
from ui.web.share import share_routes
from ui.web.snapshot import SnapshotPoll
from ui.web.upload_shelf import Shelf
from ui.web.uploads import MAX_UPLOAD, OwnUploads
from ui.web.visitor import Role


def create_app(services: Services, tokens: dict[Role, str]) -> ASGIApp:
    """Everything that answers on the console's port. ``tokens`` let people in, by role."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.chat.begin_sweeping()
        yield
        await services.chat.close()
        await services.gateway.close()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    poll = SnapshotPoll(services)
    routes = [*console_routes(services, poll), *share_routes(services, tokens), *storage_routes(services)]
    routes += class_routes(services)
    for tab in TABS:
        routes += tab.routes(services)
    page = create_blocks(services)  # before page_i18n, which has the texts that the page was built with
    page.known_by(all_urls())
    shown = {role: [tab.name for tab in TABS if tab.for_class or role is Role.OPERATOR] for role in Role}
    first = {role: first_files(page.kinds_at_first(tabs[0]), page.kinds()) for role, tabs in shown.items()}
    styles = style_sheet(first[Role.OPERATOR])  # all components' styles: every role's are the same
    carried = {role.value: carried_script(files) for role, files in first.items()}
    app.mount("/console", Mount("/", routes=[*routes, asset_route(styles, carried)]))
    shelf = Shelf(services.settings.uploads_dir)
    services.chat.library.on_deleted = shelf.forget
    mount(
        app,
        page,
        lambda gradio: GoesOn(OwnUploads(BoundedBodies(gradio), shelf)),
        max_file_size=MAX_UPLOAD,
        favicon_path=str(FILES["icons/favicon.png"]),
        i18n=page_i18n(),
        theme=theme(),
    )
    below = BelowBase(app, services.settings.root_path)
    page_or_poll = poll.before(AssetCache(HtmlHead(below, shown, first)))
    guarded = Guard(page_or_poll, tokens, services.settings, services.chat.roles, services.chat.people.role_of)
    return GatewayRoutes(guarded, services.gateway, services.settings, services.metrics)
