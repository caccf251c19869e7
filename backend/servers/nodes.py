"""The servers behind a proxy: which they are, what stands against them, and how each is doing. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend.engines.base import ServeConfig
from backend.engines.proxy import NAME, check_nodes, node_place
from backend.errors import Message, Value
from backend.machine.network import is_this_machine
from backend.outside_text import whole
from backend.servers import external
from backend.servers.server import NodeView, ServerState, ServerView
from backend.servers.transitions import ENDED, MISSES_UNTIL_UNREACHABLE

FIELD = "nodes"
WITHOUT_LIST = "transformers"  # whose /v1/models lists the hub's cache


@dataclass(frozen=True)
class Member:
    """One node: its address, and its server in this console's list; None where it was taken off since."""

    address: str
    view: ServerView | None

    @property
    def name(self) -> str:
        """What a person knows it by."""
        return self.view.name if self.view is not None else self.address.partition("://")[2]

    @property
    def is_own(self) -> bool:
        """Whether this console started it."""
        return self.view is not None and self.view.config.engine != external.ENGINE


@dataclass(frozen=True)
class Pool:
    """What all nodes are together."""

    model_id: str
    takes_images: bool
    context_length: int


@dataclass(frozen=True)
class Seen:
    """One look at a node. ``models`` are those it lists, None where it wasn't asked; ``refused``: it wants another
    key. ``misses`` counts the looks since the last that it answered."""

    answers: bool
    misses: int = 0
    refused: bool = False
    models: frozenset[str] | None = None


@dataclass(frozen=True)
class Figures:
    """What the proxy counts of a node: requests under way, and how long the last ones took, in seconds."""

    requests: int
    latencies: tuple[float, ...]


def normal(config: ServeConfig) -> ServeConfig:
    """The settings with every node's address in one spelling; as they are where one can't be read."""
    if any(message.level == "error" for message in check_nodes(config.nodes)):
        return replace(config, model="")
    return replace(config, model="", nodes=tuple(map(node_place, config.nodes)))


def members(addresses: Iterable[str], views: Sequence[ServerView]) -> tuple[Member, ...]:
    """Each node with its server in the list; the addresses are in one spelling."""
    return tuple(Member(address, _at(address, views)) for address in addresses)


def objections(found: Sequence[Member], state_dir: Path) -> tuple[Message, ...]:
    """What stands against these nodes, and what is worth knowing, without asking them."""
    messages: list[Message] = []
    pool = pool_of(found)
    for member in found:
        params: dict[str, Value] = {"value": member.address, "name": member.name}
        config = ServeConfig(external.ENGINE, "", address=member.address)
        if external.conflict(config, (), state_dir) is not None:
            messages.append(Message("servers.node-is-console", params, FIELD))
        elif member.view is None:
            messages.append(Message("servers.node-new", params, FIELD, "info"))
        elif member.view.config.engine == NAME:
            messages.append(Message("servers.node-is-proxy", params, FIELD))
        elif pool is not None and not _may_serve(member.view, pool.model_id):
            about = {**params, "model": member.view.model_id, "wanted": pool.model_id}
            messages.append(Message("servers.node-model", about, FIELD))
    if not messages and (what := _differences(found)):
        messages.append(Message("servers.nodes-differ", {"what": what}, FIELD, "warning"))
    return tuple(messages)


def pool_of(found: Sequence[Member]) -> Pool | None:
    """What the nodes are together; None where none of them is known. The console's own servers, which have one model
    each, say which it is."""
    views = [member.view for member in found if member.view is not None and member.view.config.engine != NAME]
    named = [view for view in views if view.config.engine != external.ENGINE or view.config.model_name]
    first = next((view for view in (*named, *views) if view.model_id), None)
    if first is None:
        return None
    lengths = [view.context_length for view in views if view.context_length]
    return Pool(first.model_id, all(view.takes_images for view in views), min(lengths, default=0))


