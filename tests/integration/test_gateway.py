"""/v1 on the console's own port, asked by the openai client and by attackers; real sockets throughout."""

import asyncio
import base64
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import aiohttp
import httpx
import openai
import pytest
from aiohttp.base_protocol import BaseProtocol
from openai.types.chat import (
    ChatCompletionContentPartParam,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageParam,
)
from PIL import Image

from backend.classroom.limits import ClassLimits
from backend.errors import Message, Unavailable
from backend.gateway.keys import Limits
from backend.machine.clients import still_unread
from backend.settings import Settings
from tests.support.gateway_world import DEADLINE_S, OPERATOR, ORIGIN, TOKENS, World, serving
from tests.support.scripted_server import Scripted
from tests.support.waiting import wait_for

QUESTION = "Tell me a short story about a fox and a watermelon."
ASK: list[ChatCompletionMessageParam] = [{"role": "user", "content": QUESTION}]


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    with serving(settings) as world:
        yield world


@pytest.fixture
def child() -> Iterator[Scripted]:
    child = Scripted()
    yield child
    child.close()


@pytest.fixture
def story(world: World, child: Scripted) -> str:
    """One server, "fox", and the text that it answers."""
    world.connect(child, "fox")
    child.script(text="The fox found a watermelon . 狐狸 ok")
    return "The fox found a watermelon . 狐狸 ok"


def picture(size: tuple[int, int] = (8, 8)) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def test_the_tutorials_first_script(world: World, story: str) -> None:
    """As the course has it, but for address and key."""
    client = world.openai()
    model_name = client.models.list().data[0].id
    response = client.chat.completions.create(
        model=model_name,
        messages=[
            {"role": "system", "content": "You are a friendly assistant."},
            {"role": "user", "content": QUESTION},
        ],
        temperature=0.8,
        top_p=0.8,
    )
    assert response.choices[0].message.content == story
    assert response.model == model_name == "fox"
    assert response.usage is not None


