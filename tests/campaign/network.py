"""A connection that is cut at any byte, reset, silent or slow: between page and console, and console and server.

What came is the whole or a clear error, never a part that passes for the whole; and the next try gets the whole.
"""

import hashlib
import json
import random
import re
import socket
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.campaign.ground import Broken, Ground, check, pause
from tests.support.bad_line import BadLine, Trouble, bad_line, trouble
from tests.support.gradio_calls import Visitor
from tests.support.scripted_server import Scripted
from tests.support.waiting import wait_for
from ui.web.asset_files import made

SHORT_S = 3.0  # how long a page waits for a silent connection here
TRIES = 12
# Files that the page names; not what an import map calls modules that came in another file.
NAMED = re.compile(r'"\./((?:console/)?assets/[^"?\\]+)(?:\?[^"\\]*)?"(?!\s*:)')
WORDS = "The fox found a watermelon . 狐狸 滚 🍉 home ok ."


def port_of(ground: Ground) -> int:
    return int(urlsplit(ground.running.base_url).port or 0)


def through(ground: Ground, line: BadLine, timeout: float = SHORT_S) -> httpx.Client:
    """The operator's client over the bad line, the same visitor as the straight one."""
    straight = ground.operator.client
    headers = {"authorization": straight.headers["authorization"], "host": urlsplit(ground.running.base_url).netloc}
    return httpx.Client(
        base_url=line.address, headers=headers, cookies=dict(straight.cookies), trust_env=False, timeout=timeout
    )


def scripted(ground: Ground) -> tuple[Scripted, str]:
    """A scripted server that the console is connected to, one a ground; its id."""
    if "talker" not in ground.kept:
        child = ground.child()
        server_id = ground.connect(child.address, "talker")
        ground.until(ground.server, server_id, "running")
        ground.kept["talker"] = (child, server_id)
    found: tuple[Scripted, str] = ground.kept["talker"]
    return found


def same(what: str, got: bytes, whole: bytes) -> None:
    check(got == whole, f"{what}: {len(got)} bytes of {len(whole)} passed for the whole")


def snapshot(ground: Ground, rng: random.Random) -> str:
    """A poll is a whole snapshot or an error; the next one is whole."""
    whole = ground.operator.client.get("/console/snapshot")
    with bad_line(port_of(ground)) as line:
        for _ in range(TRIES):
            line.trouble = trouble(rng, len(whole.content) + 800)
            with through(ground, line, 1.0) as client:
                try:
                    answer = client.get("/console/snapshot")
                except httpx.HTTPError:
                    continue
                check(answer.status_code == 200, f"the snapshot is {answer.status_code}")
                check(set(answer.json()) == set(whole.json()), "a snapshot without its parts")
        line.trouble = Trouble()
        with through(ground, line, 30.0) as client:
            check(client.get("/console/snapshot").status_code == 200, "no snapshot over a line that is whole again")
    return f"{TRIES} polls"


def assets(ground: Ground, rng: random.Random) -> str:
    """Files whose first reader goes away, at any moment of it, never stay parts: for nobody, and in no cache."""
    straight = ground.operator.client
    names = sorted(set(NAMED.findall(straight.get("/").text)))
    check(names, "the page names no files")
    chosen = [rng.choice(names) for _ in range(TRIES)]
    for name in chosen:
        encoding = rng.choice(["gzip", "br", "identity"])
        address = f"/{name}?v={rng.randbytes(6).hex()}"  # the console's own files are then new to it each time
        for _ in range(rng.randint(1, 4)):
            leave(ground, address, encoding, rng.uniform(0, 0.03))
        with bad_line(port_of(ground)) as line:
            line.trouble = trouble(rng, 40_000, "cut", "reset")
            with through(ground, line) as client:
                try:
                    with client.stream("GET", address, headers={"accept-encoding": encoding}) as answer:
                        got = b"".join(answer.iter_raw())
                        length = answer.headers.get("content-length")
                        check(length is None or int(length) == len(got), f"{name}: {len(got)} bytes of {length}")
                except httpx.HTTPError:
                    pass
        packed = straight.get(address, headers={"accept-encoding": encoding})
        plain = straight.get(f"/{name}?v=x", headers={"accept-encoding": "identity"})
        check(plain.status_code == packed.status_code == 200, f"{name} is {packed.status_code}")
        same(f"{name} as {encoding}", packed.content, plain.content)
        on_disk(name, plain.content)
    return f"{len(chosen)} files"


