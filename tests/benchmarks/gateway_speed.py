"""What /v1 on the console's port costs against the same server asked directly.

``python tests/benchmarks/gateway_speed.py``
Medians of five, in one run, taking turns: at 1 stream of 200 tokens/s and at 32 streams of 50 tokens/s,
- tokens/s at least 0.99 × the direct ones, first token at most 2 ms later;
- at 32 streams the console's process takes at most 20% of a core.
The 32 begin in one instant, each waiting for those before it; and, as people do, spread over a second.

A process that was idle for seconds runs its next request several times slower on a shared machine: what it needs isn't
in the processor's caches any more, in the console as in the server; and while one side is measured the other idles. So
each side is asked one short request on the same path right before each of its rounds, with the same pause between. How
much later than directly that one's first token is, the cold figure, is printed too, without a limit.
The exit code is 1 where a limit is missed. The machine should have nothing else to do.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import psutil

from backend.engines.base import ServeConfig
from tests.benchmarks.figures import told
from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.scripted_server import Scripted

RUNS = 5
SECONDS = 4
SPREAD_S = 1.0
WARM_TOKENS = 5
PAUSE_S = 0.2  # between the short request and the round
MARK = b'"content": "'


@dataclass(frozen=True)
class Seen:
    """One round: the median seconds to the first token, and tokens/s of all streams together after it."""

    first_s: float
    rate: float


async def one(port: int, key: str, model: str) -> tuple[float, float, int]:
    """(seconds to the first token, seconds from it to the last, tokens) of one stream, read as bytes."""
    body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "Hi"}]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    began = time.perf_counter()
    writer.write(f"{head}Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    first = last = 0.0
    tokens = 0
    while piece := await reader.read(65536):
        count = piece.count(MARK) - piece.count(MARK + b'"')
        if count:
            last = time.perf_counter()
            first = first or last
            tokens += count
        if b"[DONE]" in piece:
            break
    writer.close()
    assert tokens, "no answer"
    return first - began, last - first, tokens


async def round_of(count: int, port: int, key: str, model: str, over_s: float = 0.0) -> Seen:
    """The streams begin together, or one after the other within ``over_s`` seconds."""

    async def in_turn(number: int) -> tuple[float, float, int]:
        await asyncio.sleep(over_s * number / count)
        return await one(port, key, model)

    streams = await asyncio.gather(*(in_turn(number) for number in range(count)))
    rates = [(tokens - 1) / seconds for _, seconds, tokens in streams]
    return Seen(statistics.median(first for first, _, _ in streams), sum(rates))


def lend(console: Console, child: Scripted) -> str:
    """Add the server as the Deploy tab does, and lend it; the id that requests name it by."""
    with Visitor(console) as visitor:
        server = visitor.start(ServeConfig("external", "", address=child.address))
        visitor.client.post(f"/console/servers/{server}/lend", json={"lent": True}).raise_for_status()
        return str(visitor.client.get("/console/keys").json()["servers"][server])


def main() -> int:
    missed = False

    def figure(name: str, value: float, word: str, limit: float | None) -> None:
        nonlocal missed
        missed |= not told(name, value, word, limit, ".3f")

    child = Scripted()

    def warmed(port: int, key: str, model: str, tokens: int) -> float:
        """Ask something short; the seconds to its first token. The next answers have so many tokens."""
        child.script(tokens=WARM_TOKENS)
        first_s, *_ = asyncio.run(one(port, key, model))
        child.script(tokens=tokens)
        time.sleep(PAUSE_S)
        return first_s

    with tempfile.TemporaryDirectory() as folder:
        console = Console(Path(folder) / "state").ready()
        try:
            model = lend(console, child)
            port = int(console.base_url.rsplit(":", 1)[1].strip("/").split("/")[0])
            process = psutil.Process(console.process.pid)
            for count, rate, over_s in ((1, 200.0, 0.0), (32, 50.0, 0.0), (32, 50.0, SPREAD_S)):
                name = f"{count} streams" + (f" begun within {over_s:g} s" if over_s else "")
                tokens = int(rate * SECONDS)
                child.script(text="", rate=rate, first_s=0.2)
                direct, ours, shares, cold = [], [], [], []
                for _ in range(RUNS + 1):
                    directly = warmed(child.port, "none", "scripted", tokens)
                    direct.append(asyncio.run(round_of(count, child.port, "none", "scripted", over_s)))
                    cold.append(warmed(port, console.token, model, tokens) - directly)
                    before, began = process.cpu_times(), time.perf_counter()
                    ours.append(asyncio.run(round_of(count, port, console.token, model, over_s)))
                    after, seconds = process.cpu_times(), time.perf_counter() - began
                    shares.append((after.user + after.system - before.user - before.system) / seconds)
                # the first opens connections
                direct, ours, shares, cold = direct[1:], ours[1:], shares[1:], cold[1:]
                ratio = statistics.median(a.rate / b.rate for a, b in zip(ours, direct, strict=True))
                late = statistics.median(a.first_s - b.first_s for a, b in zip(ours, direct, strict=True))
                figure(f"{name}, tokens/s against direct", ratio, "at least", 0.99)
                figure(f"{name}, first token later, ms", late * 1000, "at most", 2.0)
                figure(f"{name}, a first token after idling later, ms", statistics.median(cold) * 1000, "at most", None)
                if count > 1:
                    figure(f"{name}, console's share of a core", statistics.median(shares), "at most", 0.20)
        finally:
            console.close()
            child.close()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
