"""What the Lab puts into other tabs' forms."""

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from ui.tabs.lab.handlers import Handlers
from ui.web.visitor import STATE_KEY, Role, Visitor

OFFERS = [{"path": "/models/internlm2_5-1_8b", "name": "internlm2_5-1_8b", "weights": False}]


def asking(role: Role = Role.OPERATOR) -> Any:
    visitor = Visitor(role=role, id="a" * 32, language="en")
    return SimpleNamespace(request=SimpleNamespace(scope={"state": {STATE_KEY: visitor}}))


@pytest.fixture
def handlers() -> Handlers:
    tables = SimpleNamespace(offers=lambda: OFFERS)
    return Handlers(SimpleNamespace(lab=SimpleNamespace(tables=tables)))  # type: ignore[arg-type]


def test_the_missing_weights_model_stands_on_the_quantize_tab(handlers: Handlers) -> None:
    message, tabs, model, method = handlers.quantize(asking(), "/models/internlm2_5-1_8b")
    assert (model, method) == ("/models/internlm2_5-1_8b", "awq")
    assert isinstance(tabs, gr.Tabs)
    assert "internlm2_5-1_8b stands on the Quantize tab" in message


@pytest.mark.parametrize("model", ["/etc", "", None, 7])
def test_no_other_model_does(handlers: Handlers, model: object) -> None:
    message, *left = handlers.quantize(asking(), model)
    assert 'role="alert"' in message
    assert left == [gr.skip()] * 3


def test_a_class_fills_nothing(handlers: Handlers) -> None:
    message, *left = handlers.quantize(asking(Role.CLASS), "/models/internlm2_5-1_8b")
    assert 'data-key="common.operator_only"' in message
    assert left == [gr.skip()] * 3
