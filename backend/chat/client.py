"""Talks to model servers: one streamed request at a time becomes a sequence of small events.

Every way in which a server can fail ends as an Unavailable or InvalidInput that says so; the text that came before it
has been passed on by then.
"""

import asyncio
import contextlib
import importlib
import ipaddress
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from backend.errors import ConsoleError, InvalidInput, Message, Unavailable

if TYPE_CHECKING:  # importing openai takes most of a second: it is done at the first question, or just before
    from openai import AsyncOpenAI

DETAIL_LIMIT = 300  # characters of a server's own error text
NO_KEY = "none"  # the openai client insists on a key, servers without one ignore it
DONE = "[DONE]"  # the API's own word for the end
CONTEXT_WORDS = ("context length", "context_length", "maximum context", "session length", "session_len", "too long")


@dataclass(frozen=True)
class Deadlines:
    """How long to wait for a server, in seconds. ``first_token_s`` is generous: a long prompt on a CPU takes
    minutes.
    """

    connect_s: float = 5.0
    first_token_s: float = 600.0
    silence_s: float = 120.0


@dataclass(frozen=True)
class Delta:
    """A piece of the answer, or of what a reasoning model thinks first."""

    text: str = ""
    thinking: str = ""


@dataclass(frozen=True)
class CallDelta:
    """A piece of a tool call: the index tells calls apart, names and arguments come in parts."""

    index: int
    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class End:
    """The server ended the answer: its finish_reason ("stop", "length", "tool_calls") and its usage, None where not
    sent.
    """

    reason: str
    prompt_tokens: int | None
    answer_tokens: int | None


Event = Delta | CallDelta | End


class Client:
    """Keeps one connection pool per address. For one event loop."""

    def __init__(self, deadlines: Deadlines | None = None) -> None:
        self.deadlines = deadlines or Deadlines()
        self._clients: dict[tuple[str, str], AsyncOpenAI] = {}

    async def prepare(self, base_url: str, api_key: str) -> None:
        """Do what takes time once, so that no answer waits for it: imports, the connection pool."""
        if (base_url, api_key) not in self._clients:
            await asyncio.to_thread(warm_up)
            self._client(base_url, api_key)

    async def stream(self, base_url: str, api_key: str, request: Mapping[str, Any]) -> AsyncGenerator[Event, None]:
        """Send the request (the body of a chat completion) and yield what comes, ending with an End.

        Closing the iterator closes the connection at once, which frees the server. Raises Unavailable or InvalidInput.
        """
        reason, prompt_tokens, answer_tokens = "", None, None
        started = empty = False
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self.deadlines.first_token_s):
                    response = await stack.enter_async_context(
                        self._client(base_url, api_key).chat.completions.with_streaming_response.create(
                            **request, stream=True, stream_options={"include_usage": True}
                        )
                    )
                started = empty = True
                patience = self.deadlines.first_token_s
                chunks = server_sent(response.iter_lines())
                while True:
                    async with asyncio.timeout(patience):
                        data = await anext(chunks, DONE)
                    if data == DONE:
                        break
                    empty = False
                    chunk = json.loads(data)
                    if error := chunk.get("error"):
                        raise explain_status(0, detail(error), "", base_url)
                    if usage := chunk.get("usage"):
                        prompt_tokens, answer_tokens = usage.get("prompt_tokens"), usage.get("completion_tokens")
                    for event in read_chunk(chunk):
                        patience = self.deadlines.silence_s
                        yield event
                    for choice in chunk.get("choices") or ():
                        reason = choice.get("finish_reason") or reason
            if empty:
                raise Unavailable(Message("chat.error.garbage", {"address": base_url}))
            if not reason:
                raise Unavailable(Message("chat.end.gone"))
            yield End(reason, prompt_tokens, answer_tokens)
        except Exception as error:
            raise explain(error, base_url, self.deadlines, started=started) from error

    async def close(self) -> None:
        """Close all connections."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()

    def _client(self, base_url: str, api_key: str) -> "AsyncOpenAI":
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

        key = (base_url, api_key)
        if key not in self._clients:
            timeout = Timeout(None, connect=self.deadlines.connect_s)
            http = DefaultAsyncHttpxClient(trust_env=not is_loopback(base_url), follow_redirects=False, timeout=timeout)
            self._clients[key] = AsyncOpenAI(
                base_url=base_url, api_key=api_key or NO_KEY, max_retries=0, timeout=timeout, http_client=http
            )
        return self._clients[key]


def warm_up() -> None:
    """Import what the first question needs."""
    importlib.import_module("openai.resources.chat")


def is_loopback(url: str) -> bool:
    """Whether the address is this machine's own: proxy settings don't apply to it."""
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


async def server_sent(lines: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    """The data of server-sent events; one that isn't ended by an empty line was cut off, and is left out.

    https://html.spec.whatwg.org/multipage/server-sent-events.html, as far as the OpenAI API uses it. The openai client
    would make an object of several layers of every event, which takes six times the time.
    """
    data: list[str] = []
    async for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].strip())
        elif not line and data:
            yield "\n".join(data)
            data = []


def read_chunk(chunk: Mapping[str, Any]) -> Sequence[Event]:
    """What a chunk brings; servers send empty ones too, and leave out what they don't have."""
    events: list[Event] = []
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        text, thinking = _text(delta.get("content")), _text(delta.get("reasoning_content") or delta.get("reasoning"))
        if text or thinking:
            events.append(Delta(text, thinking))
        for position, call in enumerate(delta.get("tool_calls") or ()):
            function = call.get("function") or {}
            index = call.get("index")
            events.append(
                CallDelta(
                    index if isinstance(index, int) else position,
                    _text(call.get("id")),
                    _text(function.get("name")),
                    _text(function.get("arguments")),
                )
            )
    return events


