"""A structured answer as a tree that opens and closes, and whether it has the form that was asked for. Pure."""

import contextlib
import json
import logging
from functools import lru_cache
from typing import Any

from backend.chat.answer_form import problems, value_of
from backend.chat.conversation import AnswerForm
from ui.i18n import Language, t
from ui.tabs.chat.answer_inline import escape

MOST = 2_000  # values
DEEPEST = 24
OPEN = 3  # levels that are open at first
LONGEST = 100_000  # characters of an answer

log = logging.getLogger(__name__)


@lru_cache(maxsize=256)
def form_html(form: AnswerForm, text: str, language: Language) -> str:
    """Under an answer: what was wrong with its form, and its tree where it is JSON."""
    if len(text) > LONGEST:
        return ""
    found = problems(form, text)
    state = "wrong" if found else "right"
    parts = [f'<p class="chat-form-verdict">{escape(t(f"chat.form.{state}.{form.kind}", language))}</p>']
    if found and found != [("", "pattern")]:
        lines = "".join(
            f"<li><code>{escape(place or '-')}</code> {escape(t(f'chat.form.problem.{word}', language))}</li>"
            for place, word in found
        )
        parts.append(f"<ul>{lines}</ul>")
    if form.kind == "schema":
        with contextlib.suppress(ValueError):
            parts.append(f'<div class="chat-tree">{tree(value_of(text))}</div>')
    return f'<div class="chat-form" data-form="{state}">{"".join(parts)}</div>'


def tree(value: Any) -> str:
    """A JSON value as HTML of our own."""
    left = [MOST]
    return _node("", value, 0, left)


def _node(name: str, value: Any, depth: int, left: list[int]) -> str:
    left[0] -= 1
    label = f"<b>{escape(name)}</b>: " if name else ""
    if left[0] < 0 or depth > DEEPEST:
        return f"<div>{label}…</div>"
    if isinstance(value, dict) and value:
        rows = "".join(_node(str(key), inner, depth + 1, left) for key, inner in value.items())
        return _branch(f"{label}{{{len(value)}}}", rows, depth)
    if isinstance(value, list) and value:
        rows = "".join(_node(str(number), inner, depth + 1, left) for number, inner in enumerate(value))
        return _branch(f"{label}[{len(value)}]", rows, depth)
    shown = json.dumps(value, ensure_ascii=False)
    return f"<div>{label}<code>{escape(shown)}</code></div>"


def _branch(title: str, rows: str, depth: int) -> str:
    return f"<details{' open' if depth < OPEN else ''}><summary>{title}</summary>{rows}</details>"
