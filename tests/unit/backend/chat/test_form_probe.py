"""Whether a server elsewhere holds an answer to a schema: asked once, and what that tells."""

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from backend.chat.abilities import check_able, unable
from backend.chat.client import Client
from backend.chat.conversation import AnswerForm, Sampling
from backend.chat.form_probe import FormProbe
from backend.engines.base import ServeConfig
from backend.errors import InvalidInput
from backend.servers.server import ServerState, ServerView
from tests.support.many_views import server

URL = "http://127.0.0.1:9/v1"
VIEW = replace(server(1), config=ServeConfig("external", ""))


def completion(text: str) -> httpx.Response:
    return httpx.Response(200, json={"choices": [{"message": {"content": text}}]})


class World:
    """A server that answers so, and a probe that asks it."""

    def __init__(self, answer: Callable[[dict[str, Any]], httpx.Response]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.view = VIEW

        def respond(request: httpx.Request) -> httpx.Response:
            self.asked.append(json.loads(request.content))
            return answer(self.asked[-1])

        self.client = Client()
        self.client._clients[URL, "key"] = httpx.AsyncClient(transport=httpx.MockTransport(respond))
        self.probe = FormProbe(self.client, self)  # type: ignore[arg-type]  # as much of the manager as is asked

    def get(self, server_id: str) -> ServerView:
        return self.view

    def endpoint(self, server_id: str) -> Any:
        return SimpleNamespace(base_url=URL, api_key="key")

    def change(self, server_id: str, change: Callable[[ServerView], ServerView]) -> ServerView:
        self.view = change(self.view)
        return self.view

    async def look(self) -> bool | None:
        await self.probe.look(self.view.id)
        return self.view.takes_forms


def refusing(body: dict[str, Any]) -> httpx.Response:
    return httpx.Response(422, json={"detail": "no such field"}) if "response_format" in body else completion("Y")


def unreachable(body: dict[str, Any]) -> httpx.Response:
    raise httpx.ConnectError("nobody")


@pytest.mark.parametrize(
    ("answer", "takes", "asked"),
    [
        (lambda body: completion('{"is_held": true}'), True, 1),
        (lambda body: completion('  {\n  "is_held": tr'), True, 1),  # cut by its length
        (lambda body: completion("Yes, 2 is even."), False, 1),
        (lambda body: completion('{"answer": "yes"}'), False, 1),
        (refusing, False, 2),
        (lambda body: httpx.Response(500, text="down"), None, 2),  # it refuses everything
        (lambda body: httpx.Response(401, json={"error": "key"}), None, 2),
        (lambda body: completion(""), None, 1),  # it thinks: nothing tells
        (lambda body: httpx.Response(200, text="<html>"), None, 1),
        (unreachable, None, 1),
    ],
)
async def test_what_an_answer_tells(
    answer: Callable[[dict[str, Any]], httpx.Response], takes: bool | None, asked: int
) -> None:
    world = World(answer)
    assert await world.look() is takes
    assert await world.look() is takes
    assert len(world.asked) == asked  # nobody is asked twice
    assert world.asked[0]["response_format"]["type"] == "json_schema"
    assert world.asked[0]["max_tokens"] <= 24


@pytest.mark.parametrize(
    "view",
    [
        replace(VIEW, config=ServeConfig("turbomind", "/m")),
        replace(VIEW, takes_forms=True),
        replace(VIEW, state=ServerState.UNREACHABLE),
    ],
)
async def test_where_it_is_known_or_cannot_be_asked_nobody_is(view: ServerView) -> None:
    world = World(lambda body: completion("Yes."))
    world.view = view
    assert await world.look() is view.takes_forms
    assert not world.asked


def test_a_server_that_cannot_is_said_before_it_is_asked() -> None:
    assert unable(VIEW) == frozenset()
    other = replace(VIEW, takes_forms=False)
    assert unable(other) == {"answer_form"}
    sampling = Sampling(answer_form=AnswerForm("regex", "a"))
    check_able(sampling, (VIEW,))
    with pytest.raises(InvalidInput) as caught:
        check_able(sampling, (other,))
    assert caught.value.messages[0].key == "chat.error.unable.answer_form_asked"
