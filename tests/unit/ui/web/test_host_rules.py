"""Which names are this console's own."""

import socket
import threading
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from tests.conftest import make_settings
from tests.support.waiting import wait_for
from ui.web.host_rules import HostRules


def test_the_full_name_is_learned_while_the_console_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name server it takes seconds."""
    answered = threading.Event()

    def getfqdn(name: str = "") -> str:
        answered.wait(30)
        return "Node7.example"

    monkeypatch.setattr(socket, "getfqdn", getfqdn)
    rules = HostRules(make_settings(tmp_path / "state", host="0.0.0.0"))

    def known(name: str) -> bool:
        return rules.known(Headers({"host": f"{name}:8300"}))

    assert known(socket.gethostname())
    assert not known("node7.example")
    answered.set()
    wait_for("its full name is known", lambda: known("node7.example"))
    assert known(socket.gethostname())
