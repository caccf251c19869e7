"""The messages of a request: listed fields, texts, and pictures as data only. Pure.

What clients and other servers write otherwise is written as LMDeploy takes it; what means nothing here is left out and
named; anything else is refused, with its place.
"""

import re
from collections.abc import Mapping
from typing import Any

from backend.gateway.errors import Refusal, bad_request

MAX_MESSAGES = 4096
MAX_PICTURES = 64
_FIELDS = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "function_call", "reasoning_content", "refusal"}
)
# What other servers' answers and clients' caches add to a message, which comes back with the next question.
_IGNORED = frozenset(
    {
        "annotations", "reasoning", "reasoning_details", "provider_specific_fields", "cache_control", "id", "thinking",
        "parsed", "prefix", "tool_name",
    }
)  # fmt: skip
_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_PICTURES = ("image_url", "input_image")
_THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
_PART_IGNORED = frozenset({"cache_control", "annotations", "citations", "logprobs", "id", "index"})
_PICTURE_IGNORED = frozenset({"format"})
# No white space, and no other scheme in any spelling: what follows is base64 and nothing else.
_PICTURE = re.compile(r"data:image/(?:png|jpe?g|webp|gif|bmp);base64,[A-Za-z0-9+/]+={0,2}", re.ASCII)
_DATA_URL = re.compile(r"\s*data:\s*([^,;]*)((?:;[^,;]*)*),", re.ASCII | re.IGNORECASE)
_TYPE = re.compile(r"image/(?!svg)[a-z0-9][a-z0-9.+-]{0,40}", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+", re.ASCII)
_BLANKS = {ord(blank): None for blank in " \t\r\n"}
_URL_SAFE = str.maketrans("-_", "+/")


def taken(messages: Any, left_out: set[str]) -> list[dict[str, Any]]:
    """The messages as they pass on; the names of what is left out go to ``left_out``. Raises Refusal."""
    if not isinstance(messages, list) or not messages or len(messages) > MAX_MESSAGES:
        raise bad_request("gateway.messages", {"most": MAX_MESSAGES}, "messages")
    fresh = [_message(message, f"messages[{number}]", left_out) for number, message in enumerate(messages)]
    contents = [message["content"] for message in fresh if isinstance(message.get("content"), list)]
    pictures = sum(part["type"] == "image_url" for content in contents for part in content)
    if pictures > MAX_PICTURES:
        raise bad_request("gateway.pictures-many", {"value": pictures, "most": MAX_PICTURES}, "messages")
    return fresh


def _message(message: Any, at: str, left_out: set[str]) -> dict[str, Any]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise bad_request("gateway.message", {"value": at}, at)
    fresh = {}
    for name, value in message.items():
        if name in _IGNORED:
            left_out.update({f"messages.{name}"} if value else ())
        elif name in _FIELDS:
            fresh[name] = value
        elif value is not None:
            raise _unknown(name, at, _FIELDS)
    if isinstance(content := message.get("content"), str | None):
        return fresh
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list):
        raise bad_request("gateway.content", {"value": f"{at}.content"}, f"{at}.content")
    parts = [_part(part, f"{at}.content[{number}]", left_out) for number, part in enumerate(content)]
    return {**fresh, "content": [part for part in parts if part is not None] or ""}


def _part(part: Any, at: str, left_out: set[str]) -> dict[str, Any] | None:
    """One part of a content; None for a model's own thoughts, which aren't said again."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _THOUGHTS:
        left_out.add(f"messages.content.{kind}")
        return None
    if kind not in (*_TEXTS, *_PICTURES):
        raise bad_request("gateway.part", {"value": at, "type": str(kind)[:60]}, at)
    field = _TEXTS.get(kind, "image_url")
    allowed = {"type", field} if kind in _TEXTS else {"type", field, "detail"}
    for name in part:
        if name in _PART_IGNORED and part[name] and name not in allowed:
            left_out.add(f"messages.content.{name}")
        elif part[name] is not None and name not in allowed | _PART_IGNORED:
            raise _unknown(name, at, allowed)
    if kind in _TEXTS:
        if not isinstance(part.get(field), str):
            raise bad_request("gateway.part-text", {"value": f"{at}.{field}"}, at)
        return {"type": "text", "text": part[field]}
    return _picture_part(part, at, left_out)


def _picture_part(part: Mapping[str, Any], at: str, left_out: set[str]) -> dict[str, Any]:
    given = part.get("image_url")
    url, allowed = given, {"url", "detail"}
    if isinstance(given, dict):
        for name in given:
            if name in _PICTURE_IGNORED:
                left_out.add(f"messages.content.image_url.{name}")
            elif given[name] is not None and name not in allowed:
                raise _unknown(name, f"{at}.image_url", allowed)
        url = given.get("url")
    detail = (given.get("detail") if isinstance(given, dict) else None) or part.get("detail")
    fresh = data_only(url, at)
    if isinstance(given, str) and detail is None:
        return {"type": "image_url", "image_url": fresh}
    return {"type": "image_url", "image_url": {"url": fresh, **({"detail": detail} if detail is not None else {})}}


def data_only(url: Any, at: str) -> str:
    """A picture's address that holds the picture itself, in its plainest spelling. Raises Refusal."""
    if not isinstance(url, str):
        raise bad_request("gateway.picture", {"value": type(url).__name__}, at)
    if _PICTURE.fullmatch(url) and (len(url) - url.index(",")) % 4 == 1:  # padded, as nearly always
        return url
    head = _DATA_URL.match(url)
    if head is None:
        raise bad_request("gateway.picture", {"value": url[:60]}, at)
    kind, options = head[1].strip().lower(), head[2].lower().replace(" ", "").split(";")
    if not _TYPE.fullmatch(kind):
        raise bad_request("gateway.picture-type", {"value": f"{at}.image_url", "type": kind[:60] or "–"}, at)
    encoded = url[head.end() :].translate(_BLANKS).translate(_URL_SAFE).rstrip("=")
    if "base64" not in options or not _BASE64.fullmatch(encoded) or len(encoded) % 4 == 1:
        raise bad_request("gateway.picture-base64", {"value": f"{at}.image_url"}, at)
    return f"data:{kind};base64,{encoded}{'=' * (-len(encoded) % 4)}"


def _unknown(name: str, at: str, known: set[str] | frozenset[str]) -> Refusal:
    params = {"value": f"{at}.{name[:60]}", "known": ", ".join(sorted(known))}
    return bad_request("gateway.field-unknown", params, at)
