"""How much a request to one of Gradio's handlers may say: Gradio reads any body whole, however large it is.

A question, an instruction and a pasted text fit many times over; files come as uploads (ui/web/uploads.py).
"""

import asyncio

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Event

from backend.errors import Message
from ui.gradio_compat.server import UPLOAD, route_of
from ui.i18n import say
from ui.web.json_answer import JsonAnswer
from ui.web.uploads import drain
from ui.web.visitor import STATE_KEY

MOST_BYTES = 8 << 20  # a question of a million characters takes six at most
IN_TOTAL = 64 << 20  # of all visitors at once
SMALL = 64 << 10  # passes always: what a click says must not wait for those who paste books
BODY_S = 60.0  # for a whole body to come


class BoundedBodies:
    """ASGI layer around Gradio's router, inside ``OwnUploads``."""

    def __init__(self, app: ASGIApp, most: int = MOST_BYTES, in_total: int = IN_TOTAL, body_s: float = BODY_S) -> None:
        self.app = app
        self._most, self._in_total, self._body_s = most, in_total, body_s
        self._held = 0  # bytes of the requests under way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or route_of(scope)[0] == UPLOAD:
            await self.app(scope, receive, send)
            return
        body = _Body()
        try:
            reason = await self._read(body, receive)
            if reason is None:
                await self.app(scope, body.again(receive), send)
                return
        finally:
            self._held -= body.size
        if not body.ended and reason.key != "requests.slow":
            await drain(receive)
        await _refusal(scope, reason)(scope, receive, send)

    async def _read(self, body: "_Body", receive: Receive) -> Message | None:
        """Reads it whole; a reason where it can't be taken."""
        try:
            async with asyncio.timeout(self._body_s):
                while not body.ended:
                    event = await receive()
                    size = len(event.get("body", b""))
                    if body.size + size > self._most:
                        return Message("requests.large", {"limit": self._most >> 20})
                    if body.size + size > SMALL and self._held + size > self._in_total:
                        return Message("requests.full", {"limit": self._in_total >> 20})
                    self._held += size
                    body.add(event)
        except TimeoutError:
            return Message("requests.slow", {"seconds": round(self._body_s)})
        return None


class _Body:
    """What came of one request."""

    def __init__(self) -> None:
        self.size = 0
        self.ended = False
        self._events: list[Event] = []

    def add(self, event: Event) -> None:
        self._events.append(event)
        self.size += len(event.get("body", b""))
        self.ended = event["type"] != "http.request" or not event.get("more_body")

    def again(self, receive: Receive) -> Receive:
        """Gives the same once more, then what comes after it."""

        async def give() -> Event:
            return self._events.pop(0) if self._events else await receive()

        return give


def _refusal(scope: Scope, reason: Message) -> Response:
    """As Gradio's page shows it, and its Python client."""
    who = scope["state"][STATE_KEY]
    status = 408 if reason.key == "requests.slow" else 413
    return JsonAnswer({"detail": say(reason, who.language, audience=who.role)}, status)