def test_streams_with_and_without_usage(world: World, story: str) -> None:
    client = world.openai()
    chunks = list(client.chat.completions.create(model="fox", messages=ASK, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == story  # none without a choice
    assert {chunk.model for chunk in chunks} == {"fox"}
    chunks = list(
        client.chat.completions.create(model="fox", messages=ASK, stream=True, stream_options={"include_usage": True})
    )
    assert any(chunk.usage for chunk in chunks)


async def test_the_async_client(world: World, story: str) -> None:
    client = openai.AsyncOpenAI(base_url=f"{world.address}/v1", api_key=OPERATOR, max_retries=0)
    stream = await client.chat.completions.create(model="fox", messages=ASK, stream=True)
    text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    await client.close()
    assert text == story


def test_tools_and_pictures_reach_the_server(world: World, child: Scripted, story: str) -> None:
    child.script(calls=[[("add", '{"a": 3, "b": 5}')]])
    tools: list[ChatCompletionFunctionToolParam] = [
        {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    ]
    content: list[ChatCompletionContentPartParam] = [
        {"type": "text", "text": "?"},
        {"type": "image_url", "image_url": {"url": picture()}},
    ]
    stream = world.openai().chat.completions.create(
        model="fox", messages=[{"role": "user", "content": content}], tools=tools, stream=True
    )
    calls = [call.function for chunk in stream for call in chunk.choices[0].delta.tool_calls or ()]
    names = [function.name for function in calls if function is not None]
    assert "add" in names
    [asked] = child.requests()
    assert asked["body"]["tools"] == tools
    assert asked["body"]["model"] == "scripted"
    assert asked["body"]["messages"][0]["content"][1]["image_url"]["url"].startswith("data:image/")


def test_a_picture_that_cannot_be_read_never_reaches_the_server(world: World, child: Scripted, story: str) -> None:
    child.script()
    url = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"x" * 100).decode()
    content: list[ChatCompletionContentPartParam] = [{"type": "image_url", "image_url": {"url": url}}]
    with pytest.raises(openai.BadRequestError) as refused:
        world.openai().chat.completions.create(model="fox", messages=[{"role": "user", "content": content}])
    assert refused.value.code == "invalid_image"
    assert child.requests() == []


def test_two_servers_of_one_name(world: World, child: Scripted, story: str) -> None:
    other = Scripted()
    try:
        other.script(text="from the other")
        world.connect(other, "fox")
        ids = [model.id for model in world.openai().models.list().data]
        assert ids == [f"fox@{other.port}", f"fox@{child.port}"]
        answer = world.openai().chat.completions.create(model=f"fox@{other.port}", messages=ASK)
        assert answer.choices[0].message.content == "from the other"
        assert world.openai().models.retrieve(f"fox@{child.port}").id == f"fox@{child.port}"
    finally:
        other.close()


def test_an_external_server_that_isnt_lent(world: World, child: Scripted) -> None:
    world.connect(child, "fox", lent=False)
    assert world.openai().models.list().data == []
    with pytest.raises(openai.APIStatusError) as refused:
        world.openai().chat.completions.create(model="fox", messages=ASK)
    assert refused.value.status_code == 503
    assert child.requests() == []


def test_wrong_names_and_paths_say_the_right_ones(world: World, story: str) -> None:
    with pytest.raises(openai.NotFoundError, match="fox"):
        world.openai().chat.completions.create(model="gpt-4o", messages=ASK)
    with world.client() as client:
        answer = client.post("/v1/images/generations", json={})
        assert answer.status_code == 404
        assert "/v1/chat/completions" in answer.json()["error"]["message"]
        answer = client.get("/v1/chat/completions")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert client.get("/v1").status_code == 404
        assert client.post("/v1/encode", json={"model": "fox", "input": "a"}).json()["error"]["code"] == "not_served"


def test_errors_are_in_the_askers_language(world: World, story: str) -> None:
    with world.client("") as client:
        answer = client.get("/v1/models", headers={"accept-language": "zh-CN"})
    assert answer.status_code == 401
    assert "密钥" in answer.json()["error"]["message"]


# Keys


def test_keys_open_v1_and_cookies_dont(world: World, story: str) -> None:
    page_key = world.services.gateway.keys.page_key("class", "a" * 32)
    secret, key = world.services.gateway.keys.make("Class 3b", Limits(requests_a_minute=2))
    for good in (OPERATOR, page_key, secret):
        assert [model.id for model in world.openai(good).models.list().data] == ["fox"]
    for wrong in ("", "x", TOKENS["class"], secret + "x"):
        with world.client(wrong) as client:
            assert client.get("/v1/models").status_code == 401
    with httpx.Client(base_url=world.address, cookies={"console-x": OPERATOR}, trust_env=False) as client:
        assert client.get("/v1/models").status_code == 401
        assert client.get(f"/v1/models?token={OPERATOR}&key={OPERATOR}").status_code == 401
    with world.client(secret) as client:
        assert client.get("/console/snapshot").status_code == 401  # what stands behind doesn't know it
    for headers in ({"x-api-key": secret}, {"api-key": secret}, {"authorization": secret}):
        with httpx.Client(base_url=world.address, headers=headers, trust_env=False) as client:
            assert client.get("/v1/models").status_code == 200
    world.services.gateway.keys.withdraw(key.id)
    with pytest.raises(openai.AuthenticationError):
        world.openai(secret).models.list()


def test_wrong_keys_never_lock_out_right_ones(world: World, story: str) -> None:
    with world.client("wrong") as client:
        for _ in range(50):
            assert client.get("/v1/models").status_code == 401
    assert world.openai().models.list().data


def test_limits(world: World, story: str) -> None:
    secret, key = world.services.gateway.keys.make("a", Limits(requests_a_minute=2))
    client = world.openai(secret)
    for _ in range(2):
        client.chat.completions.create(model="fox", messages=ASK)
    with pytest.raises(openai.RateLimitError) as limited:
        client.chat.completions.create(model="fox", messages=ASK)
    assert int(limited.value.response.headers["retry-after"]) >= 1
    used = world.services.gateway.meter.of(key.id)
    assert used.requests == 2
    assert used.tokens > 0


def test_what_a_class_may_use_is_counted_with_what_its_pages_ask(world: World, child: Scripted, story: str) -> None:
    allowances, guest = world.services.allowances, "a" * 32
    allowances.set_limits(ClassLimits(requests_a_minute=3, pictures_a_question=1, tokens_an_hour=10_000))
    client = world.openai(world.services.gateway.keys.page_key("class", guest))
    two: list[ChatCompletionContentPartParam] = [{"type": "image_url", "image_url": {"url": picture()}}] * 2
    with pytest.raises(openai.RateLimitError) as limited:
        client.chat.completions.create(model="fox", messages=[{"role": "user", "content": two}])
    assert "retry-after" not in limited.value.response.headers  # waiting wouldn't help
    client.chat.completions.create(model="fox", messages=ASK)
    wait_for("the count", lambda: allowances.used()[guest].tokens > 0, DEADLINE_S)
    allowances.begin(guest)  # a question on the page
    with pytest.raises(openai.RateLimitError) as limited:
        client.chat.completions.create(model="fox", messages=ASK)
    assert 1 <= int(limited.value.response.headers["retry-after"]) <= 60
    assert "at most 3." in str(limited.value)
    assert len(child.requests()) == 1
    world.openai(world.services.gateway.keys.page_key("class", "b" * 32)).chat.completions.create(
        model="fox", messages=ASK
    )  # another one's allowance is their own


# What goes wrong in the middle


def test_a_question_wakes_a_server_that_sleeps(world: World, story: str, child: Scripted) -> None:
    servers = world.services.servers
    (view,) = servers.snapshot()
    servers.change(view.id, lambda view: replace(view, asleep=True))
    woken: list[str] = []

    def waker(server_id: str) -> None:
        woken.append(server_id)
        if len(woken) == 1:
            raise Unavailable(Message("life.not-awake", {"name": view.name}))
        servers.change(server_id, lambda view: replace(view, asleep=False))

    servers.waker = waker
    body = {"model": "fox", "messages": ASK}
    with world.client() as client:
        refused = client.post("/v1/chat/completions", json=body)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert child.requests() == []
        answer = client.post("/v1/chat/completions", json=body)
    assert answer.json()["choices"][0]["message"]["content"] == story
    assert woken == [view.id] * 2


def test_a_client_that_goes_away_frees_the_server(world: World, child: Scripted, story: str) -> None:
    child.script(text="", tokens=100_000, rate=50.0)
    stream = world.openai().chat.completions.create(model="fox", messages=ASK, stream=True)
    next(iter(stream))
    stream.close()
    wait_for("the server to be free", lambda: [r["end"] for r in child.requests()] == ["closed"], DEADLINE_S)
    wait_for("the count", lambda: world.services.gateway.meter.open_requests() == 0, DEADLINE_S)


def test_a_client_that_goes_away_before_the_first_token(world: World, child: Scripted, story: str) -> None:
    child.script(fault="silent")
    body = json.dumps({"model": "fox", "messages": ASK, "stream": True}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {OPERATOR}\r\n"
    with socket.create_connection(("127.0.0.1", world.port), timeout=DEADLINE_S) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_for("the request", lambda: len(child.requests()) == 1, DEADLINE_S)
    wait_for("the server to be free", lambda: [r["end"] for r in child.requests()] == ["closed"], DEADLINE_S)
    wait_for("the count", lambda: world.services.gateway.meter.open_requests() == 0, DEADLINE_S)


@pytest.mark.parametrize("fault", ["cut", "half", "die"])
def test_an_answer_that_breaks_off_ends_in_an_error(world: World, child: Scripted, story: str, fault: str) -> None:
    child.script(text="", tokens=50, fault=fault)
    stream = world.openai().chat.completions.create(model="fox", messages=ASK, stream=True)
    pieces: list[str] = []
    with pytest.raises(openai.APIError, match="fox"):
        pieces.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    # A reset connection may take what was under way with it; a cut-off answer is never another text.
    assert "The fox found a ".startswith("".join(pieces))
    assert pieces or fault == "cut"


@pytest.mark.parametrize(
    ("fault", "status"), [("refuse", 502), ("context", 400), ("missing", 404), ("redirect", 502), ("html", 502)]
)
def test_a_server_that_refuses(world: World, child: Scripted, story: str, fault: str, status: int) -> None:
    child.script(fault=fault)
    with pytest.raises(openai.APIStatusError) as refused:
        world.openai().chat.completions.create(model="fox", messages=ASK)
    assert refused.value.status_code == status
    assert "fox" in str(refused.value)


# Attacks


def raw(world: World, request: bytes) -> bytes:
    """What comes back for these bytes, up to the connection's end or a second's silence."""
    with socket.create_connection(("127.0.0.1", world.port), timeout=DEADLINE_S) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "[::1].evil"])
def test_foreign_hosts(world: World, story: str, host: str) -> None:
    answer = raw(world, f"GET /v1/models HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {OPERATOR}\r\n\r\n".encode())
    assert b"fox" not in answer
    assert answer.split(b" ")[1] in (b"421", b"400")


def test_other_origins(world: World, story: str) -> None:
    with world.client() as client:
        asked = client.options("/v1/models", headers={"origin": "http://evil.example"})
        assert asked.status_code == 403
        assert "access-control-allow-origin" not in asked.headers
        answer = client.post("/v1/chat/completions", json={}, headers={"origin": "http://evil.example"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "wrong_origin")
        asked = client.options(
            "/v1/chat/completions",
            headers={
                "origin": ORIGIN,
                "access-control-request-headers": "authorization,x-stainless-os, OpenAI-Beta,http-referer,x title,x@y",
            },
        )
        assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, ORIGIN)
        allowed = asked.headers["access-control-allow-headers"].split(", ")
        assert {"authorization", "content-type", "api-key", "x-stainless-os", "openai-beta", "http-referer"} <= {
            *allowed
        }
        assert not {"x title", "x@y"} & {*allowed}
        answer = client.get("/v1/models", headers={"origin": ORIGIN})
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "retry-after" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../console/snapshot", "/v1/%2e%2e/console/snapshot", "/v1//models/../x", "/v1/chat%2fcompletions/x",
        "/v1/health", "/v1/metrics", "/v1/sleep", "/v1/nodes/add", "/v1/update_weights", "/v1/generate",
        "/v1/responses", "/v1/messages",
    ],
)  # fmt: skip
def test_other_paths(world: World, child: Scripted, story: str, path: str) -> None:
    child.script()
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {OPERATOR}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    answer = raw(world, f"POST {path} HTTP/1.1\r\n{head}".encode())
    assert answer.split(b" ")[1] in (b"404", b"405", b"400", b"401")
    assert child.requests() == []


