"""What of a request passes on to a server: listed paths, listed fields, pictures as data only. Pure.

A model server trusts whoever reaches it: LMDeploy opens ``file://`` and bare paths that are given as a picture's
address, and fetches others. So nothing passes that isn't known, and what is left out is named.
"""

import codecs
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from backend.errors import Message
from backend.gateway.errors import Refusal

MAX_BYTES = 64 << 20
MAX_VALUES = 500_000  # some seconds and a gigabyte go into the objects of what 64 MiB could say
MAX_DEPTH = 64
MAX_MESSAGES = 4096
MAX_PICTURES = 64
MAX_INPUTS = 2048
MAX_CHOICES = 16

_COMMON = {
    "model", "user", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p", "n", "stop",
    "stream", "stream_options", "seed", "presence_penalty", "frequency_penalty", "repetition_penalty",
    "repetition_ngram_size", "repetition_ngram_threshold", "ignore_eos", "skip_special_tokens",
    "spaces_between_special_tokens", "logprobs", "logit_bias", "min_new_tokens", "include_stop_str_in_output",
}  # fmt: skip
_CHAT = _COMMON | {
    "messages", "top_logprobs", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort",
    "enable_thinking", "chat_template_kwargs", "functions", "function_call",
}  # fmt: skip
# What clients may send for OpenAI's own accounting, caches and speed, and what Open WebUI passes on of Ollama's
# settings (most are of a model's loading): it means nothing here.
IGNORED = frozenset(
    {
        "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
        "verbosity", "prediction",
        "mirostat", "mirostat_eta", "mirostat_tau", "repeat_last_n", "tfs_z", "num_keep", "num_ctx", "num_batch",
        "num_gpu", "num_thread", "use_mmap", "use_mlock", "keep_alive",
    }
)  # fmt: skip
ALIASES: Mapping[str, str] = {"repeat_penalty": "repetition_penalty"}  # Ollama's name, and LMDeploy's
AS_IT_IS: Mapping[str, Any] = {"modalities": ["text"], "best_of": 1}  # no need to say it, and no other value
_MESSAGE = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "function_call", "reasoning_content", "refusal"}
)
# What other servers' answers and clients' caches add to a message, which comes back with the next question.
_MESSAGE_IGNORED = frozenset(
    {"annotations", "reasoning", "reasoning_details", "provider_specific_fields", "cache_control"}
)
# No white space, and no other scheme in any spelling: what follows is base64 and nothing else.
_BETWEEN_VALUES = (b",", b"[", b"{")  # those in texts count, too: a text of a million tokens has fewer
_NAME = re.compile(r"[a-z][a-z0-9_]{0,60}", re.ASCII)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_PICTURE = re.compile(r"data:image/(?:png|jpe?g|webp|gif|bmp);base64,[A-Za-z0-9+/]+={0,2}", re.ASCII)


# Arguments of the tokenizer's apply_chat_template that aren't the template's own.
_TEMPLATE_OWNED = frozenset(
    {"chat_template", "tokenize", "return_tensors", "return_dict", "padding", "truncation", "conversation", "messages"}
)


@dataclass(frozen=True)
class Endpoint:
    """One path below /v1 that is passed on. ``check`` raises Refusal for what a field may not hold."""

    path: str
    fields: frozenset[str]
    required: str
    streams: bool
    check: Callable[[Mapping[str, Any]], None]


def read_json(body: bytes) -> dict[str, Any]:
    """A request's body as a JSON object. Raises Refusal."""
    if len(body) > MAX_VALUES and sum(map(body.count, _BETWEEN_VALUES)) > MAX_VALUES:
        raise _bad("gateway.body-values", {"most": f"{MAX_VALUES:,}"})
    try:
        value = _STRICT.decode(body.removeprefix(codecs.BOM_UTF8).decode())
        if _SURROGATE.search(body):  # half a character where it stands alone, and no text that a server could take
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise _bad("gateway.body-deep", {"most": MAX_DEPTH}) from None
    except ValueError as error:
        raise _bad("gateway.body-json", {"error": str(error)[:200]}) from None
    if not isinstance(value, dict):
        raise _bad("gateway.body-object", {})
    if _depth(value) > MAX_DEPTH:
        raise _bad("gateway.body-deep", {"most": MAX_DEPTH})
    return value


