"""Talks to model servers: one streamed request at a time becomes a sequence of small events.

Every way in which a server can fail ends as an Unavailable or InvalidInput that says so; the text that came before it
has been passed on by then.
"""

import asyncio
import html
import json
import re
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx

from backend.chat.answer_reader import AnswerReader, BrokeOff, NotAnAnswer, text_of
from backend.chat.answer_stream import PlainReader, Response, reads_plainly
from backend.chat.completion import Delta, Event
from backend.chat.event_stream import LIMIT, TooLong
from backend.chat.json_text import json_values
from backend.chat.pace import Pace
from backend.chat.server_errors import ServerSaid, words
from backend.chat.unpacking import unpacked
from backend.errors import ConsoleError, InvalidInput, Message, Unavailable
from backend.machine.clients import client_options
from backend.outside_text import clean

DETAIL_LIMIT = 300  # characters of a server's own error text
ERROR_BYTES = 256 * 1024  # of an error's body
NO_KEY = "none"  # some servers want the header, whatever stands in it
CONTEXT_WORDS = (
    "context length", "context_length", "context window", "maximum context", "max_model_len", "session length",
    "session_len", "too long", "too many tokens", "input length", "prompt is longer", "maximum input length",
    "exceeds the maximum number of tokens", "exceed context",
)  # fmt: skip
# Of a web page: scripts, styles, comments and tags. An HTML parser takes seconds for a page of tags that never end.
_NO_WORDS = re.compile(
    r"<(script|style)\b.*?(?:</\1[^<>]*>?|\Z)|<!--.*?(?:-->|\Z)|<[!?/a-z][^<>]*>?", re.DOTALL | re.IGNORECASE
)
PICTURE_WORDS = (
    "image input", "image_url", "images are not supported", "does not support image", "not a multimodal",
    "not multimodal", "does not support vision", "no vision", "mmproj",
)  # fmt: skip


@dataclass(frozen=True)
class Deadlines:
    """How long to wait for a server, in seconds. ``first_token_s`` is generous: a long prompt on a CPU takes
    minutes. ``end_s``: for the rest of the stream once the answer's end was seen. ``count_s``: for a count of tokens.
    """

    connect_s: float = 5.0
    first_token_s: float = 600.0
    silence_s: float = 120.0
    end_s: float = 3.0
    count_s: float = 5.0


