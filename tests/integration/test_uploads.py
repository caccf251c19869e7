"""Files over real HTTP: a visitor hands over and reads what they uploaded, and nothing else on this machine."""

import asyncio
import io
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.waiting import wait_for

_png = io.BytesIO()
Image.new("RGB", (40, 30), "teal").save(_png, "PNG")
PNG = _png.getvalue()
NOT_UPLOADED = "isn't a file that was uploaded from this browser"
CALL_S = 15.0  # a call that hangs or copies a large file takes longer


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    started = Console(tmp_path_factory.mktemp("uploads") / "state")
    try:
        yield started.ready()
    finally:
        started.close()


@pytest.fixture
def student(console: Console) -> Iterator[Visitor]:
    with Visitor(console, console.class_token) as visitor:
        yield visitor


@pytest.fixture
def operator(console: Console) -> Iterator[Visitor]:
    with Visitor(console) as visitor:
        yield visitor


def file_data(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "orig_name": "cat.png", "meta": {"_type": "gradio.FileData"}, **more}


def ask_with(visitor: Visitor, *files: Any) -> dict[str, Any]:
    """The end of ``chat_ask`` with these files."""
    return end_of(visitor, "chat_ask", [{"text": "Hi", "files": list(files)}, False, "", "", "", 0.8, 0.8, 64, []])


def end_of(visitor: Visitor, name: str, data: list[Any]) -> dict[str, Any]:
    done: list[dict[str, Any]] = []

    def call() -> None:
        try:
            done.extend(visitor.call(name, data))
        except httpx.HTTPStatusError as error:  # not even taken
            done.append({"success": False, "output": {"error": f"{NOT_UPLOADED} ({error.response.status_code})"}})

    calling = threading.Thread(target=call, daemon=True)
    calling.start()
    calling.join(CALL_S)
    assert done, f"{name} hasn't ended after {CALL_S} s"
    return done[-1]


def refused(end: dict[str, Any]) -> str:
    """What a refused call says of why."""
    assert end["success"] is False, end
    said = end["output"]["error"]
    assert isinstance(said, str)
    return said


