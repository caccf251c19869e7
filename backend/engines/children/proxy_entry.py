"""Runs LMDeploy's proxy with what it lacks: ``proxy_entry.py serve proxy … --api-keys @KEYFILE --node-keys FILE``.

Which node answers, and what is counted of each, stays LMDeploy's. What LMDeploy 0.18.0's proxy does, and what is done
about it here:

- ``/nodes/…`` needs no key and every web page is let in: whoever reaches the port can add a node that reads everything,
  or end all nodes. Here everything but ``/health``, which it lacks, needs the key, and no web page gets in.
- Nodes are kept in one file of the installed package, which the proxy reads as it is imported, whoever wrote it. Here
  it is neither read nor, with ``--disable-cache-status``, written: the console knows the nodes.
- A request goes on to a node with the caller's key, which is the proxy's. Here each node gets its own, from FILE
  (``{"http://host:port": "key"}``, read again when it changes).
- A node that fails is answered for with a line that is no event and with the status 200, also where nothing was sent
  yet; a refusal without a stream becomes a 200. Here such a request goes to another node, once (a request may be what
  kills its node), and what fails after that has a status, or an event, that clients know as an error.
- It waits for a hung node for ever. Here a node that is taken off the list lets go of its requests.
- Where a whole class asks in one instant, all wait for what each request costs: a thread of its own to read one header,
  a framework that reads each field, as the node will, a session and a connection, and now and then the garbage
  collector, which looks through all that PyTorch brought along. A node that has begun to generate is slow to take in
  the rest: 128 answers took up to 5% longer. Here none of it is so (proxy_door.py).

A version that is built otherwise isn't started: it would be open to others, and lose requests.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import gc
import importlib
import json
import os
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __name__ != "__main__":
    from backend.engines.children.proxy_door import Guard, NodeFailed, Shortcut, error_body, unless_gone
else:  # the Python of another environment, which doesn't know the console
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    from proxy_door import Guard, NodeFailed, Shortcut, error_body, unless_gone

    del sys.path[0]

CONNECT_S = 10.0
SILENCE_S = 600.0  # a long prompt on a CPU takes minutes
PROBE_S = 5.0
KEPT_S = 4.0  # an idle connection to a node; LMDeploy's servers end it after 5 s
LATENCIES = 15  # that are kept of a node; LMDeploy means to
FAILED = b'{"error_code"'  # how LMDeploy's own word for a node that failed begins
ELSEWHERE = frozenset({401, 403, 429, 502, 503, 504})  # what another node may not say
NODE_FAILED = "The node that was to answer failed"
NODE_BROKE_OFF = "The node that answered failed in mid-answer"
NO_NODE = "No node has joined this proxy; it goes on as soon as one does"


def says_nothing(piece: bytes) -> bool:
    """Whether a line of a stream is but the beginning that servers send at once: a role, or an empty text."""
    try:
        choices = json.loads(piece.partition(b"data:")[2])["choices"]
        told = [value for choice in choices for name, value in choice["delta"].items() if name != "role"]
        return not any(told) and not any(choice.get("finish_reason") for choice in choices)
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


class NodeKeys:
    """The nodes' keys, read again when their file has changed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._read: tuple[int, int] = (0, 0)
        self._keys: dict[str, str] = {}

    def of(self, node: str) -> str:
        """The node's key, "" where it takes none."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            about = os.stat(self._path)
            if (about.st_mtime_ns, about.st_size) != self._read:
                with open(self._path, encoding="utf-8") as stream:
                    self._keys = {str(url): str(key) for url, key in json.load(stream).items()}
                self._read = (about.st_mtime_ns, about.st_size)
        return self._keys.get(node, "")


class Nodes:
    """The proxy's way to its nodes: with each node's key, once more elsewhere, and let go of."""

    def __init__(self, module: Any, keys: NodeKeys) -> None:
        self._module = module
        self._manager = module.node_manager
        self._keys = keys
        self._sessions: dict[str, weakref.WeakSet[Any]] = {}
        self._kept: dict[str, Any] = {}  # a session of each node's own, whose connections serve several questions
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stream_one = self._manager.forward_raw_request_stream_generate
        self._remove_one = self._manager.remove
        self._add_one = self._manager.add

    def take_over(self) -> None:
        """From now on the manager's methods are these."""
        import aiohttp

        manager = self._manager
        original = aiohttp.ClientSession._request

        async def request(session: Any, method: str, url: Any, **options: Any) -> Any:
            return await original(session, method, url, **self.options_for(session, str(url), options))

        aiohttp.ClientSession._request = request  # type: ignore[method-assign, assignment]
        manager.nodes = {}
        manager.add = self.add
        manager.remove = self.remove
        manager.remove_stale_nodes_by_expiration = self.drop_silent
        manager.check_request_model = self.check_model
        manager.forward_raw_request_stream_generate = self.stream
        manager.forward_raw_request_generate = self.whole

    def options_for(self, session: Any, url: str, options: dict[str, Any]) -> dict[str, Any]:
        """What a request to a node is sent with; the session is remembered, to be closed with its node."""
        import aiohttp

        node = next((node for node in list(self._manager.nodes) if url.startswith(f"{node}/")), "")
        if not node:
            return options
        self._loop = asyncio.get_running_loop()
        self._sessions.setdefault(node, weakref.WeakSet()).add(session)
        dropped = ("authorization", "x-api-key", "cookie", "content-length")
        headers = {k: v for k, v in dict(options.get("headers") or {}).items() if k.lower() not in dropped}
        if key := self._keys.of(node):
            headers["Authorization"] = f"Bearer {key}"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
        return {**options, "headers": headers, "timeout": timeout, "allow_redirects": False}

    def add(self, url: str, status: Any = None) -> Any:
        """A node whose models are given joins as it is: nothing is asked, and nothing let go of."""
        if status is None or not status.models:
            return self._add_one(url, status)
        status.latency = collections.deque(status.latency, maxlen=LATENCIES)
        self._manager.nodes[url] = status
        return None

    def remove(self, url: str) -> None:
        """The node is off the list, and its requests end now: they go elsewhere, or end with an error."""
        self._remove_one(url)
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._let_go(url), self._loop)

    async def close(self) -> None:
        """No connection is left."""
        for node in list(self._kept):
            await self._kept.pop(node).close()

    async def _let_go(self, url: str) -> None:
        for session in self._sessions.pop(url, ()):
            connector = getattr(session, "connector", None)  # None where it is closed
            for protocol in list(getattr(connector, "_acquired", ())):
                if protocol.transport is not None:
                    protocol.transport.abort()
        if (kept := self._kept.pop(url, None)) is not None:
            await kept.close()

    def drop_silent(self) -> None:
        """What LMDeploy does every 90 seconds, with an end to the wait; any answer will do."""
        import requests

        for url in list(self._manager.nodes):
            try:
                requests.get(f"{url}/health", timeout=PROBE_S)
            except requests.RequestException:
                self.remove(url)

    async def check_model(self, model: str) -> Any:
        """Why no node can be asked for that model, None where one can: without any node, later may do."""
        from starlette.responses import Response

        if model in self._manager.model_list:
            return None
        if not self._manager.nodes:
            return Response(error_body(NO_NODE, "no_node"), 503, media_type="application/json")
        text = f"The model {model!r} does not exist; there is {', '.join(sorted(set(self._manager.model_list)))}"
        return Response(error_body(text, "model_not_found"), 404, media_type="application/json")

    async def stream(self, raw_request: Any, node: str, endpoint: str) -> AsyncIterator[bytes]:
        """The node's events; another's where it fails before the first, and an error where that isn't possible."""
        with self._counted() as count:
            failure = b""
            for one in self._in_turn(raw_request, node, await raw_request.body(), count):
                sent = False
                held: list[bytes] = []  # what says nothing yet: the answer can still come from another node
                pieces = self._stream_one(raw_request, one, endpoint)
                try:
                    async for piece in pieces:
                        if piece.startswith(FAILED):
                            failure = error_body(f"{NODE_BROKE_OFF if sent else NODE_FAILED}: {one}", "node_failed")
                            break
                        held.append(piece)
                        if not sent and says_nothing(piece):
                            continue
                        sent = True
                        for part in held:
                            yield part
                        held.clear()
                    else:
                        for part in held:
                            yield part
                        if sent or held:
                            return
                        failure = error_body(f"{NODE_FAILED}: {one} answered with nothing", "node_failed")
                except self._module.APIServerException as refused:
                    if refused.status_code not in ELSEWHERE:
                        raise
                    failure = refused.body
                finally:
                    with contextlib.suppress(RuntimeError):  # LMDeploy's generator goes on where it should end
                        await pieces.aclose()
                if sent:
                    yield b"data: " + failure + b"\n\n"
                    return
        raise self._module.APIServerException(503, failure)

    async def whole(self, raw_request: Any, node: str, endpoint: str) -> Any:
        """The node's answer; its refusal keeps its status. The node is let go of where the caller goes away."""
        body = await raw_request.body()
        try:
            with self._counted() as count:
                failed = NodeFailed(503, error_body(NODE_FAILED, "node_failed"))
                for one in self._in_turn(raw_request, node, body, count):
                    try:
                        status, text = await unless_gone(raw_request, self._ask(raw_request, one, endpoint, body))
                    except (TimeoutError, OSError, ValueError, self._module.aiohttp.ClientError):
                        failed = NodeFailed(503, error_body(f"{NODE_FAILED}: {one}", "node_failed"))
                        continue
                    if status == 200:
                        json.loads(text)  # LMDeploy reads it once more, and would stumble
                        return text
                    failed = NodeFailed(status, text.encode())
                    if status not in ELSEWHERE:
                        break
                raise failed
        except BaseException:
            self._manager.post_call(node, time.time())  # LMDeploy counts the end of what succeeds alone
            raise

    async def _ask(self, raw_request: Any, node: str, endpoint: str, body: bytes) -> tuple[int, str]:
        """The node's status and answer. Where it ended a kept connection just then, a new one tells."""
        aiohttp = self._module.aiohttp
        if node not in self._kept:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_S)
            self._kept[node] = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        headers, began = self._manager._prepare_headers(raw_request), time.monotonic()
        try:
            return await self._post(self._kept[node], node + endpoint, headers, body)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            fresh = isinstance(error, aiohttp.ClientConnectorError) or time.monotonic() - began > 1
            if fresh or node not in self._manager.nodes:
                raise
        async with aiohttp.ClientSession() as session:
            return await self._post(session, node + endpoint, headers, body)

    @staticmethod
    async def _post(session: Any, url: str, headers: Any, body: bytes) -> tuple[int, str]:
        async with session.post(url, headers=headers, data=body) as response:
            return response.status, await response.text()

    def _in_turn(self, raw_request: Any, node: str, body: bytes, count: Any) -> Any:
        """That node, which LMDeploy counts, then the one of the others with the fewest requests."""
        yield node
        with contextlib.suppress(ValueError):
            model = json.loads(body).get("model")
            others = [(s.unfinished, url) for url, s in list(self._manager.nodes.items()) if model in s.models]
            other = min(((load, url) for load, url in others if url != node), default=None)
            if other is not None:
                print(f"{node} failed; the request goes to {other[1]}", flush=True)
                count(other[1])
                yield other[1]

    @contextlib.contextmanager
    def _counted(self) -> Any:
        """Nodes that are asked beside the one that LMDeploy chose are counted meanwhile."""
        begun: list[tuple[str, Any]] = []
        try:
            yield lambda node: begun.append((node, self._manager.pre_call(node)))
        finally:
            for node, start in begun:
                self._manager.post_call(node, start)


