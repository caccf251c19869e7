"""Two real consoles: what the second one lends is a node of the first one's proxy, by its address and key."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.engines.base import ServeConfig
from tests.support.console import Console
from tests.support.gradio_calls import Visitor
from tests.support.scripted_server import Scripted
from tests.support.waiting import wait_for

START_S = 240.0  # the proxy imports torch, on a machine that may be busy
NODE_S = 60.0
pytestmark = pytest.mark.timeout(600)


class Lab:
    """A console with a server of its own, and a second one that lends its server to others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.near, self.far = Scripted("--model", "m"), Scripted("--model", "m", "--key", "far-key")
        self.first, self.second = Console(folder / "first"), Console(folder / "second")
        self.first.ready()
        self.second.ready()

    def second_again(self) -> None:
        """The second console starts at the port it had."""
        port = int(self.second.base_url.rsplit(":", 1)[1])
        self.second = Console(self.folder / "second", port=port).ready()

    def close(self) -> None:
        for console in (self.first, self.second):
            console.close()
        for child in (self.near, self.far):
            child.close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


def test_a_second_consoles_server_is_a_node(lab: Lab) -> None:
    with Visitor(lab.second) as other:
        lent = other.start(ServeConfig("external", "", address=lab.far.address, api_key="far-key"))
        other.client.post(f"/console/servers/{lent}/lend", json={"lent": True}).raise_for_status()
        assert other.client.get("/console/keys").json()["servers"][lent] == "m"
    with Visitor(lab.first) as visitor:
        visitor.start(ServeConfig("external", "", address=lab.near.address))
        nodes = (f"{lab.near.address}/v1", f"{lab.second.base_url}/v1")
        proxy = visitor.start(ServeConfig("proxy", "", nodes=nodes, api_key=lab.second.token))
        visitor.ready(proxy, START_S)

        def view() -> dict[str, Any]:
            servers = visitor.client.get("/console/snapshot").raise_for_status().json()["servers"]
            return next(server for server in servers if server["id"] == proxy)

        def states() -> list[str]:
            return [node["state"] for node in view()["nodes"]]

        def ask(stream: bool) -> bool:
            body = {"model": "m-proxy", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
            answer = visitor.client.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200, answer.text
            return answer.text.rstrip().endswith("data: [DONE]") if stream else "choices" in answer.json()

        wait_for("both nodes", lambda: states() == ["running", "running"], NODE_S)
        for child in (lab.near, lab.far):
            child.script()
        for stream in (True, False):
            assert ask(stream)

        def both_asked() -> bool:
            return ask(True) and bool(lab.near.requests()) and bool(lab.far.requests())

        wait_for("an answer of each", both_asked, NODE_S)

        lab.second.end()
        wait_for("it is away", lambda: states() == ["running", "unreachable"], NODE_S)
        assert all(ask(stream) for stream in (True, False, True, False))
        lab.second_again()
        wait_for("it is back", lambda: states() == ["running", "running"], NODE_S)
        lab.far.script()
        wait_for("an answer of it", lambda: ask(True) and lab.far.requests(), NODE_S)
