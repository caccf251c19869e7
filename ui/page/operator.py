"""What handlers do for the operator alone, with errors shown where the result would be."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import gradio as gr

from backend.errors import ConsoleError
from ui.page.render import message_html
from ui.web.visitor import language_of, require_operator

T = TypeVar("T")


def for_operator(
    request: gr.Request, controls: Mapping[str, str], action: Callable[[], T], otherwise: Callable[[str], T]
) -> T:
    """What the action gives. Where it fails, or who asks isn't the operator: ``otherwise`` with the error as HTML."""
    try:
        require_operator(request)
        return action()
    except ConsoleError as error:
        return otherwise(message_html(error.messages, language_of(request), controls))
