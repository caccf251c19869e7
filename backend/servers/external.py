"""Servers that the console didn't start: any OpenAI-compatible address."""

import json
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from backend.console.instance_lock import ADDRESS_FILE
from backend.engines.base import Engine, ServeConfig
from backend.engines.external import base_url, candidates, clean_address, key_beside
from backend.errors import ConsoleError, InvalidInput, Message, Unavailable, Value
from backend.machine.clients import route
from backend.machine.machine import Machine
from backend.machine.network import is_this_machine
from backend.processes import ports
from backend.servers.probe import Answer, Prober, ServedModel, is_openai_list, served_models
from backend.servers.server import ServerState, ServerView
from backend.servers.transitions import ENDED

ENGINE = "external"
ADDRESS = "address"
KEY = "api_key"
PAGE = "text/html"
FIND_S = 12.0  # for all questions to a new address
ASK_S = 5.0
MOST_SHOWN = 200  # characters of a redirect's target
NO_ANSWER = {  # what nothing answered, by the kind of the failure
    "certificate": "servers.external-certificate",
    "tls": "servers.external-no-tls",
    "deadline": "servers.external-too-slow",
    "name": "servers.external-unknown-name",
    "only-tls": "servers.external-only-tls",
}
ONLY_TLS = re.compile("https (?:port|server)", re.IGNORECASE)  # nginx' words, and Go's
NO_LIST = (404, 405, 501)  # what a server answers that knows no such path


@dataclass(frozen=True)
class ServerAddress:
    """``root`` is where /health would be, ``base_url`` what an OpenAI client takes; neither ends in a slash."""

    root: str
    base_url: str
    host: str
    port: int


@dataclass(frozen=True)
class Api:
    """An API that was found: where, and the models that it lists."""

    base_url: str
    models: Sequence[ServedModel]


def with_scheme(config: ServeConfig) -> ServeConfig:
    """``127.0.0.1:23333``, or what was pasted with the address, becomes an address; a key in it is the key."""
    key = config.api_key or key_beside(config.address)
    return replace(config, address=clean_address(config.address), api_key=key)


def server_address(address: str) -> ServerAddress:
    """The parts of an address that the external engine's check found nothing wrong with."""
    return address_of(base_url(address))


def address_of(base: str) -> ServerAddress:
    """The parts of a base URL as it is used, whatever its path."""
    parts = urlsplit(base)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return ServerAddress(base.removesuffix("/v1"), base, parts.hostname or "", port)


def messages_on(config: ServeConfig, engine: Engine, machine: Machine) -> Sequence[Message]:
    """What is wrong with the address and the key, and worth knowing, without asking the server."""
    messages = tuple(engine.check(config, None, machine))
    if any(m.level == "error" for m in messages):
        return messages
    return (*messages, *route(base_url(config.address), with_key=bool(config.api_key)).notices)


def conflict(config: ServeConfig, views: Iterable[ServerView], state_dir: Path) -> Message | None:
    """Where the address leads to this console, or to a server that it runs itself. The address has been checked."""
    address = server_address(config.address)
    params: dict[str, Value] = {"value": address.base_url}
    if _is_console(address, state_dir):
        return Message("servers.external-is-console", params, ADDRESS)
    if not is_this_machine(address.host):
        return None
    own = (v for v in views if v.config.engine != ENGINE and v.state not in ENDED and v.port == address.port)
    view = next(own, None)
    return None if view is None else Message("servers.external-is-own", {**params, "name": view.name}, ADDRESS)


def connect(config: ServeConfig, server_id: str, prober: Prober) -> ServerView:
    """Ask the server whether it is one, with its key; its first view. The config has been checked.

    Raises Unavailable where nothing answers, InvalidInput where it refuses the key or isn't OpenAI-compatible.
    """
    api = find_api(config.address, config.api_key, prober)
    address = address_of(api.base_url)
    models = api.models
    model = next((m for m in models if not config.model_name or m.id == config.model_name), None)
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


