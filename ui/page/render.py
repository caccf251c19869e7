"""What a handler shows as HTML. Pure; every value is escaped."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

from backend.errors import Level, Message
from ui.i18n import Language, say

ORDER: tuple[Level, ...] = ("error", "warning", "info")


Buttons = Callable[[Message], str]


def message_html(
    messages: Sequence[Message],
    language: Language,
    controls: Mapping[str, str] | None = None,
    buttons: Buttons = lambda message: "",
    calm: bool = False,
    audience: str = "operator",
) -> str:
    """Messages for a tab's ``{tab}-message``: errors first; "" for none. A screen reader reads errors at once.

    ``controls`` maps the fields that messages are about to the tab's controls; ``buttons`` makes a message's remedies.
    ``calm``: they explain a choice; nothing went wrong. ``audience`` is the reader's role.
    """
    if not messages:
        return ""
    ordered = sorted(messages, key=lambda message: ORDER.index(message.level))
    said = ((message, say(message, language, controls, audience)) for message in ordered)
    items = "".join(_item(message, text, controls or {}, buttons(message), calm) for message, text in said)
    return f'<div class="message-list">{items}</div>'


def _item(message: Message, text: str, controls: Mapping[str, str], buttons: str, calm: bool) -> str:
    level = "info" if calm else message.level
    role = "alert" if level == "error" else "status"
    control = controls.get(message.field, message.field)
    about = f'data-level="{level}" data-key="{escape(message.key)}" data-field="{escape(control)}"'
    return f'<div class="console-message" role="{role}" {about}>{escape(text)}{buttons}</div>'
