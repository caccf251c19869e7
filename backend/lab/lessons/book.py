"""The lessons on the shelf, and each visitor's way through them. Safe to call from any thread."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backend import disk
from backend.classroom.names import Names
from backend.errors import ConsoleError, InvalidInput, Message, NotFound
from backend.lab.lessons.figures import FIGURES, Plans, load_replays, read_prediction
from backend.lab.lessons.lesson import MOST_BYTES, Lesson, Step, read_lesson
from backend.lab.lessons.progress import PREDICTED, READ, REPLAYED, SEEN, Done, Progress, from_json
from backend.lab.lessons.states import STATES, Facts
from backend.private_folders import make_private
from backend.store import Store
from backend.whole_file import write_whole

SHELF = Path(__file__).parents[3] / "assets" / "lessons"
AREA = "lesson"
MOST_OWN = 100


@dataclass(frozen=True)
class Shelf:
    """Every lesson in its order, and what is wrong with the files that aren't one."""

    lessons: tuple[Lesson, ...]
    problems: tuple[Message, ...] = ()

    def get(self, lesson_id: str) -> Lesson:
        """The lesson of that id. Raises NotFound."""
        for lesson in self.lessons:
            if lesson.id == lesson_id:
                return lesson
        raise NotFound(Message("lab.lesson.gone"))