def find_api(address: str, api_key: str, prober: Prober) -> Api:
    """Where the API lies: as the address was given, else where such APIs usually lie. Raises as ``connect``.

    A list of models in OpenAI's own form is what counts; another form only where no address gives that one, and a bare
    /health only where no address gives a list (`transformers serve` answers /models with 500 without a hub cache).
    """
    end = time.monotonic() + FIND_S
    answers: dict[str, Answer] = {}
    for base in candidates(address):
        left = end - time.monotonic()
        if answers and left <= 0:
            break
        answer = answers[base] = prober.models(base, api_key, min(ASK_S, max(left, 0.1)))
        if answer.ok and is_openai_list(answer.body):
            return Api(base, served_models(answer.body) or ())
        if answer.status is None and answer.kind not in ("deadline", "broken"):
            break  # nothing is there: another path doesn't help
    for base, answer in answers.items():
        if answer.ok and (models := served_models(answer.body)) is not None:
            return Api(base, models)
    if not any(answer.status in (401, 403) for answer in answers.values()):
        failing = next((base for base, a in answers.items() if a.status is not None and a.status >= 500), None)
        base = failing or base_url(address)
        if any(a.status is not None for a in answers.values()) and is_alive(prober, address_of(base).root):
            return Api(base, ())
    raise _no_api(answers, api_key)


def is_alive(prober: Prober, root: str) -> bool:
    """Whether /health answers; a web page, which some servers give for every path, is no such answer."""
    answer = prober.health(root)
    return answer.ok and answer.content_type != PAGE


def is_healthy(view: ServerView, api_key: str, prober: Prober) -> bool:
    """Whether it answers now. Not every OpenAI-compatible server has /health: its list of models does as well."""
    return is_alive(prober, view.address) or prober.models(view.base_url, api_key).ok


def _no_api(answers: dict[str, Answer], api_key: str) -> ConsoleError:
    """Why none of the addresses will do. The most telling answer counts: a key that was refused, else one that says
    something, else the first."""
    refused = [entry for entry in answers.items() if entry[1].status in (401, 403)]
    saying = [entry for entry in answers.items() if _says_something(entry[1])]
    base, answer = (refused or saying or list(answers.items()))[0]
    tried = ", ".join(answers)
    params: dict[str, Value] = {"value": base, "error": answer.error, "status": answer.status or 0, "tried": tried}
    if refused:
        return InvalidInput(Message("servers.external-key-refused", params, KEY))
    if answer.status is None:
        notices = route(base, with_key=bool(api_key)).notices
        return Unavailable(Message(NO_ANSWER.get(answer.kind, "servers.external-no-answer"), params, ADDRESS), *notices)
    if answer.location and 300 <= answer.status < 400:
        location = _shown(base, answer.location)
        return InvalidInput(Message("servers.external-redirect", {**params, "location": location}, ADDRESS))
    if answer.status == 400 and base.startswith("http://") and ONLY_TLS.search(answer.said):
        return Unavailable(Message("servers.external-only-tls", {**params, "error": answer.said}, ADDRESS))
    if saying:
        return Unavailable(Message("servers.external-says", {**params, "detail": answer.said}, ADDRESS))
    if answer.kind == "large":
        return InvalidInput(Message("servers.external-too-large", params, ADDRESS))
    return InvalidInput(Message("servers.external-no-server", params, ADDRESS))


def _says_something(answer: Answer) -> bool:
    """Whether it is an error with words of its own: a key, the credit, the rate, a model that still loads."""
    return (answer.status or 0) >= 400 and answer.status not in NO_LIST and bool(answer.said)


def _shown(base: str, location: str) -> str:
    """Where a server sends to, as an address that can be entered: whole, bounded, without a password."""
    try:
        whole = urljoin(f"{base}/models", location[:MOST_SHOWN])
        parts = urlsplit(whole)
    except ValueError:
        whole, parts = location, urlsplit("")
    if "@" in whole.partition("?")[0]:
        return "…"
    if not parts.query and parts.path.endswith("/models"):
        whole = whole.removesuffix("/models")
    return "".join(c if c.isprintable() else "�" for c in whole)


def _is_console(address: ServerAddress, state_dir: Path) -> bool:
    """Whether this very process is the console that listens there, or its page's address has that host and port."""
    try:
        console = json.loads((state_dir / ADDRESS_FILE).read_bytes())
        if console["pid"] != os.getpid():
            return False
        page = urlsplit(str(console["address"]))
        outer = (page.hostname or "", page.port or (443 if page.scheme == "https" else 80))
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if (address.host, address.port) == outer:
        return True
    return is_this_machine(address.host) and ports.is_ours(address.port)
