"""The real `lmdeploy serve proxy` over scripted servers, through the console: keys, figures, faults, and back again."""

import json
import os
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import httpx
import psutil
import pytest

from backend.engines.base import ServeConfig
from backend.errors import ConsoleError
from backend.servers.server import ServerState, ServerView
from tests.conftest import make_settings
from tests.support.proxied import ProxyWorld
from tests.support.scripted_server import Scripted
from tests.support.waiting import wait_for

KEY = "far-key"
QUESTION: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
pytestmark = pytest.mark.timeout(600)


class Pair:
    """A proxy over two nodes: one that the console started, and one with a key of its own, on "another machine"."""

    def __init__(self, world: ProxyWorld) -> None:
        self.world = world
        self.far = Scripted("--key", KEY, "--model", "m")
        self.near = world.own("m")
        world.external(self.far.address, KEY)
        self.proxy = world.proxy(self.near.address, self.far.address)
        self.joined()

    def joined(self) -> None:
        for address in (self.near.address, self.far.address):
            self.world.node_is(self.proxy.id, address, ServerState.RUNNING)

    def again(self, model: str = "m", key: str = KEY) -> None:
        """The far node comes back at its address."""
        self.far.close()
        self.far = Scripted("--key", key, "--model", model, port=self.far.port)

    def script(self, **settings: Any) -> None:
        """Both nodes do this from now on."""
        for address in (self.near.address, self.far.address):
            httpx.post(f"{address}/script", json=settings, trust_env=False).raise_for_status()

    def client(self) -> httpx.Client:
        endpoint = self.world.manager.endpoint(self.proxy.id)
        assert (endpoint.model_id, endpoint.base_url) == ("m", self.proxy.base_url)
        headers = {"authorization": f"Bearer {endpoint.api_key}"}
        return httpx.Client(base_url=endpoint.base_url, headers=headers, trust_env=False, timeout=60)

    def ask(self, stream: bool = True) -> httpx.Response:
        with self.client() as client:
            return client.post("/chat/completions", json={**QUESTION, "stream": stream})

    def at_once(self, count: int) -> "list[threading.Thread]":
        """So many streams; their answers are in ``answers`` as they end."""
        self.answers: list[httpx.Response] = []
        threads = [threading.Thread(target=lambda: self.answers.append(self.ask())) for _ in range(count)]
        for thread in threads:
            thread.start()
        return threads


def is_whole(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.text.rstrip().endswith("data: [DONE]")


def error_of(answer: httpx.Response) -> str:
    """The error that a client reads, as a status or in the stream."""
    last = answer.text.strip().rpartition("\n")[2].removeprefix("data: ")
    return str(json.loads(last)["error"]["message"])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    world = ProxyWorld(make_settings(tmp_path_factory.mktemp("proxy") / "state"))
    pair = Pair(world)
    yield pair
    pair.far.close()
    pair.world.end()


@pytest.fixture(autouse=True)
def _whole_again(pair: Pair) -> None:
    """Each test finds both nodes, and leaves them to the next."""
    pair.joined()
    pair.script(fault="", rate=0, tokens=20, first_s=0)


def test_both_nodes_answer_with_keys_of_their_own(pair: Pair) -> None:
    assert [pair.ask(stream).status_code for stream in (True, False)] == [200, 200]
    assert pair.ask(False).json()["created"] == 1  # a clock that is off by decades: nothing depends on a node's time

    def asked() -> bool:
        assert is_whole(pair.ask())
        return all(
            httpx.get(f"{node}/script", trust_env=False).json()["requests"]
            for node in (pair.near.address, pair.far.address)
        )

    wait_for("an answer of each", asked)

    def figures() -> tuple[int | None, bool, bool]:
        node = pair.world.node(pair.proxy.id, pair.far.address)
        return node.requests, bool(node.latency_s), bool(node.answers_a_minute)

    wait_for("its figures", lambda: figures() == (0, True, True))


def test_load_is_shown_while_answers_are_under_way(pair: Pair) -> None:
    pair.script(rate=10, tokens=40)
    threads = pair.at_once(4)
    wait_for("two a node", lambda: [n.requests for n in pair.world.manager.get(pair.proxy.id).nodes] == [2, 2])
    for thread in threads:
        thread.join(60)
    assert all(map(is_whole, pair.answers))
    wait_for("none", lambda: [n.requests for n in pair.world.manager.get(pair.proxy.id).nodes] == [0, 0])


def test_nobody_gets_in_without_the_key(pair: Pair) -> None:
    evil = {"url": "http://127.0.0.1:9", "status": {"models": ["m"]}}
    for headers in ({}, {"authorization": "Bearer wrong"}, {"origin": "https://evil.example"}):
        for method, path, body in (
            ("GET", "/", None), ("GET", "/nodes/status", None), ("GET", "/v1/models", None),
            ("POST", "/nodes/add", evil), ("POST", "/nodes/remove", evil), ("GET", "/nodes/terminate_all", None),
            ("OPTIONS", "/nodes/add", None), ("POST", "/v1/chat/completions", QUESTION),
        ):  # fmt: skip
            answer = httpx.request(method, f"{pair.proxy.address}{path}", json=body, headers=headers, trust_env=False)
            assert answer.status_code == 401, (method, path)
            assert "access-control-allow-origin" not in answer.headers
    assert _listening(pair.proxy) == ["127.0.0.1"]
    assert pair.world.manager.get(pair.proxy.id).command.count("--disable-cache-status") == 1


def _listening(view: ServerView) -> list[str]:
    listening = [c.laddr for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr]
    return [ip for ip, port in listening if port == view.port]


def test_a_nodes_own_refusal_keeps_its_status_and_words(pair: Pair) -> None:
    pair.script(fault="context")
    for stream in (True, False):
        answer = pair.ask(stream)
        assert answer.status_code == 400
        assert "context length" in answer.text


def test_what_a_dead_node_was_asked_goes_elsewhere_where_nothing_was_said(pair: Pair) -> None:
    """It dies under load: before its first word another answers, after it there is an error. It joins again."""
    httpx.post(f"{pair.far.address}/script", json={"fault": "silent"}, trust_env=False)
    threads = pair.at_once(6)
    wait_for("those that wait", lambda: len(pair.answers) + len(pair.far.requests()) == 6 and pair.far.requests())
    pair.far.process.kill()
    for thread in threads:
        thread.join(60)
    assert len(pair.answers) == 6
    assert all(map(is_whole, pair.answers))
    assert all(is_whole(pair.ask()) for _ in range(4))  # later ones go on, before it is even out
    away = pair.world.node_is(pair.proxy.id, pair.far.address, ServerState.UNREACHABLE)
    assert away.problem is not None
    pair.again()
    pair.joined()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "disappears"])
