"""Counts tokens as the server does, where it offers that (LMDeploy's /v1/encode), else about."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence

from backend.chat.client import Client
from backend.chat.context import MARKS, Parts, Weight, rough_tokens, scale, weighed
from backend.chat.conversation import Conversation

ASKED_AGAIN_S = 300.0  # a server that can't count may be another one by then
REMEMBERED = 4096  # counts
SHORT = 32  # characters of a text that is its own key
PROBE = "a"


class TokenCounter:
    """For one event loop. Counts are remembered: a conversation's earlier texts are counted once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._counts: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._marks: dict[str, int] = {}
        self._cannot: dict[str, float] = {}

    async def count(self, server: str, base_url: str, api_key: str, texts: Sequence[str]) -> list[int] | None:
        """The tokens of each text; None where that server can't say."""
        if time.monotonic() < self._cannot.get(server, 0.0):
            return None
        keys = [(server, _key(text)) for text in texts]
        new = list(
            dict.fromkeys(text for key, text in zip(keys, texts, strict=True) if text and key not in self._counts)
        )
        if new:
            found = await self._client.encode(base_url, api_key, new)
            if found is None:
                self._cannot[server] = time.monotonic() + ASKED_AGAIN_S
                return None
            for text, tokens in zip(new, found, strict=True):
                self._counts[server, _key(text)] = tokens
        counts = [self._counts.get(key, 0) if text else 0 for key, text in zip(keys, texts, strict=True)]
        while len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)
        return counts

    async def marks(self, server: str, base_url: str, api_key: str) -> int:
        """How many tokens the chat template puts around a message, about."""
        if server not in self._marks and time.monotonic() >= self._cannot.get(server, 0.0):
            bare = await self._client.encode(base_url, api_key, [PROBE])
            whole = await self._client.encode(base_url, api_key, [PROBE], as_prompt=True)
            # A template may begin with a system prompt of its own: that is there once, not around each message.
            known = bare is not None and whole is not None
            self._marks[server] = min(max(whole[0] - bare[0], 0), 4 * MARKS) if known else MARKS  # type: ignore[index]
        return self._marks.get(server, MARKS)

    async def weigh(
        self,
        server: str,
        base_url: str,
        api_key: str,
        parts: Parts,
        conversation: Conversation,
        context: int,
        lane: int = 0,
    ) -> Weight:
        """What a request's parts take of the context, in that conversation."""
        counts = await self.count(server, base_url, api_key, parts.texts)
        sampling = conversation.sampling
        if counts is not None:
            marks = await self.marks(server, base_url, api_key)
            return weighed(parts, counts, True, context, sampling.max_tokens, marks)
        factor = await asyncio.to_thread(scale, conversation, lane)
        about = await asyncio.to_thread(lambda: [round(rough_tokens(text) * factor) for text in parts.texts])
        return weighed(parts, about, False, context, sampling.max_tokens)


def _key(text: str) -> str:
    if len(text) <= SHORT:
        return text
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
