"""Every text of the page, in English and Chinese: one key list, both languages side by side.

A tab's texts stand in its own folder (ui/tabs/<tab>/texts.json), what is shared in ui/locales/*.json.

Python components take ``label=L("deploy.model.label")`` and change with the page's language in the browser (gr.I18n);
what a handler, a route or the command line writes is made by ``t(key, language, …)``. Placeholders are ``{name}``.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from backend.errors import Message, Value

if TYPE_CHECKING:
    import gradio as gr

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
FORMS = ("deploy", "quantize", "chat")  # tabs whose controls hold settings
HERE = Path(__file__).parent
_NAMED = re.compile(r"[\"'`]([a-z][\w-]*(?:\.[\w-]+)+)[\"'`]")
_BEGUN = re.compile(r"[\"'`]([a-z][\w-]*(?:\.[\w-]+)*\.)[\"'`]?(?:\$\{|\s*\+)")
_on_page: set[str] = set()  # the keys that L was asked for


def text_files() -> list[Path]:
    """The files that texts stand in: the shared ones, then each tab's."""
    return [*sorted(HERE.glob("locales/*.json")), *sorted(HERE.glob("tabs/*/texts.json"))]


@cache
def texts() -> Mapping[str, Mapping[Language, str]]:
    """All texts by key, then language. A key that stands in two files is an error."""
    found: dict[str, Mapping[Language, str]] = {}
    for path in text_files():
        for key, text in json.loads(path.read_text(encoding="utf-8")).items():
            if key in found:
                raise ValueError(f"{path}: {key} stands in another file too")
            found[key] = cast(Mapping[Language, str], text)
    return found


@cache
def gradio_i18n() -> "gr.I18n":
    """The texts as Gradio takes them. The page's language is "en" or "zh-CN": ui/web/html_head.py sees to it."""
    return _gradio_i18n(texts())


def page_i18n() -> "gr.I18n":
    """Those texts alone that Gradio shows: what its components were built with. Scripts bring theirs along
    (``script_texts``), the backend's sentences come with the answers that need them."""
    return _gradio_i18n({*_on_page, *(f"{key}.class" for key in _on_page)})


def script_texts(source: str, language: Language) -> dict[str, str]:
    """The texts that scripts of that source show; they name one whole ("common.copy") or by its beginning
    (`common.state.${state}`). With what a class is told instead."""
    named, begun = set(_NAMED.findall(source)), tuple(_BEGUN.findall(source))
    return {
        key: text[language]
        for key, text in texts().items()
        if key in named or key.removesuffix(".class") in named or key.startswith(begun)
    }


def _gradio_i18n(keys: Iterable[str]) -> "gr.I18n":
    import gradio as gr  # here, so that `app.py --help` has its texts without waiting for Gradio

    named = frozenset(keys)
    wanted = [key for key in texts() if key in named]
    english = {key: texts()[key]["en"] for key in wanted}
    chinese = {key: texts()[key]["zh"] for key in wanted}
    return gr.I18n(**{"en": english, "zh-CN": chinese})


def L(key: str) -> Any:
    """A text that the browser shows in the page's language: for labels, infos, placeholders, buttons, choices. While
    the page is built; a handler has ``t``."""
    if key not in texts():
        raise KeyError(key)
    _on_page.add(key)
    return gradio_i18n()(key)


def t(key: str, language: Language, params: Mapping[str, Value] | None = None) -> str:
    """The text in that language, with its placeholders filled."""
    text = texts()[key][language]
    return text.format_map(params) if params else text


def say(
    message: Message, language: Language, controls: Mapping[str, str] | None = None, audience: str = "operator"
) -> str:
    """A backend message as a sentence; ``{field}`` in the text is the label of the control it is about.

    ``audience`` is the role of who reads it: where a class can't do what the text advises, it has another one, whose
    key ends in ``.class``. (In the page's own texts ui/page/start.js does the same.)

    ``controls`` are a tab's, by the field that they hold. Without them the first tab that has such a field gives the
    label, since a message may be read far from its form: a stored one, a list of servers.
    """
    params = dict(message.params)
    if message.field:
        params.setdefault("field", _label(message.field, (controls or {}).get(message.field, ""), language))
    key = f"{message.key}.{audience}"
    return t(key if audience == "class" and key in texts() else message.key, language, params)


def _label(field: str, control: str, language: Language) -> str:
    """The label of the control with elem_id "deploy-tp" stands under "deploy.tp.label"."""
    dashed = field.replace("_", "-")
    # Messages that an older version stored hold the control's elem_id.
    candidates = (control, field, *(f"{tab}-{dashed}" for tab in FORMS))
    keys = (f"{candidate.replace('-', '.', 1)}.label" for candidate in candidates)
    return next((t(key, language) for key in keys if key in texts()), field)


def parse_language(value: str | None) -> Language | None:
    """ "zh-CN" and "zh_CN.UTF-8" → "zh", "en" → "en", anything else → None."""
    prefix = (value or "").strip().lower().replace("_", "-").split("-")[0]
    return next((language for language in LANGUAGES if language == prefix), None)


def preferred_language(accept: str) -> Language | None:
    """The first of the browser's languages, by its weights, that the console speaks."""
    weighted = []
    for position, part in enumerate(accept.split(",")):
        name, _, parameters = part.partition(";")
        quality = parameters.strip().removeprefix("q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        weighted.append((-weight, position, parse_language(name)))
    weighted.sort(key=lambda entry: entry[:2])
    return next((language for weight, _, language in weighted if language and weight), None)
