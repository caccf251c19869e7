"""What a server answered to a request: what it holds, and the Refusal that says so where it is no answer."""

import asyncio
import json
import time
from typing import Any
from urllib.parse import urlsplit

from backend.chat.client import plain, shortened
from backend.chat.event_stream import TooLong
from backend.errors import Message
from backend.gateway.answer import is_refusal, read_stream, retry_after_s, server_words
from backend.gateway.errors import Refusal
from backend.gateway.request import Endpoint
from backend.gateway.upstream import Broken, Response
from backend.gateway.whole_answer import joined
from backend.outside_text import clean

MOST_ANSWER_BYTES = 256 << 20
READ_CODINGS = frozenset({"", "identity", "gzip", "x-gzip", "deflate", "utf-8", "utf8"})  # the last two are none


async def refused(name: str, endpoint: Endpoint, response: Response) -> Refusal:
    """The server's own refusal, in its words."""
    status = response.status
    words = await asyncio.to_thread(server_words, await whole_body(name, response))
    if status in (404, 405):
        params = {"name": name, "path": f"/v1/{endpoint.path}", "detail": words}
        return Refusal(404, "not_served", Message("gateway.not-served", params))
    if status in (401, 403):
        return Refusal(502, "model_refuses_key", Message("gateway.server-key", {"name": name}))
    return said_no(name, status, words, retry_after_s(response.headers.get("retry-after", ""), time.time()))


async def whole_body(name: str, response: Response) -> bytes:
    """The answer's body, bounded. Raises Refusal."""
    body = bytearray()
    try:
        while chunk := await response.read():
            body.extend(chunk)
            if len(body) > MOST_ANSWER_BYTES:
                raise too_large(name)
    except (Broken, TimeoutError) as error:
        raise Refusal(502, "model_gone", Message("gateway.gone", {"name": name})) from error
    finally:
        response.close()
    return bytes(body)


def check_head(name: str, response: Response) -> None:
    """Whether what follows can be an answer. Raises Refusal."""
    status = response.status
    if 300 <= status < 400:
        params = {"name": name, "status": str(status), "location": _place(response.headers.get("location", ""))}
        raise Refusal(502, "bad_answer", Message("gateway.redirect", params))
    if status in (204, 205):
        raise Refusal(502, "bad_answer", Message("gateway.empty", {"name": name, "status": str(status)}))
    codings = {word.strip().lower() for word in response.headers.get("content-encoding", "").split(",")}
    if unread := codings - READ_CODINGS:
        params = {"name": name, "value": clean(", ".join(sorted(unread)), 60)}
        raise Refusal(502, "bad_answer", Message("gateway.coding", params))


def _place(location: str) -> str:
    """Where a redirection leads, for a message: without a password, and without what a query may hold."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "–"
    return clean(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()) or "–"


def read_value(name: str, body: bytes) -> Any:
    """A whole answer's value, also where the server streams unasked. Raises Refusal."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return _read_stream(name, body)
    if is_refusal(value):
        raise said_no(name, 200, server_words(body))
    return value


def _read_stream(name: str, body: bytes) -> dict[str, Any]:
    try:
        stream = read_stream(body, MOST_ANSWER_BYTES)
    except TooLong:
        raise too_large(name) from None
    except ValueError as error:
        raise no_json(name, str(error)) from None
    if stream.error is not None:
        raise said_no(name, 200, server_words(json.dumps(stream.error).encode()))
    if not stream.chunks:
        raise no_json(name, stream.left)
    if not stream.whole:
        raise cut(name, stream.left)
    return joined(stream.chunks)


def no_json(name: str, left: str) -> Refusal:
    """An answer that can't be read; ``left`` is what came."""
    params = {"name": name, "detail": shortened(plain(left)) or "–"}
    return Refusal(502, "bad_answer", Message("gateway.no-json", params))


def cut(name: str, left: str) -> Refusal:
    """An answer that isn't whole; ``left`` is what else the server said."""
    if not left.strip():
        return Refusal(502, "answer_cut", Message("gateway.cut", {"name": name}))
    return Refusal(502, "answer_cut", Message("gateway.cut-said", {"name": name, "detail": shortened(plain(left))}))


def too_large(name: str) -> Refusal:
    """More than is taken."""
    return Refusal(502, "bad_answer", Message("gateway.answer-large", {"name": name}))


def said_no(name: str, status: int, words: str, wait_s: float | None = None) -> Refusal:
    """The server's own words, and when it wants to be asked again."""
    message = Message("gateway.server-refused", {"name": name, "status": str(status), "detail": words or "–"})
    return Refusal(status if 400 <= status < 500 else 502, "model_refused", message, retry_after_s=wait_s)