def proxy_module() -> Any:
    """LMDeploy's module, without the nodes of the file in the package that it reads as it is imported."""
    exists = os.path.exists
    os.path.exists = lambda path: not str(path).endswith("proxy_config.json") and exists(path)
    try:
        return importlib.import_module("lmdeploy.serve.proxy.proxy")
    finally:
        os.path.exists = exists


def mend(module: Any, token: str, keys: NodeKeys) -> None:
    """All of it, on the module before its server starts."""
    from starlette.middleware.cors import CORSMiddleware
    from starlette.responses import Response

    async def said(request: Any, failed: NodeFailed) -> Any:
        return Response(failed.body, failed.status, media_type="application/json")

    app = module.app
    app.user_middleware[:] = [one for one in app.user_middleware if one.cls is not CORSMiddleware]
    app.add_exception_handler(NodeFailed, said)
    try:
        nodes = Nodes(module, keys)
        nodes.take_over()
        _ = module.APIServerException
    except AttributeError as lacking:
        raise SystemExit(f"RuntimeError: this LMDeploy's proxy is built otherwise: {lacking}") from lacking
    if Shortcut.fits(module):
        app.add_middleware(Shortcut, module=module, nodes=nodes)
    app.add_middleware(Guard, token=token, at_the_end=nodes.close)


def main(arguments: list[str]) -> None:
    """Reads the secrets, mends the proxy, and hands over to LMDeploy's own command line."""
    keys = NodeKeys(arguments[arguments.index("--node-keys") + 1])
    del arguments[arguments.index("--node-keys") : arguments.index("--node-keys") + 2]
    at = arguments.index("--api-keys") + 1
    if arguments[at].startswith("@"):
        with open(arguments[at][1:], encoding="utf-8") as stream:
            arguments[at] = stream.read().strip()
    if not arguments[at]:
        raise SystemExit("the file with the API key is empty")
    sys.argv = ["lmdeploy", *arguments]
    mend(proxy_module(), arguments[at], keys)
    command_line = importlib.import_module("lmdeploy.cli")
    gc.collect()
    gc.freeze()  # 300,000 objects that stay: a quarter of a second each time they are looked through
    command_line.run()


if __name__ == "__main__":
    sys.path[:] = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]
    threading.current_thread().name = "proxy"
    main(sys.argv[1:])