def passed_on(endpoint: Endpoint, body: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields that go to the server, and those that were left out because they mean nothing here.

    Raises Refusal for a field that isn't known, or whose value may not pass.
    """
    request, left_out = {}, set()
    for name, value in body.items():
        own = ALIASES.get(name, name)
        if own in endpoint.fields and (own == name or own not in body):
            request[own] = value
        else:
            left_out.add(name)
    unknown = sorted(name for name in left_out if not _means_nothing(name, body[name]))
    if unknown:
        params = {"value": ", ".join(unknown)[:300], "known": ", ".join(sorted(endpoint.fields))}
        raise _bad("gateway.field-unknown", params, unknown[0][:100])
    if endpoint.required not in request:
        raise _bad("gateway.field-missing", {"value": endpoint.required}, endpoint.required)
    if request.get("stream") and not endpoint.streams:
        raise _bad("gateway.no-stream", {"value": endpoint.path}, "stream")
    if not isinstance(request.get("stream"), bool | None):
        raise _bad("gateway.field-type", {"value": "stream", "wanted": "true or false"}, "stream")
    choices = request.get("n", 1)
    if choices is not None and not (type(choices) is int and 1 <= choices <= MAX_CHOICES):
        raise _bad("gateway.field-type", {"value": "n", "wanted": f"1 to {MAX_CHOICES}"}, "n")
    if isinstance(request.get("messages"), list):
        request["messages"] = [_without_ignored(message, left_out) for message in request["messages"]]
    endpoint.check(request)
    return request, tuple(sorted(left_out))


def _means_nothing(name: str, value: Any) -> bool:
    """Whether a field that isn't passed on changes nothing: what is null isn't set. Its name goes into a header."""
    if value is None:
        return _NAME.fullmatch(name) is not None
    return name in IGNORED or name in ALIASES or (name in AS_IT_IS and value == AS_IT_IS[name])


def _without_ignored(message: Any, left_out: set[str]) -> Any:
    """A message without what means nothing here, whose names go to ``left_out``; for ``_check_chat`` to look at."""
    if not isinstance(message, dict):
        return message
    more = {name for name in message if name in _MESSAGE_IGNORED or (message[name] is None and name not in _MESSAGE)}
    if more:
        left_out.update(f"messages.{name}" for name in more & _MESSAGE_IGNORED if message[name])
        message = {name: value for name, value in message.items() if name not in more}
    content = message.get("content")
    if isinstance(content, list) and any(isinstance(part, dict) and "cache_control" in part for part in content):
        left_out.add("messages.content.cache_control")
        parts = [_without(part, "cache_control") if isinstance(part, dict) else part for part in content]
        message = {**message, "content": parts}
    return message


def _without(part: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != name}


def pictures_in(request: Mapping[str, Any]) -> int:
    """How many pictures a request brings that ``passed_on`` gave; those that it only says again count, too."""
    messages = request.get("messages")
    if not isinstance(messages, list):
        return 0
    contents = [message.get("content") for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return sum(part["type"] == "image_url" for part in parts)


def _check_chat(body: Mapping[str, Any]) -> None:
    _check_template(body.get("chat_template_kwargs"))
    messages = body["messages"]
    if not isinstance(messages, list) or not messages or len(messages) > MAX_MESSAGES:
        raise _bad("gateway.messages", {"most": MAX_MESSAGES}, "messages")
    pictures = 0
    for number, message in enumerate(messages):
        at = f"messages[{number}]"
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise _bad("gateway.message", {"value": at}, at)
        if unknown := sorted(set(message) - _MESSAGE):
            params = {"value": f"{at}.{unknown[0][:60]}", "known": ", ".join(sorted(_MESSAGE))}
            raise _bad("gateway.field-unknown", params, at)
        pictures += _check_content(message.get("content"), f"{at}.content")
    if pictures > MAX_PICTURES:
        raise _bad("gateway.pictures-many", {"value": pictures, "most": MAX_PICTURES}, "messages")


def _check_template(values: Any) -> None:
    """Switches of the model's own template ("enable_thinking": false), never another template."""
    if values is None:
        return
    plain = isinstance(values, dict) and all(
        re.fullmatch(r"[a-z][a-z_]{0,40}", name) and name not in _TEMPLATE_OWNED and _is_plain(value)
        for name, value in values.items()
    )
    if not plain:
        raise _bad("gateway.template", {}, "chat_template_kwargs")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= 200)