def test_an_answer_that_breaks_off_ends_with_an_error(pair: Pair, end: signal.Signals) -> None:
    """A server that dies closes its connections; of a machine that disappears nothing is heard any more."""
    pair.script(rate=10, tokens=6000)
    threads = pair.at_once(2)
    wait_for("both at work", lambda: len(pair.far.requests()) == 1)
    wait_for("a first word", lambda: pair.far.requests()[0]["sent"] > 2)
    os.kill(pair.far.process.pid, end)
    wait_for("the end of one", lambda: len(pair.answers) == 1, 120)
    assert "failed in mid-answer" in error_of(pair.answers[0])
    httpx.post(f"{pair.near.address}/script", json={"rate": 0}, trust_env=False)
    pair.again()
    for thread in threads:
        thread.join(120)


def test_who_goes_away_frees_the_node(pair: Pair) -> None:
    pair.script(rate=5, tokens=600)
    body = {**QUESTION, "stream": True}
    with pair.client() as client, client.stream("POST", "/chat/completions", json=body) as answer:
        assert next(answer.iter_bytes())

    def ends() -> list[str]:
        scripts = (httpx.get(f"{n}/script", trust_env=False).json() for n in (pair.near.address, pair.far.address))
        return [request["end"] for script in scripts for request in script["requests"]]

    wait_for("the node is told", lambda: ends() == ["closed"])
    wait_for("none under way", lambda: [n.requests for n in pair.world.manager.get(pair.proxy.id).nodes] == [0, 0])


def test_a_hung_node_lets_go_of_its_requests(pair: Pair) -> None:
    """It is stopped with SIGSTOP: it takes connections and says nothing. What waited for it is answered elsewhere."""
    os.kill(pair.far.process.pid, signal.SIGSTOP)
    try:
        threads = pair.at_once(4)
        pair.world.node_is(pair.proxy.id, pair.far.address, ServerState.UNREACHABLE)
        for thread in threads:
            thread.join(60)
        assert [is_whole(answer) for answer in pair.answers] == [True] * 4
    finally:
        os.kill(pair.far.process.pid, signal.SIGCONT)
    pair.joined()


@pytest.mark.parametrize(
    ("changes", "key"), [({"model": "other"}, "servers.node-model"), ({"key": "changed"}, "servers.node-key")]
)
def test_another_model_or_key_stays_out(pair: Pair, changes: dict[str, str], key: str) -> None:
    pair.far.close()
    pair.world.node_is(pair.proxy.id, pair.far.address, ServerState.UNREACHABLE)
    pair.again(**changes)
    node = pair.world.node_is(pair.proxy.id, pair.far.address, ServerState.FAILED)
    assert node.problem is not None
    assert node.problem.key == key
    assert all(is_whole(pair.ask()) for _ in range(4))
    pair.again()
    pair.joined()


