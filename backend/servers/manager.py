"""The list of model servers: started, followed, stopped, started again, found again after a restart of the console."""

import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from backend.clock import Moment
from backend.diagnosis import Setting
from backend.engines import ENGINES
from backend.engines.base import Engine, ServeConfig
from backend.engines.choice import choose_environment
from backend.engines.proxy import NAME as PROXY
from backend.errors import Conflict, ConsoleError, InvalidInput, Message, NotFound, Unavailable
from backend.machine.machine import Machine
from backend.private_folders import make_private
from backend.processes import runner
from backend.processes.supervisor import DEFAULT_GRACE_S, Run, Supervisor
from backend.records import Records, unique_name
from backend.servers import external, keys, nodes
from backend.servers.log_reader import diagnose, load_progress
from backend.servers.node_watch import NodeWatch
from backend.servers.preview import ChooseEnvironment, Models, Plan, Preview, plan
from backend.servers.probe import Prober
from backend.servers.server import Crash, ServerRecord, ServerState, ServerView
from backend.servers.slots import HOST, Slot, Slots, first_port
from backend.servers.transitions import ENDED
from backend.servers.watcher import Diagnose, LoadProgress, Watcher
from backend.settings import Settings
from backend.store import Store

KIND = "server"
READY_TIMEOUT_S = 30 * 60.0
READY_TIMEOUT_SETTING = "ready_timeout_s"
READY_TIMEOUT_LIMITS_S = (5.0, 24 * 3600.0)


@dataclass(frozen=True)
class Endpoint:
    """What a client needs of a server. ``api_key`` "" = it takes none; ``context_length`` in tokens, 0 = unknown."""

    base_url: str
    api_key: str = field(repr=False)
    model_id: str
    takes_images: bool
    context_length: int


