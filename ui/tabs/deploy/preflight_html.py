"""The list "Before the start": one folded line that counts what is to mend, and a row a subject. Pure."""

from collections.abc import Sequence
from html import escape

from backend.servers.preflight import Row, to_mend
from ui.i18n import Language, say, t
from ui.page.render import Buttons
from ui.tabs.deploy.values import CONTROLS


def preflight_html(rows: Sequence[Row], language: Language, buttons: Buttons) -> str:
    """ "" for no rows."""
    if not rows:
        return ""
    red, yellow = to_mend(rows)
    state = "red" if red else "yellow" if yellow else "green"
    items = "".join(_row(row, language, buttons) for row in rows)
    return (
        f'<details class="deploy-preflight" data-state="{state}" data-red="{red}" data-yellow="{yellow}">'
        f"<summary>{escape(_summary(red, yellow, language))}</summary><ul>{items}</ul></details>"
    )


def _summary(red: int, yellow: int, language: Language) -> str:
    if not red and not yellow:
        return t("preflight.summary.fine", language)
    parts = [t("preflight.summary.red", language, {"count": red})] if red else []
    parts += [t("preflight.summary.yellow", language, {"count": yellow})] if yellow else []
    return t("preflight.summary", language, {"what": t("preflight.summary.and", language).join(parts)})


def _row(row: Row, language: Language, buttons: Buttons) -> str:
    said = "".join(
        f'<p data-message="{escape(message.key)}">{escape(say(message, language, CONTROLS))}{buttons(message)}</p>'
        for message in row.messages
    )
    name = escape(t(f"preflight.subject.{row.subject}", language))
    state = escape(t(f"preflight.state.{row.state}", language))
    fine = "" if row.messages else f"<p>{escape(t('preflight.fine', language))}</p>"
    return (
        f'<li data-subject="{row.subject}" data-state="{row.state}">'
        f'<b><span class="unseen">{state}: </span>{name}</b><div>{said}{fine}</div></li>'
    )
