"""How other programs write down what was said: encodings, names of roles, trees of messages, pictures. Pure."""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.chat.json_text import json_values
from backend.outside_text import decode, encoding_of

MOST_NODES = 100_000  # of one conversation's tree
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_SPOKEN = {
    "human": "user", "用户": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant",
    "model": "assistant", "ai": "assistant", "助手": "assistant", "系统": "system",
}  # fmt: skip
_DATA_URL = re.compile(r"data:image/[\w.+-]+(?:;[\w.+=-]+)*;base64,", re.IGNORECASE)


@dataclass(frozen=True)
class FoundPicture:
    """A picture's file in a file."""

    data: bytes
    name: str


def text_in(data: bytes) -> str:
    """The text of a file, in UTF-8, UTF-16, UTF-32 or GB18030. Raises UnicodeDecodeError where it is none."""
    if encoding_of(data) == "lines":
        return data.decode("gb18030")
    return decode(data).lstrip("\ufeff")


def values_in(text: str) -> list[Any]:
    """JSON values one behind another, however many lines each has; none where anything else stands between them."""
    values, rest = json_values(text.lstrip())
    return [] if rest.strip() else list(values)


def is_message(value: Any) -> bool:
    """Whether somebody says something."""
    return isinstance(value, Mapping) and role_of(value) != ""


def role_of(message: Mapping[str, Any]) -> str:
    """Who says it, by OpenAI's names; "" for nobody known."""
    author = message.get("author")
    said = (message.get("role"), message.get("from"), message.get("sender"))
    named = next((one for one in said if one is not None), author.get("role") if isinstance(author, Mapping) else None)
    role = named.strip().lower() if isinstance(named, str) else ""
    role = _SPOKEN.get(role, role)
    return role if role in ROLES else ""


def content_of(message: Mapping[str, Any]) -> Any:
    """What is said: text, or a list of parts."""
    content = next((message[name] for name in ("content", "value", "text") if message.get(name) is not None), None)
    if isinstance(content, Mapping):  # one part, or ChatGPT's way of naming several
        parts = content.get("parts")
        return parts if isinstance(parts, list) else [content]
    return content


def text_of_part(part: Mapping[str, Any]) -> str | None:
    """A part that is text."""
    if part.get("type", part.get("content_type")) not in ("text", "input_text", "output_text", None):
        return None
    text = part.get("text")
    text = text.get("value") if isinstance(text, Mapping) else text
    return text if isinstance(text, str) else None


def picture_in(part: Mapping[str, Any]) -> Any:
    """The address of a part that is a picture, None for any other part."""
    kind = part.get("type")
    if kind in ("image_url", "input_image"):
        url = part.get("image_url")
        return (url.get("url") if isinstance(url, Mapping) else url) or ""
    source = part.get("source")
    if kind == "image" and isinstance(source, Mapping):  # Anthropic's
        return f"data:{source.get('media_type')};base64,{source.get('data')}" if "data" in source else source.get("url")
    return None


def read_picture(url: Any, name: str) -> FoundPicture | None:
    """The bytes of a data URL; nothing is ever fetched."""
    if not isinstance(url, str) or not (match := _DATA_URL.match(url)):
        return None
    try:
        return FoundPicture(base64.b64decode("".join(url[match.end() :].split()), validate=True), name)
    except (binascii.Error, ValueError):
        return None


def calls_in(message: Mapping[str, Any]) -> Any:
    """The tool calls; before 2024 there was one, without an id."""
    call = message.get("function_call")
    if isinstance(call, Mapping):
        return [{"id": str(call.get("name", "")), "function": call}]
    return message.get("tool_calls")


def arguments_in(function: Mapping[str, Any]) -> str:
    """A call's arguments as JSON."""
    arguments = function.get("arguments")
    return arguments if isinstance(arguments, str) else json.dumps({} if arguments is None else arguments)


def messages_of(value: Mapping[str, Any]) -> Sequence[Any] | None:
    """The messages of a conversation. Open WebUI has them below "chat", ShareGPT as "conversations", Claude as
    "chat_messages"; ChatGPT keeps a tree, "mapping", of which the branch that was open is taken."""
    chat = value.get("chat")
    for place in (value, chat):
        if not isinstance(place, Mapping):
            continue
        for name in ("messages", "conversations", "conversation", "chat_messages"):
            messages = place.get(name)
            if isinstance(messages, list) and any(is_message(message) for message in messages):
                return messages
        history = place.get("history")
        for tree, end in (
            (place.get("mapping"), place.get("current_node")),
            (history.get("messages"), history.get("currentId")) if isinstance(history, Mapping) else (None, None),
        ):
            if isinstance(tree, Mapping) and (branch := _branch(tree, end)):
                return branch
    return None


def _branch(tree: Mapping[str, Any], end: Any) -> list[Any]:
    """The messages from the root to that node, or to the last one."""
    if not isinstance(end, str) or end not in tree:
        end = list(tree)[-1] if tree else None
    found: list[Any] = []
    seen: set[str] = set()
    while isinstance(end, str) and end not in seen and len(seen) < MOST_NODES:
        seen.add(end)
        node = tree.get(end)
        if not isinstance(node, Mapping):
            break
        message = node.get("message", node)
        if is_message(message):
            found.append(message)
        end = node.get("parent", node.get("parentId"))
    return found[::-1]