def leave(ground: Ground, address: str, encoding: str, after_s: float) -> None:
    """Ask for a file and be gone, as a page that is closed while it loads."""
    token = ground.running.token
    head = f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    head += f"Accept-Encoding: {encoding}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port_of(ground)), timeout=10) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(head.encode())
        pause(after_s)


def on_disk(name: str, content: bytes) -> None:
    """The console's own files are as they are made of those on the disk."""
    whole = made().files.get(name.partition("?")[0].removeprefix("console/assets/"))
    if whole is not None:
        digest = hashlib.sha256(content).hexdigest()
        check(content.startswith(whole.encode()), f"{name} is another: {len(content)} bytes ({digest[:8]})")


def log(ground: Ground, rng: random.Random) -> str:
    """A log read piece by piece, forwards or backwards, over a line that fails: in the end, every byte of it."""
    if "noisy" not in ground.kept:
        ground.kept["noisy"] = ground.start(ground.model("noisy"))
        ground.until(ground.server, ground.kept["noisy"], "running")
    run: str = ground.kept["noisy"]
    file = ground.state_dir / "runs" / run / "log.txt"
    wait_for("the noise", lambda: file.stat().st_size > 400_000, 30)
    whole = file.read_bytes()
    backwards = rng.random() < 0.5
    got, at = b"", len(whole) if backwards else 0
    with bad_line(port_of(ground)) as line:
        failures = 0
        while (at > 0) if backwards else (at < len(whole)):
            line.trouble = trouble(rng, 200_000) if failures < 6 and rng.random() < 0.6 else Trouble()
            asked = {"before": str(at)} if backwards else {"offset": str(at)}
            with through(ground, line, 1.0 if line.trouble.kind == "stall" else 20.0) as client:
                try:
                    answer = client.get(f"/console/log/{run}", params=asked)
                except httpx.HTTPError:
                    failures += 1
                    continue
            check(answer.status_code == 200, f"the log is {answer.status_code}: {answer.text[:200]}")
            part = answer.json()
            begin, end = int(part["offset"]), int(part["next"])
            check(end > begin, f"a part of nothing at {at}: {begin} … {end}")
            check((end if backwards else begin) == at, f"asked for {asked}, got {begin} … {end}")
            piece = whole[begin:end]
            shown = part["text"]
            check(
                shown.encode("utf-8", "replace").count(b"\n") == piece.count(b"\n"),
                f"lines are lost in {begin} … {end}",
            )
            got, at = (piece + got, begin) if backwards else (got + piece, end)
    same("the log", got, whole)
    return f"{'backwards' if backwards else 'forwards'}, {failures} failures"


def chat_stream(ground: Ground, rng: random.Random) -> str:
    """The page's stream breaks while an answer comes: the answer goes on, and the page that asks again has it all."""
    child, server_id = scripted(ground)
    text = " ".join(rng.choices(WORDS.split(), k=rng.randint(20, 60)))
    child.script(text=text, rate=rng.choice([0.0, 60.0]), fault="", first_s=0.0)
    with Visitor(ground.running) as visitor:
        ask(visitor, server_id)
        with bad_line(port_of(ground)) as line:
            straight, visitor.client = visitor.client, through_as(ground, line, visitor.client)
            shown: list[Any] = []
            cuts = 0
            while True:
                line.trouble = trouble(rng, 3000) if cuts < 4 else Trouble()
                ended, last = follow(visitor.client)
                shown = last or shown
                if ended:
                    break
                cuts += 1
                check(cuts < 40, "the stream never ends")
            visitor.client.close()
            visitor.client = straight
        answer = visitor.answer()
        check(answer["state"] == "done" or answer["end"] == "", f"the answer is {answer['state']} ({answer['end']})")
        check(answer["text"] == text, f"the answer is {answer['text']!r}, not {text!r}")
        check(letters(text) in letters(json.dumps(shown, ensure_ascii=False)), "the page doesn't show the whole answer")
    return f"{cuts} cuts"


def letters(text: str) -> str:
    return "".join(sign for sign in text if sign.isalpha())


def through_as(ground: Ground, line: BadLine, client: httpx.Client) -> httpx.Client:
    headers = {"authorization": client.headers["authorization"], "host": urlsplit(ground.running.base_url).netloc}
    return httpx.Client(
        base_url=line.address, headers=headers, cookies=dict(client.cookies), trust_env=False, timeout=SHORT_S
    )


def ask(visitor: Visitor, server_id: str, text: str = "Hi") -> None:
    """A question that is taken; its answer comes by the stream."""
    form = [server_id, "", "", 0.8, 0.8, 64, []]
    *_, asked = visitor.call("chat_ask", [{"text": text, "files": []}, False, *form])
    check(asked["success"], f"the question was refused: {asked['output']}")


