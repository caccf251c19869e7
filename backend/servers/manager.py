"""The list of model servers: started, followed, stopped, started again, found again after a restart of the console."""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from backend.engines import ENGINES
from backend.engines.base import Engine, Machine, ServeConfig
from backend.engines.choice import choose_environment
from backend.engines.log_reader import diagnose, load_progress
from backend.errors import Conflict, ConsoleError, InvalidInput, Message, NotFound, Unavailable
from backend.processes import ports, runner
from backend.processes.health import Prober
from backend.processes.supervisor import DEFAULT_GRACE_S, Run, Supervisor
from backend.servers import keys, outside
from backend.servers.following import Diagnose, Follower, LoadProgress
from backend.servers.planning import HOST, ChooseEnvironment, Models, Plan, Preview, Slot, first_port, plan
from backend.servers.records import ServerRecord
from backend.servers.states import ENDED
from backend.servers.view import ServerState, ServerView
from backend.settings import Settings
from backend.store import Store

KIND = "server"
READY_TIMEOUT_S = 30 * 60.0
READY_TIMEOUT_SETTING = "ready_timeout_s"
READY_TIMEOUT_LIMITS_S = (5.0, 24 * 3600.0)

log = logging.getLogger(__name__)


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
        self._lock = threading.RLock()
        self._start_lock = threading.Lock()
        self._version = 1
        self._followers: dict[str, Follower] = {}
        try:
            settings.keys_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise keys.no_key_file(settings.keys_dir, error) from error
        self._records = self._load()
        self._remove_unknown_keys()
        self._slot: Slot | None = None
        supervisor.on_change(self._run_changed)
        for record in self._records.values():
            if record.view.state not in ENDED:
                self._follow(record)

    @property
    def version(self) -> int:
        """Grows with every change that a page would show."""
        with self._lock:
            return self._version

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
        if config.engine == outside.ENGINE:
            return self._plan_external(config)
        preview = self._plan(config, self._next_slot()).preview
        try:
            self._make_keys(preview)
        except Unavailable as error:
            return replace(preview, messages=(*preview.messages, *error.messages))
        return preview

    def start(self, config: ServeConfig) -> str:
        """Start a server with these settings, or note an external one; returns its id at once.

        Raises InvalidInput, Unavailable or Conflict with all that is wrong; nothing is started or stored then.
        """
        with self._start_lock:
            if config.engine == outside.ENGINE:
                return self._add_external(config)
            return self._start(config, self._next_slot())

    def stop(self, server_id: str, grace_s: float = DEFAULT_GRACE_S) -> None:
        """Stop the server (see Supervisor.stop); returns at once. Nothing happens to one that has ended.

        Raises NotFound, or Conflict for an external server, which isn't the console's to stop.
        """
        view = self.get(server_id)
        if view.config.engine == outside.ENGINE:
            raise Conflict(Message("servers.external-not-stopped", {"name": view.name}))
        if view.state in ENDED:
            return
        self._supervisor.stop(server_id, grace_s)
        self._update(server_id, lambda view: _stopping(view, self._supervisor.get(server_id)))

    def restart(self, server_id: str) -> str:
        """Start an ended server again with the same settings (on the same port where it is free).

        It gets a new id, which is returned, and takes the old one's place in the list: the old one is forgotten, with
        its log, once the new one was started. Raises as ``start``; Conflict while it runs or for an external server.
        """
        with self._start_lock:
            view = self.get(server_id)
            if view.config.engine == outside.ENGINE:
                raise Conflict(Message("servers.external-not-stopped", {"name": view.name}))
            if view.state not in ENDED:
                raise Conflict(Message("servers.still-running", {"name": view.name}))
            slot = self._next_slot()
            if view.config.port is None and view.port not in self._ports_taken() and ports.is_free(HOST, view.port):
                slot = replace(slot, port=view.port)
            new_id = self._start(view.config, slot)
        self.forget(server_id)
        return new_id

    def forget(self, server_id: str) -> None:
        """Take the server off the list, with its log and key. Raises NotFound, or Conflict while it runs."""
        view = self.get(server_id)
        external = view.config.engine == outside.ENGINE
        if not external and view.state not in ENDED:
            raise Conflict(Message("servers.still-running", {"name": view.name}))
        if not external:
            self._supervisor.forget(server_id)
        with self._lock:
            record = self._records.pop(server_id, None)
            follower = self._followers.pop(server_id, None)
            self._version += 1
        if follower is not None:
            follower.close()
        self._store.delete(KIND, server_id)
        if record is not None and record.key_file is not None:
            record.key_file.unlink(missing_ok=True)

    def get(self, server_id: str) -> ServerView:
        """The server as it is now. Raises NotFound."""
        return self._record(server_id).view

    def snapshot(self) -> tuple[ServerView, ...]:
        """Every server as it is now, newest first."""
        with self._lock:
            views = [record.view for record in self._records.values()]
        return tuple(sorted(views, key=lambda view: view.created_at, reverse=True))

    def endpoint(self, server_id: str) -> Endpoint:
        """What a client needs to talk to the server. Raises NotFound, or Conflict unless it runs."""
        record = self._record(server_id)
        view = record.view
        if view.state not in (ServerState.RUNNING, ServerState.UNREACHABLE):
            raise Conflict(Message("servers.not-running", {"name": view.name}))
        return Endpoint(
            view.base_url, keys.read_key(record.key_file), view.model_id, view.takes_images, view.context_length
        )

    def close(self) -> None:
        """Stop following. The servers go on."""
        with self._lock:
            followers = list(self._followers.values())
        for follower in followers:
            follower.close()
        for follower in followers:
            follower.join(timeout=10)
        self._prober.close()

    # Starting

    def _start(self, config: ServeConfig, slot: Slot) -> str:
        planned = self._plan(config, slot)
        preview = planned.preview
        if planned.refusal is not None:
            raise planned.refusal
        if preview.command is None or preview.environment is None:
            raise Unavailable(Message("servers.no-command", {"engine": config.engine}, "deploy-engine"))
        self._make_keys(preview)
        model = preview.model
        path = str(model.path) if model is not None else config.model
        view = ServerView(
            id=slot.server_id,
            name=config.model_name or (model.name if model is not None else config.model),
            state=ServerState.STARTING,
            config=config,
            model_path=path,
            model_id=self._engines[config.engine].model_id(config, model),
            address=f"http://{HOST}:{preview.port}",
            base_url=f"http://{HOST}:{preview.port}/v1",
            port=preview.port,
            pid=0,
            command=preview.command.preview(),
            environment=preview.environment.label,
            takes_images=model is not None and model.takes_images,
            context_length=config.session_len or (model.context_length if model is not None else 0),
            created_at=time.time(),
            log_path=self._settings.runs_dir / slot.server_id / runner.LOG,
        )
        record = ServerRecord(view, slot.key_file if keys.key_files(preview.command) else None)
        self._store.put_json(KIND, view.id, record.to_json())
        try:
            self._supervisor.start(preview.command, kind=KIND, name=view.name, run_id=view.id, about=record.to_json())
        except ConsoleError:
            with suppress(Unavailable):
                self._store.delete(KIND, view.id)
            raise
        self._add(record)
        return view.id

    def _plan(self, config: ServeConfig, slot: Slot) -> Plan:
        return plan(config, slot, self._ports_taken(), self._machine_of(), self._catalog, self._engines, self._choose)

    def _ports_taken(self) -> frozenset[int]:
        """Ports of servers that run or are about to listen."""
        views = (v for v in self.snapshot() if v.state not in ENDED and v.config.engine != outside.ENGINE)
        return frozenset(view.port for view in views)

    def _next_slot(self) -> Slot:
        """The next server's id, key file and port: the same until it is used, so that the preview is what will run."""
        taken = self._ports_taken()
        with self._lock:
            slot = self._slot
            if slot is None or slot.server_id in self._records:
                server_id = secrets.token_hex(6)
                slot = Slot(server_id, self._settings.keys_dir / f"{server_id}.key", 0)
            if slot.port == 0 or slot.port in taken or not ports.is_free(HOST, slot.port):
                slot = replace(slot, port=ports.free_port(HOST, first_port(self._settings.state_dir), taken))
            self._slot = slot
            return slot

    def _make_keys(self, preview: Preview) -> None:
        """Make the random keys that the command reads, where they aren't there yet. Raises Unavailable."""
        for path in keys.key_files(preview.command):
            keys.write_key(path, keys.new_key())

    def _plan_external(self, config: ServeConfig) -> Preview:
        config = outside.with_scheme(config)
        errors = outside.errors_in(config, self._engines[outside.ENGINE], self._machine_of())
        port = 0 if errors else outside.server_address(config.address).port
        return Preview(None, tuple(errors), None, None, port)

    def _add_external(self, config: ServeConfig) -> str:
        config = outside.with_scheme(config)
        if errors := outside.errors_in(config, self._engines[outside.ENGINE], self._machine_of()):
            raise InvalidInput(*errors)
        view = outside.connect(config, secrets.token_hex(6), self._prober)
        key_file = self._settings.keys_dir / f"{view.id}.key" if config.api_key else None
        record = ServerRecord(view, key_file)
        try:
            if key_file is not None:
                keys.write_key(key_file, config.api_key)
            self._store.put_json(KIND, view.id, record.to_json())
        except Unavailable:
            if key_file is not None:
                key_file.unlink(missing_ok=True)
            raise
        self._add(record)
        return view.id

    # What is remembered

    def _load(self) -> dict[str, ServerRecord]:
        """Servers from the store; what the store lost, from what the runs keep about themselves."""
        documents = self._store.all(KIND)
        runs = {run.id: run for run in self._supervisor.all(KIND)}
        records = {}
        for server_id in (*documents, *(run_id for run_id in runs if run_id not in documents)):
            sources = [documents.get(server_id), runs[server_id].about if server_id in runs else None]
            record = next((record for source in sources if (record := _record_from(source)) is not None), None)
            if record is None:
                log.error("what is stored of server %s can't be read", server_id)
            elif server_id in runs or record.view.config.engine == outside.ENGINE:
                records[server_id] = record
            else:
                self._store.delete(KIND, server_id)  # its start was cut off, or its folder removed
        return records

    def _remove_unknown_keys(self) -> None:
        """Keys of previews that were never started."""
        known = {record.key_file for record in self._records.values()}
        for path in self._settings.keys_dir.glob("*.key"):
            if path not in known:
                path.unlink(missing_ok=True)

    def _record(self, server_id: str) -> ServerRecord:
        with self._lock:
            record = self._records.get(server_id)
        if record is None:
            raise NotFound(Message("servers.not-found", {"id": server_id}))
        return record

    def _add(self, record: ServerRecord) -> None:
        with self._lock:
            self._records[record.view.id] = record
            self._version += 1
        self._follow(record)

    def _follow(self, record: ServerRecord) -> None:
        server_id = record.view.id
        follower = Follower(
            server_id,
            lambda change: self._update(server_id, change),
            lambda: keys.read_key(self._record(server_id).key_file),
            self._supervisor,
            self._prober,
            self._load_progress,
            self._diagnose,
            self._ready_timeout_s,
        )
        with self._lock:
            self._followers[server_id] = follower
        follower.start()

    def _update(self, server_id: str, change: Callable[[ServerView], ServerView]) -> ServerView:
        """Replace the view by the changed one; store it where more than its progress changed. Raises NotFound."""
        with self._lock:
            record = self._record(server_id)
            view = change(record.view)
            if view == record.view:
                return view
            changed = replace(record, view=view)
            self._records[server_id] = changed
            self._version += 1
            if replace(view, progress=None, stage="") != replace(record.view, progress=None, stage=""):
                try:
                    self._store.put_json(KIND, server_id, changed.to_json())
                except Unavailable:  # a full disk: what is shown stays true, it only isn't remembered
                    log.exception("server %s could not be stored", server_id)
        return view

    def _run_changed(self, run: Run) -> None:
        with self._lock:
            follower = self._followers.get(run.id)
        if follower is not None:
            follower.wake()


def _record_from(document: Any) -> ServerRecord | None:
    try:
        return ServerRecord.from_json(document)
    except (KeyError, TypeError, ValueError):
        return None


def _stopping(view: ServerView, run: Run) -> ServerView:
    ended = view.state in ENDED or run.ended
    return view if ended else replace(view, state=ServerState.STOPPING, progress=None, stage="")
