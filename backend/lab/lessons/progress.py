"""How far a visitor is: what was ticked off, when and how, what was predicted, their words. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from backend.errors import InvalidInput, Message

SEEN, REPLAYED, READ, PREDICTED = "seen", "replayed", "read", "predicted"
LONGEST_WORDS = 5000


@dataclass(frozen=True)
class Done:
    """One step that is done: ``how`` is one of the words above; a prediction's ``said`` and ``true`` (what it was
    held against), None for the others. ``at`` is in seconds since the epoch."""

    at: float
    how: str
    said: float | None = None
    true: float | None = None


@dataclass(frozen=True)
class Progress:
    """A visitor's way through one lesson."""

    begun_at: float
    done: Mapping[str, Done] = field(default_factory=dict)
    words: str = ""
    changed_at: float = 0.0

    def with_done(self, step_id: str, done: Done) -> "Progress":
        """One more step; one that is done stays as it is, but a prediction can be made anew."""
        if step_id in self.done and done.how != PREDICTED:
            return self
        return replace(self, done={**self.done, step_id: done}, changed_at=done.at)

    def with_words(self, words: str, now: float) -> "Progress":
        """What the student writes. Raises InvalidInput where it is too long."""
        words = words.encode("utf-8", "replace").decode().replace("\0", "")
        if len(words) > LONGEST_WORDS:
            params = {"count": len(words), "limit": LONGEST_WORDS}
            raise InvalidInput(Message("lab.lesson.words_long", params, "words"))
        return replace(self, words=words, changed_at=now)

    def to_json(self) -> dict[str, Any]:
        """As a document of the store."""
        return asdict(self)


def from_json(value: Mapping[str, Any]) -> Progress:
    """The inverse of ``to_json``. Raises KeyError or TypeError where it is no such document."""
    done = {
        step: Done(**{f.name: one[f.name] for f in fields(Done) if f.name in one})
        for step, one in value["done"].items()
    }
    return Progress(float(value["begun_at"]), done, str(value.get("words", "")), float(value.get("changed_at", 0.0)))