def follow(client: httpx.Client) -> tuple[bool, list[Any]]:
    """What the page shows at the end of one connection of the stream, and whether the stream said all it had."""
    box: list[Any] = []
    try:
        with client.stream("GET", "/console/chat/stream") as stream:
            check(stream.status_code == 200, f"the stream is {stream.status_code}")
            rest = b""
            for part in stream.iter_bytes():
                *ready, rest = (rest + part).split(b"\n")
                for line in ready:
                    if line:
                        box = grown(box, json.loads(line)["boxes"][0])
            check(not rest, f"a stream that ended well ended within a line: {rest[:80]!r}")
    except httpx.HTTPError:
        return False, box
    return True, box


def grown(box: list[Any], change: Mapping[str, Any]) -> list[Any]:
    """What a page shows after a line of the stream."""
    kept = box[: change["keep"]]
    if "grow" in change:
        message = json.loads(json.dumps(box[change["keep"]]))
        message["content"][0]["text"] += change["grow"]
        return [*kept, message]
    return [*kept, *change["more"]]


def upload(ground: Ground, rng: random.Random) -> str:
    """An upload that breaks off leaves nothing, and is nobody's; a whole one is whole."""
    visitor = ground.operator
    uploads = ground.state_dir / "uploads"
    content = rng.randbytes(rng.randint(1, 400_000))
    with bad_line(port_of(ground)) as line:
        for _ in range(4):
            line.trouble = trouble(rng, len(content), "cut", "reset", back=False)
            with through(ground, line) as client:
                try:
                    answer = client.post("/gradio_api/upload", files={"files": ("a.txt", content, "text/plain")})
                except httpx.HTTPError:
                    continue
                if answer.status_code == 200:
                    same("an upload", Path(answer.json()[0]).read_bytes(), content)
    try:
        wait_for("what broke off to be removed", lambda: not list(uploads.glob("tmp*")), 20)
    except AssertionError:
        raise Broken(f"parts of uploads are left: {[f.name for f in uploads.glob('tmp*')]}") from None
    path = Path(visitor.upload("b.txt", content, "text/plain")["path"])
    same("an upload", path.read_bytes(), content)
    path.unlink()
    return f"{len(content)} bytes"


