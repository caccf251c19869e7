"""Servers that the console didn't start: any OpenAI-compatible address."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from backend.engines.base import Engine, Machine, ServeConfig
from backend.engines.external import base_url
from backend.errors import InvalidInput, Message, Unavailable, Value
from backend.processes.health import Prober, served_models
from backend.servers.view import ServerState, ServerView

ENGINE = "external"
ADDRESS = "deploy-address"
KEY = "deploy-api-key"


@dataclass(frozen=True)
class ServerAddress:
    """``root`` is where /health would be, ``base_url`` what an OpenAI client takes; neither ends in a slash."""

    root: str
    base_url: str
    host: str
    port: int


def with_scheme(config: ServeConfig) -> ServeConfig:
    """``127.0.0.1:23333`` means ``http://127.0.0.1:23333``."""
    address = config.address.strip()
    return replace(config, address=f"http://{address}" if address and "://" not in address else address)


def server_address(address: str) -> ServerAddress:
    """The parts of an address that the external engine's check found nothing wrong with."""
    base = base_url(address)
    parts = urlsplit(base)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return ServerAddress(base.removesuffix("/v1"), base, parts.hostname or "", port)


def errors_in(config: ServeConfig, engine: Engine, machine: Machine) -> Sequence[Message]:
    """Everything wrong with the address and the key, without asking the server."""
    return tuple(m for m in engine.check(config, None, machine) if m.level == "error")


def connect(config: ServeConfig, server_id: str, prober: Prober) -> ServerView:
    """Ask the server whether it is one, with its key; its first view. The config has been checked.

    Raises Unavailable where nothing answers, InvalidInput where it refuses the key or isn't OpenAI-compatible.
    """
    address = server_address(config.address)
    answer = prober.models(address.base_url, config.api_key)
    params: dict[str, Value] = {
        "value": address.base_url,
        "error": answer.error,
        "status": answer.status or 0,
    }
    if answer.status is None:
        raise Unavailable(Message("servers.external-no-answer", params, ADDRESS))
    if answer.status in (401, 403):
        raise InvalidInput(Message("servers.external-key-refused", params, KEY))
    models = served_models(answer.body) if answer.ok else None
    if models is None and not prober.health(address.root).ok:
        raise InvalidInput(Message("servers.external-no-server", params, ADDRESS))
    model = next((m for m in models or () if not config.model_name or m.id == config.model_name), None)
    now = time.time()
    return ServerView(
        id=server_id,
        name=config.model_name or f"{address.host}:{address.port}",
        state=ServerState.RUNNING,
        config=replace(config, api_key=""),
        model_path="",
        model_id=config.model_name or (model.id if model is not None else ""),
        address=address.root,
        base_url=address.base_url,
        port=address.port,
        pid=0,
        command="",
        environment="",
        takes_images=True,  # nothing tells; the server itself refuses what it can't take
        context_length=model.context_length if model is not None else 0,
        created_at=now,
        ready_at=now,
    )


def is_healthy(view: ServerView, api_key: str, prober: Prober) -> bool:
    """Whether it answers now. Not every OpenAI-compatible server has /health: its list of models does as well."""
    return prober.health(view.address).ok or prober.models(view.base_url, api_key).ok
