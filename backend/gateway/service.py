"""The console's own API address, without HTTP's server half: who asks, which server answers, and its answer.

One request: ``grant_of`` the key, ``ask`` (limits, names, fields, pictures, the server), then the Answer's bytes.
Closing a body that comes closes the connection to the server, which frees it.
"""

import asyncio
import base64
import binascii
import json
import logging
import math
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from backend.chat.event_stream import TooLong
from backend.chat.images import check_picture, data_url
from backend.chat.pictures import MIME, Pictures
from backend.classroom.limits import Allowances, LimitReached
from backend.errors import ConsoleError, Message, NotFound
from backend.gateway.answer import StreamRewriter, renamed, server_words, total_tokens
from backend.gateway.errors import Refusal
from backend.gateway.keys import Grant, KeyRing, offered_keys
from backend.gateway.names import Listed, find, listed
from backend.gateway.request import Endpoint, choices_in, passed_on, pictures_in, read_json
from backend.gateway.server_answer import check_head, cut, no_json, read_value, refused, said_no, too_large, whole_body
from backend.gateway.upstream import Broken, Response, Upstream
from backend.gateway.usage import Bodies, Meter
from backend.servers.manager import Endpoint as ServerEndpoint
from backend.servers.manager import ServerManager
from backend.servers.server import ServerState
from backend.store import Store

