"""Follows one server in a thread of its own, from its start to its end."""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from backend.errors import Message, NotFound, Unavailable
from backend.processes import log_file, ports
from backend.processes.health import Prober, is_loopback, served_models
from backend.processes.supervisor import Run, Supervisor
from backend.servers import outside
from backend.servers.states import ENDED, Seen, ended_view, next_view
from backend.servers.view import ServerState, ServerView

STARTING_POLL_S = 0.15
RUNNING_POLL_S = 1.0
REMOTE_POLL_S = 10.0
PROGRESS_BYTES = 16 * 1024
DIAGNOSIS_BYTES = 128 * 1024
FULL_DISK_BYTES = 1024 * 1024

log = logging.getLogger(__name__)


class Diagnosis(Protocol):
    """Why a server died, and the log lines that say so."""

    @property
    def message(self) -> Message: ...

    @property
    def lines(self) -> Sequence[str]: ...


LoadProgress = Callable[[str, str], tuple[str, float | None]]
Diagnose = Callable[[str, int | None], Diagnosis]
Update = Callable[[Callable[[ServerView], ServerView]], ServerView]


class Follower(threading.Thread):
    """The watch over one server.

    ``update(change)`` applies a change to the server's view under the manager's lock and returns the new view; it
    raises NotFound once the server is forgotten, which ends the thread, as does the server's end.
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
    ) -> None:
        super().__init__(name=f"server-{server_id}", daemon=True)
        self._id = server_id
        self._update = update
        self._api_key = api_key
        self._supervisor = supervisor
        self._prober = prober
        self._load_progress = load_progress
        self._diagnose = diagnose
        self._ready_timeout_s = ready_timeout_s
        self._deadline: float | None = None
        self._misses = 0
        self._model_known = False
        self._log_size = -1
        self._loading: tuple[str, float | None] = ("", None)
        self._wake = threading.Event()
        self._closed = False

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def close(self) -> None:
        """End the thread; the server goes on."""
        self._closed = True
        self._wake.set()

    def run(self) -> None:
        """Look, pause, look again."""
        while not self._closed:
            pause: float | None
            try:
                pause = self._look()
            except NotFound:
                return
            except Exception:  # a fault here must not leave a server unwatched
                log.exception("server %s", self._id)
                pause = RUNNING_POLL_S
            if pause is None:
                return
            self._wake.wait(pause)
            self._wake.clear()

    def _look(self) -> float | None:
        """One look; the seconds until the next, None when the server has ended."""
        view = self._update(lambda view: view)
        if view.config.engine == outside.ENGINE:
            return self._look_outside(view)
        run = self._supervisor.get(self._id)
        if run.ended:
            why, lines = self._why(view, run)
            self._update(lambda view: ended_view(view, run, why, lines))
            return None
        healthy = not run.stop_requested and self._is_healthy(view, run)
        self._misses = 0 if healthy else self._misses + 1
        if healthy and not self._model_known:
            self._ask_model(view)
        if not healthy and not view.ready_at and not run.stop_requested:
            self._give_up_when_late(view)
            self._read_loading(view, run)
        seen = Seen(healthy, self._misses, time.time(), *self._loading)
        view = self._update(lambda view: self._next(view, seen))
        return RUNNING_POLL_S if view.state in (ServerState.RUNNING, ServerState.UNREACHABLE) else STARTING_POLL_S

    def _next(self, view: ServerView, seen: Seen) -> ServerView:
        """Under the manager's lock: a stop that was asked for meanwhile is seen."""
        return view if view.state in ENDED else next_view(view, self._supervisor.get(self._id), seen)

    def _look_outside(self, view: ServerView) -> float:
        try:
            api_key = self._api_key()
        except Unavailable:  # its file was removed: the server will refuse, and is shown as unreachable
            api_key = ""
        healthy = outside.is_healthy(view, api_key, self._prober)
        self._misses = 0 if healthy else self._misses + 1
        if healthy and not view.model_id:
            self._ask_model(view)
        seen = Seen(healthy, self._misses, time.time())
        self._update(lambda view: next_view(view, None, seen))
        return RUNNING_POLL_S if is_loopback(outside.server_address(view.base_url).host) else REMOTE_POLL_S

    def _is_healthy(self, view: ServerView, run: Run) -> bool:
        if not run.pid or not self._prober.health(view.address).ok:
            return False
        # At first, make sure that it is this server that answers, not one that took the port before it.
        return bool(view.ready_at) or ports.listens(run.pid, view.port) is not False

    def _ask_model(self, view: ServerView) -> None:
        """Ask what a request must name. `transformers serve` lists the hub cache instead; there it is the folder."""
        if view.config.engine == "transformers":
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
        if self._deadline is None:
            left = self._ready_timeout_s - max(time.time() - view.created_at, 0)
            self._deadline = time.monotonic() + max(left, 0)
        if time.monotonic() < self._deadline:
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
        """What the log says of the end; it may say nothing on a full disk, which is looked for first."""
        if run.stop_requested or run.interrupted:
            return None, ()
        text = log_file.tail_text(run.log_path, DIAGNOSIS_BYTES)
        diagnosis = self._diagnose(text, run.exit_code)
        try:
            full = shutil.disk_usage(run.folder).free < FULL_DISK_BYTES
        except OSError:
            full = False
        if full:
            return Message("servers.disk-full", {"path": str(run.folder)}), tuple(diagnosis.lines)
        return diagnosis.message, tuple(diagnosis.lines)
