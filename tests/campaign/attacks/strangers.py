"""Those who have no token, and pages of other addresses."""

import base64
import random
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import httpx

from tests.campaign.attacks.checks import ANSWER_S, leaks_nothing, unchanged
from tests.campaign.ground import Ground, check
from tests.campaign.network import port_of
from tests.support.proxies import raw_request

PATHS = (
    "/", "/config", "/theme.css", "/console/snapshot", "/console/chat/stream", "/console/texts.json", "/docs",
    "/console/assets/js/console.js", "/gradio_api/info", "/gradio_api/queue/join", "/gradio_api/queue/data",
    "/gradio_api/upload", "/gradio_api/heartbeat/x", "/openapi.json", "/console/log/x", "/console/log/x/file",
    "/v1/models", "/v1/chat/completions", "/gradio_api/run/deploy_start", "/static/img/logo.svg", "/favicon.ico",
)  # fmt: skip


def strangers(ground: Ground, rng: random.Random) -> str:
    """No token, wrong ones, ones in the wrong place: 401 everywhere, on every path, by every method."""
    same = unchanged(ground)
    console = ground.running
    token = console.token
    wrong = [
        "", "x", token[:-1], token + "x", token[::-1], token.upper() + "_", "null", "undefined", "*", "\t", "é",
        console.token[:20] + "\0", " " * 50, base64.b64encode(token.encode()).decode(), "' OR 1=1 --",
    ]  # fmt: skip
    for _ in range(25):
        path = rng.choice(PATHS)
        method = rng.choice(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "GETX"])
        headers: dict[str, Any] = {}
        value = rng.choice(wrong)
        place = rng.choice(["none", "bearer", "basic", "query", "cookie", "x-api-key", "x-token"])
        if place in ("bearer", "basic"):
            headers["authorization"] = f"{place.title()} {value}".encode("utf-8", "replace")
        elif place == "query":
            path += f"?token={quote(value)}"
        elif place == "cookie":
            names = ["console-token", "access-token", "console", f"console-{port_of(ground)}", "token"]
            headers["cookie"] = f"{rng.choice(names)}={quote(rng.choice([value, token]))}"
        elif place.startswith("x-"):
            headers[place] = quote(value)
        with httpx.Client(base_url=console.base_url, headers=headers, trust_env=False, timeout=ANSWER_S) as client:
            try:
                answer = client.request(method, path)
            except (httpx.InvalidURL, httpx.LocalProtocolError):  # the client itself sends no such thing
                continue
            except httpx.RemoteProtocolError:  # not a method or header at all
                continue
        where = f"{method} {path} with {place} {value[:20]!r}"
        check(answer.status_code >= 400, f"{where} is {answer.status_code}")
        check(answer.status_code < 500, f"{where} is {answer.status_code}")
        leaks_nothing(ground, answer.text + str(answer.headers), where)
    with console.client() as operator:
        check(operator.get("/console/snapshot").status_code == 200, "wrong tokens locked the owner out")
    same()
    return "25 requests"


def hosts(ground: Ground, rng: random.Random) -> str:
    """Names that aren't this machine's: 421, with the right token too; nothing is answered by another way to say it."""
    console = ground.running
    port = port_of(ground)
    foreign = [
        "evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "evil@localhost",
        "evil.com\\@localhost", "localhost#evil.example", "localhost/evil", "localhost?x", "127.0.0.1 evil",
        "0x7f000001.evil", "[::1", "[::1]evil", "::1", "localhost..", "LOCALHOST.EVIL", "evil.example, localhost",
        "\x00localhost", "xn--lcalhost-x9a", "1.1.1.1", "8.8.8.8:80", "-", ":", f":{port}", "%6cocalhost",
        "localhost:99999", "localhost:x", "user:pw@127.0.0.1", "127.0.0.1%0d%0aX: y",
    ]  # fmt: skip
    for host in rng.sample(foreign, 12):
        path = rng.choice(["/", "/console/snapshot", "/v1/models", "/config"])
        request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {console.token}\r\nConnection: close\r\n\r\n"
        )
        said = raw_request(port, request.encode("latin-1"), ANSWER_S)
        status = said.split(b" ")[1:2]
        check(status in ([b"421"], [b"400"], []), f"Host {host!r} at {path} is {status}")
    bearer = f"Authorization: Bearer {console.token}\r\nConnection: close\r\n\r\n"
    for head in (
        "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
        "GET / HTTP/1.1\r\n",
    ):
        status = raw_request(port, (head + bearer).encode(), ANSWER_S).split(b" ")[1:2]
        check(status != [b"200"], f"{head!r} is {status}")
    return "15 hosts"


def origins(ground: Ground, rng: random.Random) -> str:
    """Other pages' writes: 403, whatever they send with them; and no answer lets another page read it."""
    same = unchanged(ground)
    console = ground.running
    port = port_of(ground)
    other = [
        # Not https with the console's own host and port: that is its page behind a proxy that speaks TLS.
        "http://evil.example", "null", f"http://127.0.0.1:{port + 1}", f"https://127.0.0.1:{port + 1}", "file://",
        f"http://127.0.0.1.evil.example:{port}", f"http://localhost:{port + 1}", "http://127.0.0.1", "chrome-extension://x",
        f"http://evil@127.0.0.1:{port}", f"http://127.0.0.1:{port}.evil.example", "http://[::1]", "data:", "x",
        f"http://127.0.0.1:{port}/x", "javascript:0",
    ]  # fmt: skip
    writes = [
        "/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/run/deploy_stop", "/console/chat/x",
        "/gradio_api/call/deploy_start", "/gradio_api/cancel", "/gradio_api/reset", "/v1/chat/completions",
    ]  # fmt: skip
    with console.client() as client:
        for _ in range(16):
            origin, path = rng.choice(other), rng.choice(writes)
            answer = client.post(path, headers={"origin": origin}, content=b"{}")
            check(answer.status_code == 403, f"Origin {origin!r} at {path} is {answer.status_code}")
            check("access-control-allow-origin" not in answer.headers, f"{origin!r} may read {path}")
            read = client.get(rng.choice(["/console/snapshot", "/config", "/"]), headers={"origin": origin})
            check("access-control-allow-origin" not in read.headers, f"{origin!r} may read {read.url.path}")
    same()
    return "16 writes"


def raw(ground: Ground, rng: random.Random) -> str:
    """Bytes that are hardly HTTP, drops of requests, many at once: refused or let go, and everyone else is served."""
    same = unchanged(ground)
    port = port_of(ground)
    shapes = [
        b"\x16\x03\x01\x02\x00\x01\x00", b"GET", b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"A" * 70_000, b"\0" * 100,
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET /x",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n", b"GET \xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999\r\n\r\n", b"* * *\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n", b"GET /" + b"a/" * 40_000,
        b"GET /?" + b"a=b&" * 9000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ]  # fmt: skip
    held = []
    try:
        for _ in range(40):
            shape = rng.choice(shapes)
            connection = socket.create_connection(("127.0.0.1", port), timeout=5)
            held.append(connection)
            with suppress(OSError):
                connection.sendall(shape[: rng.randint(1, len(shape))] if rng.random() < 0.3 else shape)
        same()
        for connection in held:
            connection.settimeout(0.05)
            with suppress(OSError):
                check(not connection.recv(65536).startswith(b"HTTP/1.1 200"), "nonsense is answered by 200")
    finally:
        for connection in held:
            connection.close()
    return "40 connections"
