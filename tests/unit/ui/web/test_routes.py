"""The wrapper of JSON routes, and the log routes on a real file."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from backend.errors import Conflict, Forbidden, InvalidInput, Message, NotFound, Unavailable
from backend.processes.log_file import CHUNK_BYTES, read_whole
from backend.services import Services
from tests.support.asgi import client
from ui.i18n import Language
from ui.web.routes import MAX_BODY_BYTES, SharedRoutes, json_route
from ui.web.visitor import STATE_KEY, Role, Visitor


def asking(
    handler: Callable[..., Any], role: Role = Role.OPERATOR, language: Language = "en", path: str = "/x", **options: Any
) -> httpx.AsyncClient:
    """A client of an application with that one route, seen by the guard as that visitor."""
    app = Starlette(routes=[Route(path, json_route(handler), methods=["GET", "POST"])])

    async def seen(scope: Any, receive: Any, send: Any) -> None:
        scope["state"] = {STATE_KEY: Visitor(role, language, "0" * 32)}
        await app(scope, receive, send)

    return client(seen, **options)


async def test_plain_and_async_handlers() -> None:
    def plain(request: Any, body: Any) -> Any:
        return {"got": body, "method": request.method}

    async def quick(request: Any, body: Any) -> Any:
        return PlainTextResponse("as it is")

    answer = await asking(plain).post("/x", json={"a": [1, "中"]})
    assert answer.json() == {"got": {"a": [1, "中"]}, "method": "POST"}
    assert (await asking(plain).get("/x?a=1")).json() == {"got": {}, "method": "GET"}
    assert (await asking(quick).get("/x")).text == "as it is"


@pytest.mark.parametrize(
    ("kind", "status"), [(InvalidInput, 400), (Forbidden, 403), (NotFound, 404), (Conflict, 409), (Unavailable, 409)]
)
async def test_errors_are_sentences_in_the_pages_language(kind: type[Exception], status: int) -> None:
    def failing(request: Any, body: Any) -> None:
        raise kind(Message("common.operator_only"), Message("common.bad_request"))

    english = await asking(failing).post("/x", json={})
    chinese = await asking(failing, language="zh").post("/x", json={})
    assert english.status_code == chinese.status_code == status
    assert len(english.json()["messages"]) == 2
    assert english.json()["messages"][0].startswith("Only the operator")
    assert "管理员" in chinese.json()["messages"][0]


async def test_a_bug_is_told_without_its_inside() -> None:
    def broken(request: Any, body: Any) -> None:
        raise KeyError("/secret/path")

    answer = await asking(broken).post("/x", json={})
    assert answer.status_code == 500
    assert "KeyError" in answer.text
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"a": 1}', "text/plain"),  # what another site's page could send unasked
        (b"a=1", "application/x-www-form-urlencoded"),
        (b"[1]", "application/json"),
        (b"{", "application/json"),
        (b"\xff", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"a": ' + b'{"a": ' * 100_000, "application/json"),
        (b'{"a": ' + b"9" * 5000 + b"}", "application/json"),
        (b'{"a": "' + b"x" * MAX_BODY_BYTES + b'"}', "application/json"),
    ],
)
async def test_other_bodies_are_refused(content: bytes, kind: str) -> None:
    answer = await asking(lambda request, body: body).post("/x", content=content, headers={"content-type": kind})
    assert answer.status_code == 400
    assert answer.json()["messages"]


class Runs:
    """The supervisor's one method that the log routes use."""

    def __init__(self, log_path: Path) -> None:
        self._log_path = log_path

    def get(self, run_id: str) -> Any:
        if run_id != "run1":
            raise NotFound(Message("common.bad_request"))
        return SimpleNamespace(log_path=self._log_path)


def logs(path: Path, role: Role = Role.OPERATOR) -> Callable[..., Any]:
    routes = SharedRoutes(cast(Services, SimpleNamespace(supervisor=Runs(path))))

    async def get(query: str = "", run: str = "run1", tail: str = "") -> httpx.Response:
        handler = {"": routes.log, "/search": routes.search, "/file": routes.log_file}[tail]
        return await asking(handler, role, path=f"/log/{{run_id}}{tail}").get(f"/log/{run}{tail}{query}")

    return get


