"""A conversation in memory: what it is now, who writes in it, and who watches."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from backend.chat.archive import Archive
from backend.chat.conversation import ENDED, Answer, AnswerState, Conversation, to_json
from backend.chat.stats import Meter
from backend.errors import Message

SAVE_EVERY_S = 5.0
SEARCHED_AT_ONCE = 200_000  # characters


@dataclass(frozen=True)
class Crowd:
    """Who else is at the server while an answer's first token is waited for: ``beside`` are answered at the same time,
    by what the console knows; ``waiting`` wait inside the server, by its own word; ``at_once``: so many it answers at
    the same time, None = not known."""

    beside: int = 0
    waiting: int = 0
    at_once: int | None = None


@dataclass(frozen=True)
class View:
    """A conversation at one moment.

    ``active``: answers are under way. ``places``: (place, length of the line) by lane, where one waits for its turn;
    ``crowds``: by lane, until the first token.
    ``waited_s``: since the question was asked. ``problem``: why it isn't kept across a restart. ``id``: the
    conversation's, ``version`` grows whenever it changes. ``doing``: by lane, what is done before it can be asked.
    """

    conversation: Conversation
    active: bool
    places: dict[int, tuple[int, int]]
    waited_s: float
    problem: Message | None = None
    id: str = ""
    version: int = 0
    doing: Mapping[int, Message] = field(default_factory=dict)
    crowds: Mapping[int, Crowd] = field(default_factory=dict)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The answers to the last question, by lane."""
        exchanges = self.conversation.exchanges
        return exchanges[-1].answers if exchanges else ()

    @property
    def characters(self) -> int:
        """The length of the longest answer under way."""
        return max((len(answer.text) + len(answer.thinking) for answer in self.answers), default=0)


@dataclass
class Room:
    """For one event loop. ``version`` grows at every change; ``visitor`` began it, and has its pictures."""

    id: str
    visitor: str
    conversation: Conversation
    patience_s: float
    on_abandoned: Callable[["Room"], None]
    version: int = 0
    asked_at: float = 0.0
    tasks: tuple[asyncio.Task[None], ...] = ()
    places: dict[int, tuple[int, int]] = field(default_factory=dict)
    doing: dict[int, Message] = field(default_factory=dict)
    unattended: bool = False  # what is written goes on though nobody looks
    crowds: dict[int, Callable[[], Crowd]] = field(default_factory=dict)
    watchers: int = 0
    why_ended: Message | None = None
    problem: Message | None = None
    deleted: bool = False
    wanted: dict[str, asyncio.Future[str]] = field(default_factory=dict)  # results of tools that a person shall type
    characters: int = 0  # of the conversation, when it was last asked
    held: int = 0  # calls that will come back to it
    _saving: asyncio.Lock = field(default_factory=asyncio.Lock)
    _saved_at: float = 0.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)  # nothing is under way
    _patience: asyncio.TimerHandle | None = None

    @property
    def active(self) -> bool:
        """Whether an answer is under way."""
        return any(answer.state not in ENDED for answer in self._last_answers)

    @property
    def _last_answers(self) -> tuple[Answer, ...]:
        exchanges = self.conversation.exchanges
        return exchanges[-1].answers if exchanges else ()

    @property
    def idle(self) -> bool:
        """Whether nobody would miss it in memory: what couldn't be stored is only here."""
        quiet = not self.watchers and not self.held and all(task.done() for task in self.tasks)
        return quiet and self.problem is None

    @property
    def save_due(self) -> bool:
        """Whether a long answer should be saved in between."""
        return time.monotonic() - self._saved_at > SAVE_EVERY_S

    def view(self) -> View:
        """The conversation now."""
        waited = time.monotonic() - self.asked_at if self.active else 0.0
        waiting = {lane for lane, answer in enumerate(self._last_answers) if answer.state is AnswerState.WAITING}
        crowds = {lane: crowd() for lane, crowd in self.crowds.items() if lane in waiting}
        places, doing = dict(self.places), dict(self.doing)
        return View(self.conversation, self.active, places, waited, self.problem, self.id, self.version, doing, crowds)

    def answer(self, lane: int) -> Answer:
        """The last question's answer in that lane."""
        return self.conversation.exchanges[-1].answers[lane]

    def show(self, lane: int, answer: Answer) -> None:
        """A newer version of that answer."""
        self.conversation = self.conversation.with_answer(lane, answer)
        self.bump()

    def settle(self, lane: int, state: AnswerState, why: Message | None, meter: Meter) -> None:
        """The answer ended otherwise than by itself; what was written stays."""
        self.show(lane, replace(self.answer(lane), state=state, end=why, stats=meter.stats(time.monotonic())))

    def bump(self) -> None:
        """Wake those who watch."""
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()
        if not self.active:
            self._ended.set()
        elif self._ended.is_set():
            self._ended.clear()

    async def newer(self, version: int, timeout_s: float) -> None:
        """Wait until it has changed since that version, at most so long."""
        if self.version == version:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
            except TimeoutError:
                return

    async def rest(self, seconds: float) -> None:
        """Wait so long, at most until nothing is under way: an answer's end is seen at once."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """It stays in memory within this block."""
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Somebody looks, within this block."""
        self.watchers += 1
        self.expect_watcher()
        try:
            yield
        finally:
            self.watchers -= 1
            self.expect_watcher()

    def expect_watcher(self) -> None:
        """From now on somebody must come and look within a while; ``on_abandoned`` is called where nobody does."""
        if self._patience is not None:
            self._patience.cancel()
        loop = asyncio.get_running_loop()
        self._patience = None if self.watchers else loop.call_later(self.patience_s, self.on_abandoned, self)

    def __post_init__(self) -> None:
        self.characters = self.conversation.characters

    async def save(self, archive: Archive) -> None:
        """Write it to the archive. Raises what that raises; then it is written as soon as that can be done."""
        async with self._saving:  # nobody but another save waits for it: the older one must not come last
            if self.deleted:
                return
            self._saved_at = time.monotonic()
            # What is searched, too; of a very long one only at the end of an answer.
            whole = not self.active or self.conversation.characters < SEARCHED_AT_ONCE
            stored = to_json(self.conversation)
            await asyncio.to_thread(archive.save, self.id, self.visitor, stored, whole=whole)
            self.problem = None

    async def delete(self) -> None:
        """No save under way or to come writes it again."""
        async with self._saving:
            self.deleted = True