def explain(error: Exception, base_url: str, deadlines: Deadlines, *, started: bool) -> ConsoleError:
    """The error as a person reads it. ``started``: the server had accepted the request."""
    import openai

    if isinstance(error, ConsoleError):
        return error
    if isinstance(error, TimeoutError):
        seconds = deadlines.silence_s if started else deadlines.first_token_s
        return Unavailable(Message("chat.end.silent", {"seconds": round(seconds)}))
    if isinstance(error, openai.APIStatusError):
        location = error.response.headers.get("location", "")
        return explain_status(error.status_code, detail(error.body), location, base_url)
    if isinstance(error, openai.APIConnectionError):
        return Unavailable(Message("chat.error.unreachable", {"address": base_url}))
    if isinstance(error, ValueError | TypeError | AttributeError):  # no JSON, or not in the form of a chunk
        return Unavailable(Message("chat.error.garbage", {"address": base_url}))
    return Unavailable(Message("chat.end.gone"))


def explain_status(status: int, text: str, location: str, base_url: str) -> ConsoleError:
    """An HTTP error (0: an error inside the stream) as a person reads it; ``text`` is the server's own."""
    if status in (401, 403):
        return Unavailable(Message("chat.error.key", {"address": base_url, "status": status}))
    if 300 <= status < 400:
        return Unavailable(Message("chat.error.redirect", {"address": base_url, "location": location or "?"}))
    if status == 404:
        return Unavailable(Message("chat.error.not_found", {"address": base_url, "detail": text or "404"}))
    if any(word in text.lower() for word in CONTEXT_WORDS):
        return InvalidInput(Message("chat.error.context", {"detail": text}, field="chat-input"))
    return Unavailable(Message("chat.error.status", {"status": status or "", "detail": text or "-"}))


def detail(body: object) -> str:
    """The server's own words out of an error's body, cut short."""
    if isinstance(body, Mapping):
        inner = body.get("error", body)
        if isinstance(inner, Mapping):
            inner = inner.get("message") or inner.get("detail") or json.dumps(inner, default=str)
        body = inner
    text = " ".join(str(body or "").split())
    return text if len(text) <= DETAIL_LIMIT else text[:DETAIL_LIMIT] + "…"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
