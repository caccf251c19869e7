"""Gradio events over HTTP, as a page sends them: for tests and measurements without a browser."""

import json
import secrets
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

from tests.console import Console


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

    def call(self, api_name: str, data: Sequence[Any]) -> Iterator[dict[str, Any]]:
        """Run a handler; yields every message about it as it comes, up to its completion."""
        job = {
            "data": list(data), "fn_index": self.event(api_name), "session_hash": self.session,
            "event_data": None, "trigger_id": None,
        }  # fmt: skip
        joined = self.client.post("/gradio_api/queue/join", json=job)
        joined.raise_for_status()
        mine = joined.json()["event_id"]
        parameters = {"session_hash": self.session}
        with self.client.stream("GET", "/gradio_api/queue/data", params=parameters, timeout=None) as stream:
            for line in stream.iter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line[5:])
                if message.get("event_id") in (mine, None):
                    yield message
                if message["msg"] == "process_completed" and message.get("event_id") == mine:
                    return

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
                yield json.loads(line)

    def answer(self, number: int = 0, lane: int = 0) -> dict[str, Any]:
        """An answer of this visitor's conversation: text, state, end, stats."""
        found: dict[str, Any] = self.client.get(f"/console/chat/answer/{number}/{lane}").json()
        return found
