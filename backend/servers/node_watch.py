"""Keeps a proxy's nodes: looks at each, lets it join, takes it out, lets it join again. In a thread of its own."""

import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from backend.engines.proxy import NODE_KEYS
from backend.errors import ConsoleError
from backend.memory.metrics import MetricsReader
from backend.servers import external, keys, nodes
from backend.servers.nodes import Figures, Member, Seen
from backend.servers.probe import Prober, served_models
from backend.servers.server import NodeView, ServerRecord, ServerState, ServerView
from backend.servers.transitions import ENDED
from backend.servers.watch import Watch
from backend.whole_file import write_whole

EVERY_S = 1.0
STARTING_S = 0.3
LOOKS_UNTIL_ASKED = 10  # a node that has joined is asked for its models that rarely
HEALTH_S = 3.0  # a busy node may take its time
HUNG = "deadline"  # how a probe ends that nobody answers: another question would wait as long
MINUTE_S = 60.0
AT_ONCE = 8

log = logging.getLogger(__name__)


class NodeWatch(Watch):
    """The watch over one proxy's nodes.

    ``record()`` is the proxy's, ``views()`` are all servers, ``key_of`` is a server's key; ``update`` changes the
    proxy's view. They raise NotFound once it is forgotten, which ends the thread, as does the proxy's end.
    """

    def __init__(
        self,
        server_id: str,
        record: Callable[[], ServerRecord],
        views: Callable[[], Sequence[ServerView]],
        key_of: Callable[[ServerView], str],
        update: Callable[[Callable[[ServerView], ServerView]], ServerView],
        prober: Prober,
    ) -> None:
        super().__init__(f"nodes-{server_id}")
        self._record = record
        self._views = views
        self._key_of = key_of
        self._update = update
        self._prober = prober
        self._metrics = MetricsReader(time.monotonic)
        self._misses: dict[str, int] = {}
        self._looks = 0
        self._last: dict[str, tuple[float, ...]] = {}
        self._ended: dict[str, deque[float]] = {}
        self._written: str | None = None

    def run(self) -> None:
        """Look, pause, look again; several nodes at a time."""
        with ThreadPoolExecutor(AT_ONCE, f"{self.name}-look") as self._workers:
            super().run()

    def _look(self) -> float | None:
        record = self._record()
        view = record.view
        if view.state in ENDED:
            self._show(())
            return None
        found = nodes.members(view.config.nodes, self._views())
        if view.state is ServerState.STARTING or view.state is ServerState.STOPPING:
            self._show(nodes.shown(member, ServerState.STARTING) for member in found)
            return STARTING_S
        key = keys.read_key(record.key_file)
        status = nodes.figures(self._prober.json(f"{view.address}/nodes/status", key).body)
        if status is None:  # its own state tells of that
            return EVERY_S
        self._looks += 1
        node_keys = {member.address: self._key(member) for member in found}
        self._write_keys(view, {address: key for address, key in node_keys.items() if key})
        seen = self._workers.map(lambda m: self._ask(m, node_keys[m.address], m.address in status), found)
        drawn = [
            self._settle(view, key, member, one, status.get(member.address), node_keys[member.address])
            for member, one in zip(found, list(seen), strict=True)
        ]
        self._show(drawn)
        return EVERY_S

    def _settle(
        self, view: ServerView, key: str, member: Member, seen: Seen, figure: Figures | None, node_key: str
    ) -> NodeView:
        """The node joins, or is taken out, as it was seen; and how it is shown."""
        joined = figure is not None
        state, problem = nodes.state_of(member, seen, joined, view.model_id)
        if joined and state not in (ServerState.RUNNING, ServerState.STARTING):
            self._prober.post(f"{view.address}/nodes/remove", key, {"url": member.address})
            figure = None
            log.info("%s: the node %s is out", view.name, member.address)
        elif not joined and state is ServerState.RUNNING:
            status = {"models": [view.model_id]}
            answer = self._prober.post(f"{view.address}/nodes/add", key, {"url": member.address, "status": status})
            if not answer.ok:
                return nodes.shown(member, ServerState.STARTING)
            figure = Figures(0, ())
            log.info("%s: the node %s has joined", view.name, member.address)
        return nodes.shown(member, state, problem, figure, self._answers(member, figure), self._speed(member, node_key))

    def _ask(self, member: Member, key: str, joined: bool) -> Seen:
        """Whether it answers; its models, where it is about to join and now and then."""
        base_url = f"{member.address}/v1"
        health = self._prober.health(member.address, HEALTH_S)
        alive = health.ok and health.content_type != external.PAGE
        lists = member.view is None or member.view.config.engine != nodes.WITHOUT_LIST
        if lists and health.kind != HUNG and (not alive or not joined or self._looks % LOOKS_UNTIL_ASKED == 0):
            answer = self._prober.models(base_url, key)
            if answer.status in (401, 403):
                return Seen(True, refused=True)
            alive = alive or (answer.ok and not member.is_own)
            if alive and answer.ok and (models := served_models(answer.body)) is not None:
                self._misses[member.address] = 0
                return Seen(True, models=frozenset(model.id for model in models))
        self._misses[member.address] = 0 if alive else self._misses.get(member.address, 0) + 1
        known = frozenset({member.view.model_id}) if member.view is not None and not lists else None
        return Seen(alive, self._misses[member.address], models=known)

    def _key(self, member: Member) -> str:
        with suppress(ConsoleError):  # it was forgotten, or its file is gone: it will refuse, and be shown so
            return "" if member.view is None else self._key_of(member.view)
        return ""

    def _write_keys(self, view: ServerView, node_keys: dict[str, str]) -> None:
        text = json.dumps(node_keys, sort_keys=True)
        path = None if view.log_path is None else view.log_path.parent / NODE_KEYS
        if path is not None and text != self._written and _differs(path, text):
            write_whole(path, text)
        self._written = text

    def _answers(self, member: Member, figure: Figures | None) -> int:
        """How many answers ended in the last minute."""
        now, ended = time.monotonic(), self._ended.setdefault(member.address, deque())
        if figure is not None:
            before = self._last.get(member.address)
            if before is not None:
                ended.extend([now] * nodes.finished(before, figure.latencies))
            self._last[member.address] = figure.latencies
        while ended and now - ended[0] > MINUTE_S:
            ended.popleft()
        return len(ended)

    def _speed(self, member: Member, key: str) -> float | None:
        read = self._metrics.read(member.address, f"{member.address}/v1", key)
        return None if read is None else read[1]

    def _show(self, drawn: Iterable[NodeView]) -> None:
        shown = tuple(drawn)
        self._update(lambda view: replace(view, nodes=() if view.state in ENDED else shown))


def _differs(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") != text
    except OSError:
        return True
