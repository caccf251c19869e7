"""The presets of this console: those that come with it, and the person's own, kept in the store."""

import logging
import secrets
from dataclasses import replace

from backend.engines.base import ServeConfig
from backend.errors import Conflict, InvalidInput, Message, NotFound
from backend.presets.preset import MOST, Preset, from_file, from_json, of_config, to_file
from backend.presets.shipped import SHIPPED
from backend.store import Store

AREA = "preset"
log = logging.getLogger(__name__)


class Shelf:
    """Every method is safe to call from any thread: all state is the store's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> tuple[Preset, ...]:
        """Own ones by name, then those that come with the console. Raises Unavailable."""
        return (*self.own(), *SHIPPED)

    def own(self) -> tuple[Preset, ...]:
        """The person's own by name; one that can't be read is left out and left alone. Raises Unavailable."""
        found = []
        for preset_id, value in self._store.all(AREA).items():
            try:
                found.append(from_json(preset_id, value))
            except InvalidInput as error:
                log.error("preset %s can't be read: %s", preset_id, error)
        return tuple(sorted(found, key=lambda preset: preset.name.casefold()))

    def get(self, preset_id: str) -> Preset:
        """That preset. Raises NotFound, Unavailable."""
        found = next((preset for preset in self.all() if preset.id == preset_id), None)
        if found is None:
            raise NotFound(Message("presets.not-found", {"id": preset_id}, "preset"))
        return found

    def save(self, name: str, config: ServeConfig, model: str, card_gib: float) -> Preset:
        """Keep these settings under that name; the own preset that has it already is written over.

        Raises InvalidInput, Conflict where there are too many, Unavailable where it can't be stored.
        """
        preset = of_config("", name, config, model, card_gib)
        (kept,) = self._keep([preset])
        return kept

    def delete(self, preset_id: str) -> Preset:
        """Forget an own preset. Raises NotFound, Conflict for one that comes with the console, Unavailable."""
        preset = self.get(preset_id)
        if preset.shipped:
            raise Conflict(Message("presets.shipped-stays", field="preset"))
        self._store.delete(AREA, preset_id)
        return preset

    def to_file(self) -> str:
        """The person's own, as the text of a file. Raises Unavailable."""
        return to_file(self.own())

    def take(self, text: str) -> tuple[Preset, ...]:
        """Keep a file's presets; those of the same name are written over. Raises InvalidInput, Conflict, Unavailable:
        nothing is kept then."""
        return self._keep(from_file(text))

    def _keep(self, presets: list[Preset]) -> tuple[Preset, ...]:
        own = {preset.name: preset.id for preset in self.own()}
        if len(own.keys() | {preset.name for preset in presets}) > MOST:
            raise Conflict(Message("presets.too-many", {"most": MOST}))
        kept = {p.name: replace(p, id=own.get(p.name) or secrets.token_hex(6)) for p in presets}  # the last of a name
        for preset in kept.values():
            self._store.put_json(AREA, preset.id, preset.to_json())
        return tuple(kept.values())
