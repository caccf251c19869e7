"""The snapshot that every page polls: true, small in cost, and asked for at a bearable pace."""

import json
import math
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from backend.downloads.download import DownloadView
from backend.errors import Message
from backend.servers.server import ServerState
from backend.services import Services
from tests.support.many_views import ManyViews
from tests.unit.backend.downloads.test_outcome import DOWNLOAD
from tests.unit.ui.web.test_routes import asking
from ui.web.snapshot import BUSY_MS, CALM_MS, FRESH_S, MOST_MS, PATH, Pace, SnapshotPoll, Snapshots
from ui.web.snapshot_json import view_json
from ui.web.visitor import STATE_KEY, Role, Visitor


def test_a_change_is_in_the_next_snapshot_and_the_rest_is_as_it_was() -> None:
    many = ManyViews(4, 6)
    snapshots = Snapshots(many.services)
    for number in range(5):
        for role in Role:
            made = snapshots.get(role, "en")
            shown = json.loads(made.body)
            wanted = [view_json(view, role, "en") for view in many.services.servers.snapshot()]
            assert shown["servers"] == json.loads(json.dumps(wanted))
            jobs = [view_json(view, role, "en") for view in many.services.jobs.snapshot()]
            assert shown["jobs"] == json.loads(json.dumps(jobs))
            assert shown["version"] == made.version == snapshots.get(role, "en").version
        many.touch(number)
    assert snapshots.get(Role.OPERATOR, "zh").version != snapshots.get(Role.OPERATOR, "en").version


def test_downloads_are_the_operators() -> None:
    """With the hub as a person knows it, and a sentence for what failed; a class is told of none."""
    many = ManyViews(1, 1)
    failed = replace(DOWNLOAD, problem=Message("downloads.failed.no-space"))
    many.services.downloads = SimpleNamespace(version=2, snapshot=lambda: (DownloadView(failed, speed=5.0),))
    snapshots = Snapshots(many.services)
    shown = json.loads(snapshots.get(Role.OPERATOR, "zh").body)["downloads"]
    assert [(one["id"], one["source"], one["speed"], "stage" in one) for one in shown] == [
        ("1", "hf.example", 5.0, False)
    ]
    assert "磁盘空间" in shown[0]["problem"]
    assert json.loads(snapshots.get(Role.CLASS, "en").body)["downloads"] == []


def test_one_odd_name_takes_the_snapshot_from_nobody() -> None:
    many = ManyViews(2, 2)
    many.touch(0, model_id="half \udc80 a pair", context_length=10**400, ready_at=math.nan)
    shown = json.loads(Snapshots(many.services).get(Role.CLASS, "en").body)
    assert shown["servers"][0]["model_id"] == "half \ufffd a pair"
    assert shown["servers"][0]["ready_at"] is None
    assert len(shown["servers"]) == 2


def test_a_snapshot_of_20_servers_and_200_jobs_costs_little() -> None:
    """In the process's own time: others on this machine don't count. tests/benchmarks/snapshot.py has the figures."""
    many = ManyViews(20, 200)
    snapshots = Snapshots(many.services)
    snapshots.get(Role.OPERATOR, "en")
    costs = []
    for number in range(200):
        many.touch(number)
        begun = time.thread_time()
        snapshots.get(Role.OPERATOR, "en")
        costs.append(time.thread_time() - begun)
    assert sorted(costs)[-2] < 0.020


async def test_the_route_says_when_to_ask_again() -> None:
    many = ManyViews(2, 2)
    client = asking(SnapshotPoll(cast(Services, many.services)).route)
    first = await client.get("/x")
    assert first.json()["next_ms"] == CALM_MS == int(first.headers["console-next-ms"])
    assert first.headers["cache-control"] == "no-store"
    same = await client.get("/x", params={"since": first.json()["version"]})
    assert (same.status_code, same.content) == (204, b"")
    assert int(same.headers["console-next-ms"]) == CALM_MS
    many.touch(0, state=ServerState.STARTING)
    changed = await client.get("/x", params={"since": first.json()["version"]})
    assert changed.json()["next_ms"] == BUSY_MS


async def test_what_was_made_a_moment_ago_is_answered_without_the_whole_way(monkeypatch: pytest.MonkeyPatch) -> None:
    many = ManyViews(2, 2)
    poll = SnapshotPoll(cast(Services, many.services))
    now = [1000.0]
    monkeypatch.setattr("ui.web.snapshot.time", SimpleNamespace(monotonic=lambda: now[0]))
    passed = list[str]()

    async def whole_way(scope: Scope, receive: Receive, send: Send) -> None:
        passed.append(scope["path"])
        await poll.route(Request(scope), {})(scope, receive, send)

    quick = poll.before(whole_way)

    async def ask(query: bytes = b"", path: str = PATH, method: str = "GET") -> tuple[int, bytes, bool]:
        """Status, body, and whether it went the whole way."""
        who = Visitor(Role.OPERATOR, "en", "0" * 32)
        scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": []}
        sent = list[Any]()
        passed.clear()

        async def send(message: Any) -> None:
            sent.append(message)

        await quick({**scope, "state": {STATE_KEY: who}}, _nothing_comes, send)
        headers = dict(sent[0]["headers"])
        assert headers[b"cache-control"] == b"no-store"
        assert int(headers[b"console-next-ms"]) == CALM_MS
        assert int(headers.get(b"content-length", 0)) == len(sent[1]["body"])
        return sent[0]["status"], sent[1]["body"], bool(passed)

    _, first, whole = await ask()
    assert whole
    assert await ask() == (200, first, False)
    since = b"since=" + json.loads(first)["version"].encode()
    assert await ask(since) == (204, b"", False)
    assert await ask(b"since=another") == (200, first, False)
    for query, path, method in ((b"since=a&b=c", PATH, "GET"), (since, PATH, "HEAD"), (b"", PATH + "/", "GET")):
        assert (await ask(query, path, method))[2]
    many.touch(0)  # at once, not a moment later
    status, second, whole = await ask(since)
    assert (status, whole) == (200, True)
    assert second != first
    assert not (await ask(since))[2]
    now[0] += FRESH_S * 1.01  # figures and notices have no number of their changes
    assert (await ask(since))[2]
    assert not (await ask(since))[2]


async def _nothing_comes() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


@pytest.mark.parametrize(
    ("pages", "busy"), [(1, False), (30, False), (30, True), (100, True), (300, False), (1000, True)]
)
def test_every_page_asks_within_3_s_and_many_ask_less_often(
    monkeypatch: pytest.MonkeyPatch, pages: int, busy: bool
) -> None:
    now = [1000.0]
    monkeypatch.setattr("ui.web.snapshot.time", SimpleNamespace(monotonic=lambda: now[0]))
    pace = Pace()
    due = [(1000.0 + page / pages, page) for page in range(pages)]
    polls: list[float] = []
    while now[0] < 1060:
        due.sort()
        now[0], page = due[0]
        wait = pace.next_ms(busy)
        assert (BUSY_MS if busy else CALM_MS) <= wait <= MOST_MS < 3000
        due[0] = (now[0] + wait / 1000, page)
        polls.append(now[0])
    a_second = sum(at > 1030 for at in polls) / 30
    fewest = BUSY_MS if busy else CALM_MS
    assert a_second <= max(pages * 1000 / MOST_MS, 115) * 1.05
    assert a_second >= 0.95 * min(pages * 1000 / fewest, 105)
