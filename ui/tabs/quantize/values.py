"""What the form's controls hold, and the QuantConfig it makes. Pure.

Controls give text, numbers and truths as a browser or an HTTP client sends them; nothing is trusted. A dropdown takes
typed text too, so a label ("4 · …") means its value ("4").
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields

from backend.errors import InvalidInput, Message
from backend.quantization.base import QuantConfig

SEPARATOR = " · "  # between a choice's raw value and what explains it

# QuantConfig field → the control's elem_id. The order is the order of the handlers' arguments. ``text`` is the text
# itself here, and ``upload`` the id of an uploaded one; together they make QuantConfig.text, the id of a kept text.
CONTROLS: Mapping[str, str] = {
    "model": "quantize-model",
    "method": "quantize-method",
    "device": "quantize-device",
    "dataset": "quantize-dataset",
    "text": "quantize-text",
    "samples": "quantize-samples",
    "seqlen": "quantize-seqlen",
    "batch_size": "quantize-batch-size",
    "bits": "quantize-bits",
    "group_size": "quantize-group-size",
    "symmetric": "quantize-symmetric",
    "search_scale": "quantize-search-scale",
    "dtype": "quantize-dtype",
    "output": "quantize-output",
    "trust_remote_code": "quantize-trust-remote-code",
    "mirror": "quantize-mirror",
    "environment": "quantize-environment",
    "upload": "quantize-upload-id",
    "quant_dtype": "quantize-quant-dtype",
}
DEFAULTS = QuantConfig(model="", output="")
WHOLE = frozenset({"samples", "seqlen", "batch_size", "bits", "group_size"})
SWITCHES = frozenset({"symmetric", "search_scale", "trust_remote_code"})
CHOICES = frozenset({"method", "device", "dataset", "dtype", "environment", "quant_dtype"})


def read_form(arguments: Sequence[object]) -> tuple[QuantConfig, str]:
    """The settings and the text that stands in the form (QuantConfig.text is the uploaded one's id, if any).

    Raises InvalidInput naming every control whose text can't be read.
    """
    form = dict(zip(CONTROLS, arguments, strict=True))
    problems: list[Message] = []
    values: dict[str, object] = {}
    for name in CONTROLS:
        if name in WHOLE:
            values[name] = _whole(form[name], name, problems)
        elif name in SWITCHES:
            values[name] = form[name] in (True, "true", "True", 1)
        elif name not in ("text", "upload"):
            values[name] = _text(form[name], choice=name in CHOICES)
    if problems:
        raise InvalidInput(*problems)
    typed = form["text"]
    config = QuantConfig(**values, text=_text(form["upload"]))  # type: ignore[arg-type]  # each read as its field's type
    return config, "" if typed is None else str(typed)


def form_values(config: QuantConfig) -> dict[str, object]:
    """The other way round: what each control shows for these settings; a kept text stands as an upload."""
    values: dict[str, object] = {item.name: getattr(config, item.name) for item in fields(config)}
    for name in ("bits", "group_size"):
        values[name] = str(values[name])
    return {**values, "text": "", "upload": config.text}


def _text(value: object, choice: bool = False) -> str:
    text = "" if value is None else str(value).strip()
    return text.split(SEPARATOR)[0].strip() if choice else text


def _whole(value: object, name: str, problems: list[Message]) -> int:
    """A number control sends 128, 128.0 or "128"; an empty one means the default."""
    text = _text(value, choice=True)
    if not text:
        return int(getattr(DEFAULTS, name))
    try:
        number = float(text.replace(",", ""))
        if number.is_integer():
            return int(number)
    except (ValueError, OverflowError):
        pass
    problems.append(Message("quantize.not-whole", {"value": text}, CONTROLS[name]))
    return 0
