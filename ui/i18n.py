"""Every text of the page, in English and Chinese: ui/locales/*.json, one key list, both languages side by side.

Python components take ``label=L("deploy.model.label")`` and change with the page's language in the browser (gr.I18n);
what a handler, a route or the command line writes is made by ``t(key, language, …)``. Placeholders are ``{name}``.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from backend.errors import Message, Value

if TYPE_CHECKING:
    import gradio as gr

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
LOCALES = Path(__file__).parent / "locales"


@cache
def texts() -> Mapping[str, Mapping[Language, str]]:
    """All texts by key, then language. A key that stands in two files is an error."""
    found: dict[str, Mapping[Language, str]] = {}
    for path in sorted(LOCALES.glob("*.json")):
        for key, text in json.loads(path.read_text(encoding="utf-8")).items():
            if key in found:
                raise ValueError(f"{path.name}: {key} stands in another file too")
            found[key] = cast(Mapping[Language, str], text)
    return found


@cache
def gradio_i18n() -> "gr.I18n":
    """The texts as Gradio takes them. The page's language is "en" or "zh-CN": ui/html_head.py sees to it."""
    import gradio as gr  # here, so that `app.py --help` has its texts without waiting for Gradio

    english = {key: text["en"] for key, text in texts().items()}
    chinese = {key: text["zh"] for key, text in texts().items()}
    return gr.I18n(**{"en": english, "zh-CN": chinese})


def L(key: str) -> Any:
    """A text that the browser shows in the page's language: for labels, infos, placeholders, buttons, choices."""
    if key not in texts():
        raise KeyError(key)
    return gradio_i18n()(key)


def t(key: str, language: Language, params: Mapping[str, Value] | None = None) -> str:
    """The text in that language, with its placeholders filled."""
    text = texts()[key][language]
    return text.format_map(params) if params else text


def say(message: Message, language: Language) -> str:
    """A backend message as a sentence; ``{field}`` in the text is the label of the control it is about.

    The control with elem_id "deploy-tp" has its label under "deploy.tp.label".
    """
    params = dict(message.params)
    label = message.field.replace("-", ".", 1) + ".label"
    if message.field and label in texts():
        params.setdefault("field", t(label, language))
    return t(message.key, language, params)


def parse_language(value: str | None) -> Language | None:
    """ "zh-CN" and "zh_CN.UTF-8" → "zh", "en" → "en", anything else → None."""
    prefix = (value or "").strip().lower().replace("_", "-").split("-")[0]
    return next((language for language in LANGUAGES if language == prefix), None)
