"""A preset as a value, and as a file that goes from one console to another. Pure.

What belongs to one machine (paths, ports, GPUs, environments), keys, and the trust in a model's own code are in none: a
file from elsewhere must not switch that on.
"""

import json
import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from backend.diagnosis import Setting
from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.errors import InvalidInput, Message, Value
from backend.outside_text import Unusable, clean, parse_json

FORMAT, VERSION = "lmdeploy-console-presets", 1
MOST, MOST_BYTES = 200, 512 * 1024
NAME_LENGTH = 80
LARGEST_CARD_GIB = 4096.0
# Flags that a file from elsewhere can't bring: they let others in, or run what comes with a model.
FORBIDDEN_FLAGS = frozenset({
    "--trust-remote-code", "--server-name", "--server-port", "--api-keys", "--allow-origins", "--ssl",
    "--allowed-media-domains", "--allow-terminate-by-client", "--proxy-url", "--hf-overrides",
})  # fmt: skip
_WORD = re.compile(r"[a-z0-9_-]{1,40}")


@dataclass(frozen=True)
class Preset:
    """``settings`` are ServeConfig's fields that it sets, those of FIELDS alone. ``model`` is the name of the folder
    that it was made for ("" = any), ``card_gib`` the GPU's size (0 = any). ``name`` of one that comes with the console
    is a key of ui/locales, and ``shipped`` is true."""

    id: str
    name: str
    model: str = ""
    card_gib: float = 0.0
    settings: Mapping[str, Setting] = field(default_factory=lambda: MappingProxyType({}))
    shipped: bool = False

    def applied(self, config: ServeConfig) -> ServeConfig:
        """The settings with this preset's in their place; the rest is left, but for what it would have to set back."""
        defaults = ServeConfig(config.engine, config.model)
        set_back = {name: getattr(defaults, name) for name in FIELDS if name not in ("engine", "extra")}
        return replace(config, **{**set_back, **self.settings})

    def to_json(self) -> dict[str, Any]:
        """As a document of the store and of a file."""
        settings = {name: list(v) if isinstance(v, tuple) else v for name, v in self.settings.items()}
        return {"name": self.name, "model": self.model, "card_gib": self.card_gib, "settings": settings}


def of_config(preset_id: str, name: str, config: ServeConfig, model: str, card_gib: float) -> Preset:
    """The preset of these settings. Raises InvalidInput for a name or for flags that no preset may have."""
    defaults = ServeConfig(config.engine, config.model)
    chosen = {
        name: getattr(config, name)
        for name in FIELDS
        if name == "engine" or getattr(config, name) != getattr(defaults, name)
    }
    return from_json(preset_id, {"name": name, "model": model, "card_gib": card_gib, "settings": _plain(chosen)})


def from_json(preset_id: str, value: Any, number: int = 0) -> Preset:
    """The preset that ``to_json`` made. Raises InvalidInput naming what is wrong; ``number`` is its place in a file."""
    where: dict[str, Value] = {"number": number or 1}
    if not isinstance(value, Mapping):
        raise InvalidInput(Message("presets.no-object", where))
    if unknown := sorted(str(key) for key in value.keys() - {"name", "model", "card_gib", "settings"}):
        raise InvalidInput(Message("presets.unknown-key", {**where, "value": _shown(unknown[0])}))
    name = checked_name(value.get("name"))
    model = value.get("model", "")
    if not isinstance(model, str) or len(model) > 200 or model != clean(model):
        raise InvalidInput(Message("presets.bad-value", {**where, "field": "model", "value": _shown(model)}))
    card = value.get("card_gib", 0)
    if isinstance(card, bool) or not isinstance(card, int | float) or not 0 <= card <= LARGEST_CARD_GIB:
        raise InvalidInput(Message("presets.bad-value", {**where, "field": "card_gib", "value": _shown(card)}))
    settings = value.get("settings")
    if not isinstance(settings, Mapping) or "engine" not in settings:
        raise InvalidInput(Message("presets.no-settings", {**where, "name": name}))
    return Preset(preset_id, name, model, float(card), MappingProxyType(_settings(settings, name)))


