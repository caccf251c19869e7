"""Keeps servers alive as their person wished: starts them again after a crash and after the machine's own restart, and
has a sleeper for each that is to sleep. One thread; the servers' own life is in server.py's ``Life``.
"""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from backend.errors import ConsoleError, Message, NotFound, Unavailable
from backend.servers import keys
from backend.servers.life import checked, comes_back, is_due, new_crash
from backend.servers.manager import ServerManager
from backend.servers.probe import Prober
from backend.servers.server import Life, ServerView
from backend.servers.sleeper import Sleeper
from backend.servers.transitions import ENDED
from backend.servers.watch import Watch

POLL_S = 1.0

log = logging.getLogger(__name__)


class Keeper(Watch):
    """For all servers of the manager. ``answering(server_id)``: how many of the console's own questions to that server
    are under way."""

    def __init__(
        self, servers: ServerManager, answering: Callable[[str], int], clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__("keeper")
        self._servers = servers
        self._answering = answering
        self._clock = clock
        self._prober = Prober()
        self._lock = threading.Lock()
        self._sleepers: dict[str, Sleeper] = {}
        servers.waker = self.rouse

    def set_life(self, server_id: str, life: Life) -> None:
        """Keep those wishes. Raises NotFound, InvalidInput."""
        life = checked(life, self._servers.get(server_id))

        def change(view: ServerView) -> ServerView:
            crash = view.crash
            if crash is not None and crash.again_at and not life.restarts:
                crash = replace(crash, again_at=0.0)
            return replace(view, life=life, crash=crash)

        self._servers.change(server_id, change)
        self.wake()

    def rouse(self, server_id: str) -> None:
        """Wake that server where it sleeps. Blocks for seconds; raises Unavailable, NotFound."""
        self._sleeper(server_id).rouse()

    def close(self) -> None:
        """End the threads; the servers go on."""
        super().close()
        with self._lock:
            sleepers = list(self._sleepers.values())
        for sleeper in sleepers:
            sleeper.close()
        self._prober.close()

    def _look(self) -> float:
        now = self._clock()
        views = self._servers.snapshot()
        for view in views:
            with suppress(NotFound):  # it was forgotten meanwhile
                self._keep(view, now)
        with self._lock:
            known = {view.id for view in views}
            self._sleepers = {key: one for key, one in self._sleepers.items() if one.is_alive() and key in known}
        return POLL_S

    def _keep(self, view: ServerView, now: float) -> None:
        if crash := new_crash(view, now):
            self._servers.change(view.id, lambda view: replace(view, crash=crash))
        elif is_due(view, now) or comes_back(view):
            self._start_again(view)
        elif view.state not in ENDED and (view.life.idle_s or view.asleep):
            self._sleeper(view.id)

    def _start_again(self, view: ServerView) -> None:
        try:
            self._servers.restart(view.id, crash=view.crash)
        except ConsoleError as error:
            message = error.messages[0]
            log.warning("%s isn't started again: %s", view.name, error)
            given_up = replace(view.crash, again_at=0.0, reason=message) if view.crash is not None else None
            reason = message if given_up is None else view.reason  # what keeps it from coming back
            self._servers.change(view.id, lambda view: replace(view, crash=given_up, reason=reason))

    def _sleeper(self, server_id: str) -> Sleeper:
        self._servers.get(server_id)
        with self._lock:
            if self._closed:
                raise Unavailable(Message("life.not-awake", {"name": server_id}))
            sleeper = self._sleepers.get(server_id)
            if sleeper is None or not sleeper.is_alive():
                sleeper = Sleeper(
                    server_id,
                    lambda change: self._servers.change(server_id, change),
                    lambda: keys.read_key(self._servers.key_file(server_id)),
                    lambda: self._answering(server_id),
                    self._prober,
                )
                self._sleepers[server_id] = sleeper
                sleeper.start()
            return sleeper
