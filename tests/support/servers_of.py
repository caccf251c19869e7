"""Views of servers as values, for what only reads them."""

from typing import Any

from backend.engines.base import ServeConfig
from backend.servers.server import ServerState, ServerView


def server(name: str, **changes: Any) -> ServerView:
    """A running TurboMind server of that name."""
    values: dict[str, Any] = {
        "id": f"id-{name}", "name": name, "state": ServerState.RUNNING,
        "config": ServeConfig("turbomind", f"/m/{name}"),
        "model_path": f"/m/{name}", "model_id": f"/m/{name}", "address": "http://127.0.0.1:23333",
        "base_url": "http://127.0.0.1:23333/v1", "port": 23333, "pid": 1, "command": "", "environment": "console",
        "takes_images": False, "context_length": 4096, "created_at": 1.0, "ready_at": 2.0,
    }  # fmt: skip
    return ServerView(**{**values, **changes})
