"""Addresses where something hostile answers."""

import json
import random
import threading
import time
from contextlib import suppress
from typing import Any

from backend.engines.base import ServeConfig
from tests.campaign.attacks.checks import ANSWER_S
from tests.campaign.ground import Broken, Ground, check, pause
from tests.support.gradio_calls import Visitor
from tests.support.raw_server import dribble, raw_server, respond


def servers(ground: Ground, rng: random.Random) -> str:
    """An address where something hostile answers: the start says so or connects, and the page goes on for everyone."""
    halves = ["\ud800x", "x\udfff", "\udc80", "模\ud83d型"]
    ids = [
        *halves,
        "a" * 100_000,
        "\x1b[31m",
        "<script>x</script>",
        "\u202e",
        "\0",
        "../../etc",
        "NaN",
        "",
        "模型",
    ]
    lengths = [10**300, -1, 1e308, "x", None, []]
    contents = [
        json.dumps({"object": "list", "data": [{"id": rng.choice(ids), "object": "model"}]}).encode(),
        json.dumps({"data": [{"id": rng.choice(ids), "max_model_len": rng.choice(lengths)}]}).encode(),
        b'{"data": [{"id": "x", "max_model_len": NaN}]}', b'{"data": [{"id": "x", "max_model_len": 1e999}]}',
        b"[" * 50_000, b"",
        b"null", b"\xff\xfe", b"<html>", b'{"data": {"x": 1}}', b'{"data": [[]]}', b'{"data": null}',
        json.dumps({"data": [{"id": f"m{n}"} for n in range(30_000)]}).encode(), "模型".encode("utf-16"),
    ]  # fmt: skip
    status = rng.choice(["200 OK", "200 OK", "200 OK", "500 x", "302 x\r\nLocation: http://127.0.0.1:1/", "204 x"])
    half = json.dumps({"object": "list", "data": [{"id": rng.choice(halves), "object": "model"}]}).encode()
    templates(ground, rng)
    return f"{hostile(ground, half, '200 OK', '')}; {hostile(ground, rng.choice(contents), status, str(rng.random()))}"


def templates(ground: Ground, rng: random.Random) -> None:
    """A server's description of itself, whose paths would keep a regular expression busy for ever: one call is refused,
    and nobody else waits."""
    name = "{a}" * rng.randint(20, 40)
    described: dict[str, Any] = {"get": {"responses": {}}}
    paths = dict.fromkeys(("/v1/models", f"/{name}!", f"/{{a}}{'b{a}' * 20}!"), described)
    document = {"object": "list", "data": [{"id": "x", "object": "model"}], "openapi": "3.1.0", "paths": paths}
    content = json.dumps(document).encode()
    with raw_server(respond(content, "Content-Type: application/json")) as port:
        server_id = ground.connect(f"http://127.0.0.1:{port}", "")
        ground.until(ground.server, server_id, "running")
        call = f"/console/servers/{server_id}/api/call/"
        began = time.monotonic()
        known = ground.operator.client.get(f"{call}v1/models", timeout=ANSWER_S)
        check(known.status_code == 200, f"a path that the server describes is {known.status_code}: {known.text[:200]}")
        for asked in ("a" * 60, "ab" * 60):
            answer = ground.operator.client.get(f"{call}{asked}", timeout=ANSWER_S)
            check(answer.status_code == 404, f"a path that the server doesn't describe is {answer.status_code}")
        check(time.monotonic() - began < ANSWER_S, "a server's description keeps the console busy")
        ground.leave(server_id)


def hostile(ground: Ground, content: bytes, status: str, name: str) -> str:
    """A start there, under that name or the one that the server says ("")."""
    with raw_server(respond(content, "Content-Type: application/json", status=status)) as port:
        said = "connected"
        try:
            server_id = ground.connect(f"http://127.0.0.1:{port}", name)
        except Broken as refused:
            check("refused" in str(refused), str(refused))
            said = "refused"
        for token in (ground.running.token, ground.running.class_token):
            with ground.running.client(token) as client:
                began = time.monotonic()
                ground.snapshot(client)
                check(client.get("/").status_code == 200, "the page is gone for everyone")
                check(
                    client.get("/v1/models", headers={"authorization": f"Bearer {ground.running.token}"}).status_code
                    == 200,
                    "/v1 is gone",
                )
                check(time.monotonic() - began < ANSWER_S, "the page is slow for everyone")
        if said == "connected":
            ground.leave(server_id)
    return f"{status[:3]} {content[:30]!r}: {said}"


def slow_servers(ground: Ground, rng: random.Random) -> str:
    """A server that dribbles or never answers holds its own start for a few seconds, and nobody else's page."""
    first = rng.choice(
        [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n[", b"HTTP/1.1 2"]
    )
    ground.snapshot()  # the console runs before two threads ask for it
    with raw_server(dribble(first, rng.choice([b" ", b"x", b"\r\n"]), 0.1)) as port:
        ended: list[str] = []

        def connect() -> None:
            with suppress(Broken), Visitor(ground.running) as visitor:
                ground.started(ServeConfig("external", "", address=f"http://127.0.0.1:{port}"), visitor)
            ended.append("")

        connecting = threading.Thread(target=connect, daemon=True)
        connecting.start()
        slowest = 0.0
        for _ in range(4):
            began = time.monotonic()
            ground.snapshot()
            slowest = max(slowest, time.monotonic() - began)
            pause(0.2)
        connecting.join(40)
        check(ended, "a start waits for ever for a server that dribbles")
        check(slowest < 5, f"a page waited {slowest:.1f} s meanwhile")
    for server in ground.snapshot()["servers"]:
        if server["engine"] == "external" and server["config"]["address"].endswith(str(port)):
            ground.leave(server["id"])
    return f"{first[:20]!r}"
