"""What of a request passes on."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.gateway.errors import Refusal
from backend.gateway.request import ENDPOINTS, MAX_VALUES, choices_in, passed_on, read_json

CHAT = ENDPOINTS["chat/completions"]
PIXEL = "data:image/png;base64," + base64.b64encode(b"\x89PNG....").decode()
ASK = [{"role": "user", "content": "hi"}]


def picture(url: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": url}]}]


def refused(body: dict[str, Any], path: str = "chat/completions") -> Refusal:
    with pytest.raises(Refusal) as error:
        passed_on(ENDPOINTS[path], body)
    assert error.value.status == 400
    return error.value


def test_a_whole_request_passes() -> None:
    body = {
        "model": "a", "messages": [
            {"role": "system", "content": "Be brief."},
            *picture({"url": PIXEL, "detail": "high"}),
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "8"},
        ],
        "temperature": 0.8, "top_p": 0.8, "max_tokens": 1024, "stream": True, "n": 1, "stop": ["\n"],
        "tools": [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}],
        "chat_template_kwargs": {"enable_thinking": False},
    }  # fmt: skip
    assert passed_on(CHAT, body) == (body, ())


def test_what_means_nothing_here_is_left_out_and_named() -> None:
    request, left_out = passed_on(CHAT, {"model": "a", "messages": ASK, "store": True, "metadata": {"a": "b"}})
    assert request == {"model": "a", "messages": ASK}
    assert left_out == ("metadata", "store")


def test_what_open_webui_passes_on_of_ollamas_settings() -> None:
    body = {"model": "a", "messages": ASK, "repeat_penalty": 1.1, "num_ctx": 4096, "mirostat": 0, "top_k": 40}
    request, left_out = passed_on(CHAT, body)
    assert request == {"model": "a", "messages": ASK, "repetition_penalty": 1.1, "top_k": 40}
    assert left_out == ("mirostat", "num_ctx")
    request, left_out = passed_on(CHAT, {**body, "repetition_penalty": 1.2})  # LMDeploy's own name goes before
    assert request["repetition_penalty"] == 1.2
    assert "repeat_penalty" in left_out


def test_what_is_null_or_as_it_is_anyway_isnt_set() -> None:
    body = {"model": "a", "messages": ASK, "modalities": ["text"], "audio": None, "web_search_options": None}
    assert passed_on(CHAT, body) == ({"model": "a", "messages": ASK}, ("audio", "modalities", "web_search_options"))
    prompt = {"model": "a", "prompt": "b"}
    assert passed_on(ENDPOINTS["completions"], {**prompt, "best_of": 1}) == (prompt, ("best_of",))


def test_an_answer_of_another_server_may_be_said_again() -> None:
    answer: dict[str, Any] = {
        "role": "assistant",
        "content": "a",
        "annotations": [],
        "audio": None,
        "reasoning": "b",
        "refusal": None,
    }
    cached = {"type": "text", "text": "c", "cache_control": {"type": "ephemeral"}}
    asked = [answer, {"role": "user", "content": [cached], "cache_control": None}]
    request, left_out = passed_on(CHAT, {"model": "a", "messages": asked})
    assert request["messages"] == [
        {"role": "assistant", "content": "a", "refusal": None},
        {"role": "user", "content": [{"type": "text", "text": "c"}]},
    ]
    assert left_out == ("messages.content.cache_control", "messages.reasoning")
    assert "annotations" in answer  # what was given is as it was


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "/etc/passwd", "http://169.254.169.254/", "https://example.org/a.png", "ftp://a/b", "",
        "data:text/html;base64,AAAA", "data:image/svg+xml;base64,AAAA", "DATA:text/html;base64,AAAA",
        "data:image/png,AAAA", "data:image/png;base64,", "data:image/png;base64,A", "data:image/png;base64,AAAA=A",
        "data:image/png;base64,AAAA\nfile:///etc/passwd", "data:image/png;base64,AAAA data:image/png;base64,AAAA",
        "file:data:image/png;base64,AAAA", "data:image/png\n;base64,\u0410AAA",
        {"url": "file:///etc/passwd"}, {"url": PIXEL, "path": "/etc/passwd"}, {"path": "/etc/passwd"}, ["x"], None, 7,
        {"url": {"url": PIXEL}},
    ],
)  # fmt: skip
def test_pictures_are_data_alone(url: Any) -> None:
    refused({"model": "a", "messages": picture(url)})


def passed_picture(part: dict[str, Any]) -> Any:
    request, _ = passed_on(CHAT, {"model": "a", "messages": [{"role": "user", "content": [part]}]})
    (fresh,) = request["messages"][0]["content"]
    assert fresh["type"] == "image_url"
    return fresh["image_url"]


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("DATA:image/png;base64,AA+/", "data:image/png;base64,AA+/"),
        (" data:image/PNG;base64,AAAA\n", "data:image/png;base64,AAAA"),
        ("data:image/png;charset=utf-8;base64, AA\r\nAA AA\tA=", "data:image/png;base64,AAAAAAA="),
        ("data:image/png; BASE64,AA-_", "data:image/png;base64,AA+/"),
        ("data:image/jpeg;base64,AA", "data:image/jpeg;base64,AA=="),
        ("data:image/x-png;base64,AAAA", "data:image/x-png;base64,AAAA"),
        ("data:image/heic;base64,AAAA", "data:image/heic;base64,AAAA"),
        ("data:image/tiff;base64,AAAA", "data:image/tiff;base64,AAAA"),
    ],
)
def test_a_pictures_data_in_any_spelling_passes_in_the_plain_one(url: str, plain: str) -> None:
    """Nothing but the type and base64 reaches the server."""
    assert passed_picture({"type": "image_url", "image_url": url}) == plain
    assert passed_picture({"type": "image_url", "image_url": {"url": url}}) == {"url": plain}


def test_a_pictures_other_fields() -> None:
    low = {"url": PIXEL, "detail": "low"}
    assert passed_picture({"type": "image_url", "image_url": {"url": PIXEL}, "detail": "low"}) == low
    assert passed_picture({"type": "image_url", "image_url": low, "detail": "high"}) == low
    assert passed_picture({"type": "input_image", "image_url": PIXEL, "detail": "low"}) == low
    asked = {"model": "a", "messages": picture({"url": PIXEL, "format": "image/png"})}
    request, left_out = passed_on(CHAT, asked)
    assert request["messages"] == picture({"url": PIXEL})
    assert left_out == ("messages.content.image_url.format",)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ({"type": "text", "text": "a", "image_url": "x"}, "field-unknown", "messages[0].content[0].image_url"),
        ({"type": "text", "text": 7}, "part-text", "messages[0].content[0].text"),
        ({"type": "image_url", "image_url": PIXEL, "path": "x"}, "field-unknown", "messages[0].content[0].path"),
        (
            {"type": "image_url", "image_url": {"url": PIXEL, "path": "x"}},
            "field-unknown",
            "messages[0].content[0].image_url.path",
        ),
        ({"type": "video_url"}, "part", "messages[0].content[0]"),
        ({"type": "image_url", "image_url": "http://x/a.png"}, "picture", "http://x/a.png"),
        ({"type": "image_url", "image_url": "data:image/svg+xml;base64,AA"}, "picture-type", None),
        ({"type": "image_url", "image_url": "data:image/png,AA"}, "picture-base64", None),
        ({"type": "image_url", "image_url": "data:image/png;base64,A%41"}, "picture-base64", None),
    ],
)
def test_a_part_that_is_refused_hears_the_cause(part: dict[str, Any], key: str, value: str | None) -> None:
    message = refused({"model": "a", "messages": [{"role": "user", "content": [part]}]}).message
    assert message.key == f"gateway.{key}"
    assert message.params["value"] == (value or "messages[0].content[0].image_url")


def test_contents_in_other_forms() -> None:
    text = {"type": "text", "text": "a"}
    asked = [
        {"role": "user", "content": {"type": "text", "text": "a"}},
        {"role": "user", "content": ["a", {"type": "input_text", "text": "a", "annotations": []}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "a"}, {"type": "output_text", "text": "a"}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}], "id": "1", "prefix": True},
        {"role": "tool", "content": "a", "tool_name": "add", "thinking": None, "parsed": None},
    ]
    request, left_out = passed_on(CHAT, {"model": "a", "messages": asked})
    assert request["messages"] == [
        {"role": "user", "content": [text]},
        {"role": "user", "content": [text, text]},
        {"role": "assistant", "content": [text, text]},
        {"role": "assistant", "content": ""},
        {"role": "tool", "content": "a"},
    ]
    assert left_out == ("messages.content.thinking", "messages.id", "messages.prefix", "messages.tool_name")


SCHEMA = {"name": "answer", "schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("said", "passes", "named"),
    [
        ({"cache_prompt": True, "typical_p": 1.0, "top_a": 0, "session_id": 1, "include_reasoning": True}, {},
         ("cache_prompt", "include_reasoning", "session_id", "top_a", "typical_p")),
        ({"max_output_tokens": 7}, {"max_tokens": 7}, ()),
        ({"n": 1.0}, {"n": 1}, ()),
        ({"think": False}, {"enable_thinking": False}, ()),
        ({"think": "high"}, {"reasoning_effort": "high"}, ()),
        ({"thinking": {"type": "disabled"}}, {"enable_thinking": False}, ()),
        ({"thinking": {"type": "enabled", "budget_tokens": 7}}, {"enable_thinking": True}, ()),
        ({"thinking": True, "enable_thinking": False}, {"enable_thinking": False}, ("thinking",)),
        ({"reasoning": {"effort": "low", "exclude": True}}, {"reasoning_effort": "low"}, ()),
        ({"reasoning": {"max_tokens": 7}}, {}, ("reasoning",)),
        ({"format": "json"}, {"response_format": {"type": "json_object"}}, ()),
        ({"format": {"type": "object"}}, {"response_format": {"type": "json_schema", "json_schema": SCHEMA}}, ()),
        ({"options": {"num_ctx": 4096, "temperature": 0.1, "top_k": 4}, "temperature": 0.2},
         {"temperature": 0.2, "top_k": 4}, ("num_ctx",)),
    ],
)  # fmt: skip
def test_other_apis_words(said: dict[str, Any], passes: dict[str, Any], named: tuple[str, ...]) -> None:
    request, left_out = passed_on(CHAT, {"model": "a", "messages": ASK, **said})
    assert request == {"model": "a", "messages": ASK, **passes}
    assert left_out == named


def test_words_that_an_endpoint_has_no_field_for_are_left_out_and_named() -> None:
    request, left_out = passed_on(ENDPOINTS["completions"], {"model": "a", "prompt": "b", "think": True})
    assert (request, left_out) == ({"model": "a", "prompt": "b"}, ("think",))


@pytest.mark.parametrize(
    "messages",
    [
        None, "hi", [], {}, ["hi"], [{"content": "hi"}], [{"role": 7, "content": "hi"}],
        [{"role": "user", "content": 7}],
        [{"role": "user", "content": "hi", "image": "/etc/passwd"}], [{"role": "user", "content": [{"type": "text"}]}],
        [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "/a.mp4"}}]}],
        [{"role": "user", "content": [{"type": "image_data", "image_data": {"data": "/etc/passwd"}}]}],
        [{"role": "user", "content": [{"type": "audio_url", "audio_url": {"url": "file:///a"}}]}],
        [{"role": "user", "content": [{"type": "text", "text": "a", "image_url": "/etc/passwd"}]}],
        [{"role": "user", "content": [["text"]]}], [ASK],
    ],
)  # fmt: skip
def test_messages_that_are_none(messages: Any) -> None:
    refused({"model": "a", "messages": messages})


@pytest.mark.parametrize(
    "extra",
    [
        {"media_io_kwargs": {}}, {"mm_processor_kwargs": {}}, {"input_ids": [1]}, {"priority": 1},
        {"migration_request": {}}, {"chat_template": "{{ x }}"}, {"stream": "yes"}, {"n": 0}, {"n": 10_000},
        {"n": True},
        {"chat_template_kwargs": {"chat_template": "{{ 1 }}"}}, {"chat_template_kwargs": {"tokenize": True}},
        {"chat_template_kwargs": {"x": {"y": 1}}}, {"chat_template_kwargs": "x"}, {"Model": "b"}, {"": 1},
        {"modalities": ["text", "audio"]}, {"best_of": 2}, {"audio": {"voice": "x"}}, {"format": "xml"},
        {"thinking": [1]},
        {"options": {"input_ids": [1]}}, {"options": [1]}, {"n": 1.5},
        {"a\r\nset-cookie: b": None}, {"": None}, {"\u00e9": None},
    ],
)  # fmt: skip
def test_fields_that_do_not_pass(extra: dict[str, Any]) -> None:
    refused({"model": "a", "messages": ASK, **extra})


@pytest.mark.parametrize(
    ("path", "body", "passes"),
    [
        ("completions", {"prompt": "a"}, True), ("completions", {"prompt": [1, 2]}, True),
        ("completions", {"prompt": ["a", [1, 2]]}, True), ("completions", {"prompt": []}, False),
        ("completions", {"prompt": {"a": 1}}, False), ("completions", {"prompt": [[]]}, False),
        ("completions", {"messages": ASK}, False), ("completions", {}, False),
        ("embeddings", {"input": ["a", "b"]}, True), ("embeddings", {"input": 7}, False),
        ("embeddings", {"input": "a", "stream": True}, False), ("encode", {"input": "你好"}, True),
        ("encode", {"input": ["a"], "add_bos": False}, True), ("encode", {"input": [None]}, False),
    ],
)  # fmt: skip
def test_other_endpoints(path: str, body: dict[str, Any], passes: bool) -> None:
    body = {"model": "a", **body}
    if passes:
        assert passed_on(ENDPOINTS[path], body) == (body, ())
    else:
        refused(body, path)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"7", b'"a"', b"null", b"\xff\xfe", b'{"a": NaN}', b'{"a": Infinity}', b"{" * 10_000,
        b'{"a":' * 10_000, b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": 1e999}', b'{"a": [-1e400]}', b'{"a": 1' + b"0" * 1_000_000 + b".0}", b'{"a": "\\ud800"}',
        b'{"\\uDFFF": 1}', b'{"a": "\xed\xa0\x80"}', '{"a": 1}'.encode("utf-16"), b'{"a": 01}', b'{"a": 0x1}',
        b'{"a": 1} {"b": 2}', b'{"a": 1}\x00', b"{'a': 1}",
    ],
)  # fmt: skip
def test_bodies_that_are_no_requests(body: bytes) -> None:
    with pytest.raises(Refusal) as error:
        read_json(body)
    assert error.value.status == 400


def test_a_byte_order_mark_is_no_fault() -> None:
    assert read_json("\ufeff{}".encode()) == {}


@pytest.mark.parametrize("piece", [b"1,", b"{},", b"[],", b'"",', b"[" * 8 + b"]" * 8 + b","])
def test_more_values_than_anybody_needs(piece: bytes) -> None:
    """64 MiB of them would stop the console for seconds, and take a gigabyte."""
    with pytest.raises(Refusal) as error:
        read_json(b'{"prompt": [' + piece * (2 * MAX_VALUES) + b"1]}")
    assert (error.value.status, error.value.message.key) == (400, "gateway.body-values")


def test_a_long_text_and_large_pictures_have_few_values() -> None:
    text = "One, two, three: buckle my shoe. " * 100_000  # 3 MB
    asked = {"model": "a", "messages": [*picture(PIXEL + "A" * (8 << 20)), {"role": "user", "content": text}]}
    assert read_json(json.dumps(asked).encode()) == asked


def test_a_whole_pair_of_surrogates_is_a_character() -> None:
    assert read_json(b'{"a": "\\ud83d\\ude00 \\\\ud800"}') == {"a": "\U0001f600 \\ud800"}


def test_of_a_name_given_twice_the_last_counts_for_all() -> None:
    assert read_json(b'{"model": "a", "model": "b", "n": 100, "n": 1}') == {"model": "b", "n": 1}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(sorted(CHAT.fields)) | st.text(max_size=8)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.dictionaries(NAMES, JSON_VALUES, max_size=6), st.sampled_from(sorted(ENDPOINTS)))
def test_any_request_passes_or_is_refused(body: dict[str, Any], path: str) -> None:
    body = read_json(json.dumps(body).encode())
    with suppress(Refusal):  # anything else that is raised fails the test
        request, _ = passed_on(ENDPOINTS[path], body)
        assert set(request) <= ENDPOINTS[path].fields


def test_null_means_that_a_field_is_not_set() -> None:
    part = {"type": "text", "text": "?", "image_url": None, "file": None}
    image = {"type": "image_url", "text": None, "image_url": {"url": PIXEL, "detail": None, "name": None}}
    request, _ = passed_on(CHAT, {"model": "a", "messages": [{"role": "user", "content": [part, image]}]})
    assert request["messages"][0]["content"] == [
        {"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": PIXEL}},
    ]  # fmt: skip
    body = {"model": "a", "messages": ASK, "options": {"top_k": 4}, "top_k": None, "max_output_tokens": 5}
    for ordered in ({**body, "max_tokens": None}, {"max_tokens": None, **body}):
        request, _ = passed_on(CHAT, ordered)
        assert (request["top_k"], request["max_tokens"]) == (4, 5)


def test_ollamas_length_and_what_loads_a_model() -> None:
    body = {"model": "a", "messages": ASK, "options": {"num_predict": 7, "low_vram": True, "numa": False}}
    request, left_out = passed_on(CHAT, body)
    assert request == {"model": "a", "messages": ASK, "max_tokens": 7}
    assert left_out == ("low_vram", "numa")
    request, left_out = passed_on(CHAT, {"model": "a", "messages": ASK, "num_predict": -1})  # no limit
    assert "max_tokens" not in request
    assert left_out == ("num_predict",)


def test_how_many_choices_an_answer_must_have() -> None:
    assert choices_in({"messages": ASK}) == choices_in({"prompt": [1, 2], "n": None}) == 1
    assert choices_in({"messages": ASK, "n": 3}) == 3
    assert choices_in({"prompt": ["a", [1]], "n": 2}) == 4
