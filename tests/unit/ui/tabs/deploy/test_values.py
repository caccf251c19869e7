from typing import Any

import pytest

from backend.engines.base import ServeConfig
from backend.errors import InvalidInput
from ui.tabs.deploy.values import CONTROLS, FormValues, form_values, serve_config

ALL = frozenset(CONTROLS)


def config(used: frozenset[str] = ALL, **values: object) -> ServeConfig:
    return serve_config(FormValues({"engine": "turbomind", "model": "/m", **values}), used)


def test_an_untouched_form_is_the_default_configuration() -> None:
    assert config() == ServeConfig(engine="turbomind", model="/m")


def test_every_field_is_read() -> None:
    made = config(
        environment="/opt/python", gpus=["1", "0"], model_format="awq", quant_policy="4", cache_max_entry_count=0.4,
        tp="2", session_len="4096", dtype="float16", port="23334", model_name="tiny", trust_remote_code=True,
        extra="--max-batch-size 64 --chat-template '/a b.json'", address=" http://h:1 ", api_key="secret",
    )  # fmt: skip
    assert made == ServeConfig(
        engine="turbomind", model="/m", environment="/opt/python", gpus=("1", "0"), model_format="awq", quant_policy=4,
        cache_max_entry_count=0.4, tp=2, session_len=4096, dtype="float16", port=23334, model_name="tiny",
        trust_remote_code=True, extra=("--max-batch-size", "64", "--chat-template", "/a b.json"), address="http://h:1",
        api_key="secret",
    )  # fmt: skip


def test_a_typed_label_counts_as_its_value() -> None:
    made = config(engine="turbomind · fast", quant_policy="4 · int4", gpus=["0 · NVIDIA H200 · 139.8 GiB"])
    assert (made.engine, made.quant_policy, made.gpus) == ("turbomind", 4, ("0",))


@pytest.mark.parametrize(
    ("text", "ratio"), [(0.4, 0.4), ("0.4", 0.4), ("40%", 0.4), (None, 0.8), ("", 0.8), (1.5, 1.5)]
)
def test_the_ratio_takes_a_share_or_a_percentage(text: object, ratio: float) -> None:
    assert config(cache_max_entry_count=text).cache_max_entry_count == ratio


@pytest.mark.parametrize(("value", "number"), [(4096.0, 4096), ("32,768", 32768), ("", None), (None, None)])
def test_the_session_length_is_a_whole_number_or_nothing(value: object, number: int | None) -> None:
    assert config(session_len=value).session_len == number


@pytest.mark.parametrize(
    ("field", "value", "key"),
    [
        ("session_len", "many", "deploy.error.not_whole"),
        ("session_len", "1.5", "deploy.error.not_whole"),
        ("port", "http", "deploy.error.not_whole"),
        ("tp", "two", "deploy.error.not_whole"),
        ("quant_policy", "int4", "deploy.error.not_whole"),
        ("cache_max_entry_count", "half", "deploy.error.not_ratio"),
        ("cache_max_entry_count", "nan", "deploy.error.not_ratio"),
        ("extra", "--a 'b", "deploy.error.quotes"),
        ("model_name", "a\nb", "deploy.error.line_break"),
    ],
)
def test_what_cannot_be_read_names_its_control_and_value(field: str, value: str, key: str) -> None:
    unread: dict[str, Any] = {field: value}
    with pytest.raises(InvalidInput) as caught:
        config(**unread)
    (message,) = caught.value.messages
    assert (message.key, message.field, message.params["value"]) == (key, CONTROLS[field], value)


def test_all_wrong_fields_are_named_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        config(port="x", session_len="y")
    assert {message.field for message in caught.value.messages} == {"deploy-port", "deploy-session-len"}


def test_a_field_that_the_engine_does_not_use_is_ignored() -> None:
    assert config(frozenset({"port"}), quant_policy="nonsense", port="8000") == ServeConfig(
        "turbomind", "/m", port=8000
    )


@pytest.mark.parametrize("path", ["/a b/c", "/a'b\"c", "/模型/甲", "--model", "/a\nb"])
def test_a_strange_path_reaches_the_catalogue_as_it_is(path: str) -> None:
    assert config(model=path).model == path


def test_settings_go_into_the_form_and_back() -> None:
    original = ServeConfig(
        "pytorch", "/m", gpus=("0", "1"), quant_policy=8, tp=2, session_len=100, port=1234, extra=("--a", "b c")
    )
    assert serve_config(form_values(original), ALL) == original