def _check_content(content: Any, at: str) -> int:
    """How many pictures the content holds."""
    if content is None or isinstance(content, str):
        return 0
    if not isinstance(content, list):
        raise _bad("gateway.content", {"value": at}, at)
    pictures = 0
    for number, part in enumerate(content):
        place = f"{at}[{number}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and set(part) == {"type", "text"} and isinstance(part["text"], str):
            continue
        if kind != "image_url" or set(part) != {"type", "image_url"}:
            raise _bad("gateway.part", {"value": place, "type": str(kind)[:60]}, place)
        _check_picture(part["image_url"], place)
        pictures += 1
    return pictures


def _check_picture(picture: Any, at: str) -> None:
    if isinstance(picture, dict) and set(picture) <= {"url", "detail"}:
        picture = picture.get("url")
    if not isinstance(picture, str) or not _PICTURE.fullmatch(picture):
        shown = picture[:60] if isinstance(picture, str) else type(picture).__name__
        raise _bad("gateway.picture", {"value": shown}, at)


def _check_prompt(body: Mapping[str, Any]) -> None:
    _check_texts(body["prompt"], "prompt")


def _check_input(body: Mapping[str, Any]) -> None:
    _check_texts(body["input"], "input")


def _check_texts(value: Any, field: str) -> None:
    """A text, token ids, or a list of either, and nothing else."""
    if isinstance(value, str) or (isinstance(value, list) and value and (_ids(value) or _is_batch(value))):
        return
    raise _bad("gateway.input", {"value": field, "most": MAX_INPUTS}, field)


def _is_batch(value: list[Any]) -> bool:
    items = (isinstance(item, str) or (isinstance(item, list) and bool(item) and _ids(item)) for item in value)
    return len(value) <= MAX_INPUTS and all(items)


def _ids(value: list[Any]) -> bool:
    return all(type(item) is int for item in value)


ENDPOINTS: Mapping[str, Endpoint] = {
    endpoint.path: endpoint
    for endpoint in (
        Endpoint("chat/completions", frozenset(_CHAT), "messages", True, _check_chat),
        Endpoint("completions", frozenset(_COMMON | {"prompt", "suffix", "echo"}), "prompt", True, _check_prompt),
        Endpoint(
            "embeddings", frozenset({"model", "input", "user", "encoding_format", "dimensions"}), "input", False,
            _check_input,
        ),
        Endpoint("encode", frozenset({"model", "input", "add_bos", "do_preprocess"}), "input", False, _check_input),
    )
}  # fmt: skip


def _bad(key: str, params: Mapping[str, Any], field: str = "") -> Refusal:
    return Refusal(400, key.removeprefix("gateway.").replace("-", "_"), Message(key, params, field))


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _float(text: str) -> float:
    """A number; 1e999 would become infinite, which is no JSON."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large a number")
    return value


_STRICT = json.JSONDecoder(parse_constant=_constant, parse_float=_float)


def _depth(value: Any) -> int:
    """How deep lists and objects are nested; counted without recursion, and no further than MAX_DEPTH."""
    depth, level = 0, [value]
    while level and depth <= MAX_DEPTH:
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = [item for item in inner if isinstance(item, dict | list)]
        depth += 1
    return depth
