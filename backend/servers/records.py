"""What is stored of a server: its view as last seen, and where its key is."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from backend.engines.base import ServeConfig
from backend.servers.view import ServerState, ServerView
from backend.store import message_from_json, message_to_json


@dataclass(frozen=True)
class ServerRecord:
    """One server. ``key_file`` is None where it takes no key. The key itself is never in a record."""

    view: ServerView
    key_file: Path | None

    def to_json(self) -> dict[str, Any]:
        """As a document of the store."""
        view = asdict(replace(self.view, config=replace(self.view.config, api_key=""), reason=None))
        view["reason"] = None if self.view.reason is None else message_to_json(self.view.reason)
        view["log_path"] = None if self.view.log_path is None else str(self.view.log_path)
        return {"view": view, "key_file": None if self.key_file is None else str(self.key_file)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "ServerRecord":
        """The record that ``to_json`` made; fields that this version doesn't know are left out.

        Raises KeyError, TypeError or ValueError where it is no such document.
        """
        view = {f.name: value["view"][f.name] for f in fields(ServerView) if f.name in value["view"]}
        view["config"] = _config(view["config"])
        view["state"] = ServerState(view["state"])
        view["reason"] = None if view["reason"] is None else message_from_json(view["reason"])
        view["reason_lines"] = tuple(view["reason_lines"])
        view["log_path"] = None if view["log_path"] is None else Path(view["log_path"])
        return ServerRecord(ServerView(**view), None if value["key_file"] is None else Path(value["key_file"]))


def _config(value: Mapping[str, Any]) -> ServeConfig:
    known: dict[str, Any] = {f.name: value[f.name] for f in fields(ServeConfig) if f.name in value}
    known.update({name: tuple(v) for name, v in known.items() if isinstance(v, list)})
    return ServeConfig(**known)