def page_of_server(ground: Ground, rng: random.Random) -> str:
    """The line between the console and a server breaks in an answer: it says so, and has what came before."""
    child, _ = scripted(ground)
    text = " ".join(rng.choices(WORDS.split(), k=40))
    child.script(text=text, rate=0.0, fault="", first_s=0.0)
    slow, length = answered(ground, rng, child, text, Trouble("dribble", rng.randint(0, 6000)))
    check(slow == "whole", f"a line that is only slow, and the answer: {slow}")
    kind = rng.choice(["cut", "reset"])
    cut, _ = answered(ground, rng, child, text, Trouble(kind, rng.randint(length // 5, length * 2 // 3)))
    check(cut != "whole", f"a line that was {kind}, and the answer is whole")
    return f"{kind}: {cut}"


def answered(ground: Ground, rng: random.Random, child: Scripted, text: str, bad: Trouble) -> tuple[str, int]:
    """What the page says of an answer over a line with that trouble, and how many bytes of it came."""
    with bad_line(child.port) as line, Visitor(ground.running) as visitor:
        server_id = ground.connect(line.address, f"line{rng.randint(0, 10**9)}")
        ground.until(ground.server, server_id, "running")
        line.trouble = bad
        before = line.passed
        ask(visitor, server_id)
        ended, _ = follow(visitor.client)
        check(ended, "the page's own stream broke, whose line is whole")
        answer = visitor.answer()
        length = line.passed - before
        line.trouble = Trouble()
        ground.leave(server_id)
    check(answer["state"] not in ("waiting", "streaming"), f"the answer stays {answer['state']}")
    if answer["text"] == text:
        return "whole", length
    check(answer["end"], f"a part passes for the whole answer: {answer['text'][-60:]!r}")
    check(text.startswith(answer["text"]), f"the answer has what the server never said: {answer['text'][-60:]!r}")
    return f"cut after {len(answer['text'])} characters: {answer['end']}", length


def gateway(ground: Ground, rng: random.Random) -> str:
    """/v1 over a bad line: [DONE] after the whole text alone, and who goes away frees the server."""
    address, name = own_server(ground)
    text = " ".join(rng.choices(WORDS.split(), k=40))
    script = {"text": text, "rate": 0.0, "fault": "", "first_s": 0.0}
    httpx.post(f"{address}/script", json=script, trust_env=False).raise_for_status()
    console = ground.running
    body = {"model": name, "messages": [{"role": "user", "content": "?"}], "stream": True}
    headers = {"authorization": f"Bearer {console.token}", "host": urlsplit(console.base_url).netloc}
    got, whole = b"", False
    with bad_line(port_of(ground)) as line:
        line.trouble = trouble(rng, 8000, "cut", "reset", "dribble")
        with httpx.Client(base_url=line.address, headers=headers, trust_env=False, timeout=20) as client:
            try:
                with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                    check(answer.status_code == 200, f"/v1 answers {answer.status_code}: {answer.read()[:200]!r}")
                    for part in answer.iter_bytes():
                        got += part
                whole = True
            except httpx.HTTPError:
                pass
    said, done, error = pieces(got)
    check(text.startswith(said), f"/v1 says what the server never said: {said[-60:]!r}")
    check(not done or said == text, f"[DONE] after {said[-40:]!r}")
    check(not whole or done or error, f"a stream that ends well has neither [DONE] nor an error: {got[-100:]!r}")

    def free() -> bool:
        asked = httpx.get(f"{address}/script", trust_env=False).json()["requests"]
        return all(one["end"] for one in asked)

    try:
        wait_for("the server to be free", free, 30)
    except AssertionError:
        raise Broken("the client is gone, and the server still answers") from None
    return "whole" if done else f"cut after {len(got)} bytes"


def own_server(ground: Ground) -> tuple[str, str]:
    """One of the console's own servers, which /v1 offers by itself: its address, and its name there."""
    if "own" not in ground.kept:
        ground.kept["own"] = ground.start(ground.model("ok"))
    view = ground.until(ground.server, ground.kept["own"], "running")
    listed = ground.operator.client.get("/v1/models").json()["data"]
    names = [str(entry["id"]) for entry in listed]
    check(names, "/v1 offers no server, and one is running")
    wanted = Path(str(view["config"]["model"])).name
    return f"http://127.0.0.1:{view['port']}", next((name for name in names if wanted in name), names[0])


def pieces(got: bytes) -> tuple[str, bool, bool]:
    """The text of a stream of completions, whether it said that it is done, and whether it said an error."""
    said, error = "", False
    for event in got.decode("utf-8", "replace").split("\n\n"):
        data = event.removeprefix("data: ")
        if event.startswith("data: {"):
            try:
                read = json.loads(data)
            except ValueError:
                continue  # the last one, which is cut
            error = error or "error" in read
            for choice in read.get("choices", []):
                said += choice.get("delta", {}).get("content") or ""
    return said, b"data: [DONE]" in got, error


def silent_server(ground: Ground, rng: random.Random) -> str:
    """A server's line falls silent: it holds nobody else, and a stop ends the waiting."""
    child, _ = scripted(ground)
    child.script(text=WORDS, rate=0.0, fault=rng.choice(["stall", "silent"]), first_s=0.0)
    _, server_id = scripted(ground)
    with Visitor(ground.running) as visitor:
        ask(visitor, server_id)
        began = time.monotonic()
        ground.snapshot()
        check(time.monotonic() - began < 5, "a silent server holds up everybody's snapshot")
        with visitor.client.stream("GET", "/console/chat/stream", timeout=10) as stream:
            beats = stream.iter_bytes()
            for _ in range(3):
                check(next(beats), "no sign of life")
        list(visitor.call(handler(visitor, "stop"), []))

        def ended() -> bool:
            return visitor.answer()["state"] not in ("waiting", "streaming")

        try:
            wait_for("the stop", ended, 20)
        except AssertionError:
            raise Broken(f"a stop doesn't end it: {visitor.answer()}") from None
    child.script(fault="")
    return "stopped"


def handler(visitor: Visitor, ending: str) -> str:
    """A chat handler's name: the one that ends so."""
    names = [str(entry["api_name"]) for entry in visitor.config["dependencies"] if entry["api_name"]]
    found = [name for name in names if name in (f"chat_{ending}", ending)]
    check(found, f"no handler {ending} among {names}")
    return found[0]


SCENARIOS: Mapping[str, Callable[[Ground, random.Random], str]] = {
    "snapshot": snapshot, "assets": assets, "log": log, "chat-stream": chat_stream, "upload": upload,
    "line-to-server": page_of_server, "gateway": gateway, "silent-server": silent_server,
}  # fmt: skip
QUICK = ("gateway", "silent-server")
