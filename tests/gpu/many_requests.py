"""Many requests at once to a server: whether each answer came whole, and tokens/s of all together."""

import asyncio
import json
import time
from dataclasses import dataclass

import aiohttp

TOKENS = 1024  # so many that the first token's time counts for little


@dataclass(frozen=True)
class Answered:
    """One request's end: tokens, whether it came whole, and the error that the client read."""

    tokens: int
    whole: bool
    error: str


async def _one(
    session: aiohttp.ClientSession, address: str, stream: bool, model: str, tokens: int, begun: list[float]
) -> Answered:
    body = {
        "model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": tokens, "ignore_eos": True,
        "stream": stream,
    }  # fmt: skip
    try:
        async with session.post(f"{address}/chat/completions", json=body) as answer:
            parts: list[bytes] = []
            async for part in answer.content.iter_any():
                begun += [] if parts else [time.monotonic()]
                parts.append(part)
            text = b"".join(parts).decode()
    except aiohttp.ClientError as error:
        return Answered(0, False, repr(error))
    if not stream:
        found = json.loads(text)
        return Answered(found.get("usage", {}).get("completion_tokens", 0), "choices" in found, text[:200])
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    errors = [line for line in [*lines, text] if line.startswith("{") and "error" in json.loads(line)]
    return Answered(len(lines), bool(lines) and lines[-1] == "[DONE]" and not errors, errors[-1] if errors else "")


async def all_at_once(
    address: str,
    key: str,
    count: int,
    stream: bool,
    model: str = "m",
    tokens: int = TOKENS,
    begun: list[float] | None = None,
) -> list[Answered]:
    """So many requests at once; ``begun`` gets the moment of each one's first bytes."""
    begun = [] if begun is None else begun
    limit = aiohttp.TCPConnector(limit=0)
    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(connector=limit, headers=headers, timeout=aiohttp.ClientTimeout(300)) as session:
        return await asyncio.gather(*(_one(session, address, stream, model, tokens, begun) for _ in range(count)))


def speed(address: str, key: str, count: int, model: str = "m", runs: int = 2) -> float:
    """Tokens a second of so many requests at once, the best of the runs after a warm-up; each must come whole."""
    asyncio.run(all_at_once(address, key, count, False, model, 32))
    rates = []
    for _ in range(runs):
        began = time.perf_counter()
        answers = asyncio.run(all_at_once(address, key, count, False, model))
        assert all(answer.whole for answer in answers), [answer.error for answer in answers if not answer.whole][:3]
        rates.append(sum(answer.tokens for answer in answers) / (time.perf_counter() - began))
    return max(rates)