LENT_AREA, LENT_KEY = "setting", "gateway_lent"
LARGE_BYTES = 256 << 10  # read and written in a thread beyond that
FIRST_S = 600.0  # s; a long prompt on a CPU takes minutes
JSON = "application/json"
STREAM = "text/event-stream"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What goes back: the status, the type, the headers beside it, and the body, whole or as it comes. What comes may
    break off: it raises Refusal then."""

    status: int
    content_type: str
    headers: Mapping[str, str]
    body: bytes | AsyncGenerator[bytes, None]


class _Asking:
    """One request from its beginning to its end, which is counted once."""

    def __init__(self, under_way: Counter[tuple[str, str]], grant: Grant, count: Callable[[Grant, int], None]) -> None:
        self._under_way, self._grant, self._count = under_way, grant, count
        self._at: tuple[str, str] | None = None
        self._ended = False

    def reach(self, server_id: str) -> None:
        """That server answers it."""
        self._at = (server_id, self._grant.holder)
        self._under_way[self._at] += 1

    def end(self, tokens: int) -> None:
        """It took so many tokens, question and answer together."""
        if self._ended:
            return
        self._ended = True
        if self._at is not None:
            self._under_way[self._at] -= 1
            if not self._under_way[self._at]:  # servers come and go
                del self._under_way[self._at]
        self._count(self._grant, tokens)


class Gateway:
    """For one event loop; ``keys`` and ``meter`` are safe from any thread."""

    def __init__(
        self, servers: ServerManager, store: Store, keys: KeyRing, pictures: Pictures, allowances: Allowances
    ) -> None:
        self._servers = servers
        self._store = store
        self._kept = pictures
        self._allowances = allowances
        self.keys = keys
        self.meter = Meter(store)
        self.bodies = Bodies()
        stored = store.get_json(LENT_AREA, LENT_KEY)
        self._lent = frozenset(stored) if isinstance(stored, list) else frozenset()
        self._upstream = Upstream(FIRST_S)
        self._pictures = asyncio.Semaphore(2)
        self._under_way: Counter[tuple[str, str]] = Counter()  # by server and holder
        self._last_listed: tuple[Any, list[Listed]] = (None, [])
        self._read_keys: dict[str, str] = {}  # of the servers that are there, by id

    def lent(self) -> frozenset[str]:
        """The ids of the external servers that the operator lends."""
        return self._lent

    def lend(self, server_id: str, lent: bool) -> None:
        """Lend that external server, or no more. Raises NotFound, or Unavailable where it can't be stored."""
        self._servers.get(server_id)
        changed = self._lent | {server_id} if lent else self._lent - {server_id}
        self._store.put_json(LENT_AREA, LENT_KEY, sorted(changed))
        self._lent = frozenset(changed)

    def grant_of(self, *headers: str) -> Grant:
        """Who asks, by the values of the headers that keys come in. Raises Refusal (401)."""
        offered = offered_keys(headers)
        if not offered:
            raise Refusal(401, "missing_api_key", Message("gateway.key-missing"))
        for key in offered:
            if (grant := self.keys.match(key)) is not None:
                return grant
        raise Refusal(401, "invalid_api_key", Message("gateway.key-wrong"))

    def models(self, grant: Grant) -> list[dict[str, Any]]:
        """The servers that are ready, as OpenAI lists models; the newest first."""
        return [model_json(one) for one in self._listed(grant) if one.ready]

    def model(self, grant: Grant, model_id: str) -> dict[str, Any]:
        """One of them. Raises Refusal."""
        return model_json(find(self._listed(grant), model_id))

    def answering(self, server_id: str = "", others: bool = False) -> int:
        """How many requests are under way, to that server or to all; ``others``: without the operator's. From any
        thread."""
        found = tuple(self._under_way.items())
        return sum(
            count
            for (server, holder), count in found
            if server_id in ("", server) and not (others and holder == "operator")
        )

    async def picture(self, grant: Grant, picture_id: str) -> tuple[bytes, str]:
        """A picture of the conversation on whose page the key stands, and its media type. Raises Refusal (404)."""
        gone = Refusal(404, "file_not_found", Message("gateway.picture-gone", {"value": picture_id[:80]}))
        if not grant.visitor:
            raise gone
        try:
            path = self._kept.path(grant.visitor, picture_id)
            return await asyncio.to_thread(path.read_bytes), MIME[path.suffix]
        except (NotFound, OSError, ValueError):  # a name may hold what no path can
            raise gone from None

    async def ask(self, grant: Grant, endpoint: Endpoint, body: bytes) -> Answer:
        """Pass the request on. Raises Refusal; the caller takes the first piece of a body that comes, and closes it,
        whatever happens."""
        self.meter.begin(grant)
        asking = _Asking(self._under_way, grant, self._count)
        try:
            self._allow(grant, requests=1)
            large = len(body) > LARGE_BYTES
            asked = await asyncio.to_thread(read_json, body) if large else read_json(body)
            request, left_out = passed_on(endpoint, asked)
            self._allow(grant, pictures=pictures_in(request))
            one = find(self._listed(grant), asked.get("model"))
            asking.reach(one.view.id)
            request = await self._with_checked_pictures(request)
            answer = await self._pass_on(one, endpoint, request, asking.end)
        except BaseException:
            asking.end(0)
            raise
        if left_out:
            return replace(answer, headers={**answer.headers, "x-console-left-out": ", ".join(left_out)})
        return answer

    async def close(self) -> None:
        """Close the connections, and store what was used."""
        self._upstream.close()
        self.meter.save()

    def _allow(self, grant: Grant, requests: int = 0, pictures: int = 0) -> None:
        """What a visitor of a class may use, page and programs together. Raises Refusal (429)."""
        if grant.holder != "class":
            return
        try:
            self._allowances.begin(grant.visitor, requests, pictures)
        except LimitReached as reached:
            wait = None if math.isinf(reached.wait_s) else max(1.0, reached.wait_s)
            raise Refusal(429, "rate_limit_exceeded", reached.messages[0], retry_after_s=wait) from reached

    def _count(self, grant: Grant, tokens: int) -> None:
        self.meter.end(grant, tokens)
        if grant.holder == "class":
            self._allowances.spent(grant.visitor, tokens)

    def _listed(self, grant: Grant) -> list[Listed]:
        asked = (self._servers.snapshot(), self._lent, grant.limits.servers)
        if asked != self._last_listed[0]:  # nearly always what it was: the same views, looked at one after another
            self._last_listed = (asked, listed(*asked))
        return self._last_listed[1]

    async def _pass_on(
        self, one: Listed, endpoint: Endpoint, request: dict[str, Any], ended: Callable[[int], None]
    ) -> Answer:
        try:
            if self._servers.get(one.view.id).asleep:  # as it is now: it may have fallen asleep since it was looked up
                await asyncio.to_thread(self._servers.wake, one.view.id)
            server = await self._endpoint(one.view.id)
        except ConsoleError as error:
            raise Refusal(503, "model_unreachable", error.messages[0], retry_after_s=5.0) from error
        streamed = bool(request.get("stream"))
        request["model"] = server.model_id
        hide_usage = False
        if streamed:
            given = request.get("stream_options")
            options = given if isinstance(given, dict) else {}
            hide_usage = not options.get("include_usage")
            request["stream_options"] = {**options, "include_usage": True}
        response = await self._send(one, server, endpoint, request)
        if response.status >= 400:
            self._read_keys.pop(one.view.id, None)
            raise await refused(one.id, endpoint, response)
        try:
            check_head(one.id, response)
        except Refusal:
            response.close()
            raise
        if streamed:
            rewriter = StreamRewriter(one.id, hide_usage=hide_usage, choices=choices_in(request))
            return Answer(200, STREAM, {}, self._stream(one, response, rewriter, ended))
        whole = await whole_body(one.id, response)
        large = len(whole) > LARGE_BYTES
        value = await asyncio.to_thread(read_value, one.id, whole) if large else read_value(one.id, whole)
        ended(total_tokens(value) or 0)
        content = json.dumps(renamed(value, one.id)).encode()
        return Answer(200, JSON, {}, content)

    async def _endpoint(self, server_id: str) -> ServerEndpoint:
        """Where the server is now. Its key lies on disk: it is read once, in a thread. Raises ConsoleError."""
        key = self._read_keys.get(server_id)
        if key is not None:
            return self._servers.endpoint(server_id, key)
        server = await asyncio.to_thread(self._servers.endpoint, server_id)
        there = {view.id for view in self._servers.snapshot()}
        self._read_keys = {name: kept for name, kept in self._read_keys.items() if name in there}
        self._read_keys[server_id] = server.api_key
        return server

    async def _send(
        self, one: Listed, server: ServerEndpoint, endpoint: Endpoint, request: Mapping[str, Any]
    ) -> Response:
        try:
            body = json.dumps(request).encode()
            return await self._upstream.post(server.base_url, endpoint.path, body, server.api_key)
        except TimeoutError:
            message = Message("gateway.slow", {"name": one.id, "seconds": round(FIRST_S)})
            raise Refusal(504, "model_timeout", message) from None
        except Broken as error:
            raise self._gone(one, error) from error

    async def _stream(
        self, one: Listed, response: Response, rewriter: StreamRewriter, ended: Callable[[int], None]
    ) -> AsyncGenerator[bytes, None]:
        """The events as they come. Raises Refusal where the answer breaks off."""
        given = False
        broken: BaseException | None = None
        try:
            try:
                while chunk := await response.read():
                    if piece := rewriter.feed(chunk):
                        given = True
                        yield piece
            except (Broken, TimeoutError) as error:
                broken = error
            last = rewriter.end(broken=broken is not None)
            if rewriter.failed and not given:
                raise said_no(one.id, 200, await asyncio.to_thread(server_words, last))
            if last:
                given = True
                yield last
            if rewriter.whole:  # where it broke off, only the connection's end is missing
                return
            if broken is not None:
                raise self._gone(one, broken) from broken
            raise cut(one.id, rewriter.left) if rewriter.events else no_json(one.id, rewriter.left)
        except TooLong as error:
            raise too_large(one.id) from error
        except ValueError as error:
            raise no_json(one.id, str(error)) from error
        finally:
            response.close()
            ended(rewriter.tokens if rewriter.tokens is not None else rewriter.events)

    def _gone(self, one: Listed, error: BaseException) -> Refusal:
        """Why the server gave no answer, or no whole one: was it stopped, or did it die?"""
        log.info("%s gave no whole answer: %r", one.id, error)
        state = next((v.state for v in self._servers.snapshot() if v.id == one.view.id), None)
        if state in (None, ServerState.STOPPING, ServerState.STOPPED):
            return Refusal(503, "model_stopped", Message("gateway.stopped", {"name": one.id}))
        return Refusal(502, "model_gone", Message("gateway.gone", {"name": one.id}))

    async def _with_checked_pictures(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request with every picture decoded and written anew: what a server can't read could end it."""
        messages = request.get("messages")
        if not isinstance(messages, list):
            return request
        fresh = []
        for message in messages:
            content = message.get("content")
            if isinstance(content, list):
                parts = [await self._checked(part) if part["type"] == "image_url" else part for part in content]
                message = {**message, "content": parts}
            fresh.append(message)
        return {**request, "messages": fresh}

    async def _checked(self, part: Mapping[str, Any]) -> dict[str, Any]:
        picture = part["image_url"]
        url = picture["url"] if isinstance(picture, dict) else picture
        async with self._pictures:
            try:
                made = await asyncio.to_thread(_made_anew, url)
            except ConsoleError as error:
                raise Refusal(400, "invalid_image", error.messages[0]) from error
        extra = {"detail": picture["detail"]} if isinstance(picture, dict) and "detail" in picture else {}
        return {"type": "image_url", "image_url": {"url": made, **extra}}


def model_json(one: Listed) -> dict[str, Any]:
    """As OpenAI's list of models has it."""
    return {"id": one.id, "object": "model", "created": int(one.view.created_at), "owned_by": "lmdeploy-console"}


def _made_anew(url: str) -> str:
    encoded = url.partition(",")[2]
    try:
        data = base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error):
        raise Refusal(
            400, "invalid_image", Message("gateway.picture-base64", {"value": "image_url"}, "messages")
        ) from None
    picture = check_picture(data, "image_url")
    return data_url(picture.data, picture.mime)