class Client:
    """Keeps one connection pool per address. For one event loop."""

    def __init__(self, deadlines: Deadlines | None = None) -> None:
        self.deadlines = deadlines or Deadlines()
        self._clients: dict[tuple[str, str], httpx.AsyncClient] = {}
        self._plain = PlainReader(self.deadlines.connect_s)
        self._plainly: set[tuple[str, str]] = set()
        self._pace = Pace()

    async def prepare(self, base_url: str, api_key: str) -> None:
        """Do what takes time once, so that no answer waits for it: the certificates, the connection pool."""
        if (base_url, api_key) not in self._clients:
            client = await asyncio.to_thread(self._make, base_url, api_key)
            plainly = await asyncio.to_thread(reads_plainly, base_url, bool(api_key))
            if plainly and await asyncio.to_thread(self._plain.prepare):
                self._plainly.add((base_url, api_key))
            if self._clients.setdefault((base_url, api_key), client) is not client:
                await client.aclose()

    async def stream(self, base_url: str, api_key: str, request: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
        """Send the request (the body of a chat completion) and yield what comes, ending with an End.

        Closing the iterator closes the connection at once, which frees the server. Raises Unavailable or InvalidInput.
        """
        await self.prepare(base_url, api_key)
        reader = AnswerReader()
        patience = self.deadlines.first_token_s
        body = {**request, "stream": True, "stream_options": {"include_usage": True}}
        begun = False
        broken: TimeoutError | httpx.HTTPError | None = None
        try:
            async with AsyncExitStack() as stack:
                stack.enter_context(self._pace.watching())
                async with asyncio.timeout(patience):
                    response = await stack.enter_async_context(self._sent(base_url, api_key, body))
                    if not response.is_success:
                        raise await refusal(response, base_url)
                pieces = response.aiter_bytes()
                try:
                    while not reader.done:
                        async with asyncio.timeout(patience):
                            data = await anext(pieces, None)
                        if data is None:
                            break
                        pause = self._pace.reading_pause_s()
                        for event in merged(reader.feed(data)) if pause else reader.feed(data):
                            patience = self.deadlines.silence_s
                            begun = True
                            yield event
                        if pause and begun and not reader.done:
                            await asyncio.sleep(pause)
                        if reader.completion.ended_surely:
                            patience = min(patience, self.deadlines.end_s)
                except (TimeoutError, httpx.HTTPError) as error:
                    broken = error  # the answer may be whole: then only the connection's end is missing
            for event in reader.broken(broken) if broken else reader.conclusion() if reader.done else reader.end():
                yield event
        except Exception as error:
            raise explain(error, base_url, patience) from error

    async def encode(
        self, base_url: str, api_key: str, texts: Sequence[str], *, as_prompt: bool = False
    ) -> list[int] | None:
        """How many tokens each text has, as LMDeploy's ``/v1/encode`` counts; ``as_prompt``: with what its chat
        template puts around it. None where the server can't say, or not in time."""
        await self.prepare(base_url, api_key)
        # Halves of surrogate pairs, which a model may write, are no text for a tokenizer.
        sound = [text.encode("utf-8", "replace").decode() for text in texts]
        body = {"input": sound, "do_preprocess": as_prompt, "add_bos": False}
        try:
            async with asyncio.timeout(self.deadlines.count_s):
                response = await self._clients[base_url, api_key].post(f"{base_url.rstrip('/')}/encode", json=body)
            found = json.loads(response.content)["length"] if response.is_success else None
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError, LookupError, RecursionError):
            return None
        counts = [found] if isinstance(found, int) else found
        sound_counts = isinstance(counts, list) and len(counts) == len(texts) and all(type(n) is int for n in counts)
        return counts if sound_counts else None

    async def ask(
        self, base_url: str, api_key: str, body: Mapping[str, Any], deadline_s: float
    ) -> tuple[int, Any] | None:
        """A completion as a whole: its HTTP status and what came, None in its place where that is no JSON. None where
        nothing came, or not in time."""
        await self.prepare(base_url, api_key)
        try:
            async with asyncio.timeout(deadline_s):
                url = f"{base_url.rstrip('/')}/chat/completions"
                response = await self._clients[base_url, api_key].post(url, json=body)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL):
            return None
        try:
            return response.status_code, json.loads(response.content)
        except (ValueError, RecursionError):
            return response.status_code, None

    async def close(self) -> None:
        """Close all connections."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.aclose()
        await self._plain.close()

    def _sent(self, base_url: str, api_key: str, body: Mapping[str, Any]) -> AbstractAsyncContextManager[Response]:
        url = f"{base_url.rstrip('/')}/chat/completions"
        if (base_url, api_key) in self._plainly:
            return self._plain.post(url, body, headers_for(api_key))
        return self._clients[base_url, api_key].stream("POST", url, json=body)

    def _make(self, base_url: str, api_key: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            **client_options(base_url, with_key=bool(api_key)),
            timeout=httpx.Timeout(None, connect=self.deadlines.connect_s),
            headers=headers_for(api_key),
        )


def headers_for(api_key: str) -> dict[str, str]:
    """What every request has."""
    return {"Authorization": f"Bearer {api_key or NO_KEY}", "Accept": "text/event-stream, application/json"}


def merged(events: Iterable[Event]) -> Iterator[Event]:
    """Pieces of text that came together as one. What else is in a piece keeps it apart."""
    pieces: list[Delta] = []
    try:
        for event in events:
            if isinstance(event, Delta) and event == Delta(event.text, event.thinking):
                pieces.append(event)
                continue
            yield from _joined(pieces)
            pieces = []
            yield event
    except Exception:
        yield from _joined(pieces)  # what came before it
        raise
    yield from _joined(pieces)


def _joined(pieces: list[Delta]) -> Iterator[Delta]:
    if len(pieces) < 2:
        yield from pieces
        return
    text, thinking = "".join(one.text for one in pieces), "".join(one.thinking for one in pieces)
    yield Delta(text, thinking, pieces=len(pieces))


async def refusal(response: Response, base_url: str) -> ConsoleError:
    """The error of an answer whose status says that it is none."""
    data = b""
    try:
        async for piece in response.aiter_bytes():
            data += piece
            if len(data) > ERROR_BYTES:
                break
    except httpx.HTTPError:
        pass  # what came of it is shown
    return explain_status(response.status_code, said_by(data), response.headers.get("location", ""), base_url)


def said_by(data: bytes) -> str:
    """The words of an error's body: JSON of any shape, an event stream, a web page, plain text, in any encoding."""
    text = text_of(unpacked(data, LIMIT)).strip()
    if text[:1] in ("{", "[", '"'):
        values, rest = json_values(text)
        if values and not rest:
            return words(values[0] if len(values) == 1 else values)
    reader = AnswerReader()
    try:
        for _ in reader.feed(text.encode("utf-8", "replace")):
            pass
        for _ in reader.end():
            pass
    except ServerSaid as error:
        return error.text
    except (NotAnAnswer, BrokeOff, TooLong):
        pass
    return plain(text)


