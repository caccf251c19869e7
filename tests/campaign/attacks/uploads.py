"""Files and pictures that a guest sends, or only says to have sent."""

import json
import os
import random
import struct
import zlib
from pathlib import Path

import httpx

from tests.campaign.attacks.checks import CANARY, called, leaks_nothing, unchanged
from tests.campaign.ground import Ground, check
from tests.campaign.network import port_of, scripted
from tests.support.gradio_calls import Visitor


def uploads(ground: Ground, rng: random.Random) -> str:
    """Paths that this visitor never uploaded, as any handler's file: refused, not read, not copied; nothing hangs."""
    same = unchanged(ground)
    folder = ground.folder / f"trap{rng.randint(0, 10**9)}"
    folder.mkdir()
    (folder / "secret.png").write_text(CANARY)
    os.mkfifo(folder / "fifo.png")
    with (folder / "huge.png").open("wb") as file:
        file.truncate(100 << 30)
    (folder / "link.png").symlink_to("/etc/passwd")
    shelf = ground.state_dir / "uploads"
    with Visitor(ground.running, ground.running.class_token) as thief, Visitor(ground.running) as owner:
        theirs = owner.upload("mine.txt", CANARY.encode() * 9, "text/plain")["path"]
        before = sum(file.lstat().st_blocks for file in shelf.rglob("*"))
        wanted = [
            *(str(folder / name) for name in ("secret.png", "fifo.png", "huge.png", "link.png")), theirs, "/dev/zero",
            "/proc/self/environ", str(ground.state_dir / "token"), f"{shelf}/../token", "app.py", "", "a\0b",
            f"file://{folder}/secret.png", "http://127.0.0.1:1/x.png", "/tmp/\udcff.png", "/dev/stdin",
            "/" + "a" * 5000,
            os.path.relpath(theirs, shelf), theirs + "/", theirs.replace("/", "//"),
        ]  # fmt: skip
        for path in rng.sample(wanted, 6):
            data = {"path": path, "orig_name": "cat.png", "meta": {"_type": "gradio.FileData"}}
            if rng.random() < 0.3:
                data["url"] = f"http://127.0.0.1:{port_of(ground)}/gradio_api/file={theirs}"
            if rng.random() < 0.6:
                name, arguments = "chat_ask", [{"text": "Hi", "files": [data]}, False, "", "", "", 0.8, 0.8, 64, []]
            else:
                name, arguments = "quantize_upload", [data]
            end = called(thief, name, arguments)
            check(not end["success"], f"{name} takes {path[:80]!r}")
            leaks_nothing(ground, json.dumps(end), f"{name} with {path[:80]!r}")
        with httpx.Client(trust_env=False) as stranger:
            stranger.cookies.update(thief.client.cookies)
            for address in (f"/gradio_api/file={theirs}", f"/gradio_api/file/{theirs}", f"/gradio_api/stream/{theirs}"):
                answer = thief.client.get(address)
                check(CANARY not in answer.text, f"another's upload is read by {address}")
        after = sum(file.lstat().st_blocks for file in shelf.rglob("*"))
        check(after <= before + 64, f"an attack left {(after - before) // 2} KiB in the uploads")
        Path(theirs).unlink(missing_ok=True)
    same()
    return "6 paths"


def big(ground: Ground, rng: random.Random) -> str:
    """Files beyond the limit, pictures that unpack to gigabytes, endless questions: refused in words, and soon."""
    server_id = scripted(ground)[1]
    same = unchanged(ground)
    with Visitor(ground.running, ground.running.class_token) as visitor:
        answer = visitor.client.post("/gradio_api/upload", files={"files": ("a.txt", b"x" * ((64 << 20) + 1))})
        check(answer.status_code == 413, f"a file of 64 MiB and a byte is {answer.status_code}")
        side = rng.choice([20_000, 60_000, 65_535, 2**31 - 1])
        bomb = visitor.upload("bomb.png", png_of(side, side))
        question = {"text": "x" * rng.choice([10, 1 << 20, 3 << 20]), "files": [bomb] * rng.choice([1, 20])}
        end = called(visitor, "chat_ask", [question, False, server_id, "", "", 0.8, 0.8, 64, []])
        check(end["success"] or end["output"].get("error"), f"a picture of {side} pixels a side is no word worth")
        answer = visitor.client.get("/console/chat/answer/0/0")
        check(answer.status_code == 404, f"a picture of {side} pixels a side was asked about: {answer.text[:100]}")
        if rng.random() < 0.25:  # it takes some seconds
            quota(visitor)
    same()
    return f"{side} pixels a side"


def quota(visitor: Visitor) -> None:
    """Files that are each within the limit: one visitor doesn't fill the disk with them."""
    piece, kept = bytes(60 << 20), list[Path]()
    try:
        for number in range(6):
            answer = visitor.client.post("/gradio_api/upload", files={"files": (f"{number}.txt", piece)})
            if answer.status_code != 200:
                break
            kept.append(Path(answer.json()[0]))
        check(answer.status_code == 413, f"a guest's {len(kept)} files of 60 MiB are kept: {answer.status_code}")
        check(len(kept) >= 2, f"only {len(kept)} files of 60 MiB are taken: {answer.text[:100]}")
    finally:
        for path in kept:
            path.unlink(missing_ok=True)


def png_of(width: int, height: int) -> bytes:
    """A small file that says it is so large."""
    made = b"\x89PNG\r\n\x1a\n"
    line = zlib.compress(b"\0" * 100_000)
    for kind, data in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", line),
        (b"IEND", b""),
    ):
        made += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return made