def test_huge_bodies(world: World, story: str) -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {OPERATOR}\r\n"
    assert b" 413 " in raw(world, f"{head}Content-Length: {10**12}\r\n\r\n".encode())[:40]
    with world.client() as client:
        answer = client.post("/v1/chat/completions", content=(b" " * (1 << 20) for _ in range(66)))
        assert answer.status_code == 413


ASKED = json.dumps({"model": "fox", "messages": ASK}).encode()
BEARER = f"Host: 127.0.0.1\r\nAuthorization: Bearer {OPERATOR}\r\n".encode()
LENGTH = b"Content-Length: %d\r\n\r\n" % len(ASKED)
POST = b"POST /v1/chat/completions HTTP/1.1\r\n"
CHUNKS = b"".join(b"1\r\n%c\r\n" % byte for byte in ASKED) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        (POST + BEARER + LENGTH + ASKED, 1), (POST + BEARER + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS, 1),
        (POST + BEARER + b"Expect: 100-continue\r\n" + LENGTH + ASKED, 1),
        (POST.replace(b"1.1", b"1.0") + BEARER + LENGTH + ASKED, 1), (3 * (POST + BEARER + LENGTH + ASKED), 3),
        (POST + b"Host: 127.0.0.1\r\n" + LENGTH + ASKED + POST + BEARER + LENGTH + ASKED, 1),  # after a 401
    ],
    ids=["plain", "chunked", "expect", "http-1.0", "pipelined", "after-an-error"],
)  # fmt: skip
def test_the_ways_to_send_a_question(world: World, child: Scripted, story: str, said: bytes, answers: int) -> None:
    child.script(text=story)
    seen = b""
    with socket.create_connection(("127.0.0.1", world.port), timeout=DEADLINE_S) as connection:
        connection.sendall(said)
        while seen.count(b'"total_tokens"') < answers and (piece := connection.recv(65536)):
            seen += piece
    assert seen.count(b" 200 OK") == answers
    assert b"chunked" not in seen  # a whole answer has a length, which HTTP/1.0 understands, too
    assert len(child.requests()) == answers


