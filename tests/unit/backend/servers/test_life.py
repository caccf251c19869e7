"""What is done for a server while nobody looks: decided here, done by keeper and sleeper with real threads and HTTP."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backend.engines.base import ServeConfig
from backend.errors import Conflict, InvalidInput, Message, NotFound, Unavailable
from backend.servers.keeper import Keeper
from backend.servers.life import BACKOFF_S, GOOD_S, INTERRUPTED, checked, comes_back, is_due, new_crash
from backend.servers.server import Crash, FirstAnswer, Life, ServerState, ServerView
from tests.support.waiting import wait_for as wait_for_what

VIEW = ServerView(
    id="a", name="n :1", state=ServerState.RUNNING, config=ServeConfig("turbomind", "m"), model_path="/m", model_id="m",
    address="http://127.0.0.1:1", base_url="http://127.0.0.1:1/v1", port=1, pid=1, command="c", environment="e",
    takes_images=False, context_length=8, created_at=1.0, ready_at=2.0, first=FirstAnswer("fine", "Hi"),
)  # fmt: skip
WHY = Message("engines.died.cuda-crash", {"cause": ""})
DEAD = replace(
    VIEW, state=ServerState.FAILED, ended_at=100.0, reason=WHY, reason_lines=("line",), life=Life(restarts=2)
)


def test_a_crash_is_noted_once_and_started_again_later_each_time() -> None:
    first = new_crash(DEAD, 101.0)
    assert first == Crash(100.0, 1, WHY, 101.0 + BACKOFF_S[0], ("line",))
    noted = replace(DEAD, crash=first)
    assert new_crash(noted, 102.0) is None
    assert not is_due(noted, 101.0 + BACKOFF_S[0] - 0.1)
    assert is_due(noted, 101.0 + BACKOFF_S[0])
    again = replace(noted, ended_at=200.0, ready_at=0.0)  # started again, it died before it was ready
    second = new_crash(again, 200.0)
    assert second is not None
    assert (second.count, second.again_at) == (2, 200.0 + BACKOFF_S[1])
    third = new_crash(replace(again, crash=second, ended_at=300.0), 300.0)
    assert third is not None
    assert (third.count, third.again_at) == (3, 0.0)  # no more
    assert not is_due(replace(again, crash=third), 1e9)


def test_who_served_for_long_begins_anew() -> None:
    view = replace(DEAD, crash=Crash(50.0, 2, WHY), ready_at=100.0, ended_at=100.0 + GOOD_S)
    crash = new_crash(view, 800.0)
    assert crash is not None
    assert crash.count == 1


@pytest.mark.parametrize(
    "view",
    [
        VIEW,
        replace(DEAD, life=Life()),
        replace(DEAD, state=ServerState.STOPPED),  # a person stopped it
        replace(DEAD, ready_at=0.0),  # it never served: it would only fail again
        replace(DEAD, reason=Message("servers.not-ready-in-time", {"minutes": 30})),
    ],
)
def test_what_is_no_crash(view: ServerView) -> None:
    assert new_crash(view, 101.0) is None
    assert not is_due(view, 1e9)


def test_a_clock_that_was_set_back_delays_nothing_for_ever() -> None:
    noted = replace(DEAD, crash=Crash(1e9, 1, WHY, 1e9 + 5))
    assert is_due(noted, 1000.0)


def test_who_comes_back_after_the_machine() -> None:
    gone = replace(VIEW, state=ServerState.STOPPED, reason=Message(INTERRUPTED, {"name": "n"}), life=Life(0, 0, True))
    assert comes_back(gone)
    assert not comes_back(replace(gone, life=Life(3, 60.0)))
    assert not comes_back(replace(gone, reason=None))
    assert not comes_back(replace(gone, state=ServerState.RUNNING))


@pytest.mark.parametrize(
    ("life", "engine", "key"),
    [
        (Life(restarts=-1), "turbomind", "restarts-range"),
        (Life(restarts=21), "turbomind", "restarts-range"),
        (Life(idle_s=600), "transformers", "sleep-engine"),
        (Life(idle_s=600), "proxy", "sleep-engine"),
        (Life(idle_s=600), "turbomind", "sleep-engine"),
        (Life(idle_s=1), "pytorch", "idle-range"),
        (Life(idle_s=float("nan")), "pytorch", "idle-range"),
        (Life(idle_s=1e9), "pytorch", "idle-range"),
        (Life(restarts=1), "external", "external"),
    ],
)
def test_wishes_that_cannot_be(life: Life, engine: str, key: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked(life, replace(VIEW, config=ServeConfig(engine, "m")))
    assert refused.value.messages[0].key == f"life.{key}"


def test_wishes_that_can() -> None:
    pytorch = replace(VIEW, config=ServeConfig("pytorch", "m"))
    assert checked(Life(20, 600.0, True, WHY), pytorch) == Life(20, 600.0, True)
    assert checked(Life(3), replace(VIEW, config=ServeConfig("proxy", ""))) == Life(3)


def wait_for(probe: Callable[[], Any]) -> None:
    wait_for_what("the keeper", probe)


class Servers:
    """A manager of views alone."""

    def __init__(self, *views: ServerView) -> None:
        self.views = {view.id: view for view in views}
        self.lock = threading.RLock()
        self.waker: Callable[[str], None] = lambda server_id: None
        self.restarted: list[tuple[str, Crash | None]] = []
        self.refusal: Exception | None = None

    def snapshot(self) -> tuple[ServerView, ...]:
        return tuple(self.views.values())

    def get(self, server_id: str) -> ServerView:
        return self.change(server_id, lambda view: view)

    def change(self, server_id: str, change: Callable[[ServerView], ServerView]) -> ServerView:
        with self.lock:
            if server_id not in self.views:
                raise NotFound(Message("servers.not-found", {"id": server_id}))
            self.views[server_id] = change(self.views[server_id])
            return self.views[server_id]

    def key_file(self, server_id: str) -> Path | None:
        return None

    def restart(self, server_id: str, changes: object = None, crash: Crash | None = None) -> str:
        if self.refusal is not None:
            raise self.refusal
        self.restarted.append((server_id, crash))
        view = self.views.pop(server_id)
        self.views["new"] = replace(view, id="new", state=ServerState.STARTING, reason=None, ended_at=0.0, crash=crash)
        return "new"


@contextmanager
def keeper(servers: Servers, answering: Callable[[str], int] = lambda server_id: 0, **options: Any) -> Iterator[Keeper]:
    made = Keeper(servers, answering, **options)  # type: ignore[arg-type]
    made.start()
    try:
        yield made
    finally:
        made.close()
        made.join(10)


def test_the_keeper_starts_again_after_the_wait() -> None:
    servers = Servers(DEAD)
    now = [101.0]
    with keeper(servers, clock=lambda: now[0]) as made:
        wait_for(lambda: servers.views["a"].crash is not None)
        assert servers.restarted == []
        now[0] += BACKOFF_S[0]
        made.wake()
        wait_for(lambda: servers.restarted)
    ((server_id, crash),) = servers.restarted
    assert server_id == "a"
    assert crash is not None
    assert crash.count == 1


@pytest.mark.parametrize("back", [True, False])
def test_what_cannot_be_started_again_is_told_and_left(back: bool) -> None:
    interrupted = Message(INTERRUPTED, {"name": "n"})
    gone = replace(VIEW, state=ServerState.STOPPED, reason=interrupted, life=Life(comes_back=True))
    servers = Servers(gone if back else replace(DEAD, crash=Crash(100.0, 1, WHY, 50.0)))
    taken = Message("servers.port-in-use", {"value": 1, "free": 2}, "port")
    servers.refusal = Conflict(taken)
    with keeper(servers, clock=lambda: 101.0):
        if back:
            wait_for(lambda: servers.views["a"].reason == taken)
            assert not comes_back(servers.views["a"])
        else:
            wait_for(lambda: servers.views["a"].crash == Crash(100.0, 1, taken, 0.0))
            assert servers.views["a"].reason == WHY


def test_no_more_restarts_wished() -> None:
    servers = Servers(replace(DEAD, crash=Crash(100.0, 1, WHY, 150.0)))
    with keeper(servers, clock=lambda: 101.0) as made:
        made.set_life("a", Life())
        assert servers.views["a"].crash == Crash(100.0, 1, WHY, 0.0)
        with pytest.raises(NotFound):
            made.set_life("nosuch", Life())


class Sleeping:
    """A server that can sleep, as LMDeploy 0.18's does; ``knows`` false: it answers 404. What is in ``fails`` answers
    500; a sleep that fails leaves it half asleep, as TurboMind's does."""

    def __init__(self) -> None:
        self.asleep, self.knows = False, True
        self.fails: tuple[str, ...] = ()
        self.generated = 0
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    text = f"lmdeploy:gpu_cache_usage_perc 0.1\nlmdeploy:generation_tokens_total {outer.generated}\n"
                    self.answer(200, text.encode())
                else:
                    self.answer(200 if outer.knows else 404, json.dumps({"is_sleeping": outer.asleep}).encode())

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append(self.path)
                status = 404 if not outer.knows else 500 if self.path.startswith(outer.fails) else 200
                if self.headers["Content-Type"] != "application/json":
                    status = 400
                if status == 200 or (status == 500 and "sleep" in self.path):
                    outer.asleep = "sleep" in self.path
                self.answer(status, b"")

            def answer(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def view(self, **changes: Any) -> ServerView:
        address = f"http://127.0.0.1:{self.http.server_port}"
        return replace(VIEW, address=address, base_url=f"{address}/v1", life=Life(idle_s=0.05), **changes)


@pytest.fixture
def sleeping() -> Iterator[Sleeping]:
    server = Sleeping()
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_it_sleeps_when_idle_and_wakes_at_the_next_question(sleeping: Sleeping) -> None:
    servers = Servers(sleeping.view())
    with keeper(servers):
        wait_for(lambda: sleeping.asleep)
        assert servers.views["a"].asleep
        servers.waker("a")
        assert not sleeping.asleep
        assert not servers.views["a"].asleep
        wait_for(lambda: sleeping.asleep)
    assert sleeping.asked[:2] == ["/sleep?level=1", "/wakeup"]


def test_it_stays_awake_while_it_is_asked(sleeping: Sleeping) -> None:
    servers = Servers(sleeping.view())
    looks = [0]

    def answering(server_id: str) -> int:
        looks[0] += 1
        return 1

    with keeper(servers, answering):
        wait_for(lambda: looks[0] > 2)
    assert sleeping.asked == []
    assert not servers.views["a"].asleep


def test_a_question_of_that_very_moment_keeps_it_awake(sleeping: Sleeping) -> None:
    servers = Servers(sleeping.view())
    seen: list[bool] = []

    def answering(server_id: str) -> int:
        seen.append(servers.views["a"].asleep)
        return int(seen[-1])  # it comes between the decision and the request

    with keeper(servers, answering):
        wait_for(lambda: seen.count(True) >= 1 and not servers.views["a"].asleep)
    assert sleeping.asked == []


def test_a_version_that_cannot_sleep_is_told_once(sleeping: Sleeping) -> None:
    sleeping.knows = False
    servers = Servers(sleeping.view())
    with keeper(servers):
        wait_for(lambda: servers.views["a"].life.problem is not None)
    view = servers.views["a"]
    assert view.life == Life(problem=Message("life.sleep-unknown", {"name": "n :1", "error": "HTTP 404"}))
    assert not view.asleep


@pytest.mark.parametrize(("fails", "key"), [(("/sleep",), "failed"), (("/sleep", "/wakeup"), "stuck")])
def test_one_that_is_half_asleep_is_woken(sleeping: Sleeping, fails: tuple[str, ...], key: str) -> None:
    sleeping.fails = fails
    servers = Servers(sleeping.view())
    with keeper(servers):
        wait_for(lambda: servers.views["a"].life.problem is not None)
    view = servers.views["a"]
    assert view.life == Life(problem=Message(f"life.sleep-{key}", {"name": "n :1", "error": "HTTP 500"}))
    assert not view.asleep
    assert sleeping.asked == ["/sleep?level=1", "/wakeup"]
    assert sleeping.asleep is (key == "stuck")


def test_one_that_does_not_wake_is_told_and_stays_asleep(sleeping: Sleeping) -> None:
    sleeping.asleep, sleeping.fails = True, ("/wakeup",)
    servers = Servers(sleeping.view(asleep=True))
    with keeper(servers), pytest.raises(Unavailable) as refused:
        servers.waker("a")
    assert refused.value.messages[0].key == "life.not-awake"


def test_one_that_others_woke_is_seen_awake(sleeping: Sleeping) -> None:
    servers = Servers(replace(sleeping.view(asleep=True), life=Life(idle_s=3600.0)))
    with keeper(servers):
        wait_for(lambda: not servers.views["a"].asleep)
    assert sleeping.asked == []


def test_when_nobody_wishes_it_any_more_it_wakes(sleeping: Sleeping) -> None:
    sleeping.asleep = True
    servers = Servers(replace(sleeping.view(asleep=True), life=Life()))
    with keeper(servers):
        wait_for(lambda: not sleeping.asleep)
        wait_for(lambda: not servers.views["a"].asleep)


def test_one_that_ended_is_not_waited_for(sleeping: Sleeping) -> None:
    servers = Servers(sleeping.view(asleep=True, state=ServerState.FAILED))
    with keeper(servers):
        servers.waker("a")
    assert not servers.views["a"].asleep
    with keeper(servers), pytest.raises(NotFound):
        servers.waker("nosuch")
