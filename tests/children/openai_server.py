"""An OpenAI-compatible model server that does as it is told, on standard library asyncio alone.

``python openai_server.py PORT [--key KEY] [--model NAME] [--tokens N] [--rate N] [--fault NAME] [--context N]
[--text TEXT] [--watch]``;
port 0 takes a free one, which it prints as ``port N``; ``--key @FILE`` reads the key from FILE. What it does can be
changed while it runs: ``POST /script`` with any of ``{"text", "tokens", "rate", "fault", "first_s", "key", "calls",
"finish", "usage", "encode", "logprobs", "answers", "ppl", "shift", "echo"}``; ``GET /script`` gives it and what
happened: ``requests`` (bodies, with times of arrival, first token and end, and how they ended) and, with ``--watch``,
``late_ms``: how late this process came to what was due (p99 of a look each 10 ms). It is late to arrivals, too.

``rate`` is tokens per second (0 = as fast as it goes), ``first_s`` the wait before the first. ``calls`` are the tool
calls of the next answers, one list for each. Faults: ``refuse`` (500), ``key`` (401), ``redirect``, ``context`` (400),
``missing`` (404), ``html`` (a web page), ``garbage`` (bad JSON in the stream), ``half`` (half a line, then the end),
``die`` (the process ends mid-answer), ``cut`` (the connection is cut mid-answer), ``stall`` (silence mid-answer),
``silent`` (never a first token), ``error`` (an error object in the stream), ``empty`` (no text), ``unended`` (no
finish_reason), ``logprobs`` (400 to a question that wants them). With ``encode``, ``/v1/encode`` counts words, and
five around a prompt. ``logprobs``: what stands with each token under that name, from the first again at their end.
``answers`` are texts by question. With ``ppl`` there are LMDeploy's ``/get_ppl``, which says it, ``/v1/encode`` (the
ids are the words' lengths) and ``/generate`` (the next id is the sum of the ids and ``shift``).
With ``echo`` an answer's tokens are the question and a number: ``fox-0 fox-1 …``, in paragraphs.
"""

import argparse
import asyncio
import contextlib
import json
import os
import time
from typing import Any

STORY = "The fox found a watermelon in the field and wondered how it might roll it home before the rain came . "
WORDS = STORY.split()
AFTER = 3  # tokens before a fault mid-answer
LOOK_S = 0.01