def test_a_stream_for_http_1_0_comes_whole(world: World, child: Scripted, story: str) -> None:
    body = ASKED[:-1] + b', "stream": true}'
    said = POST.replace(b"1.1", b"1.0") + BEARER + b"Content-Length: %d\r\n\r\n" % len(body) + body
    seen = b""
    with socket.create_connection(("127.0.0.1", world.port), timeout=DEADLINE_S) as connection:
        connection.sendall(said)
        while piece := connection.recv(65536):
            seen += piece
    head, _, content = seen.partition(b"\r\n\r\n")
    assert b"content-length: %d" % len(content) in head
    assert content.startswith(b"data: {")
    assert content.endswith(b"data: [DONE]\n\n")


def test_half_open_requests_hold_nobody_up(world: World, story: str) -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {OPERATOR}\r\n"
    open_ones = []
    try:
        for _ in range(1000):
            connection = socket.create_connection(("127.0.0.1", world.port), timeout=DEADLINE_S)
            connection.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
            open_ones.append(connection)
        assert world.openai().chat.completions.create(model="fox", messages=ASK)
    finally:
        for connection in open_ones:
            connection.close()
    wait_for("the count", lambda: world.services.gateway.meter.open_requests() == 0, DEADLINE_S)


def test_many_at_once_stay_apart(world: World, child: Scripted, story: str) -> None:
    """Thirty-two streams: each whole, none mixed."""
    child.script(text="", tokens=60, rate=100.0)
    results: list[str] = []

    def ask() -> None:
        stream = world.openai().chat.completions.create(model="fox", messages=ASK, stream=True)
        results.append("".join(chunk.choices[0].delta.content or "" for chunk in stream))

    threads = [threading.Thread(target=ask) for _ in range(32)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S * 2)
    assert len(results) == 32, f"after {time.monotonic() - began:.0f} s"
    assert len(set(results)) == 1
    assert len(results[0].split()) == 60


async def test_what_came_before_a_break_is_in_aiohttps_buffer() -> None:
    """clients.still_unread reads it from there: an upgrade that keeps it elsewhere fails here."""
    content = aiohttp.StreamReader(BaseProtocol(asyncio.get_running_loop()), 1 << 16, loop=asyncio.get_running_loop())
    content.feed_data(b"read, ")
    assert await content.read(3) == b"rea"
    content.feed_data(b"unread")
    content.set_exception(aiohttp.ClientPayloadError("cut"))
    with pytest.raises(aiohttp.ClientPayloadError):
        await content.readany()
    assert still_unread(content) == b"d, unread"
