"""Puts one server to sleep while nobody asks it anything, and wakes it at the next question: LMDeploy's /sleep moves
the weights into the machine's memory and drops the KV cache; /wakeup brings both back in seconds.

The view says ``asleep`` before the request is sent: a question that came before is seen in ``answering``, and one that
comes after sees it and waits to be woken.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from backend.errors import ConsoleError, Message, Unavailable
from backend.memory.metrics import Metrics, parse
from backend.servers.probe import Answer, Prober
from backend.servers.server import ServerState, ServerView
from backend.servers.watch import Watch

POLL_S = 1.0
METRICS_S = 5.0  # between two looks at what others ask it directly
SLEEP_DEADLINE_S = 120.0  # hundreds of GiB of weights go through PCIe
WAKE_DEADLINE_S = 300.0

Update = Callable[[Callable[[ServerView], ServerView]], ServerView]


class Sleeper(Watch):
    """The watch over one server's sleep. ``answering``: how many of the console's own questions are under way.

    It ends with the server. ``update`` is the manager's (see Watcher).
    """

    def __init__(
        self,
        server_id: str,
        update: Update,
        api_key: Callable[[], str],
        answering: Callable[[], int],
        prober: Prober,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(f"sleeper-{server_id}")
        self._update = update
        self._api_key = api_key
        self._answering = answering
        self._prober = prober
        self._clock = clock
        self._asked_at = clock()  # when somebody last wanted something of it
        self._metrics_at = float("-inf")
        self._metrics: Metrics | None = None
        self._sure = False  # whether it really is as the view says
        self._wanted = threading.Event()
        self._woken = threading.Condition()

    def rouse(self, deadline_s: float = WAKE_DEADLINE_S) -> None:
        """Wake the server, and wait until it is awake. Raises Unavailable where it doesn't wake in time."""
        until = time.monotonic() + deadline_s
        with self._woken:
            self._wanted.set()
            self.wake()
            while self._wanted.is_set():
                left = until - time.monotonic()
                if left <= 0 or not self.is_alive():
                    break
                self._woken.wait(min(left, POLL_S))
        view = self._update(lambda view: view)
        if view.asleep:
            raise Unavailable(Message("life.not-awake", {"name": view.name}))

    def close(self) -> None:
        """End the thread; who waits to have it woken is told that it isn't."""
        super().close()
        self._told()

    def _look(self) -> float | None:
        view = self._update(lambda view: view)
        if view.state in (ServerState.STOPPED, ServerState.FAILED):
            self._update(lambda view: replace(view, asleep=False))
            self._told()
            return None
        if view.state is not ServerState.RUNNING:
            self._asked_at = self._clock()
            return POLL_S
        if view.asleep and not self._sure:
            self._sure = True
            if self._is_sleeping(view) is False:  # somebody else woke it while no console looked
                view = self._note(asleep=False)
        if self._wanted.is_set() or (view.asleep and not view.life.idle_s):
            if view.asleep:
                self._rouse(view)
            self._told()
        elif not view.asleep and view.life.idle_s:
            self._maybe_sleep(view)
        return POLL_S

    def _maybe_sleep(self, view: ServerView) -> None:
        now = self._clock()
        if self._answering() or view.first is None or view.first.state == "asking" or self._busy(view, now):
            self._asked_at = now
        if now - self._asked_at < view.life.idle_s:
            return
        self._note(asleep=True)
        if self._answering() or self._wanted.is_set():  # it came at this very moment
            self._note(asleep=False)
            self._asked_at = now
            return
        answer = self._post(view, "sleep?level=1", SLEEP_DEADLINE_S)
        if not answer.ok:
            self._stays_awake(view, answer)
        self._sure = True

    def _stays_awake(self, view: ServerView, answer: Answer) -> None:
        """It didn't fall asleep, or not in time. One that is half asleep is woken: else it refuses every question."""
        key = "life.sleep-unknown" if answer.status in (404, 405) else "life.sleep-failed"
        if self._is_sleeping(view):
            woken = self._post(view, "wakeup", WAKE_DEADLINE_S).ok or self._is_sleeping(view) is False
            key = key if woken else "life.sleep-stuck"
        problem = Message(key, {"name": view.name, "error": answer.error or f"HTTP {answer.status}"})
        self._update(lambda view: replace(view, asleep=False, life=replace(view.life, idle_s=0.0, problem=problem)))

    def _rouse(self, view: ServerView) -> None:
        answer = self._post(view, "wakeup", WAKE_DEADLINE_S)
        if answer.ok or self._is_sleeping(view) is False:
            self._asked_at = self._clock()
            self._note(asleep=False)

    def _busy(self, view: ServerView, now: float) -> bool:
        """Whether programs that know its own address ask it something. A server that doesn't tell counts as idle."""
        if now - self._metrics_at < METRICS_S:
            return False
        self._metrics_at = now
        answer = self._prober.text(f"{view.address}/metrics", self._key())
        before, self._metrics = self._metrics, parse(answer) if answer else None
        if self._metrics is None:
            return False
        moved = before is not None and before.generated != self._metrics.generated
        return moved or self._metrics.running + self._metrics.waiting > 0

    def _is_sleeping(self, view: ServerView) -> bool | None:
        """What it says itself; None where it doesn't."""
        body = self._prober.json(f"{view.address}/is_sleeping", self._key()).body
        asleep = body.get("is_sleeping") if isinstance(body, dict) else None
        return asleep if isinstance(asleep, bool) else None

    def _post(self, view: ServerView, path: str, deadline_s: float) -> Answer:
        return self._prober.post(f"{view.address}/{path}", self._key(), {}, timeout_s=deadline_s)

    def _key(self) -> str:
        try:
            return self._api_key()
        except ConsoleError:
            return ""

    def _note(self, asleep: bool) -> ServerView:
        return self._update(lambda view: replace(view, asleep=asleep))

    def _told(self) -> None:
        with self._woken:
            self._wanted.clear()
            self._woken.notify_all()
