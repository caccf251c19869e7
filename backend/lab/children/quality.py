"""Asks a server the questions of a set, one after another, and measures it by a text.

The plan's ``quality``: ``questions`` ([{"id", "text"}]), ``answer_tokens`` of each at most, ``text`` to measure by.
What is measured: ``answers`` ([{"id", "text", "tokens", "seconds", "cut"}]); ``perplexity`` ({"value", "tokens"}) by
LMDeploy's /get_ppl, whose "ppl" is the mean cross-entropy; ``likeliest``: the text as the server's tokens (``digest``
of them), and at ``positions`` of it the token that the server holds likeliest (``tokens``) beside the text's own
(``own``). It asks for one token after so much of the text, at temperature 0: the answer's log-probabilities can't say
it, since LMDeploy gives them after sampling (at temperature 0 all are 0). None where a server has no such path;
``problems`` says why.
"""

import asyncio
import hashlib
import json
import math
import time
from collections.abc import Callable
from typing import Any

import aiohttp

from backend.lab.benchmark.statistics import Request
from backend.lab.children.asking import Stopped, ask, short, why

MOST_POSITIONS = 64
FIRST_POSITION = 8  # before it there is too little to go by
AT_ONCE = 8
MOST_TEXT = 4000  # of an answer, in characters

Keep = Callable[[dict[str, Any]], None]


async def measure_quality(session: aiohttp.ClientSession, plan: dict[str, Any], keep: Keep) -> None:
    """Everything; ``keep`` gets what is measured so far. Raises Stopped where the server answers no question."""
    given = plan["quality"]
    measured: dict[str, Any] = {"answers": [], "perplexity": None, "likeliest": None, "problems": {}}
    for question in given["questions"]:
        one = Request(time.monotonic(), pieces=[])
        await ask(session, plan, _body(plan, question["text"], given["answer_tokens"]), one)
        if one.problem and one.problem != "the answer was empty":
            raise Stopped(why(one.problem), one.problem)
        answer = {
            "id": question["id"],
            "text": "".join(one.pieces or ())[:MOST_TEXT],
            "tokens": one.counted,
            "seconds": one.ended_at - one.sent_at,
            "cut": one.tokens is not None and one.tokens >= given["answer_tokens"],
        }
        measured["answers"].append(answer)
        keep(measured)
        print(f">>> question {question['id']}: {answer['tokens']} tokens", flush=True)
    if not given["text"]:
        return
    root = plan["base_url"].removesuffix("/v1")
    for name, measure in (("perplexity", _perplexity), ("likeliest", _likeliest)):
        try:
            measured[name] = await measure(session, plan, root, given["text"])
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError, IndexError) as error:
            measured["problems"][name] = short(f"{type(error).__name__}: {error}")
        print(f">>> {name}: {measured['problems'].get(name, 'measured')}", flush=True)
        keep(measured)


def _body(plan: dict[str, Any], text: str, tokens: int) -> dict[str, Any]:
    return {
        "model": plan["model"],
        "messages": [{"role": "user", "content": text}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": tokens,
        "temperature": 0.0,
    }


async def _perplexity(session: aiohttp.ClientSession, plan: dict[str, Any], root: str, text: str) -> dict[str, Any]:
    tokens = await _encode(session, plan, root, text)
    loss = (await _post(session, plan, f"{root}/get_ppl", {"input": tokens}))["ppl"]
    return {"value": math.exp(float(loss)), "tokens": len(tokens)}


async def _likeliest(session: aiohttp.ClientSession, plan: dict[str, Any], root: str, text: str) -> dict[str, Any]:
    tokens = await _encode(session, plan, root, text)
    positions = spread(len(tokens))
    gate = asyncio.Semaphore(AT_ONCE)

    async def next_token(position: int) -> int:
        async with gate:
            body = {"input_ids": tokens[:position], "max_tokens": 1, "temperature": 0.0, "stream": False}
            return int((await _post(session, plan, f"{root}/generate", body))["output_ids"][0])

    tasks = [asyncio.create_task(next_token(position)) for position in positions]
    try:
        found = await asyncio.gather(*tasks)
    finally:  # after a failure nothing goes on beside what is measured next
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "digest": hashlib.sha256(json.dumps(tokens).encode()).hexdigest()[:16],
        "positions": positions,
        "tokens": found,
        "own": [tokens[position] for position in positions],
    }


def spread(length: int) -> list[int]:
    """At most MOST_POSITIONS places of a text of so many tokens, as far apart as can be."""
    places = range(FIRST_POSITION, length)
    step = max(1.0, len(places) / MOST_POSITIONS)
    return [places[int(number * step)] for number in range(min(MOST_POSITIONS, len(places)))]


async def _encode(session: aiohttp.ClientSession, plan: dict[str, Any], root: str, text: str) -> list[int]:
    tokens = (await _post(session, plan, f"{root}/v1/encode", {"input": text}))["input_ids"]
    return [int(token) for token in tokens]


async def _post(session: aiohttp.ClientSession, plan: dict[str, Any], url: str, body: dict[str, Any]) -> Any:
    proxy = plan["proxy"] or None
    async with session.post(url, json=body, allow_redirects=False, proxy=proxy) as answer:
        if answer.status != 200:
            text = (await answer.content.read(2000)).decode("utf-8", "replace")
            raise ValueError(f"HTTP {answer.status}: {text}")
        return await answer.json(content_type=None)