class Script:
    """What to do, and what happened."""

    def __init__(self, options: argparse.Namespace) -> None:
        if options.key.startswith("@"):
            with open(options.key[1:], encoding="utf-8") as stream:
                options.key = stream.read().strip()
        self.settings: dict[str, Any] = {
            "text": options.text, "tokens": options.tokens, "rate": options.rate, "fault": options.fault,
            "first_s": 0.0, "key": options.key, "calls": [], "finish": "stop", "usage": True, "encode": False,
            "logprobs": [], "answers": {}, "ppl": None, "shift": 0, "echo": False,
        }  # fmt: skip
        self.model = options.model
        self.entry: dict[str, Any] = {"id": options.model, "object": "model"}
        if options.context:
            self.entry["max_model_len"] = options.context
        self.requests: list[dict[str, Any]] = []
        self.late: list[float] = []

    async def watch(self) -> None:
        """Notes for ever how late a wait is over, in ms."""
        while True:
            due = time.monotonic() + LOOK_S
            await asyncio.sleep(LOOK_S)
            self.late.append((time.monotonic() - due) * 1000)

    def state(self) -> dict[str, Any]:
        """What ``GET /script`` gives."""
        late = sorted(self.late)
        late_ms = late[len(late) * 99 // 100] if late else None
        return {**self.settings, "requests": self.requests, "late_ms": late_ms}

    def pieces(self, body: dict[str, Any]) -> list[str]:
        """The answer, token by token."""
        asked = body["messages"][-1].get("content")
        if self.settings["echo"]:
            ends = ["\n\n" if number % 50 == 49 else " " for number in range(int(self.settings["tokens"]))]
            return [f"{asked}-{number}{end}" for number, end in enumerate(ends)]
        text = self.settings["answers"].get(asked, "") if isinstance(asked, str) else ""
        if text := text or self.settings["text"]:
            words = text.split(" ")
            return [word if i == 0 else f" {word}" for i, word in enumerate(words)]
        return [WORDS[i % len(WORDS)] + " " for i in range(int(self.settings["tokens"]))]


class Connection:
    """One HTTP connection; one request is answered at a time."""

    def __init__(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.script, self.reader, self.writer = script, reader, writer

    async def serve(self) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await self.reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                method, path, _ = lines[0].split(" ", 2)
                pairs = (line.partition(":") for line in lines[1:] if line)
                headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
                body = await self.reader.readexactly(int(headers.get("content-length", 0)))
                if not await self.answer(method, path.partition("?")[0], headers, body):
                    break
        self.writer.close()

    async def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> bool:
        """Answers one request; whether the connection stays."""
        script, settings = self.script, self.script.settings
        if path == "/script":
            if method == "POST":
                settings.update(json.loads(body))
                script.requests.clear()
                script.late.clear()
            return await self.json(200, script.state())
        if path == "/health":
            return await self.json(200, {"status": "ok"})
        wrong_key = settings["key"] and headers.get("authorization") != f"Bearer {settings['key']}"
        if wrong_key or settings["fault"] == "key":
            return await self.json(401, {"error": {"message": "Invalid API key"}})
        if path == "/v1/models":
            return await self.json(200, {"object": "list", "data": [script.entry]})
        if path == "/v1/encode" and settings["encode"]:
            texts = json.loads(body)["input"]
            around = 5 if json.loads(body).get("do_preprocess") else 0
            return await self.json(200, {"length": [len(text.split()) + around for text in texts]})
        if settings["ppl"] is not None and path in ("/v1/encode", "/get_ppl", "/generate"):
            return await self.json(200, self.measured(path, json.loads(body)))
        if path == "/v1/chat/completions" and method == "POST":
            request = {"body": json.loads(body), "at": time.time(), "first_at": None, "ended_at": None, "sent": 0}
            request["end"] = ""
            script.requests.append(request)
            try:
                return await self.complete(request)
            except (ConnectionError, asyncio.CancelledError):
                request["end"] = "closed"
                raise
            finally:
                request["ended_at"] = time.time()
        return await self.json(404, {"error": {"message": f"no path {path}"}})

    def measured(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What LMDeploy says of a text and of its tokens."""
        settings = self.script.settings
        if path == "/v1/encode":
            ids = [len(word) for word in body["input"].split()]
            return {"input_ids": ids, "length": len(ids)}
        if path == "/get_ppl":
            return {"ppl": settings["ppl"]}
        assert body["max_tokens"] == 1
        return {"text": "", "output_ids": [sum(body["input_ids"]) + settings["shift"]], "meta_info": {}}

    async def complete(self, request: dict[str, Any]) -> bool:
        settings, fault = self.script.settings, self.script.settings["fault"]
        refusals = {
            "refuse": (500, "the engine is out of memory"),
            "context": (400, "Input length (9000) must be smaller than the model context length (4096)."),
            "missing": (404, "The model does not exist."),
        }
        if fault == "logprobs" and request["body"].get("logprobs"):
            text = "Logprobs(True)/top_logprobs(6) requested but not enabled logprobs_mode in engine configuration"
            return await self.json(400, {"error": {"message": text, "code": 400}})
        if fault in refusals:
            status, text = refusals[fault]
            return await self.json(status, {"error": {"message": text, "code": status}})
        if fault == "redirect":
            return await self.send(307, "text/plain", b"", "Location: http://127.0.0.1:9/v1/chat/completions\r\n")
        if fault == "html":
            return await self.send(200, "text/html", b"<html><body>Welcome!</body></html>")
        if not request["body"].get("stream"):
            return await self.whole(request, settings)
        self.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        gone = asyncio.ensure_future(self.reader.read(1))  # the client closed, or sends more than it should
        stream = asyncio.ensure_future(self.stream(request, settings, fault))
        done, _ = await asyncio.wait({gone, stream}, return_when=asyncio.FIRST_COMPLETED)
        if stream in done:
            gone.cancel()
            await asyncio.wait({gone})
            request["end"] = request["end"] or "whole"
            return stream.result()
        stream.cancel()
        await asyncio.wait({stream, gone})
        gone.exception()  # a reset connection is a closed one too
        request["end"] = "closed"
        return False

    async def whole(self, request: dict[str, Any], settings: dict[str, Any]) -> bool:
        """The answer at once, as where no stream was asked for."""
        calls = settings["calls"].pop(0) if settings["calls"] else []
        pieces = [] if calls else self.script.pieces(request["body"])
        message: dict[str, Any] = {"role": "assistant", "content": "".join(pieces) or None}
        if calls:
            message["tool_calls"] = [call(index, name, arguments) for index, (name, arguments) in enumerate(calls)]
        request["sent"], request["end"] = len(pieces), "whole"
        finish = "tool_calls" if calls else settings["finish"]
        usage = {"prompt_tokens": 11, "completion_tokens": len(pieces), "total_tokens": 11 + len(pieces)}
        return await self.json(200, {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": self.script.model,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage,
        })  # fmt: skip

    async def stream(self, request: dict[str, Any], settings: dict[str, Any], fault: str) -> bool:
        await self.event({"role": "assistant", "content": ""})
        if fault == "silent":
            await asyncio.Event().wait()
        await asyncio.sleep(settings["first_s"])
        if fault == "garbage":
            await self.chunk(b"data: {this is not json\n\n")
            return await self.chunk(b"")
        if fault == "error":
            await self.chunk(b'data: {"error": {"message": "CUDA out of memory", "code": 500}}\n\n')
            return await self.chunk(b"")
        request["first_at"] = time.time()
        calls = settings["calls"].pop(0) if settings["calls"] else []
        for index, (name, arguments) in enumerate(calls):
            await self.event({"tool_calls": [call(index, name, arguments[:3])]})
            await self.event({"tool_calls": [call(index, None, arguments[3:])]})
        pieces = [] if calls or fault == "empty" else self.script.pieces(request["body"])
        began = time.perf_counter()
        for number, piece in enumerate(pieces):
            if number == AFTER and await self.misbehave(fault):
                return False
            if settings["rate"]:
                await asyncio.sleep(max(0.0, began + number / settings["rate"] - time.perf_counter()))
            told = settings["logprobs"] if request["body"].get("logprobs") else []
            await self.event({"content": piece}, more={"logprobs": told[number % len(told)]} if told else {})
            request["sent"] = number + 1
        if fault != "unended":
            await self.event({}, finish="tool_calls" if calls else settings["finish"], tokens=len(pieces))
        await self.chunk(b"data: [DONE]\n\n")
        return await self.chunk(b"")

    async def misbehave(self, fault: str) -> bool:
        """A fault in the middle of an answer; whether the connection is over."""
        if fault == "die":
            os._exit(1)
        if fault == "stall":
            await asyncio.Event().wait()
        if fault == "half":
            await self.chunk(b'data: {"id": "1", "choices": [{"delta": {"con')
            await self.chunk(b"")
            return True
        if fault == "cut":
            self.writer.transport.abort()
            return True
        return False

    async def event(
        self, delta: dict[str, Any], finish: str | None = None, tokens: int | None = None, more: Any = None
    ) -> None:
        data: dict[str, Any] = {
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": self.script.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **(more or {})}],
        }  # fmt: skip
        if tokens is not None and self.script.settings["usage"]:
            data["usage"] = {"prompt_tokens": 11, "completion_tokens": tokens, "total_tokens": 11 + tokens}
        await self.chunk(f"data: {json.dumps(data)}\n\n".encode())

    async def chunk(self, content: bytes) -> bool:
        """A piece of a chunked body; an empty one ends it."""
        self.writer.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        await self.writer.drain()
        return True

    async def json(self, status: int, body: object) -> bool:
        return await self.send(status, "application/json", json.dumps(body).encode())

    async def send(self, status: int, kind: str, content: bytes, more: str = "") -> bool:
        head = f"HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n{more}\r\n"
        self.writer.write(head.encode() + content)
        await self.writer.drain()
        return True


def call(index: int, name: str | None, arguments: str) -> dict[str, Any]:
    """A piece of a tool call; only the first piece names it."""
    if name is None:
        return {"index": index, "function": {"arguments": arguments}}
    return {
        "index": index,
        "id": f"call_{index}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--key", default="")
    parser.add_argument("--model", default="scripted")
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--context", type=int, default=0)
    parser.add_argument("--fault", default="")
    parser.add_argument("--text", default="")
    parser.add_argument("--watch", action="store_true")
    options = parser.parse_args()
    script, port = Script(options), options.port

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Connection(script, reader, writer).serve()

    server = await asyncio.start_server(connected, "127.0.0.1", port, limit=2**26)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await asyncio.gather(server.serve_forever(), *([script.watch()] if options.watch else []))


if __name__ == "__main__":
    asyncio.run(main())
