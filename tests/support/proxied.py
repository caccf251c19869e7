"""A console's servers without its page: the real `lmdeploy serve proxy`, over servers that do as they are told."""

import sys
from collections.abc import Sequence
from pathlib import Path

from backend.engines.base import ServeConfig
from backend.engines.external import External
from backend.engines.proxy import Proxy
from backend.errors import Message
from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo
from backend.processes.command import CommandSpec, SecretFile
from backend.processes.supervisor import Supervisor
from backend.servers.manager import ServerManager
from backend.servers.server import NodeView, ServerState, ServerView
from backend.settings import Settings
from backend.store import Store
from tests.support.scripted_server import CHILD
from tests.support.waiting import wait_for

HERE = Environment("here", "Here", Path(sys.executable), "console", "0.18.0", "5.23.0")
START_S = 240.0  # it imports torch, on a machine that may be busy
NODE_S = 60.0


class OwnServer:
    """An engine of the console's own: the scripted server, with the random key that the console makes."""

    name = "own"
    fields = frozenset({"model", "port", "model_name"})

    def choices(self, environment: Environment | None) -> dict[str, tuple[str, ...]]:
        return {}

    def unavailable(self, machine: Machine) -> Message | None:
        return None

    def refuses(self, model: ModelInfo) -> Message | None:
        return None

    def check(self, config: ServeConfig, model: ModelInfo | None, machine: Machine) -> Sequence[Message]:
        return ()

    def command(
        self, config: ServeConfig, model: ModelInfo | None, environment: Environment, port: int, key_file: Path
    ) -> CommandSpec:
        argv = (sys.executable, str(port), "--model", config.model, "--key", SecretFile(key_file))
        return CommandSpec(argv, secret_entry=(sys.executable, str(CHILD)))

    def model_id(self, config: ServeConfig, model: ModelInfo | None) -> str:
        return config.model


class NoModels:
    def find_or_hub(self, text: str) -> ModelInfo | None:
        return None


class ProxyWorld:
    """A state folder with its manager, which can be closed and opened as a console that was killed is."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.open()

    def open(self) -> None:
        self.store = Store(self.settings.state_dir)
        self.supervisor = Supervisor(self.settings, self.store, poll_s=0.02)
        self.manager = ServerManager(
            self.settings, self.store, self.supervisor, NoModels(), lambda: Machine((), "", "", (HERE,)),
            engines={"own": OwnServer(), "external": External(), "proxy": Proxy()},
            choose=lambda config, model, machine: HERE,
        )  # fmt: skip

    def close(self) -> None:
        """The console ends; what it started goes on."""
        self.manager.close()
        self.supervisor.close()
        self.store.close()

    def own(self, model: str) -> ServerView:
        """A server of the console's own with that model, once it runs."""
        return self.running(self.manager.start(ServeConfig("own", model)))

    def external(self, address: str, key: str = "") -> ServerView:
        return self.manager.get(self.manager.start(ServeConfig("external", "", address=address, api_key=key)))

    def proxy(self, *nodes: str, key: str = "") -> ServerView:
        """A proxy over those addresses, once it runs."""
        return self.running(self.manager.start(ServeConfig("proxy", "", nodes=nodes, api_key=key)))

    def running(self, server_id: str) -> ServerView:
        def runs() -> ServerView | None:
            view = self.manager.get(server_id)
            assert view.state is not ServerState.FAILED, (view.reason, view.reason_lines)
            return view if view.state is ServerState.RUNNING else None

        return wait_for("a server that runs", runs, START_S)

    def node(self, proxy_id: str, address: str) -> NodeView:
        return next(node for node in self.manager.get(proxy_id).nodes if node.address == address)

    def node_is(self, proxy_id: str, address: str, state: ServerState) -> NodeView:
        """The node, once it is in that state."""

        def there() -> NodeView | None:
            found = [node for node in self.manager.get(proxy_id).nodes if node.address == address]
            return found[0] if found and found[0].state is state else None

        return wait_for(f"{address} is {state}", there, NODE_S)

    def end(self) -> None:
        """Everything that was started ends."""
        for view in self.manager.snapshot():
            if view.config.engine != "external":
                self.manager.stop(view.id)
        wait_for("their end", lambda: not any(v.pid and not self.supervisor.get(v.id).ended for v in self._own()), 60)
        self.close()

    def _own(self) -> list[ServerView]:
        return [view for view in self.manager.snapshot() if view.config.engine != "external"]