class ServerManager:
    """All model servers of this console. Every method is safe to call from any thread.

    ``ready_timeout_s``: how long a server may take to get ready before it is stopped; a value that was set later
    (``set_ready_timeout``) is remembered in the store and comes first.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        supervisor: Supervisor,
        catalog: Models,
        machine_of: Callable[[], Machine],
        *,
        engines: Mapping[str, Engine] = ENGINES,
        choose: ChooseEnvironment = choose_environment,
        load_progress: LoadProgress = load_progress,
        diagnose: Diagnose = diagnose,
        ready_timeout_s: float = READY_TIMEOUT_S,
    ) -> None:
        self._settings = settings
        self._store = store
        self._supervisor = supervisor
        self._catalog = catalog
        self._machine_of = machine_of
        self._engines = engines
        self._choose = choose
        self._load_progress = load_progress
        self._diagnose = diagnose
        self._ready_timeout_s = float(store.get_json("setting", READY_TIMEOUT_SETTING) or ready_timeout_s)
        self._prober = Prober()
        self._records = Records[ServerRecord](store, KIND, ServerRecord.to_json)
        self._lock = self._records.lock  # guards what follows too
        self._watchers: dict[str, Watcher] = {}
        self._node_watches: dict[str, NodeWatch] = {}
        self._slots = Slots(settings.keys_dir, first_port(settings.state_dir), self._ports_in_use)
        self._restarting: set[str] = set()
        self.waker: Callable[[str], None] = lambda server_id: None  # the keeper's, which wakes a server
        try:
            make_private(settings.keys_dir)
        except OSError as error:
            raise keys.no_key_file(settings.keys_dir, error) from error
        self._load()
        self._remove_unknown_keys()
        supervisor.on_change(self._run_changed)
        for record in self._records.all():
            if record.view.state not in ENDED:
                self._watch(record)

    @property
    def version(self) -> int:
        """Grows with every change that a page would show."""
        return self._records.version

    @property
    def ready_timeout_s(self) -> float:
        """How long a server may take to get ready, in seconds."""
        return self._ready_timeout_s

    def set_ready_timeout(self, seconds: float) -> None:
        """Remember another deadline for getting ready; it holds for servers that are started from now on.

        Raises InvalidInput outside 5 seconds to 24 hours.
        """
        low, high = READY_TIMEOUT_LIMITS_S
        if not low <= seconds <= high:
            raise InvalidInput(Message("servers.ready-timeout-range", {"value": seconds, "low": low, "high": high}))
        self._store.put_json("setting", READY_TIMEOUT_SETTING, seconds)
        self._ready_timeout_s = float(seconds)

    def preview(self, config: ServeConfig) -> Preview:
        """The command that ``start`` would run with these settings, and everything wrong or worth knowing about them.

        Starts nothing. Where the command reads a key, the key's file is there already: the command works in a shell.
        """
        if config.engine == external.ENGINE:
            return self._plan_external(config)
        config = self._settled(config)
        preview = self._plan(config, self._slots.next(), self._slots.ports_taken()).preview
        try:
            self._make_keys(preview)
        except Unavailable as error:
            return replace(preview, messages=(*preview.messages, *error.messages))
        return preview

    def start(self, config: ServeConfig) -> str:
        """Start a server with these settings, or note an external one; returns its id at once.

        Raises InvalidInput, Unavailable or Conflict with all that is wrong; nothing is started or stored then.
        """
        if config.engine == external.ENGINE:
            return self._add_external(config)
        config = self._settled(config)
        if config.engine == PROXY:
            self._note_new_nodes(config)
        with self._slots.own() as slot:
            return self._start(config, slot)

    def stop(self, server_id: str, grace_s: float = DEFAULT_GRACE_S) -> None:
        """Stop the server (see Supervisor.stop); returns at once. Nothing happens to one that has ended.

        Raises NotFound, or Conflict for an external server, which isn't the console's to stop.
        """
        view = self.get(server_id)
        if view.config.engine == external.ENGINE:
            raise Conflict(Message("servers.external-not-stopped", {"name": view.name}))
        if view.state in ENDED:
            return
        self._supervisor.stop(server_id, grace_s)
        self._update(server_id, lambda view: _stopping(view, self._supervisor.get(server_id)))

    def restart(self, server_id: str, changes: Mapping[str, Setting] | None = None, crash: Crash | None = None) -> str:
        """Start an ended server again with the same settings but for ``changes`` (on the same port where it is free).
        What was wished for its life goes on; ``crash`` is why it is started by itself, None where a person does it.

        It gets a new id, which is returned, and takes the old one's place in the list: the old one is forgotten, with
        its log, once the new one was started. Raises as ``start``; Conflict while it runs or for an external server.
        """
        with self._lock:
            view = self.get(server_id)
            if view.config.engine == external.ENGINE:
                raise Conflict(Message("servers.external-not-stopped", {"name": view.name}))
            if view.state not in ENDED or server_id in self._restarting:
                raise Conflict(Message("servers.still-running", {"name": view.name}))
            self._restarting.add(server_id)
        try:
            with self._slots.own() as slot:
                config = replace(view.config, **(changes or {}))  # type: ignore[arg-type]
                if config.port is None and self._slots.is_free(view.port):
                    slot = replace(slot, port=view.port)
                new_id = self._start(config, slot)
            self._update(new_id, lambda new: replace(new, life=view.life, crash=crash))
            self.forget(server_id)
        finally:
            with self._lock:
                self._restarting.discard(server_id)
        return new_id

    def forget(self, server_id: str) -> None:
        """Take the server off the list, with its log and key. Raises NotFound, or Conflict while it runs."""
        view = self.get(server_id)
        runs_here = view.config.engine != external.ENGINE
        if runs_here and view.state not in ENDED:
            raise Conflict(Message("servers.still-running", {"name": view.name}))
        if runs_here:
            self._supervisor.forget(server_id)
        with self._lock:
            record = self._records.remove(server_id)
            watcher = self._watchers.pop(server_id, None)
            node_watch = self._node_watches.pop(server_id, None)
        if watcher is not None:
            watcher.close()
        if node_watch is not None:
            node_watch.close()
        if record is not None and record.key_file is not None:
            record.key_file.unlink(missing_ok=True)

    def get(self, server_id: str) -> ServerView:
        """The server as it is now. Raises NotFound."""
        return self._record(server_id).view

    def snapshot(self) -> tuple[ServerView, ...]:
        """Every server as it is now, newest first."""
        return tuple(record.view for record in reversed(self._records.all()))

    def change(self, server_id: str, change: Callable[[ServerView], ServerView]) -> ServerView:
        """The view as ``change`` makes it, which must not wait. Raises NotFound."""
        return self._update(server_id, change)

    def key_file(self, server_id: str) -> Path | None:
        """Where the server's key is kept; None where it takes none. Raises NotFound."""
        return self._record(server_id).key_file

    def wake(self, server_id: str) -> None:
        """Before a question: where the server sleeps, it is woken. May block for seconds; raises NotFound, Unavailable
        where it doesn't wake."""
        if self.get(server_id).asleep:
            self.waker(server_id)

    def endpoint(self, server_id: str, key: str | None = None) -> Endpoint:
        """What a client needs to talk to the server; its ``key`` is read from disk unless it is given. Raises NotFound,
        Conflict unless it runs, or Unavailable where its key can't be read."""
        record = self._record(server_id)
        view = record.view
        if view.state not in (ServerState.RUNNING, ServerState.UNREACHABLE):
            raise Conflict(Message("servers.not-running", {"name": view.name}))
        key = keys.read_key(record.key_file) if key is None else key
        return Endpoint(view.base_url, key, view.model_id, view.takes_images, view.context_length)

    def close(self) -> None:
        """Stop watching. The servers go on."""
        with self._lock:
            watchers: list[Watcher | NodeWatch] = [*self._watchers.values(), *self._node_watches.values()]
        for watcher in watchers:
            watcher.close()
        for watcher in watchers:
            watcher.join(timeout=10)
        self._prober.close()

    # Starting

    def _start(self, config: ServeConfig, slot: Slot) -> str:
        port = slot.port if config.port is None else config.port
        with self._slots.promise(port) as taken:
            return self._launch(config, slot, taken)

    def _launch(self, config: ServeConfig, slot: Slot, ports_taken: Collection[int]) -> str:
        planned = self._plan(config, slot, ports_taken)
        preview = planned.preview
        if planned.refusal is not None:
            raise planned.refusal
        if preview.command is None or preview.environment is None:
            raise Unavailable(Message("servers.no-command", {"engine": config.engine}, "engine"))
        self._make_keys(preview)
        model = preview.model
        path = str(model.path) if model is not None else config.hub_model
        served = config.model_name or (model.name if model is not None else config.hub_model)
        pool = self._pool(config)
        if pool is None and config.engine == PROXY:
            raise InvalidInput(Message("servers.node-none", field=nodes.FIELD))
        if pool is not None:  # not the model's own name: requests choose between the proxy and its nodes
            path, served = "", f"{pool.model_id.rstrip('/').rpartition('/')[2]}-{PROXY}"
        view = ServerView(
            id=slot.server_id,
            name=self._name(served, preview.port),
            served_name=served,
            state=ServerState.STARTING,
            config=config,
            model_path=path,
            model_id=pool.model_id if pool is not None else self._engines[config.engine].model_id(config, model),
            address=f"http://{HOST}:{preview.port}",
            base_url=f"http://{HOST}:{preview.port}/v1",
            port=preview.port,
            pid=0,
            command=preview.command.preview(),
            environment=preview.environment.label,
            takes_images=pool.takes_images if pool is not None else model is not None and model.takes_images,
            context_length=pool.context_length
            if pool is not None
            else config.session_len or (model.context_length if model is not None else 0),
            created_at=time.time(),
            log_path=self._settings.runs_dir / slot.server_id / runner.LOG,
        )
        record = ServerRecord(view, slot.key_file if keys.key_files(preview.command) else None, Moment.now())
        self._supervisor.start(preview.command, kind=KIND, name=view.name, run_id=view.id, about=record.to_json())
        self._add(record)
        return view.id

    def _plan(self, config: ServeConfig, slot: Slot, ports_taken: Collection[int]) -> Plan:
        planned = plan(config, slot, ports_taken, self._machine_of(), self._catalog, self._engines, self._choose)
        if config.engine != PROXY or any(message.field == nodes.FIELD for message in planned.preview.errors):
            return planned
        found = nodes.members(config.nodes, self.snapshot())
        preview = replace(
            planned.preview,
            messages=(*planned.preview.messages, *nodes.objections(found, self._settings.state_dir)),
        )
        refusal = planned.refusal
        if refusal is None and preview.errors:
            refusal = InvalidInput(*preview.errors)
        return Plan(preview, refusal)

    # Behind a proxy

    def _settled(self, config: ServeConfig) -> ServeConfig:
        return nodes.normal(config) if config.engine == PROXY else config

    def _pool(self, config: ServeConfig) -> nodes.Pool | None:
        return nodes.pool_of(nodes.members(config.nodes, self.snapshot())) if config.engine == PROXY else None

    def _note_new_nodes(self, config: ServeConfig) -> None:
        """Nodes of other machines become external servers, with the key that was given: each is asked, and known by
        its key from then on. Nothing is noted where something else stands against the start."""
        planned = self._plan(config, self._slots.next(), self._slots.ports_taken())
        if planned.refusal is not None:
            raise planned.refusal
        for member in nodes.members(config.nodes, self.snapshot()):
            if member.view is None:
                try:
                    self._add_external(ServeConfig(external.ENGINE, "", address=member.address, api_key=config.api_key))
                except ConsoleError as error:
                    raise type(error)(*map(_of_node, error.messages)) from error

    def _own(self) -> Iterator[ServerView]:
        """The servers that this console started."""
        return (view for view in self.snapshot() if view.config.engine != external.ENGINE)

    def _name(self, served: str, port: int) -> str:
        """A name that no other server of the list has: "demo_model :23333"."""
        with self._lock:
            return unique_name(f"{served} :{port}", self._names())

    def _names(self) -> frozenset[str]:
        """The names in the list, but for those that make room for another."""
        return frozenset(view.name for view in self.snapshot() if view.id not in self._restarting)

    def _ports_in_use(self) -> list[int]:
        """Ports of servers that run or are about to listen."""
        return [view.port for view in self._own() if view.state not in ENDED]

    def _make_keys(self, preview: Preview) -> None:
        """Make the random keys that the command reads, where they aren't there yet. Raises Unavailable."""
        for path in keys.key_files(preview.command):
            keys.write_key(path, keys.new_key())

    def _plan_external(self, config: ServeConfig) -> Preview:
        config = external.with_scheme(config)
        messages = self._external_messages(config)
        wrong = any(message.level == "error" for message in messages)
        port = 0 if wrong else external.server_address(config.address).port
        return Preview(None, messages, None, None, port)

    def _external_messages(self, config: ServeConfig) -> tuple[Message, ...]:
        messages = tuple(external.messages_on(config, self._engines[external.ENGINE], self._machine_of()))
        if any(message.level == "error" for message in messages):
            return messages
        conflict = external.conflict(config, self.snapshot(), self._settings.state_dir)
        return messages if conflict is None else (*messages, conflict)

    def _add_external(self, config: ServeConfig) -> str:
        config = external.with_scheme(config)
        if errors := [message for message in self._external_messages(config) if message.level == "error"]:
            raise InvalidInput(*errors)
        view = external.connect(config, secrets.token_hex(6), self._prober)
        view = replace(view, name=unique_name(view.name, self._names()), served_name=view.name)
        key_file = self._settings.keys_dir / f"{view.id}.key" if config.api_key else None
        record = ServerRecord(view, key_file)
        if key_file is not None:
            keys.write_key(key_file, config.api_key)
        self._add(record)
        return view.id

    # What is remembered

    def _load(self) -> None:
        """Servers from the store; what the store lost, from what the runs keep about themselves."""
        runs = {run.id: run.about for run in self._supervisor.all(KIND)}
        self._records.load(ServerRecord.from_json, runs)
        for record in self._records.all():
            if record.view.id not in runs and record.view.config.engine != external.ENGINE:
                self._records.remove(record.view.id)  # its start was cut off, or its folder removed

    def _remove_unknown_keys(self) -> None:
        """Keys of previews that were never started."""
        known = {record.key_file for record in self._records.all()}
        for path in self._settings.keys_dir.glob("*.key"):
            if path not in known:
                path.unlink(missing_ok=True)

    def _record(self, server_id: str) -> ServerRecord:
        record = self._records.get(server_id)
        if record is None:
            raise NotFound(Message("servers.not-found", {"id": server_id}))
        return record

    def _add(self, record: ServerRecord) -> None:
        self._records.put(record.view.id, record)
        self._watch(record)

    def _watch(self, record: ServerRecord) -> None:
        server_id = record.view.id
        watcher = Watcher(
            server_id,
            lambda change: self._update(server_id, change),
            lambda: keys.read_key(self._record(server_id).key_file),
            self._supervisor,
            self._prober,
            self._load_progress,
            self._diagnose,
            self._ready_timeout_s,
            record.started,
        )
        with self._lock:
            self._watchers[server_id] = watcher
        watcher.start()
        if record.view.config.engine == PROXY:
            self._watch_nodes(server_id)

    def _watch_nodes(self, server_id: str) -> None:
        watch = NodeWatch(
            server_id,
            lambda: self._record(server_id),
            self.snapshot,
            lambda view: keys.read_key(self._record(view.id).key_file),
            lambda change: self._update(server_id, change),
            self._prober,
        )
        with self._lock:
            self._node_watches[server_id] = watch
        watch.start()

    def _update(self, server_id: str, change: Callable[[ServerView], ServerView]) -> ServerView:
        """Replace the view by the changed one; store it where more than its progress changed. Raises NotFound."""
        record = self._records.change(
            server_id, lambda record: replace(record, view=change(record.view)), _more_than_progress
        )
        if record is None:
            raise NotFound(Message("servers.not-found", {"id": server_id}))
        return record.view

    def _run_changed(self, run: Run) -> None:
        with self._lock:
            watcher = self._watchers.get(run.id)
        if watcher is not None:
            watcher.wake()


def _more_than_progress(old: ServerRecord, new: ServerRecord) -> bool:
    return _lasting(old.view) != _lasting(new.view)


def _lasting(view: ServerView) -> ServerView:
    return replace(view, progress=None, stage="", nodes=())


def _of_node(message: Message) -> Message:
    """What is wrong with an external server's address, of a node's."""
    return replace(message, field=nodes.FIELD) if message.field == external.ADDRESS else message


def _stopping(view: ServerView, run: Run) -> ServerView:
    ended = view.state in ENDED or run.ended
    return view if ended else replace(view, state=ServerState.STOPPING, progress=None, stage="")
