"""LMDeploy's proxy: one address in front of several servers of one model. Pure.

It runs through children/proxy_entry.py, which says what LMDeploy's own lacks; the command that is shown does too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from backend.engines import checks
from backend.engines.base import ServeConfig
from backend.engines.choice import choose_environment
from backend.engines.external import base_url, check_address, clean_address, shown
from backend.errors import ConsoleError, Message
from backend.machine.fit import capabilities_of
from backend.machine.flags import PROXY_OWNED, check_extra, find
from backend.machine.machine import Environment, Machine
from backend.machine.network import is_this_machine
from backend.models.checkpoint import ModelInfo
from backend.processes.command import Argument, CommandSpec, SecretFile

NAME = "proxy"
ENTRY = Path(__file__).parent / "children" / "proxy_entry.py"
NODE_KEYS = "node_keys.json"  # in the run's folder: the key of each node that wants one
HOST = "127.0.0.1"
MOST_NODES = 64


@dataclass(frozen=True)
class Proxy:
    """`lmdeploy serve proxy`. It needs no GPU; its model is its nodes'."""

    name: str = NAME
    fields: frozenset[str] = frozenset({"nodes", "api_key", "environment", "port", "extra"})

    def choices(self, environment: Environment | None) -> Mapping[str, tuple[str, ...]]:
        """None of its fields has a choice that the parser gives."""
        return {}

    def unavailable(self, machine: Machine) -> Message | None:
        """Some environment must have LMDeploy."""
        if any(environment.lmdeploy for environment in machine.environments):
            return None
        return Message("environments.no-lmdeploy", field="engine")

    def refuses(self, model: ModelInfo) -> Message | None:
        """It takes no model."""
        return None

    def check(self, config: ServeConfig, model: ModelInfo | None, machine: Machine) -> tuple[Message, ...]:
        """Everything wrong or worth knowing, but for what only the servers themselves can tell."""
        messages: list[Message] = []
        environment: Environment | None = None
        if (unavailable := self.unavailable(machine)) is not None:
            messages.append(unavailable)
        else:
            try:
                environment = choose_environment(config, None, machine)
                messages += [environment.problem] if environment.problem is not None else []
            except ConsoleError as error:
                messages += error.messages
        messages += check_nodes(config.nodes)
        if checks.CONTROL.search(config.api_key) or not config.api_key.isascii():
            messages.append(Message("engines.external.bad-key", field="api_key"))
        messages += checks.check_port(config)
        parser = capabilities_of(environment).proxy
        if environment is not None and not find(parser, "--api-keys"):
            params = {"version": environment.lmdeploy, "environment": environment.label}
            messages.append(Message("engines.proxy.lacking", params, "environment"))
        messages += check_extra(config.extra, parser, PROXY_OWNED)
        return tuple(messages)

    def command(
        self, config: ServeConfig, model: ModelInfo | None, environment: Environment, port: int, key_file: Path
    ) -> CommandSpec:
        """The entry beside LMDeploy's own words; the nodes join once it runs."""
        keys = key_file.parent.parent / "runs" / key_file.stem / NODE_KEYS
        argv: list[Argument] = [str(environment.python), str(ENTRY), "serve", "proxy", "--server-name", HOST]
        argv += ["--server-port", str(port), "--api-keys", SecretFile(key_file)]
        argv += ["--disable-cache-status", "--node-keys", str(keys), *config.extra]
        return CommandSpec(tuple(argv), secret_entry=(str(environment.python),))

    def model_id(self, config: ServeConfig, model: ModelInfo | None) -> str:
        """Its nodes' model, which the server manager knows."""
        return ""


def check_nodes(nodes: tuple[str, ...]) -> tuple[Message, ...]:
    """Addresses that are none, and one that is given twice, in whatever spelling; no nodes at all."""
    if not nodes:
        return (Message("engines.proxy.no-nodes", field="nodes"),)
    if len(nodes) > MOST_NODES:
        return (Message("engines.proxy.many-nodes", {"value": len(nodes), "most": MOST_NODES}, "nodes"),)
    messages: list[Message] = []
    seen: dict[str, str] = {}
    for given in nodes:
        wrong = [message for message in check_address(clean_address(given)) if message.level == "error"]
        if wrong:
            key = "engines.proxy.credentials" if wrong[0].key.endswith("credentials") else "engines.proxy.bad-node"
            params = {"value": shown(given)} if key.endswith("bad-node") else {}
            messages.append(Message(key, params, "nodes"))
            continue
        place = node_place(given)
        if place in seen:
            messages.append(Message("engines.proxy.node-twice", {"value": shown(given), "other": seen[place]}, "nodes"))
        elif not base_url(clean_address(given)).endswith("/v1"):
            messages.append(Message("engines.proxy.node-path", {"value": shown(given)}, "nodes"))
        seen.setdefault(place, shown(given))
    return tuple(messages)


def node_address(given: str) -> str:
    """As LMDeploy's proxy wants a node: without /v1. Raises ValueError for an address that ``check_nodes`` refuses."""
    return base_url(clean_address(given)).removesuffix("/v1")


def node_place(given: str) -> str:
    """The address in one spelling: of this machine's names one counts. Raises ValueError as ``node_address``."""
    parts = urlsplit(node_address(given))
    host = "127.0.0.1" if is_this_machine(parts.hostname or "") else (parts.hostname or "").lower()
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}{parts.path}"
