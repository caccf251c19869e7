"""Tells a model's thought from its answer where both come as one text.

Templates differ: most models write ``<think>…</think>`` first; some templates have written the opening already, so that
only the closing comes. What begins with no known tag is an answer; tags whose names are ordinary words are known only
where the model's own chat template has them.
"""

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backend.chat.json_text import UNSEEN
from backend.models.chat_template import TEMPLATE_FILES, template_of

Tag = tuple[str, str]

_HARMONY = "<|channel|>analysis<|message|>"
_HARMONY_ANSWER = "<|start|>assistant<|channel|>final<|message|>"
_HARMONY_END = "<|return|>"
HARMONY: Tag = (_HARMONY, _HARMONY_ANSWER)
TAGS: tuple[Tag, ...] = (
    ("<think>", "</think>"),
    ("<think >", "</think >"),
    ("<Think>", "</Think>"),
    ("<THINK>", "</THINK>"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<unused94>thought", "<unused95>"),
    HARMONY,
    (f"<|start|>assistant{_HARMONY}", _HARMONY_ANSWER),
)
LONGEST = max(len(word) for tag in TAGS for word in tag)
MOST_TAGS = 16

# Variables of a chat template that say whether the model thinks first: Qwen3 and most others, DeepSeek.
SWITCHES = ("enable_thinking", "thinking")

_STATEMENT = re.compile(r"\{[%{].*?[%}]\}", re.DOTALL)
_STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_IN_TEMPLATE = re.compile(r"</([a-z][\w:-]{2,30})>")
_THOUGHT_WORDS = ("think", "thought", "reason", "reflect", "analysis")
_QUOTES = "`'\"“”‘’「『《"


def template_tags(template: str) -> tuple[Tag, ...]:
    """Further tags that a chat template takes for thought: ``<thinking>``, ``<reasoning>``."""
    names = dict.fromkeys(_IN_TEMPLATE.findall(template))
    tags = [(f"<{name}>", f"</{name}>") for name in names if any(word in name for word in _THOUGHT_WORDS)]
    return tuple(tag for tag in tags if tag not in TAGS)[:MOST_TAGS]


def thinking_switch(template: str) -> str:
    """The variable by which a chat template is told whether the model shall think; "" where it has none."""
    text = template.replace('\\"', '"').replace("\\n", "\n")  # a template in a JSON file
    code = "\n".join(_STRING.sub("", statement) for statement in _STATEMENT.findall(text))
    for name in SWITCHES:
        used = re.search(rf"(?<![\w.\[]){name}\b(?!\s*(?:\(|=[^=]))", code)
        its_own = re.search(rf"\bset\s+{name}\s*=", code)
        given = re.search(rf"(?<![\w.\[]){name}\s*(?:is\s+(?:not\s+)?defined|\|\s*default)", code)
        if used and (given or not its_own):
            return name
    return ""


def switch_of(folder: Path) -> str:
    """``thinking_switch`` of the model in that folder; remembered until its files change."""
    stamps = []
    for name in TEMPLATE_FILES:
        with contextlib.suppress(OSError):
            stamps.append((folder / name).stat().st_mtime_ns)
    return _switch_of(folder, tuple(stamps))


@lru_cache(maxsize=64)
def _switch_of(folder: Path, stamps: tuple[int, ...]) -> str:
    return thinking_switch(template_of(folder))


@dataclass
class ThoughtReader:
    """``text`` and ``thinking`` are what the answer and the thought are so far; ``read`` adds a piece.

    A tag that is cut over pieces is held back until it is whole, or plainly is none; ``end`` gives it out.
    """

    more_tags: Sequence[Tag] = ()
    text: str = ""
    thinking: str = ""
    _state: str = "start"  # "start", "thought", "answer" (a closing may still come), "after"
    _held: str = ""
    _closing: str = ""

    def read(self, piece: str) -> None:
        """A piece of what the model writes."""
        if self._state == "start":
            self._held += piece
            self._begin()
        elif self._state == "thought":
            self._think(piece)
        elif self._state == "answer":
            self._answer(piece)
        elif not self.text:
            self.text = piece.lstrip()
        else:
            self.text += piece

    def end(self) -> None:
        """No more comes."""
        held, self._held = self._held, ""
        if self._state == "thought":
            self.thinking += held
        else:
            self.text += held
        if self._closing == _HARMONY_ANSWER:
            self.text = self.text.removesuffix(_HARMONY_END)

    @property
    def _tags(self) -> tuple[Tag, ...]:
        return (*TAGS, *self.more_tags)

    def _begin(self) -> None:
        start = self._held.lstrip().lstrip(UNSEEN).lstrip()
        for opening, closing in self._tags:
            if start.startswith(opening):
                self._state, self._closing, self._held = "thought", closing, ""
                self._think(start[len(opening) :])
                return
        if start and not any(opening.startswith(start) for opening, _ in self._tags):
            held, self._held, self._state = self._held, "", "answer"
            self._answer(held)

    def _think(self, piece: str) -> None:
        thought = self._held + piece
        before, found, after = thought.partition(self._closing)
        if found:
            self._held = ""
            self.thinking = (self.thinking + before).replace("<|end|>", "").strip()
            self._state = "after"
            self.text = after.lstrip()
            return
        kept = _cut_tag(thought, self._closing)
        self._held = thought[len(thought) - kept :]
        shown = thought[: len(thought) - kept]
        self.thinking = self.thinking + shown if self.thinking else shown.lstrip()

    def _answer(self, piece: str) -> None:
        """A closing that no opening came before: the template had written that."""
        at = max(0, len(self.text) - LONGEST)
        self.text += piece
        for opening, closing in self._tags:
            place = self.text.find(closing, at)
            if place < 0 or opening in self.text or _is_quoted(self.text, place):
                continue
            self.thinking = (self.thinking + self.text[:place]).strip()
            self.text = self.text[place + len(closing) :].lstrip()
            self._state = "after"
            return


def _cut_tag(text: str, tag: str) -> int:
    """How many characters at the end may be the tag's beginning."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)


def _is_quoted(text: str, at: int) -> bool:
    """Whether it is spoken of there, in code or in quotes, not meant."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    fences = re.findall(r"^ {0,3}(?:```|~~~)", text[:at], re.MULTILINE)
    return len(fences) % 2 == 1 or line.count("`") % 2 == 1 or (at > 0 and text[at - 1] in _QUOTES)
