"""A server's settings in the form, with the flag that an answer on Chat lacked."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from backend.engines.base import ServeConfig
from tests.support.machines import CONSOLE, config, model
from ui.tabs.deploy.handlers import Handlers
from ui.tabs.deploy.values import CONTROLS, FormValues, serve_config
from ui.web.visitor import Role


def handlers(running: ServeConfig, architecture: str) -> Handlers:
    """Those of a console with that one server."""
    view = SimpleNamespace(config=running, name="fox")
    preview = SimpleNamespace(model=model(architecture), environment=CONSOLE)
    servers = SimpleNamespace(get=lambda server_id: view, preview=lambda wanted: preview)
    return Handlers(SimpleNamespace(servers=servers))  # type: ignore[arg-type]


def filled(values: Any) -> ServeConfig:
    assert len(values) == 1 + len(CONTROLS)
    return serve_config(FormValues(dict(zip(CONTROLS, values[1:], strict=True))), CONTROLS)


@pytest.mark.parametrize("extra", [(), ("--max-log-len", "10")])
def test_the_parser_that_the_model_needs(ask: Callable[..., Any], extra: tuple[str, ...]) -> None:
    running = replace(config(), extra=extra)
    html, *_ = values = handlers(running, "Qwen3ForCausalLM").add_parser(ask(Role.OPERATOR), "x")
    assert filled(values) == replace(running, extra=(*extra, "--tool-call-parser", "qwen3"))
    assert "--tool-call-parser qwen3" in html


def test_where_it_has_one_or_nobody_knows_any_the_settings_come_as_they_are(ask: Callable[..., Any]) -> None:
    running = replace(config(), extra=("--tool-call-parser", "qwen"))
    for held, architecture in ((running, "Qwen3ForCausalLM"), (config(), "NovaForCausalLM")):
        values = handlers(held, architecture).add_parser(ask(Role.OPERATOR), "x")
        assert filled(values) == held
        assert 'data-key="deploy.message.filled"' in values[0]


def test_the_flag_for_log_probabilities_replaces_another_mode(ask: Callable[..., Any]) -> None:
    running = replace(config(), engine="pytorch", extra=("--logprobs-mode", "raw_logits", "--max-log-len", "10"))
    values = handlers(running, "Qwen3ForCausalLM").add_logprobs(ask(Role.OPERATOR), "x")
    assert filled(values).extra == ("--max-log-len", "10", "--logprobs-mode", "raw_logprobs")


def test_a_class_fills_nothing(ask: Callable[..., Any]) -> None:
    nothing = Handlers(SimpleNamespace())  # type: ignore[arg-type]  # nothing of it may be touched
    for values in (nothing.add_parser(ask(Role.CLASS), "x"), nothing.add_logprobs(ask(Role.CLASS), "x")):
        assert 'data-key="common.operator_only"' in values[0]
