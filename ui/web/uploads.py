"""Between the console and Gradio's router: who may upload how much, read which upload, and hand over which file.

Gradio serves every upload to everyone who has its path, takes any number of them, and serves much that the console
has no use for. This ASGI layer stands where Gradio's own router is next (``ui/gradio_compat/``) and asks that router
which route a request will reach, so that no spelling of an address passes by.
"""

import asyncio
import errno
import json
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

import gradio as gr
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as Event

from backend.errors import Forbidden, InvalidInput, Message
from ui.gradio_compat.server import FILES, UPLOAD, UPLOAD_PROGRESS, forget_upload, is_used, route_of
from ui.i18n import say, t
from ui.web.json_answer import JsonAnswer
from ui.web.upload_shelf import Shelf, UnderWay
from ui.web.visitor import STATE_KEY, Visitor, visitor

SHELF_KEY = "console_uploads"
MAX_UPLOAD = 64 << 20  # bytes of one file
MAX_ANSWER_BYTES = 1 << 20
MOST_DRAINED = 256 << 20
STEP = 1 << 20  # an upload of unknown length asks for room in such steps
STILL_S = 60.0
PROGRESS_IDS = 4000


class OwnUploads:
    """ASGI layer around Gradio's router, inside the guard."""

    def __init__(self, app: ASGIApp, shelf: Shelf) -> None:
        self.app = app
        self._shelf = shelf
        self._progress: OrderedDict[str, str] = OrderedDict()  # an upload's id → the visitor who named it first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        route, parameters = route_of(scope)
        state = scope.setdefault("state", {})
        state[SHELF_KEY] = self._shelf
        who = state.get(STATE_KEY)
        if not is_used(route, parameters) or (route in FILES and not self._may_read(who, parameters)):
            await _not_found()(scope, receive, send)
        elif route == UPLOAD and isinstance(who, Visitor) and self._own_progress(who, scope):
            await self._upload(who, scope, receive, send)
        elif route in (UPLOAD, UPLOAD_PROGRESS) and not self._own_progress(who, scope):
            await _not_found()(scope, receive, send)
        else:
            try:
                await self.app(scope, receive, send)
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
                await _not_found()(scope, receive, send)  # a path that no file can have

    def _may_read(self, who: Any, parameters: Any) -> bool:
        return isinstance(who, Visitor) and self._shelf.owns(who.id, str(parameters.get("path_or_url", "")))

    def _own_progress(self, who: Any, scope: Scope) -> bool:
        """Whether the upload's id is the visitor's: whoever names one first has it. Its progress tells file names."""
        if not isinstance(who, Visitor):
            return False
        for name in parse_qs(scope["query_string"].decode("latin-1")).get("upload_id", ()):
            if self._progress.setdefault(name, who.id) != who.id:
                return False
        while len(self._progress) > PROGRESS_IDS:
            forget_upload(self._progress.popitem(last=False)[0])
        return True

    async def _upload(self, who: Visitor, scope: Scope, receive: Receive, send: Send) -> None:
        with self._shelf.upload(who.id) as coming:
            length = Headers(scope=scope).get("content-length", "")
            room = int(length[:18]) if length.isdecimal() else 0
            reason = await run_in_threadpool(self._shelf.refusal, coming, room)
            if reason is None:
                reason = await self._passed_on(who, coming, scope, receive, send)
            if reason is not None:
                if not coming.complete and reason.key != "uploads.slow":
                    await drain(receive)
                status = 507 if reason.key == "uploads.disk" else 408 if reason.key == "uploads.slow" else 413
                await PlainTextResponse(say(reason, who.language, audience=who.role), status)(scope, receive, send)

    async def _passed_on(
        self, who: Visitor, coming: UnderWay, scope: Scope, receive: Receive, send: Send
    ) -> Message | None:
        """Gradio's answer; or a reason to answer with instead, and Gradio has answered nothing."""
        refused: Message | None = None
        started: Event | None = None
        answer = bytearray()
        size = 0

        async def counted() -> Event:
            nonlocal refused, size
            if refused is not None:
                return {"type": "http.disconnect"}
            try:
                event = await asyncio.wait_for(receive(), STILL_S)
            except TimeoutError:
                refused = Message("uploads.slow", {"seconds": int(STILL_S)})
                return {"type": "http.disconnect"}
            if event["type"] == "http.request":
                coming.complete = not event.get("more_body")
                size += len(event.get("body", b""))
                if size > coming.room:
                    refused = await run_in_threadpool(self._shelf.refusal, coming, size + STEP)
                    if refused is not None:
                        return {"type": "http.disconnect"}
            return event

        async def noted(event: Event) -> None:
            nonlocal refused, started
            if refused is not None:
                return
            if event["type"] == "http.response.start":
                started = event
                if event["status"] == 413:
                    refused = Message("uploads.too_large", {"limit": MAX_UPLOAD >> 20})
                    return
            elif started is not None and started["status"] == 200 and len(answer) <= MAX_ANSWER_BYTES:
                answer.extend(event.get("body", b""))
                if not event.get("more_body"):
                    self._shelf.note(who.id, _paths(bytes(answer)))
            await send(event)

        try:
            await self.app(scope, counted, noted)
        except OSError as error:
            if started is not None:
                raise
            refused = Message("uploads.disk", {"reason": error.strerror or type(error).__name__})
        except Exception:
            if refused is None:  # Gradio's complaint of a body that ended early, else
                raise
        return refused


def check_own_upload(request: gr.Request | None, path: str) -> None:
    """The one check of a file that a request names, before any handler sees it: ``gr.Error`` in the page's language
    unless this visitor uploaded it."""
    who = visitor(request)
    try:
        shelf_of(request).check(who.id, path)
    except InvalidInput as error:
        text = " ".join(say(message, who.language, audience=who.role) for message in error.messages)
        raise gr.Error(text, title=t("uploads.title", who.language), print_exception=False) from None


def note_spent(request: gr.Request | None, paths: Sequence[str]) -> None:
    """A handler has taken these files over."""
    shelf_of(request).spent(visitor(request).id, paths)


def shelf_of(request: Any) -> Shelf:
    """The shelf that the layer left in the request's scope. Forbidden where there is none."""
    inner = getattr(request, "request", None) or request
    found = getattr(inner, "scope", {}).get("state", {}).get(SHELF_KEY)
    if not isinstance(found, Shelf):
        raise Forbidden(Message("common.forbidden"))
    return found


def _paths(answer: bytes) -> list[str]:
    """Gradio answers an upload with the list of the files' paths."""
    try:
        paths = json.loads(answer)
    except ValueError:
        return []
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []


async def drain(receive: Receive) -> None:
    """Reads what is still coming of a refused request, within reason: a browser shows the answer only once it could
    send everything."""
    size = 0
    while size <= MOST_DRAINED:
        try:
            event = await asyncio.wait_for(receive(), STILL_S)
        except TimeoutError:
            return
        size += len(event.get("body", b""))
        if event["type"] != "http.request" or not event.get("more_body"):
            return


def _not_found() -> Response:
    return JsonAnswer({"detail": "Not Found"}, 404)
