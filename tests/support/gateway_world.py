"""A console's /v1 on a real port, without its page."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import httpx
import openai
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from backend.engines.base import ServeConfig
from backend.servers.server import ServerView
from backend.services import Services, build_services
from backend.settings import Settings
from tests.support.waiting import wait_for
from ui.web.connections import protocol_for, raise_file_limit
from ui.web.gateway import GatewayRoutes

OPERATOR = "o" * 32
TOKENS = {"operator": OPERATOR, "class": "c" * 32}
DEADLINE_S = 60.0
ORIGIN = "https://notebook.example"


async def the_page(scope: Scope, receive: Receive, send: Send) -> None:
    """What stands behind /v1: not to be reached with a key alone."""
    if scope["type"] == "http":
        await PlainTextResponse("the page", 401)(scope, receive, send)


class Addressed(Protocol):
    """A server that a test runs."""

    @property
    def address(self) -> str:
        """As a person would give it."""


@dataclass
class World:
    """A console's /v1 on a real port, with servers of the test's own."""

    services: Services
    port: int
    clients: ExitStack = field(default_factory=ExitStack)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, child: Addressed, name: str, *, lent: bool = True) -> str:
        """The child as an external server of the console."""
        config = ServeConfig(engine="external", model="", address=child.address, model_name="")
        server_id = self.services.servers.start(config)
        view = self.services.servers.get(server_id)
        self.services.servers._update(server_id, lambda v: _named(v, name))
        assert view.model_id == "scripted"
        if lent:
            self.services.gateway.lend(server_id, True)
        return server_id

    def client(self, key: str = OPERATOR, **options: Any) -> httpx.Client:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.address, headers=headers, trust_env=False, timeout=DEADLINE_S, **options)

    def openai(self, key: str = OPERATOR) -> openai.OpenAI:
        client = openai.OpenAI(base_url=f"{self.address}/v1", api_key=key, max_retries=0, timeout=DEADLINE_S)
        return self.clients.enter_context(client)


def _named(view: ServerView, name: str) -> ServerView:
    return replace(view, name=name, config=replace(view.config, model_name=name))


@contextmanager
def serving(settings: Settings) -> Iterator[World]:
    """A world for the time of the block."""
    most = raise_file_limit()
    services = build_services(settings, TOKENS)
    app = GatewayRoutes(the_page, services.gateway, replace(settings, api_origins=(ORIGIN,)), services.metrics)
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    http = protocol_for(most)
    server = uvicorn.Server(uvicorn.Config(app, http=http, ws="none", log_config=None, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(_serve(server, listener, services)))
    thread.start()
    wait_for("the server", lambda: server.started, DEADLINE_S)
    world = World(services, listener.getsockname()[1])
    with world.clients:
        yield world
    server.should_exit = True
    thread.join(DEADLINE_S)
    services.close()
    listener.close()


async def _serve(server: uvicorn.Server, listener: socket.socket, services: Services) -> None:
    await server.serve(sockets=[listener])
    await services.gateway.close()