class Lessons:
    """``facts(visitor, what they did, begun_at)`` tells of the console now; ``plans`` is its planner, ``model`` the
    folder of the model that plans are made for. ``circle`` names a visitor's one way: an operator's browsers share
    theirs."""

    def __init__(
        self,
        store: Store,
        own: Path,
        facts: Callable[[str, frozenset[str], float], Facts],
        plans: Plans,
        model: Callable[[], str],
        circle: Callable[[str], str],
        clock: Callable[[], float] = time.time,
        names: Names | None = None,
    ) -> None:
        self.names = names or Names(store, circle)
        self._store, self._own, self._clock = store, own, clock
        self._facts, self._plans, self._model, self._circle = facts, plans, model, circle
        self._lock = threading.Lock()
        self._ways: dict[tuple[str, str], Progress] = {}
        for key, value in store.all(AREA).items():
            who, _, lesson_id = key.partition("/")
            try:
                self._ways[who, lesson_id] = from_json(value)
            except (KeyError, TypeError, ValueError, AttributeError):
                continue  # of another version: the lesson begins anew
        self._events: dict[str, dict[str, float]] = {}
        self.replays = load_replays()
        self._shelf: tuple[tuple[Any, ...], Shelf] | None = None

    # The shelf

    def shelf(self) -> Shelf:
        """The console's lessons, then a teacher's. Files that changed are read anew."""
        files = [(path, False) for path in sorted(SHELF.glob("*.md")) if path.name != "README.md"]
        if self._own.is_dir():
            files += [(path, True) for path in sorted(self._own.glob("*.md"))[:MOST_OWN]]
        marks = tuple((str(path), _mark(path)) for path, _ in files)
        with self._lock:
            if self._shelf is not None and self._shelf[0] == marks:
                return self._shelf[1]
        lessons: dict[str, Lesson] = {}
        problems: list[Message] = []
        for path, own in files:
            try:
                lesson = read_lesson(_content(path), path.name, self.replays, own=own)
                if lesson.id in lessons:
                    raise InvalidInput(
                        Message("lab.lesson.file.same", {"name": path.name[:120], "value": lesson.id}, "lesson")
                    )
                lessons[lesson.id] = lesson
            except ConsoleError as error:
                problems += error.messages
            except OSError as error:
                params = {"name": path.name[:120], "problem": error.strerror or str(error)}
                problems.append(Message("lab.lesson.file.unreadable", params, "lesson"))
        made = Shelf(tuple(sorted(lessons.values(), key=lambda one: (one.order, one.id))), tuple(problems))
        with self._lock:
            self._shelf = (marks, made)
        return made

    def add(self, content: bytes, name: str) -> Lesson:
        """Put a teacher's lesson on the shelf; one of the same id that is a teacher's is replaced. Raises InvalidInput,
        Unavailable."""
        lesson = read_lesson(content, name, self.replays, own=True)
        if any(one.id == lesson.id and not one.own for one in self.shelf().lessons):
            raise InvalidInput(Message("lab.lesson.file.same", {"name": name[:120], "value": lesson.id}, "lesson"))
        try:
            make_private(self._own)
            write_whole(self._own / f"{lesson.id}.md", content)
        except OSError as error:
            raise disk.cannot_write(self._own, error) from error
        return lesson

    def remove(self, lesson_id: str) -> None:
        """Take a teacher's lesson off the shelf. Raises NotFound for the console's own."""
        lesson = self.shelf().get(lesson_id)
        if not lesson.own:
            raise NotFound(Message("lab.lesson.gone"))
        for path in self._own.glob("*.md"):
            try:
                if read_lesson(_content(path), path.name, self.replays).id == lesson_id:
                    path.unlink(missing_ok=True)
            except (ConsoleError, OSError):
                continue

    # A visitor's way

    def note(self, visitor: str, *what: str) -> None:
        """That visitor did this now ("chat", "tool", "picture", "api"). Quick; for any thread."""
        now = self._clock()
        who = self._circle(visitor)
        with self._lock:
            self._events.setdefault(who, {}).update(dict.fromkeys(what, now))

    def way(self, visitor: str, lesson_id: str) -> Progress | None:
        """How far they are; None where they haven't begun."""
        with self._lock:
            return self._ways.get((self._circle(visitor), lesson_id))

    def begin(self, visitor: str, lesson_id: str, *, anew: bool = False) -> Progress:
        """Begin, or begin ``anew``. Raises NotFound."""
        self.shelf().get(lesson_id)
        way = self.way(visitor, lesson_id)
        if way is None or anew:
            way = Progress(self._clock(), changed_at=self._clock())
            self._keep(visitor, lesson_id, way)
        return way

    def look(self, visitor: str, lesson_id: str) -> tuple[Lesson, Progress]:
        """Tick off what is true now. Raises NotFound where they haven't begun."""
        lesson = self.shelf().get(lesson_id)
        way = self.begin(visitor, lesson_id)
        open_steps = [step for step in lesson.steps if step.kind == "check" and step.id not in way.done]
        if open_steps:
            with self._lock:
                did = self._events.get(self._circle(visitor), {})
                events = frozenset(what for what, at in did.items() if at >= way.begun_at)
            facts = self._facts(visitor, events, way.begun_at)
            for step in open_steps:
                if STATES[step.what].holds(facts, step.given):
                    way = self._done(visitor, lesson_id, step, Done(self._clock(), SEEN))
        return lesson, way

    def read(self, visitor: str, lesson_id: str, step_id: str) -> None:
        """A step that only wants to be read was. Raises NotFound, InvalidInput."""
        step = self._step(lesson_id, step_id, "read")
        self._done(visitor, lesson_id, step, Done(self._clock(), READ))

    def replay(self, visitor: str, lesson_id: str, step_id: str) -> None:
        """The recorded run was looked at, in place of a real one. Raises NotFound, InvalidInput."""
        step = self._step(lesson_id, step_id, "check")
        if not step.replay:
            raise InvalidInput(Message("lab.lesson.no_replay"))
        self._done(visitor, lesson_id, step, Done(self._clock(), REPLAYED))

    def predict(self, visitor: str, lesson_id: str, step_id: str, typed: object) -> Done:
        """What a student says a figure will be; it is held against the figure. Raises NotFound, InvalidInput."""
        step = self._step(lesson_id, step_id, "predict")
        said = read_prediction(typed)
        done = Done(self._clock(), PREDICTED, said, self.figure(step))
        self._done(visitor, lesson_id, step, done)
        return done

    def figure(self, step: Step) -> float:
        """What a prediction is held against. Raises InvalidInput where it can't be worked out."""
        try:
            return FIGURES[step.what].work_out(step.given, self._plans, self._model())
        except (TypeError, ValueError, ArithmeticError) as error:
            raise InvalidInput(Message("lab.lesson.no_figure", {"problem": str(error)[:120]}, "lesson")) from None

    def write(self, visitor: str, lesson_id: str, words: str) -> None:
        """The student's words for the report. Raises InvalidInput, NotFound."""
        self._keep(visitor, lesson_id, self.begin(visitor, lesson_id).with_words(words, self._clock()))

    def name(self, visitor: str) -> str:
        """The name that they gave themselves, which stands on the report; "" without one."""
        return self.names.of(visitor)

    def everyone(self) -> Mapping[str, tuple[str, Mapping[str, Progress]]]:
        """By visitor (an operator's browsers are one): the name they gave, and their way through each lesson."""
        names = self.names.by_person()
        with self._lock:
            found: dict[str, tuple[str, dict[str, Progress]]] = {}
            for (who, lesson_id), way in self._ways.items():
                found.setdefault(who, (names.get(who, ""), {}))[1][lesson_id] = way
            return found

    # Parts

    def _step(self, lesson_id: str, step_id: str, kind: str) -> Step:
        step = self.shelf().get(lesson_id).step(step_id)
        if step is None or step.kind != kind:
            raise NotFound(Message("lab.lesson.gone"))
        return step

    def _done(self, visitor: str, lesson_id: str, step: Step, done: Done) -> Progress:
        way = self.begin(visitor, lesson_id).with_done(step.id, done)
        self._keep(visitor, lesson_id, way)
        return way

    def _keep(self, visitor: str, lesson_id: str, way: Progress) -> None:
        who = self._circle(visitor)
        with self._lock:
            before = self._ways.get((who, lesson_id))
            if before is not None and before.begun_at == way.begun_at:
                # Two pages of one visitor: what either has ticked off stays.
                way = replace(way, done={**before.done, **way.done})
            self._ways[who, lesson_id] = way
        self._store.keep_json(AREA, f"{who}/{lesson_id}", way.to_json())


def _mark(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return (0, 0)
    return (stat.st_mtime_ns, stat.st_size)


def _content(path: Path) -> bytes:
    """A file's bytes, no more than a lesson may have and one to tell that it has more."""
    with path.open("rb") as file:
        return file.read(MOST_BYTES + 1)
