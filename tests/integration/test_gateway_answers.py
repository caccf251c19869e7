"""What servers answer to /v1 in forms of their own, as the openai client reads it; real sockets throughout."""

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.conftest import make_settings
from tests.support.flag_cache import collect
from tests.support.gateway_world import World, serving
from tests.support.raw_server import raw_server

ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
MODELS = b'{"object": "list", "data": [{"id": "scripted"}]}'
OWN = "/home/x/real"
DONE = b"data: [DONE]"


@dataclass
class Raw:
    """Lists its model, and answers every question with these bytes; the connection's end is the answer's."""

    address: str = ""
    answer: bytes = b""

    def __call__(self, connection: socket.socket, head: bytes, over: threading.Event) -> None:
        if head.startswith(b"GET"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(MODELS) + MODELS)
            return
        connection.settimeout(10)
        left = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        left -= len(head.partition(b"\r\n\r\n")[2])
        while left > 0:
            left -= len(connection.recv(65536))
        connection.sendall(self.answer)


@pytest.fixture(scope="module")
def raw() -> Iterator[Raw]:
    raw = Raw()
    with raw_server(raw) as port:
        raw.address = f"http://127.0.0.1:{port}"
        yield raw


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, raw: Raw) -> Iterator[World]:
    state = tmp_path_factory.mktemp("state")
    with serving(make_settings(state)) as world:
        world.connect(raw, "fox")
        yield world
    collect(state)


def chunk(text: str, finish: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]
    return json.dumps({"id": "1", "object": "chat.completion.chunk", "model": OWN, "choices": choices}).encode()


def events(*data: bytes, end: bytes = b"\n\n") -> bytes:
    return b"".join(b"data: " + one + end for one in data)


WHOLE = {
    "id": "1", "object": "chat.completion", "model": OWN,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}  # fmt: skip
CHUNKS = (chunk("Hel"), chunk("lo", "stop"))
SSE = events(*CHUNKS) + DONE + b"\n\n"
STREAM = b"Content-Type: text/event-stream"
FORMS = {
    "as usual": (STREAM, SSE),
    "no end behind [DONE]": (STREAM, events(*CHUNKS) + DONE),
    "no [DONE]": (STREAM, events(*CHUNKS)),
    "no last empty line": (STREAM, events(*CHUNKS)[:-1]),
    "CR alone": (STREAM, SSE.replace(b"\n", b"\r")),
    "no empty lines": (STREAM, events(*CHUNKS, end=b"\n") + DONE + b"\n"),
    "text/plain": (b"Content-Type: text/plain", SSE),
    "no type": (b"X: y", SSE),
    "JSON lines": (b"Content-Type: application/x-ndjson", b"\n".join(CHUNKS)),
    "one document": (b"Content-Type: application/json", json.dumps(WHOLE).encode()),
    "gzip": (STREAM + b"\r\nContent-Encoding: gzip", gzip.compress(SSE, mtime=0)),
    "gzip without a word": (STREAM, gzip.compress(SSE, mtime=0)),
    "no coding's name": (STREAM + b"\r\nContent-Encoding: utf-8", SSE),
    "an empty coding": (STREAM + b"\r\nContent-Encoding:", SSE),
    "identity": (STREAM + b"\r\nTransfer-Encoding: identity", SSE),
}


@pytest.mark.parametrize("form", FORMS)
def test_an_answer_in_every_form(world: World, raw: Raw, form: str) -> None:
    """Streamed and as a whole, whichever the server gives."""
    header, body = FORMS[form]
    raw.answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + header + b"\r\n\r\n" + body
    client = world.openai()
    chunks = list(client.chat.completions.create(model="fox", messages=ASK, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "Hello"
    assert {chunk.model for chunk in chunks} == {"fox"}
    answer = client.chat.completions.create(model="fox", messages=ASK)
    assert answer.choices[0].message.content == "Hello"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "fox"


def ask(world: World, *, stream: bool = True) -> httpx.Response:
    with world.client() as client:
        return client.post("/v1/chat/completions", json={"model": "fox", "messages": ASK, "stream": stream})


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("head", "body", "status", "words"),
    [
        ("302 Found\r\nLocation: https://sign.in/x", b"", 502, "https://sign.in/x"),
        ("302 Found\r\nLocation: https://u:pw@sign.in/x?token=t", b"", 502, "to https://sign.in/x"),
        ("204 No Content", b"", 502, "204"),
        ("200 OK\r\nContent-Encoding: br", b"xyz", 502, "br"),
        ("200 OK", b"<html><h1>Sign in</h1></html>", 502, "Sign in"),
        ("200 OK", b'{"error": {"message": "no such lora"}}', 502, "no such lora"),
        ("200 OK", b'{"detail": "no such path"}', 502, "no such path"),
        ("413 Large", b"<html><h1>413 Request Entity Too Large</h1></html>", 413, "Too Large"),
        ("400 Bad", b"[" * 60_000, 400, "[[[["),
        ("200 OK", b"\x1f\x8b\x08\x00" + b"\xff" * 20, 502, "no JSON"),
    ],
)
def test_what_is_no_answer_is_named(
    world: World, raw: Raw, head: str, body: bytes, status: int, words: str, stream: bool
) -> None:
    raw.answer = f"HTTP/1.1 {head}\r\nConnection: close\r\n\r\n".encode() + body
    answer = ask(world, stream=stream)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    assert "fox" in answer.json()["error"]["message"]
    assert "token" not in answer.text


def test_an_answer_that_ends_without_a_reason_is_not_whole(world: World, raw: Raw) -> None:
    """Its text comes, and then what the server said."""
    raw.answer = b"HTTP/1.1 200 OK\r\n\r\n" + events(chunk("Hel")) + b"RuntimeError: out of memory\n"
    pieces: list[str] = []
    with pytest.raises(openai.APIError, match="out of memory"):
        pieces.extend(
            chunk.choices[0].delta.content or ""
            for chunk in world.openai().chat.completions.create(model="fox", messages=ASK, stream=True)
        )
    assert pieces == ["Hel"]
    assert ask(world, stream=False).json()["error"]["code"] == "answer_cut"


def test_when_to_ask_again_is_passed_on(world: World, raw: Raw) -> None:
    raw.answer = b"HTTP/1.1 429 Slow\r\nRetry-After: 17\r\nContent-Length: 4\r\n\r\nslow"
    answer = ask(world)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "17")


def test_a_name_that_changes_never_shows(world: World, raw: Raw) -> None:
    changing = events(b"{}", chunk("Hel").replace(OWN.encode(), b""), chunk("lo", "stop"))
    raw.answer = b"HTTP/1.1 200 OK\r\n\r\n" + changing
    answer = ask(world)
    assert OWN not in answer.text
    assert answer.text.endswith("data: [DONE]\n\n")
