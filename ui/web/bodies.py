"""How much a request to one of Gradio's handlers may say: Gradio reads any body whole, however large it is.

A question, an instruction and the longest text that the operator pastes for calibration fit; files come as uploads
(ui/web/uploads.py).
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Event

from backend.errors import Message
from ui.gradio_compat.server import UPLOAD, route_of
from ui.i18n import say
from ui.web.json_answer import JsonAnswer
from ui.web.uploads import drain
from ui.web.visitor import STATE_KEY, Role, Visitor


@dataclass(frozen=True)
class Room:
    """Bytes that the requests of a role may have: ``most`` one of them, ``each`` all of one visitor at once, ``total``
    all of the role at once."""

    most: int
    each: int
    total: int


ROOMS: Mapping[Role, Room] = {  # each role has its own, so that a class never shuts the operator out
    Role.OPERATOR: Room(64 << 20, 128 << 20, 128 << 20),  # sixteen million characters of a pasted text take 48
    Role.CLASS: Room(8 << 20, 16 << 20, 64 << 20),  # a question of a million characters takes six at most
}
SMALL = 64 << 10  # passes always: what a click says must not wait for those who paste books
BODY_S = 60.0  # for a whole body to come, and as much more as a slow line needs:
SLOWEST = 64 << 10  # bytes a second


class BoundedBodies:
    """ASGI layer around Gradio's router, inside ``OwnUploads``."""

    def __init__(self, app: ASGIApp, rooms: Mapping[Role, Room] = ROOMS, body_s: float = BODY_S) -> None:
        self.app = app
        self._rooms, self._body_s = rooms, body_s
        self._held: Counter[tuple[Role, str]] = Counter()  # bytes of the requests under way, by visitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or route_of(scope)[0] == UPLOAD:
            await self.app(scope, receive, send)
            return
        body, who = _Body(), scope["state"][STATE_KEY]
        try:
            reason = await self._read(body, who, receive)
            if reason is None:
                await self.app(scope, body.again(receive), send)
                return
        finally:
            self._held[who.role, who.id] -= body.size
            if not self._held[who.role, who.id]:
                del self._held[who.role, who.id]
        if not body.ended and reason.key != "requests.slow":
            await drain(receive)
        await _refusal(who, reason)(scope, receive, send)

    async def _read(self, body: "_Body", who: Visitor, receive: Receive) -> Message | None:
        """Reads it whole; a reason where it can't be taken."""
        clock = asyncio.get_running_loop().time
        began, given_s = clock(), self._body_s
        try:
            async with asyncio.timeout_at(began + given_s) as limit:
                while not body.ended:
                    event = await receive()
                    size = len(event.get("body", b""))
                    if (reason := self._too_much(body, who, size)) is not None:
                        return reason
                    self._held[who.role, who.id] += size
                    body.add(event)
                    given_s = self._body_s + body.size / SLOWEST
                    limit.reschedule(began + given_s)
        except TimeoutError:
            return Message("requests.slow", {"seconds": round(given_s)})
        return None

    def _too_much(self, body: "_Body", who: Visitor, size: int) -> Message | None:
        room = self._rooms[who.role]
        if body.size + size > room.most:
            return Message("requests.large", {"limit": room.most >> 20})
        if body.size + size <= SMALL:
            return None
        if self._held[who.role, who.id] + size > room.each:
            return Message("requests.own_full", {"limit": room.each >> 20})
        if size + sum(held for (role, _), held in self._held.items() if role is who.role) > room.total:
            return Message("requests.full", {"limit": room.total >> 20})
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


def _refusal(who: Visitor, reason: Message) -> Response:
    """As Gradio's page shows it, and its Python client."""
    status = 408 if reason.key == "requests.slow" else 413
    return JsonAnswer({"detail": say(reason, who.language, audience=who.role)}, status)
