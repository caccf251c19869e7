"""Uploaded files are shown to those who uploaded them, and to nobody else.

Gradio keeps an upload under a path made of its content's digest and serves it to everyone who has the path. The page
shows a picture from there until it is sent; this ASGI layer remembers who uploaded what.
"""

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ui.access import STATE_KEY, Visitor

REMEMBERED = 20_000  # paths; Gradio removes the files themselves after a day
MAX_ANSWER_BYTES = 1 << 20
UPLOAD = "/upload"
FILE = "/file="


class OwnUploads:
    """ASGI layer, inside the guard. ``folder`` is where Gradio puts uploads."""

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self.app = app
        self._folder = folder.resolve()
        self._owners: OrderedDict[Path, set[str]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = scope.get("state", {}).get(STATE_KEY)
        if scope["type"] != "http" or not isinstance(visitor, Visitor):
            await self.app(scope, receive, send)
        elif scope["method"] == "POST" and scope["path"].endswith(UPLOAD):
            await self._upload(visitor, scope, receive, send)
        elif FILE in scope["path"] and not self._may_read(visitor, scope["path"].partition(FILE)[2]):
            await JSONResponse({"detail": "Not Found"}, 404)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _upload(self, visitor: Visitor, scope: Scope, receive: Receive, send: Send) -> None:
        answer = bytearray()

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.body" and len(answer) <= MAX_ANSWER_BYTES:
                answer.extend(message.get("body", b""))
                if not message.get("more_body"):
                    self._note(visitor, bytes(answer))
            await send(message)

        await self.app(scope, receive, noting)

    def _note(self, visitor: Visitor, answer: bytes) -> None:
        """Gradio answers an upload with the list of the files' paths."""
        try:
            paths: Any = json.loads(answer)
        except ValueError:
            return
        for path in paths if isinstance(paths, list) else ():
            if isinstance(path, str):
                self._owners.setdefault(Path(path).resolve(), set()).add(visitor.id)
        while len(self._owners) > REMEMBERED:
            self._owners.popitem(last=False)

    def _may_read(self, visitor: Visitor, path: str) -> bool:
        wanted = Path(path).resolve()
        return not wanted.is_relative_to(self._folder) or visitor.id in self._owners.get(wanted, ())
