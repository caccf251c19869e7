"""Settings and prompts under a name: each visitor's own, which outlive the console."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from backend.chat.conversation import Sampling, sampling_from_json
from backend.classroom.people import People
from backend.errors import InvalidInput, Message, NotFound
from backend.store import Store

AREA = "chat_preset"
FIELD = "preset"
MOST = 100  # of one visitor
NAME_LENGTH = 60
QUESTION_LENGTH = 20_000


@dataclass(frozen=True)
class Preset:
    """``prompt``: it is a system prompt with a first question; else it is all other settings."""

    name: str
    prompt: bool
    sampling: Sampling
    question: str = ""


class Presets:
    """For one event loop. What was stored and can't be read is left as it is and not offered."""

    def __init__(self, store: Store, people: People) -> None:
        self._store = store
        self._people = people

    def of(self, visitor: str) -> tuple[Preset, ...]:
        """The visitor's own, in the order of their names."""
        found = [preset for value in self._stored(visitor) if (preset := _from_json(value)) is not None]
        return tuple(sorted(found, key=lambda preset: preset.name.casefold()))

    def get(self, visitor: str, name: str, prompt: bool) -> Preset:
        """That one. NotFound."""
        for preset in self.of(visitor):
            if (preset.name, preset.prompt) == (name, prompt):
                return preset
        raise NotFound(Message("chat.error.preset_gone", {"name": name[:NAME_LENGTH]}, field=FIELD))

    def keep(self, visitor: str, preset: Preset) -> Preset:
        """Write it; one of the same name and kind is replaced. Raises InvalidInput, Unavailable."""
        name = " ".join(preset.name.split())
        if not 0 < len(name) <= NAME_LENGTH:
            raise InvalidInput(
                Message("chat.error.preset_name", {"count": len(name), "limit": NAME_LENGTH}, field=FIELD)
            )
        if len(preset.question) > QUESTION_LENGTH:
            counts = {"count": len(preset.question), "limit": QUESTION_LENGTH}
            raise InvalidInput(Message("chat.error.preset_question", counts, field=FIELD))
        others = self._without(visitor, name, preset.prompt)
        if len(others) >= MOST:
            raise InvalidInput(Message("chat.error.preset_count", {"limit": MOST}, field=FIELD))
        kept = Preset(name, preset.prompt, preset.sampling, preset.question)
        self._store.put_json(AREA, self._people.name(visitor), [*others, asdict(kept)])
        return kept

    def forget(self, visitor: str, name: str, prompt: bool) -> None:
        """Remove it, if it is there. Raises Unavailable."""
        self._store.put_json(AREA, self._people.name(visitor), self._without(visitor, name, prompt))

    def _stored(self, visitor: str) -> list[Any]:
        stored = self._store.get_json(AREA, self._people.name(visitor))
        return stored if isinstance(stored, list) else []

    def _without(self, visitor: str, name: str, prompt: bool) -> list[Any]:
        def is_it(value: Any) -> bool:
            return isinstance(value, Mapping) and (value.get("name"), value.get("prompt")) == (name, prompt)

        return [value for value in self._stored(visitor) if not is_it(value)]


def _from_json(value: Any) -> Preset | None:
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return None
    try:
        sampling = sampling_from_json(value.get("sampling") or {})
    except (ValueError, InvalidInput):
        return None
    return Preset(value["name"], value.get("prompt") is True, sampling, str(value.get("question") or ""))