def explain(error: Exception, base_url: str, patience: float) -> ConsoleError:
    """The error as a person reads it. ``patience``: how long the server was waited for."""
    if isinstance(error, ConsoleError):
        return error
    if isinstance(error, TimeoutError):
        return Unavailable(Message("chat.end.silent", {"seconds": round(patience)}))
    if isinstance(error, ServerSaid):
        return explain_status(error.status, error.text, "", base_url)
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError | httpx.UnsupportedProtocol):
        return Unavailable(Message("chat.error.unreachable", {"address": base_url}))
    if isinstance(error, NotAnAnswer):
        shown = shortened(plain(error.text)) or "-"
        return Unavailable(Message("chat.error.garbage", {"address": base_url, "detail": shown}))
    if isinstance(error, BrokeOff) and error.text.strip():
        return Unavailable(Message("chat.end.gone_said", {"detail": shortened(plain(error.text))}))
    if isinstance(error, TooLong | UnicodeError | httpx.InvalidURL):
        return Unavailable(Message("chat.error.garbage", {"address": base_url, "detail": "-"}))
    return Unavailable(Message("chat.end.gone"))


def explain_status(status: int, text: str, location: str, base_url: str) -> ConsoleError:
    """An HTTP error (0: an error inside the stream) as a person reads it; ``text`` is the server's own."""
    text = shortened(text)
    lower = text.lower()
    if status in (401, 403):
        return Unavailable(Message("chat.error.key", {"address": base_url, "status": status, "detail": text or "-"}))
    if 300 <= status < 400:
        return Unavailable(
            Message("chat.error.redirect", {"address": base_url, "location": shortened(location) or "?"})
        )
    if any(word in lower for word in CONTEXT_WORDS):
        return InvalidInput(Message("chat.error.context", {"detail": text}, field="question"))
    if any(word in lower for word in PICTURE_WORDS):
        return InvalidInput(Message("chat.error.pictures_refused", {"detail": text}, field="question"))
    if status == 404:
        return Unavailable(Message("chat.error.not_found", {"address": base_url, "detail": text or "404"}))
    if status == 0:
        return Unavailable(Message("chat.error.said", {"detail": text or "-"}))
    return Unavailable(Message("chat.error.status", {"status": status, "detail": text or "-"}))


def plain(text: str) -> str:
    """The words of a web page, or the text as it is."""
    if text.lstrip()[:1] != "<":
        return text
    return " ".join(html.unescape(_NO_WORDS.sub(" ", text)).split()) or text


def shortened(text: str) -> str:
    """On one line, cut short, with what can't be seen made visible."""
    return clean(" ".join(text.split()), DETAIL_LIMIT)
