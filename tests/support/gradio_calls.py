"""Gradio events over HTTP, as a page sends them: for tests and measurements without a browser."""

import json
import secrets
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from backend.chat.event_stream import EventReader, ServerEvent
from backend.engines.base import ServeConfig
from tests.support.console import Console
from tests.support.waiting import wait_for
from ui.tabs.deploy.values import CONTROLS, form_values


class Visitor:
    """One browser without a screen: its own visitor cookie, its own Gradio session."""

    def __init__(self, console: Console, token: str | None = None) -> None:
        self.client = console.client(token)
        self.session = secrets.token_hex(8)
        self.config: dict[str, Any] = self.client.get("/config").json()

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def event(self, api_name: str) -> int:
        """The number of the handler of that name."""
        return next(int(found["id"]) for found in self.config["dependencies"] if found["api_name"] == api_name)

    def tell(self, api_name: str, event: Any, server: str) -> None:
        """What the page's script tells a handler of the Chat tab whose inputs are its form."""
        *_, told = self.call(api_name, [server, "", "", 0.8, 0.8, 1024, []], event)
        assert told["success"], told

    def call(self, api_name: str, data: Sequence[Any], event: Any = None) -> Iterator[dict[str, Any]]:
        """Run a handler; yields every message about it as it comes, up to its completion. ``event`` is its data."""
        job = {
            "data": list(data), "fn_index": self.event(api_name), "session_hash": self.session,
            "event_data": event, "trigger_id": None,
        }  # fmt: skip
        # Escaped, as a browser does it: half a surrogate pair can be sent too.
        content, headers = json.dumps(job), {"content-type": "application/json"}
        joined = self.client.post("/gradio_api/queue/join", content=content, headers=headers)
        joined.raise_for_status()
        mine = joined.json()["event_id"]
        parameters = {"session_hash": self.session}
        with self.client.stream("GET", "/gradio_api/queue/data", params=parameters, timeout=None) as stream:
            events = EventReader()  # a model's text may hold what httpx takes for a line's end
            for found in (found for data in stream.iter_bytes() for found in events.feed(data)):
                if not isinstance(found, ServerEvent):
                    continue
                message = json.loads(found.data)
                if message.get("event_id") in (mine, None):
                    yield message
                if message["msg"] == "process_completed" and message.get("event_id") == mine:
                    return

    def start(self, config: ServeConfig) -> str:
        """Press Start on Deploy with these settings; the new server's id."""
        values = form_values(config).values
        *_, done = self.call("deploy_start", [values[name] for name in CONTROLS])
        assert done["success"], done
        message, server_id = done["output"]["data"]
        assert isinstance(server_id, str), message
        return server_id

    def ready(self, server_id: str, deadline_s: float) -> dict[str, Any]:
        """The server's view once it runs; its reason and log lines stand in the error where it fails."""

        def running() -> dict[str, Any] | None:
            servers = self.client.get("/console/snapshot").raise_for_status().json()["servers"]
            (server,) = [server for server in servers if server["id"] == server_id]
            assert server["state"] in ("starting", "running"), (server["reason"], server["reason_lines"])
            return server if server["state"] == "running" else None

        return wait_for(f"{server_id} to be ready", running, deadline_s, 0.1)

    def upload(self, name: str, content: bytes, kind: str = "image/png") -> dict[str, Any]:
        """A file as the page sends it ahead; what a handler's input then holds."""
        answer = self.client.post("/gradio_api/upload", files={"files": (name, content, kind)})
        answer.raise_for_status()
        return {"path": answer.json()[0], "orig_name": name, "mime_type": kind, "meta": {"_type": "gradio.FileData"}}

    def ask(
        self,
        server: str,
        text: str,
        files: Sequence[dict[str, Any]] = (),
        other: str = "",
        system: str = "",
        temperature: float = 0.8,
        top_p: float = 0.8,
        max_tokens: int | None = 1024,
        tools: Sequence[str] = (),
    ) -> Iterator[dict[str, Any]]:
        """A question on the Chat tab; yields the lines of its conversation's stream, to the answer's end.

        AssertionError where the question wasn't taken.
        """
        question = {"text": text, "files": list(files)}
        form = [server, other, system, temperature, top_p, max_tokens, list(tools)]
        *_, asked = self.call("chat_ask", [question, False, *form])
        assert asked["success"], asked
        with self.client.stream("GET", "/console/chat/stream", timeout=None) as stream:
            for line in stream.iter_lines():
                if line:  # an empty one is a sign of life
                    yield json.loads(line)

    def answer(self, number: int = 0, lane: int = 0) -> dict[str, Any]:
        """An answer of this visitor's conversation: text, state, end, stats."""
        found: dict[str, Any] = self.client.get(f"/console/chat/answer/{number}/{lane}").json()
        return found
