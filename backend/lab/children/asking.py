"""Asks a server one question and takes the times of its answer: what load.py and quality.py share."""

import asyncio
import json
import time
from typing import Any

import aiohttp

from backend.lab.benchmark.statistics import Request

SILENCE_S = 120.0
CONNECT_S = 15.0
MOST_PROBLEM = 300


class Stopped(Exception):
    """The server can't be measured any further: ``args`` are why ("dead" or "errors") and what was said."""


async def ask(session: aiohttp.ClientSession, plan: dict[str, Any], body: dict[str, Any], one: Request) -> None:
    """One request into ``one``; what goes wrong is said in it."""
    one.sent_at = time.monotonic()
    try:
        url, proxy = f"{plan['base_url']}/chat/completions", plan["proxy"] or None
        async with session.post(url, json=body, allow_redirects=False, proxy=proxy) as answer:
            if answer.status != 200:
                text = (await answer.content.read(2000)).decode("utf-8", "replace")
                one.problem = short(f"HTTP {answer.status}: {text}")
                return
            await read(answer.content, one)
    except TimeoutError:
        one.problem = f"no byte for {SILENCE_S:g} s"
    except aiohttp.ClientConnectorError as error:
        one.problem = short(f"connection refused: {error}")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        one.problem = short(f"{type(error).__name__}: {error}")
    except asyncio.CancelledError:
        one.problem = "cut off at the end of the measurement"
        raise
    finally:
        one.ended_at = time.monotonic()


async def read(stream: aiohttp.StreamReader, one: Request) -> None:
    """The pieces of an answer. Those with text aren't parsed one by one: only what they hold must be told apart."""
    finished = False
    async for line in stream:
        if not line.startswith(b"data:"):
            continue
        now = time.monotonic()
        data = line[5:].strip()
        if data == b"[DONE]":
            finished = True
            break
        value = json.loads(data)
        if not isinstance(value, dict):
            raise ValueError("an event is no object")
        if "error" in value:
            one.problem = short(f"error in the stream: {json.dumps(value['error'])}")
            return
        for choice in value.get("choices") or ():
            delta = choice.get("delta") or {}
            if delta.get("content") or delta.get("reasoning_content") or delta.get("reasoning"):
                one.arrivals.append(now)
                if one.pieces is not None:
                    one.pieces.append(str(delta.get("content") or ""))
            finished = finished or bool(choice.get("finish_reason"))
        usage = value.get("usage")
        if isinstance(usage, dict):
            one.tokens = whole(usage.get("completion_tokens"), one.tokens)
            one.prompt_tokens = whole(usage.get("prompt_tokens"), one.prompt_tokens)
    if not finished:
        one.problem = "the answer broke off"
    elif not one.arrivals:
        one.problem = "the answer was empty"


def why(problem: str) -> str:
    gone = problem.startswith(("connection refused", "ServerDisconnected", "ClientOSError", "no byte"))
    return "dead" if gone else "errors"


def whole(value: Any, otherwise: int | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else otherwise


def short(text: str) -> str:
    return " ".join(text.split())[:MOST_PROBLEM]
