"""A lesson, and its file: Markdown with YAML front matter (assets/lessons/README.md says how one is written). Pure.

A file is a stranger's: it is bounded, its YAML holds no object, no alias and nothing unknown, and its texts are shown
as texts. It can name states and figures of the console, and nothing else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from backend.errors import InvalidInput, Message
from backend.lab.lessons.figures import FIGURES, Figure
from backend.lab.lessons.states import STATES, State
from backend.outside_text import clean_lines

MOST_BYTES = 256 * 1024
MOST_STEPS = 60
LONGEST_TEXT = 4000
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_CONTROL = re.compile(r"(?:deploy|quantize|chat|vram|lab|header)-[a-z0-9-]{1,60}")
_FRONT = re.compile(r"\A---[ \t]*\n(.*?\n)---[ \t]*(?:\n(.*))?\Z", re.DOTALL)
_CHINESE = re.compile(r"^<!--\s*zh\s*-->\s*$", re.MULTILINE)
_TAKEN = ("class", "name", "add")  # ends of routes
TABS = ("deploy", "quantize", "chat", "vram", "lab")
_LESSON = {"id", "title", "order", "minutes", "steps"}
_STEP = {"id", "text", "why", "tab", "control", "check", "predict", "read", "with", "replay", "gpu"}

Values = Mapping[str, str | int | float | bool]


@dataclass(frozen=True)
class Both:
    """A text in both languages."""

    en: str
    zh: str


@dataclass(frozen=True)
class Step:
    """One thing to do. ``kind`` is "check" (``what``: a named state, with its conditions in ``given``), "predict"
    (``what``: a named figure, with its values) or "read". ``replay`` names a recorded run that stands in for it where
    there is no GPU."""

    id: str
    kind: str
    text: Both
    why: Both
    what: str = ""
    given: Values = field(default_factory=dict)
    tab: str = ""
    control: str = ""
    replay: str = ""


@dataclass(frozen=True)
class Lesson:
    """A lesson. ``own``: a teacher's, not one of the console's."""

    id: str
    title: Both
    intro: Both
    steps: tuple[Step, ...]
    order: float = 1000.0
    minutes: int = 0
    own: bool = False

    def step(self, step_id: str) -> Step | None:
        """The step of that id."""
        return next((step for step in self.steps if step.id == step_id), None)


class _Strict(yaml.SafeLoader):
    """Plain values alone: an alias could stand for billions of them."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*name)")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """A name that stands twice would lose what it said first."""
        names = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in names:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands twice", key.start_mark)
            names.add(str(key.value))
        return super().construct_mapping(node, deep)


