"""Messages as documents: what is stored of a state says why it is so."""

from collections.abc import Mapping
from typing import Any

from backend.errors import Message


def message_to_json(message: Message) -> dict[str, Any]:
    """A Message as a document."""
    return {"key": message.key, "params": dict(message.params), "field": message.field, "level": message.level}


def message_from_json(value: Mapping[str, Any]) -> Message:
    """The Message that ``message_to_json`` wrote."""
    return Message(value["key"], value["params"], value["field"], value["level"])
