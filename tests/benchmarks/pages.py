"""(b) 300 visible idle pages: at most 10% of one core more than none, and every change on every page within 3 s.

The pages live in a process of their own, each with a browser's cookie, headers and one connection, and ask again when
the console says so, as ui/page/snapshot.js does. The console's process time is measured without any page and with them,
one after the other; then a server is added, and each page's delay noted.

    python -m tests.benchmarks.pages [pages] [seconds]
"""

import asyncio
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil

from backend.engines.base import ServeConfig
from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.raw_server import raw_server, respond

LIMIT, LATEST_S = 0.10, 3.0
SETTLE_S = 8.0  # by then the pace is that of so many pages
HEAD = (
    "GET {path}console/snapshot{since} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0\r\n"
    'sec-ch-ua: "Chromium";v="141", "Not?A_Brand";v="8"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: "Linux"\r\n'
    "Accept: */*\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: {page}\r\n"
    "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-US,en;q=0.9\r\nCookie: {cookies}\r\n\r\n"
)
MODELS = b'{"object": "list", "data": [{"id": "m", "object": "model"}]}'
NEXT = re.compile(rb"console-next-ms: (\d+)", re.IGNORECASE)
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


def cpu_seconds(pid: int) -> float:
    """The process's CPU time, its threads' included."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


class Page:
    """One visible page that nobody touches. ``seen``: when it got each snapshot, by the clock of all processes."""

    polls = 0

    def __init__(self, url: str, cookies: str) -> None:
        self._parts, self._url, self._cookies = urlsplit(url), url, cookies
        self._version = ""
        self.seen: list[float] = []

    async def live(self) -> None:
        """Asks until it is cancelled."""
        reader, writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        await asyncio.sleep(random.random())
        while True:
            since = f"?since={self._version}" if self._version else ""
            head = HEAD.format(
                path=self._parts.path, since=since, host=self._parts.netloc, page=self._url, cookies=self._cookies
            )
            writer.write(head.encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            status, length = answer.split(b" ", 2)[1], LENGTH.search(answer)
            assert status in (b"200", b"204"), answer
            if status == b"200":
                assert length is not None, answer
                self._version = json.loads(await reader.readexactly(int(length[1])))["version"]
                self.seen.append(time.monotonic())
            Page.polls += 1
            told = NEXT.search(answer)
            assert told is not None, answer
            await asyncio.sleep(int(told[1]) / 1000)


async def drive(url: str, jars: list[str], seconds: float, pid: int) -> None:
    """The pages' process: prints the console's share, then, each time a line comes in, how late each page saw what was
    new since then."""
    pages = [Page(url, jar) for jar in jars]
    living = [asyncio.create_task(page.live()) for page in pages]
    await asyncio.sleep(SETTLE_S if jars else 1)
    before, polls = cpu_seconds(pid), Page.polls
    await asyncio.sleep(seconds)
    used, polls = cpu_seconds(pid) - before, Page.polls - polls
    print(json.dumps({"share": used / seconds, "polls": polls}), flush=True)
    for one in living:
        if one.done():
            one.result()
    while line := await asyncio.to_thread(sys.stdin.readline):
        await asyncio.sleep(LATEST_S + 1)
        since = float(line)
        late = [min((at - since for at in page.seen if at >= since), default=float("inf")) for page in pages]
        print(json.dumps(sorted(late)), flush=True)
    for one in living:
        one.cancel()


def opened(console: Console, count: int) -> tuple[str, list[str]]:
    """The page's address, and the cookies of so many browsers."""
    jars = []
    url = console.page_url()
    with httpx.Client(trust_env=False, timeout=60) as client:
        for _ in range(count):
            client.cookies.clear()
            client.get(console.address)
            client.get(f"{url}console/snapshot").raise_for_status()
            jars.append("; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar))
    return url, jars


def measure(console: Console, count: int, seconds: float) -> int:
    """Prints both figures; 1 where one is over its limit."""
    shares = []
    late: list[float] = []
    for pages in (0, count):
        url, jars = opened(console, pages)
        argv = [sys.executable, "-m", "tests.benchmarks.pages", "drive", url, str(seconds), str(console.process.pid)]
        driver = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert driver.stdin is not None
        assert driver.stdout is not None
        driver.stdin.write(json.dumps(jars) + "\n")
        driver.stdin.flush()
        shares.append(json.loads(driver.stdout.readline()))
        if pages:
            with raw_server(respond(MODELS, "Content-Type: application/json")) as port, Visitor(console) as visitor:
                server_id = visitor.start(ServeConfig("external", "", address=f"http://127.0.0.1:{port}"))
                time.sleep(LATEST_S)
                began = time.monotonic()
                visitor.client.post(f"/console/servers/{server_id}/forget", json={}).raise_for_status()
            driver.stdin.write(f"{began}\n")
            driver.stdin.flush()
            late = json.loads(driver.stdout.readline())
        driver.stdin.close()
        driver.wait(30)
    idle, busy = shares
    more = busy["share"] - idle["share"]
    print(f"no page: {idle['share']:.1%} of a core; {count} pages: {busy['share']:.1%} ({busy['polls']} polls)")
    print(f"more: {more:.1%} of a core (limit {LIMIT:.0%}), {more * seconds / busy['polls'] * 1000:.2f} ms a poll")
    middle = f"median {late[len(late) // 2]:.2f} s"
    print(f"a change is on the last page after {late[-1]:.2f} s (limit {LATEST_S:.0f} s), {middle}")
    return int(more > LIMIT or late[-1] > LATEST_S)


def main() -> int:
    """Starts a console and measures."""
    if sys.argv[1:2] == ["drive"]:
        url, length, pid = sys.argv[2:]
        asyncio.run(drive(url, json.loads(sys.stdin.readline()), float(length), int(pid)))
        return 0
    pages = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    with tempfile.TemporaryDirectory() as folder:
        console = Console(Path(folder) / "state").ready()
        try:
            return measure(console, pages, seconds)
        finally:
            console.close()


if __name__ == "__main__":
    raise SystemExit(main())
