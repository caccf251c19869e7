"""The controls that the forms share. Each has its texts under its element id: ``deploy-port`` has ``deploy.port.label``
and ``deploy.port.info``."""

from typing import Any

import gradio as gr

from ui.i18n import L


def text_key(elem_id: str) -> str:
    """Where a control's texts stand."""
    return elem_id.replace("-", ".", 1)


def text(elem_id: str, placeholder: Any = "") -> gr.Textbox:
    """One line of text."""
    return gr.Textbox(lines=1, max_lines=1, placeholder=placeholder, min_width=150, **_named(elem_id))


def figure(elem_id: str, label: str, value: str) -> gr.Textbox:
    """A figure as it is typed, one line; ``label`` is its text's key, for there is no more to say of it."""
    return gr.Textbox(
        value=value, lines=1, max_lines=1, label=L(label), interactive=True, min_width=100, elem_id=elem_id
    )


def dropdown(elem_id: str, choices: Any, value: Any, **options: Any) -> gr.Dropdown:
    """Typed text is taken too; the handlers say what is wrong with it."""
    return gr.Dropdown(
        choices=choices, value=value, allow_custom_value=True, **{"min_width": 140} | options, **_named(elem_id)
    )


def number(elem_id: str, value: int) -> gr.Number:
    """A whole number."""
    return gr.Number(value=value, precision=0, min_width=130, **_named(elem_id))


def checkbox(elem_id: str) -> gr.Checkbox:
    """Off until it is ticked."""
    return gr.Checkbox(value=False, min_width=160, **_named(elem_id))


def hidden_text(elem_id: str) -> gr.Textbox:
    """A value of the form that nobody types: one handler gives it, another reads it. (gr.State would keep a stream open
    for every page.)"""
    return gr.Textbox(value="", show_label=False, container=False, interactive=True, visible="hidden", elem_id=elem_id)


def _named(elem_id: str) -> dict[str, Any]:
    key = text_key(elem_id)
    return {"label": L(f"{key}.label"), "info": L(f"{key}.info"), "interactive": True, "elem_id": elem_id}