async def test_log_by_offset(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes("第一行\nsecond\n".encode())
    get = logs(path)
    whole = (await get()).json()
    assert whole == {"text": "第一行\nsecond\n", "offset": 0, "next": 17, "size": 17, "starts": [0, 10, 17]}
    assert (await get("?offset=10")).json()["text"] == "second\n"
    assert (await get("?offset=17")).json() == {"text": "", "offset": 17, "next": 17, "size": 17, "starts": [17]}
    assert (await get("?offset=-1")).status_code == 400
    for number in ("x", "1e3", "9" * 5000):
        assert (await get(f"?offset={number}")).status_code == 400
        assert (await get(f"?before={number}")).status_code == 400
    assert (await get(f"?offset={'9' * 15}")).json()["offset"] == 17


async def test_log_backwards_covers_every_line_once(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    lines = [f"line {number} {'·' * (number % 80)}" for number in range(4000)]
    path.write_text("\n".join(lines) + "\n")
    assert path.stat().st_size > 3 * CHUNK_BYTES
    get = logs(path)
    part = (await get("?before=end")).json()
    assert part["next"] == part["size"]
    text = part["text"]
    while part["offset"] > 0:
        before = part["offset"]
        part = (await get(f"?before={before}")).json()
        assert part["next"] == before
        text = part["text"] + text
    assert text.splitlines() == lines


LOGS = {
    "GBK": "".join(f"第 {number} 行：模型已加载\n" for number in range(12_000)).encode("gbk"),
    "half GBK": b"".join((f"行 {n}\n".encode("gbk" if n % 3 else "utf-8")) for n in range(40_000)),
    "a line over 1 MiB": b"first\n" + "好".encode() * 400_000 + b"\nlast\n",
    "progress": b"begin\n" + b"".join(b"Loading: %d%%\r" % n for n in range(40_000)) + b"\nend",
    "progress of Windows": b"".join(b"line %d\r\n" % n for n in range(30_000)),
    "bytes": random.Random(3).randbytes(300_000),
    "continuations": b"\x80" * 200_000, "leads": b"\xe5" * 200_000, "no end": b"x" * 200_000,
}  # fmt: skip


@pytest.mark.parametrize("kind", LOGS)
async def test_paging_either_way_makes_the_same_bytes(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(LOGS[kind])
    get = logs(path)
    last = (await get("?before=end")).json()
    backwards = [last]
    while backwards[0]["offset"] > 0:
        part = (await get(f"?before={backwards[0]['offset']}")).json()
        assert part["next"] == backwards[0]["offset"] > part["offset"]
        backwards.insert(0, part)
    forwards = [(await get()).json()]
    while forwards[-1]["next"] < forwards[-1]["size"]:
        part = (await get(f"?offset={forwards[-1]['next']}")).json()
        assert part["offset"] == forwards[-1]["next"] < part["next"]
        forwards.append(part)
    size = last["size"]
    assert len(LOGS[kind]) - 3 <= size <= len(LOGS[kind])
    for parts in (backwards, forwards):
        assert (parts[0]["offset"], parts[-1]["next"]) == (0, size)
        for part in parts:
            data = LOGS[kind][part["offset"] : part["next"]]
            assert part["text"] == data.decode("utf-8", "replace")
            lines = part["text"].split("\n")
            assert len(part["starts"]) == len(lines)
            ends = [start - 1 for start in part["starts"][1:]] + [part["next"]]
            for line, start, end in zip(lines, part["starts"], ends, strict=True):
                assert line == LOGS[kind][start:end].decode("utf-8", "replace")
    lines = LOGS[kind][:size].split(b"\n")
    if max(map(len, lines)) < CHUNK_BYTES // 2:  # then every part begins with a whole line
        assert "".join(part["text"] for part in backwards).split("\n") == [
            line.decode("utf-8", "replace") for line in lines
        ]


async def test_log_search_and_file(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("one\nTwo needle\nthree\nneedle again\n")
    get = logs(path)
    found = (await get("?text=NEEDLE", tail="/search")).json()
    assert [match["line"] for match in found["matches"]] == ["needle again", "Two needle"]
    assert found["before"] is None
    kept = await get(tail="/file")
    assert kept.text == path.read_text()
    assert "run1.log" in kept.headers["content-disposition"]


async def test_a_log_that_grows_while_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"x" * 3 * CHUNK_BYTES)
    size, parts = read_whole(path)
    first = next(parts)
    with path.open("ab") as file:
        file.write(b"y" * 3 * CHUNK_BYTES)
    assert first + b"".join(parts) == b"x" * size


@pytest.mark.parametrize("tail", ["", "/search", "/file"])
@pytest.mark.parametrize("gone", ["log.txt", "a-folder", "none/log.txt"])
async def test_a_log_that_is_gone_is_named(tmp_path: Path, tail: str, gone: str) -> None:
    (tmp_path / "a-folder").mkdir()
    answer = await logs(tmp_path / gone)("?text=x", tail=tail)
    assert answer.status_code == 404
    assert gone in answer.json()["messages"][0]


async def test_logs_are_the_operators(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("--api-keys")
    for tail in ("", "/search", "/file"):
        answer = await logs(path, Role.CLASS)(tail=tail)
        assert answer.status_code == 403
        assert "api-keys" not in answer.text


async def test_an_unknown_run(tmp_path: Path) -> None:
    answer = await logs(tmp_path / "none")(run="other")
    assert answer.status_code == 404
    assert json.loads(answer.text)["messages"]


async def test_who_asks_for_the_date_alone_gets_no_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def texts() -> dict[str, Any]:
        made.append(1)
        return {}

    monkeypatch.setattr("ui.web.routes.texts", texts)
    route = asking(SharedRoutes(cast(Services, None)).texts)
    assert (await route.head("/x")).is_success
    assert made == []
    assert (await route.get("/x")).json() == {}
    assert made == [1]
