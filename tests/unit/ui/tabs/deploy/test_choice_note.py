"""Whose memory and whose port it is: the console's own servers are named, with a button that makes room."""

from dataclasses import replace

import pytest

from backend.engines.base import ServeConfig
from backend.engines.remedies import Case
from backend.errors import Message
from backend.gateway.names import listed
from backend.machine.machine import Machine
from backend.records import unique_name
from backend.servers.server import ServerState, ServerView
from tests.support.servers_of import server
from ui.i18n import LANGUAGES, Language
from ui.tabs.deploy.choice_note import beside, with_holder
from ui.tabs.deploy.remedy_buttons import buttons_for, plan_buttons

TAKEN = Message("servers.port-in-use", {"value": 23333, "free": 23334}, "port")
CASE = Case(ServeConfig("turbomind", "m", port=23333), None, Machine((), "", "", ()))


def view(engine: str = "turbomind", state: ServerState = ServerState.RUNNING, **changes: object) -> ServerView:
    made = server(id="a1", name="demo :23333", served_name="demo", port=23333, state=state)
    return replace(made, config=ServeConfig(engine, "m", **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_own_server_on_a_port_is_named_and_can_be_replaced(language: Language) -> None:
    (own,) = with_holder([TAKEN], [view()])
    assert (own.key, own.params["name"]) == ("servers.port-own", "demo :23333")
    html = buttons_for(CASE, language)(own)
    assert "&quot;stop&quot;: &quot;a1&quot;" in html
    assert "23334" in html
    for other in (view(state=ServerState.STOPPED), view("external")):
        assert with_holder([TAKEN], [other]) == [TAKEN]
    assert "stop" not in buttons_for(CASE, language)(TAKEN)


def test_only_servers_that_hold_the_same_memory_are_offered_to_be_stopped() -> None:
    config = ServeConfig("turbomind", "m")
    views = [view(), view("transformers"), view("external"), view(state=ServerState.FAILED), view(gpus=("1",))]
    assert beside(config, views) == [views[0]]
    assert beside(replace(config, gpus=("1",)), views) == [views[4]]
    assert beside(ServeConfig("transformers", "m"), views) == [views[1]]
    html = plan_buttons([Message("plan.remedy.ratio", {"ratio": 0.47})], 1, [("a1", "<b>")], "m", "en")
    assert "Set the ratio to 0.47" in html
    assert "<b>" not in html


def test_names_are_unique_and_programs_go_on_by_the_models() -> None:
    assert unique_name("demo :1", {"demo :1", "demo :1 (2)"}) == "demo :1 (3)"
    assert [one.id for one in listed([view()], frozenset())] == ["demo"]
