"""The address for code, /v1."""

import base64
import json
import random
import socket
import threading
from typing import Any

import httpx

from tests.campaign.attacks.checks import leaks_nothing, one_of, unchanged
from tests.campaign.ground import Ground, check
from tests.campaign.network import own_server
from tests.support.raw_server import raw_server, respond


def api(ground: Ground, rng: random.Random) -> str:
    """Keys, paths and fields at /v1: what isn't allowed is refused by a 4xx in OpenAI's form, and goes nowhere."""
    address, name = own_server(ground)
    same = unchanged(ground)
    console = ground.running
    ok = {"model": name, "messages": [{"role": "user", "content": "?"}]}
    with console.client("") as client:
        for key in ("", "x", console.class_token, console.token[:-1], "sk-" + "0" * 48):
            headers = {"authorization": f"Bearer {key}"} if key else {}
            answer = client.post("/v1/chat/completions", json=ok, headers=headers)
            check(answer.status_code == 401, f"/v1 with the key {key[:6]!r} is {answer.status_code}")
    for _ in range(8):
        body, path = dict(ok), "/v1/chat/completions"
        change = rng.choice(["path", "model", "messages", "raw", "number", "picture"])
        if change == "path":
            path = rng.choice(["/v1/../config", "/v1//models", "/v1/x", "/v1/chat/completions/../../console/snapshot",
                               "/v1/%2e%2e/console/snapshot", "/v1/encode", "/v1/models/..%2f",
                               "/V1/models", "/v1/distserve/x"])  # fmt: skip
        elif change == "model":
            body["model"] = one_of(
                rng, None, "", "nobody", 1, [name], {"a": 1}, f"{name}\0", "../x", address, "a" * 9999
            )
        elif change == "messages":
            body["messages"] = one_of(rng, None, "x", [None], [{}], [{"role": "x"}], [[]], {"a": 1}, [{"role": "user"}])
        elif change == "number":
            field = rng.choice(["temperature", "max_tokens", "n", "top_p"])
            body[field] = one_of(rng, float("1e400"), float("nan"), -1, "x", [], 10**400, True)
        elif change == "picture":
            body["messages"] = [{"role": "user", "content": [picture_part(rng, ground)]}]
        with console.client() as client:
            content = json.dumps(body)
            if change == "raw":
                content = rng.choice(["", "null", "[]", "{", "[" * 60_000, '"x"', "\x00", '{"a":' * 900])
            answer = client.post(path, content=content, headers={"content-type": "application/json"})
        check(
            answer.status_code < 500 or answer.status_code in (502, 503),
            f"{change} {content[:80]} is {answer.status_code}",
        )
        leaks_nothing(ground, answer.text, f"/v1 with {change}")
        if answer.status_code >= 400 and path.startswith("/v1/chat"):
            check(isinstance(answer.json().get("error"), dict), f"no error in OpenAI's form: {answer.text[:100]}")
        check("bob-secret" not in answer.text, "a file was read")
    same()
    return "13 requests"


def picture_part(rng: random.Random, ground: Ground) -> dict[str, Any]:
    url = rng.choice([
        "file:///etc/passwd", f"file://{ground.state_dir}/token", str(ground.state_dir / "token"), "/etc/passwd",
        "http://169.254.169.254/latest/", "http://127.0.0.1:1/x", "ftp://x/y", "data:image/png;base64,AAAA", "data:,x",
        "data:image/svg+xml;base64," + base64.b64encode(b'<svg xmlns="http://www.w3.org/2000/svg"/>').decode(), "",
        "FILE:///etc/passwd", " file:///etc/passwd", "fi\tle:///etc/passwd", "file://localhost/etc/passwd", "\ud800",
    ])  # fmt: skip
    return {"type": "image_url", "image_url": rng.choice([{"url": url}, url, {"url": [url]}])}


def pictures(ground: Ground, rng: random.Random) -> str:
    """A picture's address at /v1 is never fetched or opened, by the console or, through it, by the server."""
    address, name = own_server(ground)
    httpx.post(f"{address}/script", json={"fault": "", "text": "ok", "rate": 0.0}, trust_env=False)
    asked: list[bytes] = []

    def seen(connection: socket.socket, head: bytes, over: threading.Event) -> None:
        asked.append(head)
        respond(b"x")(connection, head, over)

    with raw_server(seen) as port, ground.running.client() as client:
        urls = [f"http://127.0.0.1:{port}/a.png", f"http://localhost:{port}/", f"HTTP://127.0.0.1:{port}/x",
                f"//127.0.0.1:{port}/x", f"http://x@127.0.0.1:{port}/", f"file://127.0.0.1:{port}/etc/x"]  # fmt: skip
        for url in rng.sample(urls, 4):
            part = {"type": "image_url", "image_url": {"url": url}}
            body = {"model": name, "messages": [{"role": "user", "content": [part]}]}
            answer = client.post("/v1/chat/completions", json=body)
            check(400 <= answer.status_code < 500, f"a picture at {url} is {answer.status_code}")
        sent = json.dumps(httpx.get(f"{address}/script", trust_env=False).json()["requests"])
        check("127.0.0.1" not in sent and "file:" not in sent, f"a picture's address reached the server: {sent[:200]}")
    check(not asked, f"the console fetched a picture: {asked[:1]}")
    return "4 addresses"
