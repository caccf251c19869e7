"""Follows one server in a thread of its own, from its start to its end."""

import time
from collections.abc import Callable
from dataclasses import replace

from backend import disk
from backend.clock import Moment
from backend.diagnosis import Diagnosis
from backend.errors import Message, Unavailable
from backend.machine.network import is_this_machine
from backend.processes import log_file, ports, runner
from backend.processes.supervisor import Run, Supervisor
from backend.servers import external
from backend.servers.first_question import FirstQuestion, is_asked
from backend.servers.probe import Prober, served_models
from backend.servers.server import ServerState, ServerView
from backend.servers.transitions import ENDED, Seen, ended_view, next_view
from backend.servers.watch import Watch

STARTING_POLL_S = 0.15
RUNNING_POLL_S = 1.0
REMOTE_POLL_S = 10.0
PROGRESS_BYTES = 16 * 1024
DIAGNOSIS_BYTES = 128 * 1024
KNOWN_MODEL = frozenset({"transformers", "proxy"})


LoadProgress = Callable[[str, str], tuple[str, float | None]]
Diagnose = Callable[[str, int | None], Diagnosis]
Update = Callable[[Callable[[ServerView], ServerView]], ServerView]


class Watcher(Watch):
    """The watch over one server.

    ``update(change)`` applies a change to the server's view under the manager's lock and returns the new view; it
    raises NotFound once the server is forgotten, which ends the thread, as does the server's end. ``started`` None:
    nobody knows any more; then the time for getting ready is counted from now.
    """

    def __init__(
        self,
        server_id: str,
        update: Update,
        api_key: Callable[[], str],
        supervisor: Supervisor,
        prober: Prober,
        load_progress: LoadProgress,
        diagnose: Diagnose,
        ready_timeout_s: float,
        started: Moment | None,
    ) -> None:
        super().__init__(f"server-{server_id}")
        self._id = server_id
        self._update = update
        self._api_key = api_key
        self._supervisor = supervisor
        self._prober = prober
        self._load_progress = load_progress
        self._diagnose = diagnose
        self._ready_timeout_s = ready_timeout_s
        self._began = started or Moment.now()
        self._misses = 0
        self._model_known = False
        self._asked = False
        self._log_size = -1
        self._loading: tuple[str, float | None] = ("", None)

    def _look(self) -> float | None:
        """One look; the seconds until the next, None when the server has ended."""
        view = self._update(lambda view: view)
        if view.config.engine == external.ENGINE:
            return self._look_outside(view)
        run = self._supervisor.get(self._id)
        if run.ended:
            why, lines = self._why(view, run)
            self._update(lambda view: ended_view(view, run, why, lines))
            return None
        healthy = not (run.stop_requested or run.command_ended) and self._is_healthy(view, run)
        self._misses = 0 if healthy else self._misses + 1
        if healthy and not self._model_known:
            self._ask_model(view)
        if not healthy and not view.ready_at and not (run.stop_requested or run.command_ended):
            self._give_up_when_late(view)
            self._read_loading(view, run)
        seen = Seen(healthy, self._misses, time.time(), *self._loading)
        view = self._update(lambda view: self._next(view, seen))
        if not self._asked and is_asked(view):
            self._asked = True
            FirstQuestion(view, self._update, self._api_key, self._prober).start()
        return RUNNING_POLL_S if view.state in (ServerState.RUNNING, ServerState.UNREACHABLE) else STARTING_POLL_S

    def _next(self, view: ServerView, seen: Seen) -> ServerView:
        """Under the manager's lock: a stop that was asked for meanwhile is seen."""
        return view if view.state in ENDED else next_view(view, self._supervisor.get(self._id), seen)

    def _look_outside(self, view: ServerView) -> float:
        try:
            api_key = self._api_key()
        except Unavailable:  # its file was removed: the server will refuse, and is shown as unreachable
            api_key = ""
        healthy = external.is_healthy(view, api_key, self._prober)
        self._misses = 0 if healthy else self._misses + 1
        if healthy and not view.model_id:
            self._ask_model(view)
        seen = Seen(healthy, self._misses, time.time())
        self._update(lambda view: next_view(view, None, seen))
        return RUNNING_POLL_S if is_this_machine(external.address_of(view.base_url).host) else REMOTE_POLL_S

    def _is_healthy(self, view: ServerView, run: Run) -> bool:
        if not run.pid or not self._prober.health(view.address).ok:
            return False
        # At first, make sure that it is this server that answers, not one that took the port before it.
        return bool(view.ready_at) or ports.listens(run.pid, view.port) is not False

    def _ask_model(self, view: ServerView) -> None:
        """Ask what a request must name. `transformers serve` lists the hub cache instead; there it is the folder. A
        proxy's is its nodes'."""
        if view.config.engine in KNOWN_MODEL:
            self._model_known = True
            return
        models = served_models(self._prober.models(view.base_url, self._api_key()).body)
        if models:
            self._model_known = True
            model = next((m for m in models if m.id == view.model_id), models[0])
            context_length = view.context_length or model.context_length
            self._update(lambda view: replace(view, model_id=model.id, context_length=context_length))

    def _give_up_when_late(self, view: ServerView) -> None:
        """The deadline counts from the start, across a restart of the console too, not while the machine sleeps."""
        elapsed = self._began.elapsed_s()
        if elapsed is None or elapsed < self._ready_timeout_s:
            return
        reason = Message("servers.not-ready-in-time", {"minutes": round(self._ready_timeout_s / 60, 1)})
        lines = log_file.tail_lines(self._supervisor.get(self._id).log_path, 5)
        self._update(lambda view: replace(view, reason=reason, reason_lines=lines))
        self._supervisor.stop(self._id)

    def _read_loading(self, view: ServerView, run: Run) -> None:
        try:
            size = run.log_path.stat().st_size
        except OSError:
            return
        if size != self._log_size:
            self._log_size = size
            self._loading = self._load_progress(view.config.engine, log_file.tail_text(run.log_path, PROGRESS_BYTES))

    def _why(self, view: ServerView, run: Run) -> tuple[Message | None, tuple[str, ...]]:
        """What the log says of the end; it may say nothing where the disk was full then, which is looked for first."""
        if run.stop_requested or run.interrupted:
            return None, ()
        text = log_file.tail_text(run.log_path, DIAGNOSIS_BYTES)
        diagnosis = self._diagnose(text, run.exit_code)
        status = runner.read_result(run.folder, runner.STATUS) or {}
        if disk.is_next_to_nothing(status.get("free_bytes")) or disk.nothing_free(run.folder):
            return Message("servers.disk-full", {"path": str(run.folder)}), diagnosis.lines
        return diagnosis.reason, diagnosis.lines
