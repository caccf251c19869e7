"""What a whole class costs: ``python tests/benchmarks/class_speed.py [VISITORS] [RUNS]``, 100 and 3 by itself.

VISITORS pages at 50 tokens/s each, in a process of their own, against a scripted server in another; each page polls the
snapshot as a real one does. In turn with the same number of streams straight from that server, all in one run:

- the console's process alone (its CPU time, all threads): at most 60% of a core while all are being answered;
- the first token: at most 10 ms later than straight from the server, at the median, counted from when the server sent
  it; those who ask last, beside all others, are also counted alone;
- tokens/s: at least 0.97 × the direct ones;
- every answer is whole and its own: what each server's answer says names its question and counts its tokens, and both
  the page's stream and the stored answer are read for it.

Medians of RUNS; the exit code is 1 where a limit is missed. The machine should have nothing else to do.
"""

import asyncio
import json
import re
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import aiohttp
import psutil

from backend.engines.base import ServeConfig
from tests.benchmarks.figures import told
from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.scripted_server import Scripted
from tests.support.waiting import wait_for

RATE = 50.0
SECONDS = 22
RAMP_S = 10.0  # everybody has asked by then
TOKENS = int(RATE * SECONDS)
FIRST_S = 0.2  # the model reads the question
DEADLINE_S = 240.0
WORD = re.compile(r"(v\d+x)-(\d+)")


@dataclass(frozen=True)
class Seen:
    """One answer as its reader saw it. Times are seconds since the epoch; ``wrong`` says what isn't as it should be."""

    name: str
    asked_at: float
    first_at: float
    last_at: float
    wrong: str = ""


def word(name: str, number: int) -> str:
    """What the scripted server answers, token by token."""
    return f"{name}-{number}"


def check(name: str, text: str) -> str:
    """What is wrong with that visitor's answer; "" where it is whole and theirs."""
    found = WORD.findall(text)
    if any(who != name for who, _ in found):
        return f"{name} was given somebody else's words"
    if [int(number) for _, number in found] != list(range(TOKENS)):
        return f"{name}: {len(found)} of {TOKENS} tokens, or in another order"
    return ""


# -- the drivers: a process of their own ------------------------------------------------------------------------------


async def directly(base_url: str, name: str, delay_s: float) -> Seen:
    """Straight from the server."""
    body = {"model": "scripted", "stream": True, "messages": [{"role": "user", "content": name}]}
    await asyncio.sleep(delay_s)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        asked_at, first_at, pieces = time.time(), 0.0, []
        async with session.post(f"{base_url}/v1/chat/completions", json=body) as answer:
            async for piece in answer.content.iter_any():
                if not first_at and word(name, 0).encode() in piece:
                    first_at = time.time()
                pieces.append(piece)
    last_at = time.time()
    events = [line[6:] for line in b"".join(pieces).decode().split("\n") if line.startswith("data: {")]
    choices = [json.loads(event)["choices"][0] for event in events]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    return Seen(name, asked_at, first_at, last_at, check(name, text))