def figures(body: Any) -> dict[str, Figures] | None:
    """What ``/nodes/status`` says, by address; None where it is no such answer."""
    if not isinstance(body, Mapping):
        return None
    found = {}
    for address, status in body.items():
        if isinstance(status, Mapping):
            listed = status.get("latency")
            times = [float(one) for one in listed if isinstance(one, int | float)] if isinstance(listed, list) else []
            found[str(address)] = Figures(max(0, whole(status.get("unfinished"))), tuple(times))
    return found


def state_of(member: Member, seen: Seen, joined: bool, model_id: str) -> tuple[ServerState, Message | None]:
    """Whether the node belongs behind the proxy (``running``), and why not."""
    params: dict[str, Value] = {"value": member.address, "name": member.name}
    if seen.refused:
        return ServerState.FAILED, Message("servers.node-key", params)
    if not seen.answers:
        if member.view is not None and member.view.state is ServerState.STARTING and not joined:
            return ServerState.STARTING, None
        if joined and seen.misses < MISSES_UNTIL_UNREACHABLE:
            return ServerState.RUNNING, None
        return ServerState.UNREACHABLE, Message("servers.node-away", params)
    if seen.models is not None and model_id not in seen.models:
        model = ", ".join(sorted(seen.models))[:200] or "–"
        return ServerState.FAILED, Message("servers.node-model", {**params, "model": model, "wanted": model_id})
    return ServerState.RUNNING, None


def finished(before: Sequence[float], after: Sequence[float]) -> int:
    """How many requests have ended in between, of a list that keeps the last ones."""
    for new in range(len(after) + 1):
        kept = after[: len(after) - new]
        if list(before[len(before) - len(kept) :]) == list(kept):
            return new
    return len(after)


def shown(
    member: Member,
    state: ServerState,
    problem: Message | None = None,
    figure: Figures | None = None,
    answers: int = 0,
    tokens: float | None = None,
) -> NodeView:
    """The node as its proxy's card has it. ``answers`` are those of the last minute."""
    last = figure.latencies if figure is not None else ()
    return NodeView(
        address=member.address,
        name=member.name,
        state=state,
        requests=figure.requests if figure is not None else None,
        latency_s=round(sum(last) / len(last), 3) if last else None,
        answers_a_minute=answers if figure is not None else None,
        tokens_per_s=None if tokens is None else round(tokens, 1),
        problem=problem,
    )


def _at(address: str, views: Sequence[ServerView]) -> ServerView | None:
    """The server at that address: one of the console's own that runs, else an external one."""
    server = external.server_address(address)
    if is_this_machine(server.host):
        own = (v for v in views if v.config.engine != external.ENGINE and v.state not in ENDED)
        if (view := next((v for v in own if v.port == server.port), None)) is not None:
            return view
    for view in views:
        with suppress(ValueError):
            if view.config.engine == external.ENGINE and node_place(view.base_url) == address:
                return view
    return None


def _may_serve(view: ServerView, model_id: str) -> bool:
    """Whether that model can be had there; an external server without a chosen model may have several."""
    open_choice = view.config.engine == external.ENGINE and not view.config.model_name
    return open_choice or not view.model_id or view.model_id == model_id


def _differences(found: Sequence[Member]) -> str:
    """In what the console's own nodes differ, as words that need no translation."""
    views = [member.view for member in found if member.view is not None and member.is_own]
    facts: dict[str, list[str]] = {
        "engine": [view.config.engine for view in views],
        "environment": [view.environment for view in views],
        "model": [view.model_path for view in views],
        "quant-policy": [str(view.config.quant_policy) for view in views],
        "dtype": [view.config.dtype for view in views],
        "session-len": [str(view.context_length) for view in views],
    }
    differing = {name: sorted(set(values)) for name, values in facts.items() if len(set(values)) > 1}
    return "; ".join(f"{name}: {', '.join(values)}" for name, values in differing.items())
