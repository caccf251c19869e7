"""Puts a server under load, level by level, and writes what it measured.

usage: load.py PLAN.json

The plan: ``base_url`` (with /v1), ``model``, ``key_file`` ("" = none), ``proxy`` ("" = none), ``levels`` (users at
once), ``prompt_tokens``, ``answer_tokens``, ``seconds`` a level, ``lmdeploy`` (takes ``ignore_eos``), ``picture`` (a
data URL or ""), ``quality`` (quality.py says what; None = speed alone) and ``out``. After every question and level
``out`` is written anew: {"levels": […], "quality": {…}, "stopped": null or {"why", "text"}, "done": bool}; a level is
what statistics.level gives, with the wall clock's times and how busy this client itself was.

Each user asks again as soon as an answer is whole. No two prompts begin alike, so that no prefix is found in a cache.
"""

import asyncio
import json
import os
import random
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import aiohttp

from backend.lab.benchmark.statistics import Request, level, percentile
from backend.lab.children.asking import CONNECT_S, SILENCE_S, Stopped, ask, why
from backend.lab.children.quality import measure_quality

DRAIN_S = 120.0  # for answers that are under way at a level's end
LOOK_S = 0.01
BUSY = 0.8  # of a core: beyond it the client itself may be what is measured
LATE_MS = 20.0
PAUSE_S = 0.5  # after a failed request
WORDS = (
    "river stone market window garden paper silver morning engine letter bridge number winter yellow kitchen forest",
    "music island mirror ticket shadow pocket travel butter circle danger effort family guitar handle",
)


def main(plan_file: Path) -> int:
    plan = json.loads(plan_file.read_bytes())
    key = Path(plan["key_file"]).read_text(encoding="utf-8").strip() if plan["key_file"] else ""
    return asyncio.run(measure(plan, key))


async def measure(plan: dict[str, Any], key: str) -> int:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_S, sock_read=SILENCE_S)
    result: dict[str, Any] = {"levels": [], "stopped": None, "done": False}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout, trust_env=False) as session:
        try:
            await warm_up(session, plan)
            if plan.get("quality"):

                def keep(quality: dict[str, Any]) -> None:
                    result["quality"] = quality
                    write(plan["out"], result)

                await measure_quality(session, plan, keep)
            for users in plan["levels"]:
                print(f">>> {users} users for {plan['seconds']} s", flush=True)
                measured = await run_level(session, plan, users)
                result["levels"].append(measured)
                write(plan["out"], result)
                print(f">>> {measured['tokens_per_s']:.1f} tokens/s, {measured['failed']} failed", flush=True)
                if measured["stopped"]:
                    raise Stopped(*measured["stopped"])
        except Stopped as stopped:
            result["stopped"] = {"why": stopped.args[0], "text": stopped.args[1]}
            print(f">>> stopped: {stopped.args[1]}", flush=True)
    result["done"] = True
    write(plan["out"], result)
    return 0 if result["stopped"] is None else 1


async def warm_up(session: aiohttp.ClientSession, plan: dict[str, Any]) -> None:
    """One answer that isn't counted: the first one pays for what is made ready on demand."""
    first = Request(time.monotonic())
    await ask(session, plan, body_of({**plan, "answer_tokens": min(4, plan["answer_tokens"])}), first)
    if first.problem:
        raise Stopped(why(first.problem), first.problem)


async def run_level(session: aiohttp.ClientSession, plan: dict[str, Any], users: int) -> dict[str, Any]:
    """So many users for the plan's time; then their last answers come to their end, and aren't awaited for ever."""
    requests: list[Request] = []
    lags: list[float] = []
    failing = [0]
    stopped: list[tuple[str, str]] = []
    begun, wall, used = time.monotonic(), time.time(), cpu_s()
    end = begun + plan["seconds"]

    async def user() -> None:
        while time.monotonic() < end and not stopped:
            one = Request(time.monotonic())
            requests.append(one)
            await ask(session, plan, body_of(plan), one)
            if not one.problem:
                failing[0] = 0
                continue
            failing[0] += 1
            if failing[0] >= max(3, users):
                stopped.append((why(one.problem), one.problem))
                return
            await asyncio.sleep(PAUSE_S)

    async def watch() -> None:
        while True:
            due = time.monotonic() + LOOK_S
            await asyncio.sleep(LOOK_S)
            lags.append((time.monotonic() - due) * 1000)

    watcher = asyncio.create_task(watch())
    tasks = [asyncio.create_task(user()) for _ in range(users)]
    _, slow = await asyncio.wait(tasks, timeout=plan["seconds"])
    seconds = max(time.monotonic() - begun, 1e-9) if stopped else plan["seconds"]
    busy = (cpu_s() - used) / max(time.monotonic() - begun, 1e-9)
    watcher.cancel()
    ended = time.time()
    if slow:
        _, slow = await asyncio.wait(slow, timeout=DRAIN_S)
    for task in slow:  # what doesn't end is cut off; what it sent in time counts
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    lag = percentile(lags, 99) or 0.0
    figures = level(requests, begun, seconds)
    pause = figures["tpot_ms"][0]
    late = lag > LATE_MS and (pause is None or lag > 0.25 * pause)
    return {
        "users": users,
        "began_at": wall,
        "ended_at": ended,
        "seconds": seconds,
        **figures,
        "client_cpu": round(busy, 3),
        "client_lag_ms": round(lag, 2),
        "client_limited": busy > BUSY or late,
        "stopped": stopped[0] if stopped else None,
    }


def body_of(plan: dict[str, Any]) -> dict[str, Any]:
    """A request of its own, about as long as the plan says."""
    known = " ".join(WORDS).split()
    words = [str(random.getrandbits(40)), *random.choices(known, k=max(1, plan["prompt_tokens"] - 12))]
    text = " ".join(words)[: 8 * plan["prompt_tokens"] + 20]
    content: Any = text
    if plan["picture"]:
        content = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": plan["picture"]}}]
    body = {
        "model": plan["model"],
        "messages": [{"role": "user", "content": content}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": plan["answer_tokens"],
    }
    if plan["lmdeploy"]:
        body |= {"ignore_eos": True, "temperature": 0.0}  # answers of one length
    return body


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def write(out: str, result: dict[str, Any]) -> None:
    draft = Path(out + ".part")
    draft.write_text(json.dumps(result), encoding="utf-8")
    os.replace(draft, out)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    raise SystemExit(main(Path(sys.argv[1])))