class Page:
    """One page of the class: it polls, asks on the Chat tab as Gradio's page does, and follows the stream."""

    def __init__(self, base_url: str, token: str, name: str) -> None:
        self.name = name
        self.page = secrets.token_hex(8)
        self.session = aiohttp.ClientSession(
            base_url,
            headers={"authorization": f"Bearer {token}"},
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def call(self, event: int, data: list[Any]) -> str:
        """A Gradio event that doesn't go through its queue; its answer."""
        job = {"data": data, "fn_index": event, "session_hash": self.page}
        async with self.session.post("/gradio_api/run/predict", json=job) as answer:
            answer.raise_for_status()
            return await answer.text()

    async def open(self, opened_event: int) -> None:
        async with self.session.get("/console/chat/list") as answer:
            answer.raise_for_status()
        await self.call(opened_event, [])
        self.polling = asyncio.create_task(self.poll())

    async def poll(self) -> None:
        version = ""
        while True:
            async with self.session.get("/console/snapshot", params={"since": version} if version else {}) as answer:
                if answer.status == 200:
                    version = (await answer.json())["version"]
                wait_ms = int(answer.headers["console-next-ms"])
            await asyncio.sleep(wait_ms / 1000)

    async def ask(self, ask_event: int, server: str, delay_s: float) -> Seen:
        await asyncio.sleep(delay_s)
        form = [server, "", "", 0.8, 0.8, TOKENS + 10, []]
        asked_at, first_at, pieces = time.time(), 0.0, []
        asked = await self.call(ask_event, [{"text": self.name, "files": []}, False, *form])
        async with self.session.get("/console/chat/stream") as stream:
            async for piece in stream.content.iter_any():
                if not first_at and word(self.name, 0).encode() in piece:
                    first_at = time.time()
                pieces.append(piece)
        last_at = time.time()
        async with self.session.get("/console/chat/answer/0/0") as answer:
            stored = await answer.json()
        streamed = b"".join(pieces).decode()
        if stored.get("state") != "done":
            wrong = f"{self.name}: {asked if 'messages' in stored else stored['state'] + ' ' + stored['end']}"
        else:
            wrong = check(self.name, stored["text"]) or self.foreign(streamed)
        return Seen(self.name, asked_at, first_at, last_at, wrong)

    def foreign(self, streamed: str) -> str:
        """Whether the stream brought what isn't this visitor's, or not all of it."""
        text = ""
        for line in filter(None, streamed.split("\n")):
            change, *_ = json.loads(line)["boxes"]
            if "grow" in change:
                text += change["grow"]
            elif change["more"]:
                text = "".join(part.get("text", "") for part in change["more"][-1]["content"])
        return check(self.name, text)

    async def close(self) -> None:
        self.polling.cancel()
        await self.session.close()


async def drive(order: dict[str, Any]) -> list[dict[str, Any]]:
    """All visitors at once, each a little later than the one before."""
    names = [f"v{number}x" for number in range(order["visitors"])]
    delays = [RAMP_S * number / len(names) for number in range(len(names))]
    if not order["token"]:
        asking = [directly(order["base_url"], name, delay) for name, delay in zip(names, delays, strict=True)]
        return [asdict(seen) for seen in await asyncio.gather(*asking)]
    pages = [Page(order["base_url"], order["token"], name) for name in names]
    for page in pages:
        await page.open(order["opened_event"])
    print("open", flush=True)
    asked = [page.ask(order["ask_event"], order["server"], delay) for page, delay in zip(pages, delays, strict=True)]
    seen = await asyncio.gather(*asked)
    for page in pages:
        await page.close()
    return [asdict(one) for one in seen]


# -- one run ----------------------------------------------------------------------------------------------------------


class Driver:
    """The drivers' process."""

    def __init__(self, **order: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--drive", json.dumps(order)], stdout=subprocess.PIPE, text=True
        )

    def seen(self) -> list[Seen]:
        output, _ = self.process.communicate(timeout=DEADLINE_S)
        if self.process.returncode:
            raise SystemExit("the drivers failed")
        return [Seen(**one) for one in json.loads(output.strip().splitlines()[-1])]


def late_ms(seen: list[Seen], child: Scripted) -> list[float]:
    """How much later than the server sent it each reader had the first token, in milliseconds, in the order of asking.
    Raises where an answer was lost or mixed."""
    wrong = [one.wrong for one in seen if one.wrong]
    if wrong:
        raise SystemExit(f"{len(wrong)} answers were wrong: {wrong[:5]}")
    sent = {request["body"]["messages"][-1]["content"]: request["first_at"] for request in child.requests()}
    return [(one.first_at - sent[one.name]) * 1000 for one in sorted(seen, key=lambda one: one.asked_at)]


def rate(seen: list[Seen]) -> float:
    """Tokens/s of one answer, at the median."""
    return statistics.median((TOKENS - 1) / (one.last_at - one.first_at) for one in seen)


def cpu_share(process: psutil.Process, child: Scripted, visitors: int) -> float:
    """The console's CPU time while all are being answered, as a share of one core."""
    wait_for("all questions", lambda: _begun(child) == visitors, DEADLINE_S, 0.1)
    before, began = process.cpu_times(), time.perf_counter()
    time.sleep(SECONDS - RAMP_S - 3)
    after, seconds = process.cpu_times(), time.perf_counter() - began
    return (after.user + after.system - before.user - before.system) / seconds


def _begun(child: Scripted) -> int:
    return sum(1 for request in child.requests() if request["sent"])


def main(visitors: int, runs: int) -> int:
    """Run, and print a line for each figure."""
    shares, later, last, rates, asking = [], [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        child = Scripted()
        console = Console(Path(folder) / "state").ready()
        try:
            with Visitor(console) as operator:
                server = operator.start(ServeConfig("external", "", address=child.address))
                events = {"ask_event": operator.event("chat_ask"), "opened_event": operator.event("chat_opened")}
            process = psutil.Process(console.process.pid)
            for _ in range(runs):
                child.script(rate=RATE, tokens=TOKENS, first_s=FIRST_S, echo=True)
                direct_seen = Driver(base_url=child.address, token="", visitors=visitors).seen()
                direct = late_ms(direct_seen, child)
                child.script(rate=RATE)
                driver = Driver(
                    base_url=console.base_url,
                    token=console.class_token,
                    visitors=visitors,
                    server=server,
                    **events,
                )
                shares.append(cpu_share(process, child, visitors))
                ours_seen = driver.seen()
                ours = late_ms(ours_seen, child)
                arrived = {one["body"]["messages"][-1]["content"]: one["at"] for one in child.requests()}
                asking.append(statistics.median((arrived[one.name] - one.asked_at) * 1000 for one in ours_seen))
                later.append(statistics.median(ours) - statistics.median(direct))
                half = visitors // 2
                last.append(statistics.median(ours[half:]) - statistics.median(direct[half:]))
                rates.append(rate(ours_seen) / rate(direct_seen))
                slow = sorted(ours)[int(0.95 * len(ours))]
                print(
                    f"  {shares[-1]:.1%} of a core; first token {statistics.median(ours):.1f} ms after the server sent "
                    f"it, {statistics.median(direct):.1f} ms directly; 95%: {slow:.1f} ms",
                    flush=True,
                )
        finally:
            console.close()
            child.close()
    missed = 0
    print(f"{visitors} visitors, {visitors * runs} answers, none lost or mixed")
    print(f"from Send to the question at the server, median (ms): {statistics.median(asking):.1f}")
    for name, value, wanted, limit in (
        ("the console's share of a core (%)", statistics.median(shares) * 100, "at most", 60),
        ("first token later than directly (ms)", statistics.median(later), "at most", 10),
        ("first token later, who asked in the second half (ms)", statistics.median(last), "at most", 10),
        ("tokens/s against direct", statistics.median(rates), "at least", 0.97),
    ):
        missed += not told(name, value, wanted, limit)
    return int(missed > 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--drive"]:
        print(json.dumps(asyncio.run(drive(json.loads(sys.argv[2])))), flush=True)
    else:
        given = [int(number) for number in sys.argv[1:]]
        sys.exit(main(*(given + [100, 3][len(given) :])))