def size_of(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def paths_of_this_machine(folder: Path, console: Console) -> dict[str, str]:
    """What nobody uploaded: secrets, devices, things that never end or fill a disk, and other ways to name them."""
    secret = folder / "secret.png"
    secret.write_bytes(PNG)
    os.mkfifo(folder / "fifo.png")
    with (folder / "huge.png").open("wb") as file:
        file.truncate(100 << 30)
    (folder / "link.png").symlink_to(secret)
    (folder / "loop.png").symlink_to(folder / "loop.png")
    uploads = console.state_dir / "uploads"
    planted = uploads / "planted.png"  # in Gradio's own folder, but nobody's upload
    planted.write_bytes(PNG)
    (uploads / "link.png").unlink(missing_ok=True)
    (uploads / "link.png").symlink_to("/etc/passwd")
    return {
        "file": str(secret), "fifo": str(folder / "fifo.png"), "sparse": str(folder / "huge.png"),
        "link": str(folder / "link.png"), "loop": str(folder / "loop.png"), "folder": str(folder),
        "zero": "/dev/zero", "random": "/dev/urandom", "stdin": "/dev/stdin", "tty": "/dev/tty",
        "environ": "/proc/self/environ", "memory": "/proc/self/mem", "passwd": "/etc/passwd",
        "token": str(console.state_dir / "token"), "database": str(console.state_dir / "console.db"),
        "planted": str(planted), "planted-link": str(uploads / "link.png"),
        "climbing": f"{uploads}/x/../../token", "relative": "app.py", "dot": ".", "empty": "", "nul": "a\0b",
        "home": "~/.ssh/id_rsa", "url": "http://127.0.0.1:1/cat.png", "https": "https://example.com/cat.png",
        "file-url": f"file://{secret}", "surrogate": "/tmp/\udcff.png", "long": "/" + "a" * 5000,
    }  # fmt: skip


NAMES = [
    "file", "fifo", "sparse", "link", "loop", "folder", "zero", "random", "stdin", "tty", "environ", "memory",
    "passwd", "token", "database", "planted", "planted-link", "climbing", "relative", "dot", "empty", "nul", "home",
    "url", "https", "file-url", "surrogate", "long",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_path_that_nobody_uploaded_is_refused(console: Console, student: Visitor, tmp_path: Path, name: str) -> None:
    path = paths_of_this_machine(tmp_path, console)[name]
    before = size_of(console.state_dir / "uploads")
    said = refused(ask_with(student, file_data(path)))
    assert NOT_UPLOADED in said
    assert size_of(console.state_dir / "uploads") == before
    assert student.client.get("/console/snapshot", timeout=5).status_code == 200


def test_every_handler_is_held_to_it(console: Console, student: Visitor, operator: Visitor, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.txt"
    os.mkfifo(fifo)
    wanted = file_data(str(fifo))
    assert "isn't a file" in refused(end_of(operator, "quantize_upload", [wanted]))
    assert "isn't a file" in refused(end_of(student, "quantize_upload", [wanted]))
    # A box that isn't for files at all, and a file hidden deep in a list.
    assert "isn't a file" in refused(end_of(student, "chat_picked", [wanted, ""]))
    assert "isn't a file" in refused(end_of(student, "chat_picked", [[[{"a": wanted}]], ""]))
    assert "isn't a file" in refused(end_of(student, "chat_picked", ["", {"path": str(fifo)}]))


def test_the_other_ways_to_call_a_handler(student: Visitor, tmp_path: Path) -> None:
    data = [{"text": "Hi", "files": [file_data("/etc/passwd")]}, False, "", "", "", 0.8, 0.8, 64, []]
    job = {"data": data, "fn_index": student.event("chat_ask"), "session_hash": student.session}
    for address in ("/gradio_api/run/predict", "/gradio_api/api/predict", "/gradio_api/run/chat_ask"):
        answer = student.client.post(address, json=job)
        assert answer.status_code >= 400
        assert "root:" not in answer.text
    # By the name of the route alone.
    called = student.client.post("/gradio_api/call/chat_ask", json={"data": data})
    assert called.status_code >= 400 or "root:" not in called.text


def test_an_upload_is_taken_from_its_own_visitor_alone(console: Console, student: Visitor) -> None:
    mine = student.upload("cat.png", PNG)
    end = ask_with(student, mine)
    assert end["success"] is True, end
    assert "chat" in json.dumps(end["output"]["data"])  # no server runs: that is said, in the tab
    with Visitor(console, console.class_token) as other:
        assert "isn't a file" in refused(ask_with(other, mine))
        twin = other.upload("cat.png", PNG)  # the same picture
        assert twin["path"] == mine["path"]
        assert ask_with(other, mine)["success"] is True


def test_in_the_pages_language(console: Console) -> None:
    with Visitor(console, console.class_token) as visitor:
        visitor.client.headers["accept-language"] = "zh-CN"
        assert "不是从此浏览器上传的文件" in refused(ask_with(visitor, file_data("/etc/passwd")))


def test_a_text_for_calibration_is_still_taken(operator: Visitor) -> None:
    text = operator.upload("words.txt", b"Some words to calibrate with. " * 200, "text/plain")
    end = end_of(operator, "quantize_upload", [text])
    assert end["success"] is True, end


SPELLINGS: dict[str, Callable[[str], str]] = {
    "file=": lambda path: f"/gradio_api/file={path}",
    "file/": lambda path: f"/gradio_api/file/{path}",
    "file/ without a slash": lambda path: f"/gradio_api/file{path}",
    "encoded": lambda path: "/gradio_api/file%3D" + path.replace("/", "%2F"),
    "encoded twice": lambda path: "/gradio_api/file%253D" + path,
    "doubled": lambda path: f"/gradio_api//file={path}",
    "old prefix": lambda path: f"/file={path}",
    "dots": lambda path: f"/gradio_api/file={path.rpartition('/')[0]}/x/%2e%2e/{path.rpartition('/')[2]}",
    "climbing": lambda path: f"/x/..%2fgradio_api/file={path}",
    "stream": lambda path: f"/gradio_api/stream/{path}",
    "case": lambda path: f"/gradio_api/FILE={path}",
    "proxy": lambda path: f"/gradio_api/proxy=http://127.0.0.1{path}",
    "static": lambda path: f"/static/..%2f..%2f..{path}",
    "assets": lambda path: f"/assets/..%2f..%2f..{path}",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_upload_is_read_by_its_own_visitor_alone(console: Console, student: Visitor, spelling: str) -> None:
    path = student.upload("cat.png", PNG)["path"]
    address = SPELLINGS[spelling](path)
    with Visitor(console, console.class_token) as other:
        answer = other.client.get(address)
        assert answer.status_code >= 400
        assert PNG not in answer.content
    if spelling in ("file=", "encoded"):
        assert student.client.get(address).content == PNG


@pytest.mark.parametrize("path", ["/etc/passwd", "http://127.0.0.1:1/x", "https://example.com/", "app.py", ""])
def test_nothing_else_is_read(student: Visitor, path: str) -> None:
    assert student.client.get(f"/gradio_api/file={path}").status_code in (404, 307)


@pytest.mark.parametrize(
    "address",
    [
        "/gradio_api/component_server", "/gradio_api/vibe-edit", "/gradio_api/process_recording", "/login",
        "/gradio_api/upload/", "/gradio_api/stream/x", "/gradio_api/stream/x/close",
    ],
)  # fmt: skip
def test_what_the_console_has_no_use_for_is_closed(operator: Visitor, address: str) -> None:
    assert operator.client.post(address, json={}).status_code == 404


def test_the_progress_of_an_upload_is_its_visitors(console: Console, student: Visitor) -> None:
    upload = {"files": ("private-name.png", PNG, "image/png")}
    assert student.client.post("/gradio_api/upload?upload_id=mine1", files=upload).status_code == 200
    with Visitor(console, console.class_token) as other:
        assert other.client.get("/gradio_api/upload_progress?upload_id=mine1").status_code == 404
        assert other.client.post("/gradio_api/upload?upload_id=mine1", files=upload).status_code == 404


def test_an_upload_that_breaks_off_leaves_nothing(console: Console, student: Visitor) -> None:
    uploads = console.state_dir / "uploads"
    port = int(console.base_url.rpartition(":")[2])
    cookies = "; ".join(f"{name}={value}" for name, value in student.client.cookies.items())
    head = (
        "POST /gradio_api/upload HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        f"authorization: Bearer {console.class_token}\r\ncookie: {cookies}\r\n"
        "content-type: multipart/form-data; boundary=b\r\ncontent-length: 5000000\r\n\r\n"
        '--b\r\ncontent-disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode() + b"x" * 2_000_000)
        wait_for("the unfinished file", lambda: list(uploads.glob("tmp*")))
    wait_for("its removal", lambda: not list(uploads.glob("tmp*")))


def test_a_file_that_is_too_large_is_refused_in_words(student: Visitor) -> None:
    student.client.headers["accept-language"] = "zh"
    content = b"x" * ((64 << 20) + 1)
    answer = student.client.post("/gradio_api/upload", files={"files": ("big.txt", content, "text/plain")})
    assert answer.status_code == 413
    assert "单个文件不得超过 64 MiB" in answer.text


def test_a_visitor_has_so_much_room_and_no_more(console: Console) -> None:
    """Six uploads of 60 MiB at once, of one visitor: four fit into 256 MiB."""
    with Visitor(console, console.class_token) as visitor:
        headers = {"authorization": f"Bearer {console.class_token}"}
        cookies = dict(visitor.client.cookies)
        contents = [bytes([number]) * (60 << 20) for number in range(6)]

        async def all_at_once() -> list[httpx.Response]:
            async with httpx.AsyncClient(
                base_url=console.base_url, headers=headers, cookies=cookies, trust_env=False, timeout=120
            ) as client:
                return await asyncio.gather(
                    *(client.post("/gradio_api/upload", files={"files": (f"{c[0]}.txt", c)}) for c in contents)
                )

        answers = asyncio.run(all_at_once())
        taken = [answer for answer in answers if answer.status_code == 200]
        left = [answer for answer in answers if answer.status_code == 413]
        assert len(taken) + len(left) == 6
        assert 1 <= len(taken) <= 4
        assert all("of the 256 MiB" in answer.text for answer in left)
        # Another visitor still has room, and so has this one once files are gone.
        with Visitor(console, console.class_token) as other:
            assert other.upload("cat.png", PNG)["path"]
        for answer in taken:
            Path(answer.json()[0]).unlink()
        assert visitor.upload("cat.png", PNG)["path"]
