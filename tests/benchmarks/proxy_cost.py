"""What `lmdeploy serve proxy` costs as the console starts it: ``python tests/benchmarks/proxy_cost.py [RUNS]``.

128 requests in one instant, straight to a server and through the proxy before it, in turns, streamed and not: tokens/s
of all together from the first request's start to the last answer's end. The server is scripted: like an engine that
batches, it gives each request under way one token a step. Medians of RUNS (2 by itself); the proxy may cost at most 2%;
the exit code is 1 where it costs more. The machine should have nothing else to do: the server, the proxy and the client
share it.

Beside it: how late the last request reaches the server, how long after the server's last word the last answer is whole,
and the proxy's CPU time.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx
import psutil

from backend.servers.server import ServerState
from tests.conftest import make_settings
from tests.support.proxied import ProxyWorld

REQUESTS = 128
STEP_S = 0.025  # 40 tokens/s each, 5,120 tokens/s together: a 7B model on a fast card
TOKENS = 1024
WARM_UP = 32  # tokens
LIMIT = 0.02
WORD = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
)
TOKEN = WORD + b'{"role":"assistant","content":" word","reasoning_content":null,"tool_calls":null},"logprobs":null,'
TOKEN += b'"finish_reason":null}],"usage":null}\n\n'
LAST = WORD + b'{"role":"assistant","content":""},"finish_reason":"length"}]}\n\ndata: [DONE]\n\n'
MODELS = b'{"object":"list","data":[{"id":"m","object":"model"}]}'


def head(kind: str, length: int | None) -> bytes:
    body = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{body}\r\n\r\n".encode()


def chunk(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


@dataclass(eq=False)
class Engine:
    """What is under way: one token a step for each. ``seen`` are the last request's arrival and the last word's."""

    under_way: "dict[Asked, int]" = field(default_factory=dict)
    seen: list[float] = field(default_factory=lambda: [0.0, 0.0])

    async def run(self) -> None:
        due = time.perf_counter()
        while True:
            due = max(due + STEP_S, time.perf_counter())
            await asyncio.sleep(due - time.perf_counter())
            for asked, told in list(self.under_way.items()):
                self.under_way[asked] = told + 1
                if asked.streamed:
                    asked.write(chunk(TOKEN))
                if told + 1 >= asked.tokens:
                    del self.under_way[asked]
                    self.seen[1] = time.time()
                    asked.end()


class Asked(asyncio.Protocol):
    """A connection to the scripted server; one request at a time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.heard = b""
        self.streamed, self.tokens = False, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.write = transport.write

    def connection_lost(self, error: Exception | None) -> None:
        self.engine.under_way.pop(self, None)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        top, found, body = self.heard.partition(b"\r\n\r\n")
        if not found:
            return
        length = next((line for line in top.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        if len(body) < int(length.partition(b":")[2]):
            return
        self.heard = b""
        if b"/v1/chat/completions" in top:
            self.engine.seen[0] = time.time()
            question = json.loads(body)
            self.streamed, self.tokens = question["stream"], question["max_tokens"]
            if self.streamed:
                self.write(head("text/event-stream", None))
            self.engine.under_way[self] = 0
        else:
            answer = json.dumps(self.engine.seen).encode() if b"/seen" in top else MODELS
            self.write(head("application/json", len(answer)) + answer)

    def end(self) -> None:
        if self.streamed:
            self.write(chunk(LAST) + b"0\r\n\r\n")
            return
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": " word" * self.tokens},
            "finish_reason": "length",
        }
        usage = {"prompt_tokens": 11, "total_tokens": 11 + self.tokens, "completion_tokens": self.tokens}
        body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        answer = json.dumps(body).encode()
        self.write(head("application/json", len(answer)) + answer)


async def serve() -> None:
    engine = Engine()
    server = await asyncio.get_running_loop().create_server(lambda: Asked(engine), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await engine.run()


async def one(port: int, key: str, streamed: bool, tokens: int) -> int:
    """The tokens of one answer, which must be whole."""
    question = {"model": "m", "stream": streamed, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": tokens}
    body = json.dumps(question).encode()
    top = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(f"{top}Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    told, ended = 0, b""
    while not ended.endswith(b"0\r\n\r\n" if streamed else b"}"):
        piece = await reader.read(1 << 16)
        assert piece, "the answer broke off"
        told += piece.count(b" word")
        ended = (ended + piece)[-7:]
    writer.close()
    return told


async def all_at_once(port: int, key: str, streamed: bool, tokens: int = TOKENS) -> tuple[float, float]:
    """(moment of the start, tokens/s) of all requests together."""
    start, began = time.time(), time.perf_counter()
    told = sum(await asyncio.gather(*(one(port, key, streamed, tokens) for _ in range(REQUESTS))))
    seconds = time.perf_counter() - began
    assert told >= 0.99 * REQUESTS * tokens, told  # a word may lie across two pieces
    return start, REQUESTS * tokens / seconds


def seen(port: int) -> list[float]:
    found: list[float] = httpx.get(f"http://127.0.0.1:{port}/seen", trust_env=False).json()
    return found


def main(runs: int) -> int:
    missed = False
    command = [sys.executable, __file__, "--node"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as node,
    ):
        world = ProxyWorld(make_settings(Path(folder) / "state"))
        try:
            assert node.stdout is not None
            port = int(node.stdout.readline())
            address = f"http://127.0.0.1:{port}"
            world.external(address)
            proxy = world.proxy(address)
            world.node_is(proxy.id, address, ServerState.RUNNING)
            key = world.manager.endpoint(proxy.id).api_key
            process = psutil.Process(proxy.pid)
            for streamed in (False, True):
                costs, direct_late, late, tail, cpu = [], [], [], [], []
                asyncio.run(all_at_once(proxy.port, key, streamed, WARM_UP))
                for _ in range(runs):
                    start, direct = asyncio.run(all_at_once(port, "none", streamed))
                    arrived = seen(port)[0] - start
                    before = process.cpu_times()
                    start, through = asyncio.run(all_at_once(proxy.port, key, streamed))
                    ended, after, last = time.time(), process.cpu_times(), seen(port)
                    costs.append(1 - through / direct)
                    direct_late.append(arrived)
                    late.append(last[0] - start)
                    tail.append(ended - last[1])
                    cpu.append(after.user + after.system - before.user - before.system)
                cost = statistics.median(costs)
                missed |= cost > LIMIT
                name = f"{REQUESTS} at once, {'streamed' if streamed else 'not streamed'}"
                print(f"{name}: the proxy costs {cost:.2%} (at most {LIMIT:.0%}){'  MISSED' if cost > LIMIT else ''}")
                figures = [statistics.median(values) * 1000 for values in (direct_late, late, tail, cpu)]
                print("   last request at the server after {:.0f} ms straight, {:.0f} ms through; last answer whole "
                      "{:.0f} ms after the server's last word; CPU {:.0f} ms".format(*figures), flush=True)  # fmt: skip
        finally:
            world.end()
            node.kill()
    return int(missed)


if __name__ == "__main__":
    if "--node" in sys.argv:
        asyncio.run(serve())
    else:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2))
