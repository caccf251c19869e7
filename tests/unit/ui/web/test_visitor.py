"""Who asks, from a gr.Request and from a Starlette request."""

from collections.abc import Callable

import gradio as gr
import pytest
from starlette.requests import Request

from backend.errors import Forbidden
from ui.web.visitor import Role, language_of, require_operator, role_of, visitor_of

Ask = Callable[..., gr.Request]


def test_both_kinds_of_request(ask: Ask) -> None:
    request = ask(Role.CLASS, language="zh", visitor="a" * 32)
    for kind in (request, request.request):
        assert role_of(kind) is Role.CLASS
        assert language_of(kind) == "zh"
        assert visitor_of(kind) == "a" * 32


def test_only_the_operator(ask: Ask) -> None:
    require_operator(ask(Role.OPERATOR))
    with pytest.raises(Forbidden) as caught:
        require_operator(ask(Role.CLASS))
    assert caught.value.messages[0].key == "common.operator_only"


@pytest.mark.parametrize("state", [{}, {"console_visitor": {"role": "operator"}}])
def test_a_request_that_passed_no_guard(state: dict[str, object]) -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "state": state}
    with pytest.raises(Forbidden):
        require_operator(gr.Request(Request(scope)))


def test_no_request_at_all() -> None:
    with pytest.raises(Forbidden):
        require_operator(None)
