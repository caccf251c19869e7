"""What the form's controls hold, and the ServeConfig it makes. Pure.

Controls give text, numbers and lists as a browser or an HTTP client sends them; nothing is trusted. A dropdown takes
typed text too, so a label ("4 · int4") means its value ("4").
"""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields

from backend.engines.base import ServeConfig
from backend.errors import InvalidInput, Message

SEPARATOR = " · "  # between a choice's raw value and what explains it

# ServeConfig field → the control's elem_id. The order is the order of the handlers' arguments.
CONTROLS: Mapping[str, str] = {
    "engine": "deploy-engine",
    "model": "deploy-model",
    "environment": "deploy-lmdeploy",
    "gpus": "deploy-gpus",
    "model_format": "deploy-model-format",
    "quant_policy": "deploy-quant-policy",
    "cache_max_entry_count": "deploy-cache-ratio",
    "tp": "deploy-tp",
    "session_len": "deploy-session-len",
    "dtype": "deploy-dtype",
    "port": "deploy-port",
    "model_name": "deploy-model-name",
    "trust_remote_code": "deploy-trust-remote-code",
    "extra": "deploy-extra",
    "address": "deploy-address",
    "api_key": "deploy-api-key",
    "nodes": "deploy-nodes",
}
DEFAULTS = ServeConfig(engine="", model="")
ALWAYS = frozenset({"engine", "model"})


@dataclass(frozen=True)
class FormValues:
    """The form as it was sent, by ServeConfig field."""

    values: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, arguments: Sequence[object]) -> "FormValues":
        """From the handlers' arguments, in the order of CONTROLS."""
        return cls(dict(zip(CONTROLS, arguments, strict=True)))

    def text(self, name: str) -> str:
        """The control's text, without its explanation and without space around it."""
        value = self.values.get(name)
        return "" if value is None else str(value).strip()

    def choice(self, name: str) -> str:
        """A dropdown's value; a typed label counts as its value."""
        return self.text(name).split(SEPARATOR)[0].strip()


def serve_config(form: FormValues, used: Iterable[str]) -> ServeConfig:
    """The settings that the form holds; a field the engine doesn't use keeps its default.

    ``used`` are the engine's fields. Raises InvalidInput naming every control whose text can't be read.
    """
    wanted = ALWAYS | set(used)
    reader = _Reader(form)
    values: dict[str, object] = {}
    for name in CONTROLS:
        if name in wanted:
            values[name] = reader.read(name)
    if reader.messages:
        raise InvalidInput(*reader.messages)
    return ServeConfig(**values)  # type: ignore[arg-type]  # _Reader.read gives each field its type


def form_values(config: ServeConfig) -> FormValues:
    """The other way round: what the controls show for these settings ("start again with changes", a pasted command)."""
    values: dict[str, object] = {}
    for item in fields(config):
        value = getattr(config, item.name)
        if item.name == "extra":
            value = shlex.join(value)
        elif item.name in ("gpus", "nodes"):
            value = list(value)
        elif value is None:
            value = ""
        elif item.name in ("tp", "quant_policy"):
            value = str(value)
        values[item.name] = value
    return FormValues(values)


class _Reader:
    """Reads one field after another, and gathers what can't be read."""

    def __init__(self, form: FormValues) -> None:
        self.form = form
        self.messages: list[Message] = []

    def read(self, name: str) -> object:
        match name:
            case "quant_policy" | "tp":
                return self._whole(name, getattr(DEFAULTS, name))
            case "session_len" | "port":
                return self._whole(name, None)
            case "cache_max_entry_count":
                return self._ratio(name)
            case "trust_remote_code":
                return self.form.values.get(name) in (True, "true", "True", 1)
            case "gpus":
                return self._several("gpus")
            case "nodes":
                return self._several("nodes")
            case "extra":
                return self._words(name)
            case "model_format" | "dtype":
                return self.form.choice(name) or "auto"
            case "engine" | "environment":
                return self.form.choice(name)
            case "model":
                return self.form.text(name)  # the catalogue says what is wrong with a path
            case _:
                return self._line(name)

    def _line(self, name: str) -> str:
        text = self.form.text(name)
        if "\0" in text or "\n" in text or "\r" in text:
            self._wrong("deploy.error.line_break", name, text)
        return text

    def _whole(self, name: str, empty: int | None) -> int | None:
        text = self.form.choice(name)
        if not text:
            return empty
        try:
            number = float(text.replace(",", ""))  # a number control sends 4.0
        except ValueError:
            number = math.nan
        if not number.is_integer():
            self._wrong("deploy.error.not_whole", name, text)
            return empty
        return int(number)

    def _ratio(self, name: str) -> float:
        text = self.form.text(name)
        if not text:
            return DEFAULTS.cache_max_entry_count
        percent = text.endswith("%")
        try:
            number = float(text.rstrip("%")) / (100 if percent else 1)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self._wrong("deploy.error.not_ratio", name, text)
            return DEFAULTS.cache_max_entry_count
        return round(number, 6)

    def _several(self, name: str) -> tuple[str, ...]:
        value = self.form.values.get(name)
        if value is None or value == "":
            return ()
        items = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
        ids = (str(item).split(SEPARATOR)[0].strip() for item in items)
        return tuple(dict.fromkeys(one for one in ids if one))

    def _words(self, name: str) -> tuple[str, ...]:
        text = self.form.text(name)
        try:
            return tuple(shlex.split(text))
        except ValueError:
            self._wrong("deploy.error.quotes", name, text)
            return ()

    def _wrong(self, key: str, name: str, text: str) -> None:
        self.messages.append(Message(key, {"value": text}, field=CONTROLS[name]))