def read_lesson(content: bytes, name: str, replays: Mapping[str, Any], *, own: bool = False) -> Lesson:
    """The lesson of a file. Raises InvalidInput, which says what is wrong with it and where."""
    if len(content) > MOST_BYTES:
        raise _wrong("large", name, most=MOST_BYTES // 1024)
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").lstrip()
    except UnicodeDecodeError as error:
        raise _wrong("encoding", name, byte=error.start) from None
    match = _FRONT.match(text)
    if match is None:
        raise _wrong("front", name)
    try:
        front = yaml.load(match[1], Loader=_Strict)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark else 1
        raise _wrong("yaml", name, line=line, problem=str(error.problem)[:120]) from None
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise _wrong("yaml", name, line=1, problem=str(error)[:120]) from None
    reader = _Reader(name, replays)
    return reader.lesson(front, match[2] or "", own)


class _Reader:
    def __init__(self, name: str, replays: Mapping[str, Any]) -> None:
        self.name = name
        self.replays = replays

    def lesson(self, front: Any, body: str, own: bool) -> Lesson:
        front = self._mapping(front, "front matter", _LESSON)
        steps = front.get("steps")
        if not isinstance(steps, list) or not 1 <= len(steps) <= MOST_STEPS:
            raise _wrong("steps", self.name, most=MOST_STEPS)
        read = tuple(self._step(step, number) for number, step in enumerate(steps, 1))
        twice = [step.id for place, step in enumerate(read) if step.id in {other.id for other in read[:place]}]
        if twice:
            raise _wrong("twice", self.name, value=twice[0])
        halves = _CHINESE.split(body, maxsplit=1)
        intro = Both(clean_lines(halves[0].strip()), clean_lines(halves[-1].strip()))
        if max(len(intro.en), len(intro.zh)) > LONGEST_TEXT:
            raise _wrong("text", self.name, where="text below the front matter")
        return Lesson(
            self._id(front.get("id"), "id"),
            self._text(front.get("title"), "title"),
            intro,
            read,
            self._number(front.get("order", 1000), "order"),
            int(self._number(front.get("minutes", 0), "minutes")),
            own,
        )

    def _step(self, value: Any, number: int) -> Step:
        where = f"step {number}"
        step = self._mapping(value, where, _STEP)
        kinds = [kind for kind in ("check", "predict", "read") if kind in step]
        if len(kinds) != 1:
            raise _wrong("kind", self.name, where=where)
        kind = kinds[0]
        what = "" if kind == "read" else str(step[kind])
        known: Mapping[str, State | Figure] = STATES if kind == "check" else FIGURES
        if kind != "read" and what not in known:
            raise _wrong("unknown", self.name, where=where, value=what[:80], known=", ".join(sorted(known)))
        given = self._given(step.get("with") or {}, where, known[what].takes if what else frozenset())
        missing = sorted(FIGURES[what].needs - set(given)) if kind == "predict" else []
        if missing:
            raise _wrong("missing", self.name, where=where, value=what, known=", ".join(missing))
        tab, control = str(step.get("tab") or ""), str(step.get("control") or "")
        if tab and tab not in TABS:
            raise _wrong("unknown", self.name, where=f"{where}, tab", value=tab[:80], known=", ".join(TABS))
        if control and not _CONTROL.fullmatch(control):
            raise _wrong("control", self.name, where=where, value=control[:80])
        replay = str(step.get("replay") or "")
        if replay and replay not in self.replays:
            raise _wrong(
                "unknown", self.name, where=f"{where}, replay", value=replay[:80], known=", ".join(self.replays)
            )
        why = self._text(step["why"], f"{where}, why") if "why" in step else Both("", "")
        text = self._text(step.get("text"), f"{where}, text")
        return Step(self._id(step.get("id"), f"{where}, id"), kind, text, why, what, given, tab, control, replay)

    def _mapping(self, value: Any, where: str, known: set[str]) -> Mapping[str, Any]:
        if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
            raise _wrong("mapping", self.name, where=where)
        for name in value:
            if name not in known:
                raise _wrong("unknown", self.name, where=where, value=name[:80], known=", ".join(sorted(known)))
        return value

    def _given(self, value: Any, where: str, takes: frozenset[str]) -> Values:
        given = self._mapping(value, f"{where}, with", set(takes))
        for name, one in given.items():
            plain = isinstance(one, (str, int, float)) and len(str(one)) <= 80
            if not plain or (isinstance(one, float) and not abs(one) < 1e15):
                raise _wrong("value", self.name, where=f"{where}, {name}", value=str(one)[:80])
        return given

    def _text(self, value: Any, where: str) -> Both:
        """One text for both languages, or {en, zh}."""
        texts = {"en": value, "zh": value} if isinstance(value, str) else value
        if not isinstance(texts, dict) or not set(texts) <= {"en", "zh"}:
            raise _wrong("text", self.name, where=where)
        en, zh = texts.get("en"), texts.get("zh")
        en, zh = en or zh, zh or en
        if not isinstance(en, str) or not isinstance(zh, str) or not en.strip() or max(len(en), len(zh)) > LONGEST_TEXT:
            raise _wrong("text", self.name, where=where)
        return Both(clean_lines(en.strip()), clean_lines(zh.strip()))

    def _id(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or not _NAME.fullmatch(value) or value in _TAKEN:
            raise _wrong("id", self.name, where=where, value=str(value)[:80])
        return value

    def _number(self, value: Any, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1e6:
            raise _wrong("value", self.name, where=where, value=str(value)[:80])
        return float(value)


def _wrong(kind: str, name: str, **params: str | int) -> InvalidInput:
    return InvalidInput(Message(f"lab.lesson.file.{kind}", {"name": name[:120], **params}, "lesson"))
