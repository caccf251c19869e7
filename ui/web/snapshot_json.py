"""Pure: a server, job or download of the backend → JSON for the snapshot, with what the visitor may know."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from backend.downloads.download import DownloadView
from backend.engines.remedies import restarts
from backend.errors import Message
from backend.servers.server import ServerView
from ui.i18n import Language, say, t, texts
from ui.page.remedies import remedy_text
from ui.web.visitor import Role

# What a class may know of a server or job: no paths, commands, addresses, keys, logs, and no reasons, which name them.
CLASS_FIELDS = frozenset(
    {
        "id", "name", "state", "engine", "model_id", "takes_images", "takes_forms", "context_length", "progress",
        "stage", "stage_text", "exit_code", "created_at", "started_at", "ready_at", "ended_at",
    }
)  # fmt: skip


def view_json(view: Any, role: Role, language: Language) -> dict[str, Any]:
    """A server, job or download as JSON; a class gets CLASS_FIELDS alone.

    A job's or download's own fields stand beside those of its view, a job's ``name`` is its title, ``stage`` its
    progress's.
    A Message becomes its sentence, a path its text, an enum its value. ``stage`` keeps its key, ``stage_text`` is the
    text. A server's ``engine`` stands beside its ``config``, whose API key is left out.
    """
    value = _plain(view, language)
    if not isinstance(value, dict):
        raise TypeError(f"{view!r} isn't a view")
    if isinstance(value.get("job"), dict):
        value = {**value.pop("job"), **value}
        value |= {"name": view.job.title, "stage": f"quantize.stage.{value['progress']['stage']}"}
    if isinstance(view, DownloadView):
        download = value.pop("download")
        download.pop("stage")
        value = {**download, **value, "source": view.download.source.name}
    config = value.get("config")
    if isinstance(config, dict):
        config.pop("api_key", None)
        value.setdefault("engine", config.get("engine", ""))
    if isinstance(view, ServerView):
        value["remedies"] = [
            {"text": remedy_text(remedy, language), "fields": list(remedy.settings)}
            for remedy in restarts(view.trouble, view.config)
        ]
    stage = value.get("stage", "")
    value["stage_text"] = t(stage, language) if isinstance(stage, str) and stage in texts() else ""
    if role is Role.OPERATOR:
        return value
    shown = {name: item for name, item in value.items() if name in CLASS_FIELDS}
    if isinstance(view, ServerView):
        shown["name"] = public_name(view, role)
    for name in ("name", "model_id"):  # without a name of its own a server goes by its model, which may be a folder
        if isinstance(shown.get(name), str) and shown[name].startswith("/"):
            shown[name] = shown[name].rstrip("/").rpartition("/")[2]
    return shown


def public_name(view: ServerView, role: Role) -> str:
    """A server's name; where that is a folder or an address, a class is told the model's alone."""
    nameless = view.config.engine == "external" and not view.config.model_name  # it goes by its address
    if role is Role.OPERATOR or not (nameless or view.name.startswith("/")):
        return view.name
    return (view.model_id if nameless else view.name).rstrip("/").rpartition("/")[2] or view.id


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
