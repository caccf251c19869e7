"""What a handler shows as HTML. Pure; every value is escaped."""

from collections.abc import Sequence
from html import escape

from backend.errors import Level, Message
from ui.i18n import Language, say

ORDER: tuple[Level, ...] = ("error", "warning", "info")


def message_html(messages: Sequence[Message], language: Language) -> str:
    """Messages for a tab's ``{tab}-message``: errors first; "" for none. A screen reader reads errors at once."""
    if not messages:
        return ""
    ordered = sorted(messages, key=lambda message: ORDER.index(message.level))
    return f'<div class="message-list">{"".join(_item(message, language) for message in ordered)}</div>'


def _item(message: Message, language: Language) -> str:
    role = "alert" if message.level == "error" else "status"
    about = f'data-level="{message.level}" data-key="{escape(message.key)}" data-field="{escape(message.field)}"'
    return f'<div class="console-message" role="{role}" {about}>{escape(say(message, language))}</div>'
