"""Pure: a server or job of the backend → JSON for the snapshot, with what the visitor may know."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from backend.errors import Message
from ui.access import Role
from ui.i18n import Language, say, t, texts

# What a class may know of a server or job: no paths, commands, addresses, keys, logs, and no reasons, which name them.
CLASS_FIELDS = frozenset(
    {
        "id", "name", "state", "engine", "model_id", "takes_images", "context_length", "progress", "stage",
        "stage_text", "exit_code", "created_at", "started_at", "ready_at", "ended_at",
    }
)  # fmt: skip


def view_json(view: Any, role: Role, language: Language) -> dict[str, Any]:
    """A server or job as JSON; a class gets CLASS_FIELDS alone.

    A job's own fields stand beside those of its view, ``name`` is its model's, ``stage`` its progress's.
    A Message becomes its sentence, a path its text, an enum its value. ``stage`` keeps its key, ``stage_text`` is the
    text. A server's ``engine`` stands beside its ``config``, whose API key is left out.
    """
    value = _plain(view, language)
    if not isinstance(value, dict):
        raise TypeError(f"{view!r} isn't a view")
    if isinstance(value.get("job"), dict):
        value = {**value.pop("job"), **value}
        value |= {"name": value["model_name"], "stage": f"quantize.stage.{value['progress']['stage']}"}
    config = value.get("config")
    if isinstance(config, dict):
        config.pop("api_key", None)
        value.setdefault("engine", config.get("engine", ""))
    stage = value.get("stage", "")
    value["stage_text"] = t(stage, language) if isinstance(stage, str) and stage in texts() else ""
    if role is Role.OPERATOR:
        return value
    shown = {name: item for name, item in value.items() if name in CLASS_FIELDS}
    for name in ("name", "model_id"):  # without a name of its own a server goes by its model, which may be a folder
        if isinstance(shown.get(name), str) and shown[name].startswith("/"):
            shown[name] = shown[name].rstrip("/").rpartition("/")[2]
    return shown


def _plain(value: Any, language: Language) -> Any:
    """Dataclasses, mappings and sequences, all the way down to what JSON knows."""
    if isinstance(value, Message):
        return say(value, language)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name), language) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, language) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item, language) for item in value]
    return value