def test_without_nodes_it_says_so_and_goes_on_later(pair: Pair) -> None:
    with pair.client() as client:

        def refused() -> httpx.Response | None:
            for node in (pair.near.address, pair.far.address):
                client.post(f"{pair.proxy.address}/nodes/remove", json={"url": node})
            answer = client.post("/chat/completions", json=QUESTION)
            return answer if answer.status_code != 200 else None

        answer = wait_for("no node", refused)  # the console is as quick at times
    assert answer.status_code == 503
    assert "No node" in answer.json()["error"]["message"]
    wait_for("an answer", lambda: is_whole(pair.ask()))


def test_it_is_found_again_after_the_console_was_killed(pair: Pair) -> None:
    before = pair.world.manager.get(pair.proxy.id)
    pair.world.close()
    pair.world.open()
    pair.world.running(pair.proxy.id)
    pair.joined()
    assert pair.world.manager.get(pair.proxy.id).pid == before.pid
    assert is_whole(pair.ask())


def test_it_dies_with_its_nodes_alive_and_is_started_again(pair: Pair) -> None:
    os.kill(pair.world.manager.get(pair.proxy.id).pid, signal.SIGKILL)
    wait_for("its end", lambda: pair.world.manager.get(pair.proxy.id).state is ServerState.FAILED)
    assert pair.world.manager.get(pair.proxy.id).nodes == ()
    assert pair.world.manager.get(pair.near.id).state is ServerState.RUNNING
    pair.proxy = pair.world.running(pair.world.manager.restart(pair.proxy.id))
    pair.joined()
    assert is_whole(pair.ask())


def test_bad_nodes_are_refused_before_the_start(pair: Pair) -> None:
    manager = pair.world.manager
    other = Scripted("--model", "other")
    far = Scripted("--key", KEY, "--model", "m")
    with closing(socket.create_server(("127.0.0.1", 0))) as silent, closing(other), closing(far):
        pair.world.external(other.address)
        own = pair.world.own("other")
        dead = f"http://127.0.0.1:{_free()}"
        count = len(manager.snapshot())
        for nodes, wanted in (
            ((), "engines.proxy.no-nodes"),
            (("ftp://host",), "engines.proxy.bad-node"),
            ((pair.near.address, f"localhost:{pair.near.port}/v1"), "engines.proxy.node-twice"),
            ((pair.near.address, own.address), "servers.node-model"),
            ((pair.proxy.address,), "servers.node-is-proxy"),
            ((pair.near.address, dead), "servers.external-no-answer"),
            ((pair.near.address, far.address), "servers.external-key-refused"),
        ):  # fmt: skip
            with pytest.raises(ConsoleError) as refused:
                manager.start(ServeConfig("proxy", "", nodes=nodes, api_key="wrong"))
            assert [m.key for m in refused.value.messages if m.level == "error"] == [wanted], nodes
        assert len(manager.snapshot()) == count
        assert silent
        manager.stop(own.id)


def _free() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


class EndsKept(BaseHTTPRequestHandler):
    """Ends a connection that was kept as soon as it is asked a second question, without a word; or resets it."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[int]] = []
    on_this = 0

    def do_GET(self) -> None:
        self._say({"object": "list", "data": [{"id": "m", "object": "model"}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.on_this += 1
        self.asked.append(self.on_this)
        if self.on_this == 1:
            self._say({"choices": [{"index": 0, "message": {"role": "assistant", "content": "whole"}}]})
            return
        if self.asked.count(2) > 1:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _say(self, what: dict[str, Any]) -> None:
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: Any) -> None:
        """Nothing."""


def test_a_kept_connection_that_the_node_ends_is_no_failure(pair: Pair) -> None:
    world = pair.world
    with ThreadingHTTPServer(("127.0.0.1", 0), EndsKept) as node:
        node.daemon_threads = True
        threading.Thread(target=node.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{node.server_port}"
            world.external(address)
            proxy = world.proxy(address)
            world.node_is(proxy.id, address, ServerState.RUNNING)
            headers = {"authorization": f"Bearer {world.manager.endpoint(proxy.id).api_key}"}

            def asked_and_answered() -> bool:
                url = f"{proxy.base_url}/chat/completions"
                answer = httpx.post(url, json=QUESTION, headers=headers, trust_env=False, timeout=60)
                assert answer.status_code == 200, answer.text
                assert answer.json()["choices"][0]["message"]["content"] == "whole"
                return EndsKept.asked.count(2) == 2

            wait_for("one that was ended, and one that was reset", asked_and_answered)
        finally:
            node.shutdown()