def to_file(presets: Sequence[Preset]) -> str:
    """The text of a file with these presets."""
    document = {"format": FORMAT, "version": VERSION, "presets": [preset.to_json() for preset in presets]}
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def from_file(text: str) -> list[Preset]:
    """The presets of a file, without ids. Raises InvalidInput: all of them are taken, or none."""
    data = text.encode("utf-8", "replace")
    if len(data) > MOST_BYTES:
        raise InvalidInput(Message("presets.too-large", {"kib": MOST_BYTES // 1024}))
    try:
        document = parse_json(data, MOST_BYTES).value
    except Unusable as error:
        raise InvalidInput(Message("presets.not-json", {"cause": str(error)})) from error
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise InvalidInput(Message("presets.not-presets"))
    if document.get("version") != VERSION:
        params: dict[str, Value] = {"value": _shown(document.get("version")), "known": VERSION}
        raise InvalidInput(Message("presets.version", params))
    found = document.get("presets")
    if not isinstance(found, list) or not found:
        raise InvalidInput(Message("presets.none"))
    if len(found) > MOST:
        raise InvalidInput(Message("presets.too-many", {"most": MOST}))
    return [from_json("", value, number) for number, value in enumerate(found, start=1)]


def checked_name(name: Any) -> str:
    """The name as it is kept. Raises InvalidInput."""
    text = name.strip() if isinstance(name, str) else ""
    if not text or len(text) > NAME_LENGTH or text != clean(text, NAME_LENGTH):
        raise InvalidInput(Message("presets.name", {"value": _shown(name), "most": NAME_LENGTH}, "preset"))
    return text


def _settings(given: Mapping[str, Any], preset: str) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    for key, value in given.items():
        read = FIELDS.get(key)
        about: dict[str, Value] = {"name": preset, "field": clean(str(key), NAME_LENGTH), "value": _shown(value)}
        if read is None:
            raise InvalidInput(Message("presets.unknown-setting", about))
        try:
            found[key] = read(value)
        except ValueError as error:
            flag = str(error)
            key_of = "presets.forbidden-flag" if flag in FORBIDDEN_FLAGS else "presets.bad-setting"
            raise InvalidInput(Message(key_of, {**about, "flag": flag})) from error
    return found


def _engine(value: Any) -> str:
    if value not in ENGINES or "model" not in ENGINES[value].fields:
        raise ValueError
    return str(value)


def _word(value: Any) -> str:
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise ValueError
    return value


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError
        return value

    return read


def _session(value: Any) -> int | None:
    return None if value is None else _whole(1, 1 << 30)(value)


def _ratio(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 < value < 1:
        raise ValueError
    return float(value)


def _extra(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > 100:
        raise ValueError
    for word in value:
        if not isinstance(word, str) or len(word) > 1000 or "\0" in word or "\n" in word:
            raise ValueError
        flag = word.split("=")[0].replace("_", "-")
        if flag in FORBIDDEN_FLAGS:
            raise ValueError(flag)
        if any(name.startswith(flag) for name in FORBIDDEN_FLAGS) and flag.startswith("--") and len(flag) > 2:
            raise ValueError(next(name for name in sorted(FORBIDDEN_FLAGS) if name.startswith(flag)))
    return tuple(value)


FIELDS: Mapping[str, Callable[[Any], Setting]] = {
    "engine": _engine,
    "model_format": _word,
    "quant_policy": _whole(0, 1000),
    "cache_max_entry_count": _ratio,
    "tp": _whole(1, 1024),
    "session_len": _session,
    "dtype": _word,
    "extra": _extra,
}


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}


def _shown(value: Any) -> str:
    text = shlex.join(map(str, value)) if isinstance(value, list) else str(value)
    return clean(text, NAME_LENGTH)
