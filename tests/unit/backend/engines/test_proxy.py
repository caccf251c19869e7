"""The proxy's command, and what stands against one."""

from dataclasses import replace
from typing import Any

import pytest

from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.engines.children.proxy_entry import says_nothing
from backend.engines.proxy import ENTRY
from backend.machine.flags import Capabilities
from backend.machine.machine import Machine
from backend.processes.command import SecretFile
from tests.support.machines import CONSOLE, KEY, LAPTOP

NODES = ("http://127.0.0.1:23333",)
PROXY = ENGINES["proxy"]


def config(**changes: Any) -> ServeConfig:
    return replace(ServeConfig("proxy", "", nodes=NODES), **changes)


def test_it_listens_on_loopback_with_a_key_that_no_process_list_shows() -> None:
    spec = PROXY.command(config(extra=("--routing-strategy", "random")), None, CONSOLE, 8000, KEY)
    assert spec is not None
    python = str(CONSOLE.python)
    assert list(spec.argv) == [
        python, str(ENTRY), "serve", "proxy", "--server-name", "127.0.0.1", "--server-port", "8000",
        "--api-keys", SecretFile(KEY), "--disable-cache-status", "--node-keys", "/state/runs/k/node_keys.json",
        "--routing-strategy", "random",
    ]  # fmt: skip
    assert spec.launch_argv()[:2] == [python, str(ENTRY)]
    assert f"@{KEY}" in spec.launch_argv()


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({}, []),
        ({"nodes": ()}, ["engines.proxy.no-nodes"]),
        ({"port": 70000}, ["engines.port"]),
        ({"api_key": "a\nb"}, ["engines.external.bad-key"]),
        ({"extra": ("--log-level", "INFO")}, []),
        ({"extra": ("--routing-strategy", "fastest")}, ["engines.extra.choice"]),
        ({"extra": ("--server-name", "0.0.0.0")}, ["engines.extra.console-owned"]),
        ({"extra": ("--serving-strategy", "DistServe")}, ["engines.extra.console-owned"]),
        ({"extra": ("--ssl",)}, ["engines.extra.console-owned"]),
        ({"extra": ("--tp", "2")}, ["engines.extra.unknown-alone"]),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], keys: list[str]) -> None:
    assert [m.key for m in PROXY.check(config(**changes), None, LAPTOP) if m.level == "error"] == keys


def test_it_needs_lmdeploy_and_no_gpu() -> None:
    assert PROXY.unavailable(LAPTOP) is None
    bare = Machine((), "", "", (replace(CONSOLE, lmdeploy=""),))
    assert [m.key for m in PROXY.check(config(), None, bare)] == ["environments.no-lmdeploy"]


def test_a_version_without_a_guarded_proxy_is_refused() -> None:
    old = Machine((), "", "", (replace(CONSOLE, capabilities=Capabilities(source="parser")),))
    assert [m.key for m in PROXY.check(config(), None, old)] == ["engines.proxy.lacking"]


@pytest.mark.parametrize(
    ("piece", "nothing"),
    [
        (b'data: {"choices": [{"delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}\n\n', True),
        (b'data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n', True),
        (b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', False),
        (b'data: {"choices": [{"delta": {"reasoning_content": "a"}}]}\n\n', False),
        (b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}\n\n', False),
        (b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n', False),
        (b'data: {"choices": [{"text": "a"}]}\n\n', False),
        (b"data: [DONE]\n\n", False),
        (b'data: {"error": {"message": "x"}}\n\n', False),
        (b": ping\n\n", False),
        (b"data: []\n\n", False),
    ],
)
def test_which_beginning_says_nothing_yet(piece: bytes, nothing: bool) -> None:
    assert says_nothing(piece) is nothing
