"""What a page's script hears while a server says nothing."""

import asyncio
from collections.abc import Iterator

import pytest

from backend.chat.conversation import Sampling
from backend.engines.base import ServeConfig
from backend.services import Services, build_services
from backend.settings import Settings
from tests.support.scripted_server import Scripted
from ui.tabs.chat.stream import HEARTBEAT, lines
from ui.web.visitor import Role, Visitor

DEADLINE_S = 60.0
ME = Visitor(Role.OPERATOR, "en", "a" * 32)


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    services = build_services(settings)
    yield services
    services.close()


async def test_a_silent_answer_gives_signs_of_life(services: Services) -> None:
    child = Scripted("--fault", "stall")
    try:
        server = services.servers.start(ServeConfig(engine="external", model="", address=child.address))
        await services.chat.asking.ask(ME.id, "Hello", (), Sampling(), (server,))
        heard = []
        async with asyncio.timeout(DEADLINE_S):
            async for line in lines(services, ME):
                heard.append(line)
                if heard[-2:] == [HEARTBEAT, HEARTBEAT]:
                    break
        assert heard[0].startswith(b"{")
    finally:
        await services.chat.close()
        child.close()
