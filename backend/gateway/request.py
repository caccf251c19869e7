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

from backend.gateway.dialects import in_own_words
from backend.gateway.errors import bad_request
from backend.gateway.messages import taken

MAX_BYTES = 64 << 20
MAX_VALUES = 500_000  # some seconds and a gigabyte go into the objects of what 64 MiB could say
MAX_DEPTH = 64
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
# settings (most are of a model's loading): it means nothing here. A session is a request's own, since two that name the
# same one would share it.
IGNORED = frozenset(
    {
        "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
        "verbosity", "prediction",
        "mirostat", "mirostat_eta", "mirostat_tau", "repeat_last_n", "tfs_z", "num_keep", "num_ctx", "num_batch",
        "num_gpu", "num_thread", "use_mmap", "use_mlock", "keep_alive", "low_vram", "numa", "main_gpu", "num_gqa",
        "f16_kv", "logits_all", "vocab_only", "embedding_only", "rope_frequency_base", "rope_frequency_scale",
        "penalize_newline", "cache_prompt", "include_reasoning", "typical_p", "top_a", "session_id",
    }
)  # fmt: skip
# Other APIs' names, and LMDeploy's.
ALIASES: Mapping[str, str] = {"repeat_penalty": "repetition_penalty", "max_output_tokens": "max_tokens"}
AS_IT_IS: Mapping[str, Any] = {"modalities": ["text"], "best_of": 1}  # no need to say it, and no other value
_BETWEEN_VALUES = (b",", b"[", b"{")  # those in texts count, too: a text of a million tokens has fewer
_NAME = re.compile(r"[a-z][a-z0-9_]{0,60}", re.ASCII)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


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
        raise bad_request("gateway.body-values", {"most": f"{MAX_VALUES:,}"})
    try:
        value = _STRICT.decode(body.removeprefix(codecs.BOM_UTF8).decode())
        if _SURROGATE.search(body):  # half a character where it stands alone, and no text that a server could take
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise bad_request("gateway.body-deep", {"most": MAX_DEPTH}) from None
    except ValueError as error:
        raise bad_request("gateway.body-json", {"error": str(error)[:200]}) from None
    if not isinstance(value, dict):
        raise bad_request("gateway.body-object", {})
    if _depth(value) > MAX_DEPTH:
        raise bad_request("gateway.body-deep", {"most": MAX_DEPTH})
    return value


def passed_on(endpoint: Endpoint, body: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields that go to the server, and those that were left out because they mean nothing here.

    Raises Refusal for a field that isn't known, or whose value may not pass.
    """
    body, left_out = in_own_words(body, endpoint.fields)
    request: dict[str, Any] = {}
    for name, value in body.items():
        own = ALIASES.get(name, name)
        if own not in endpoint.fields or (own != name and body.get(own) is not None):
            left_out.add(name)
        elif value is not None or request.get(own) is None:  # what is null isn't set
            request[own] = value
    unknown = sorted(name for name in left_out & set(body) if not _means_nothing(name, body[name]))
    if unknown:
        params = {"value": ", ".join(unknown)[:300], "known": ", ".join(sorted(endpoint.fields))}
        raise bad_request("gateway.field-unknown", params, unknown[0][:100])
    if endpoint.required not in request:
        raise bad_request("gateway.field-missing", {"value": endpoint.required}, endpoint.required)
    if request.get("stream") and not endpoint.streams:
        raise bad_request("gateway.no-stream", {"value": endpoint.path}, "stream")
    if not isinstance(request.get("stream"), bool | None):
        raise bad_request("gateway.field-type", {"value": "stream", "wanted": "true or false"}, "stream")
    choices = request.get("n", 1)
    if isinstance(choices, float) and choices.is_integer():
        choices = request["n"] = int(choices)
    if choices is not None and not (type(choices) is int and 1 <= choices <= MAX_CHOICES):
        raise bad_request("gateway.field-type", {"value": "n", "wanted": f"1 to {MAX_CHOICES}"}, "n")
    if endpoint.required == "messages":
        request["messages"] = taken(request["messages"], left_out)
    endpoint.check(request)
    return request, tuple(sorted(left_out))


def _means_nothing(name: str, value: Any) -> bool:
    """Whether a field that isn't passed on changes nothing: what is null isn't set. Its name goes into a header."""
    if value is None:
        return _NAME.fullmatch(name) is not None
    return name in IGNORED or name in ALIASES or (name in AS_IT_IS and value == AS_IT_IS[name])


def pictures_in(request: Mapping[str, Any]) -> int:
    """How many pictures a request brings that ``passed_on`` gave; those that it only says again count, too."""
    messages = request.get("messages")
    if not isinstance(messages, list):
        return 0
    contents = [message.get("content") for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return sum(part["type"] == "image_url" for part in parts)


def choices_in(request: Mapping[str, Any]) -> int:
    """How many choices the answer must have: some for each of several prompts."""
    prompt = request.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and not _ids(prompt) else 1
    return prompts * (request.get("n") or 1)


def _check_chat(body: Mapping[str, Any]) -> None:
    _check_template(body.get("chat_template_kwargs"))


def _check_template(values: Any) -> None:
    """Switches of the model's own template ("enable_thinking": false), never another template."""
    if values is None:
        return
    plain = isinstance(values, dict) and all(
        re.fullmatch(r"[a-z][a-z_]{0,40}", name) and name not in _TEMPLATE_OWNED and _is_plain(value)
        for name, value in values.items()
    )
    if not plain:
        raise bad_request("gateway.template", {}, "chat_template_kwargs")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= 200)


def _check_prompt(body: Mapping[str, Any]) -> None:
    _check_texts(body["prompt"], "prompt")


def _check_input(body: Mapping[str, Any]) -> None:
    _check_texts(body["input"], "input")


def _check_texts(value: Any, field: str) -> None:
    """A text, token ids, or a list of either, and nothing else."""
    if isinstance(value, str) or (isinstance(value, list) and value and (_ids(value) or _is_batch(value))):
        return
    raise bad_request("gateway.input", {"value": field, "most": MAX_INPUTS}, field)


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
