"""Remedies as buttons: what each changes stands on it as JSON, which remedies.js takes over. Pure."""

import json
from collections.abc import Sequence
from html import escape

from backend.diagnosis import Remedy, Setting
from ui.i18n import Language, t
from ui.page.units import tokens

SHOWN_LENGTH = 40  # of a value that a person typed


def remedy_text(remedy: Remedy, language: Language) -> str:
    """What the button says; the values that it sets stand in it."""
    return t(remedy.key, language, {name: _shown(name, value) for name, value in remedy.settings.items()})


def remedy_button(label: str, does: object) -> str:
    """``does``: what ui/page/remedies.js understands, {"settings": {control: value}} and more."""
    told = escape(json.dumps(does, ensure_ascii=False))
    return f'<button type="button" class="button small" data-remedy="{told}">{escape(label)}</button>'


def remedy_row(buttons: Sequence[str]) -> str:
    """The buttons of one message."""
    return f'<span class="remedies">{"".join(buttons)}</span>' if buttons else ""


def _shown(name: str, value: Setting) -> str:
    if name == "session_len" and isinstance(value, int):
        return tokens(value)
    if isinstance(value, float):
        return f"{value:g}"
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return text if len(text) <= SHOWN_LENGTH else text[:SHOWN_LENGTH] + "…"
