"""What became of a paste, as HTML: what is to be looked at, where else its commands go, and every word. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from backend.errors import Message
from backend.paste.account import Account, Fate
from backend.paste.block import Found
from backend.paste.reading import Reading
from ui.i18n import Language, say, t
from ui.page.render import message_html
from ui.paste.box import go_event

FATES: tuple[Fate, ...] = ("taken", "translated", "left")
OPEN_WORDS = 12  # so many are shown unfolded


@dataclass(frozen=True)
class Place:
    """Where a command can be taken: a tab, and its place among the block's commands."""

    tab: str
    at: int


def paste_html(
    reading: Reading,
    said: Sequence[Message],
    chosen: Found | None,
    places: Sequence[Place],
    tab: str,
    language: Language,
    controls: Mapping[str, Mapping[str, str]],
) -> str:
    """``controls`` are each tab's, by field."""
    tabs = {id(account): found.tab for found in reading.found for account in found.accounts}

    def of(account: Account) -> Mapping[str, str]:
        return controls.get(tabs.get(id(account), tab), {})

    own = {id(account) for found in reading.found for account in found.accounts if found is not chosen}
    loud = [
        said_html(account, language, of(account))
        for account in reading.accounts
        if account.message.level == "warning" and id(account) not in own
    ]
    warned = f'<div class="message-list">{"".join(loud)}</div>' if loud else ""
    html = message_html(said, language, controls.get(tab, {})) + warned
    html += "".join(_place(reading.found[place.at], place, chosen, tab, language) for place in places)
    if not reading.accounts:
        return html
    rows = "".join(_row(account, language, of(account)) for account in reading.accounts)
    is_open = " open" if len(reading.accounts) <= OPEN_WORDS else ""
    summary = escape(t("paste.words", language, {"count": len(reading.accounts)}))
    return f'{html}<details class="paste-words"{is_open}><summary>{summary}</summary><ul>{rows}</ul></details>'


def said_html(account: Account, language: Language, controls: Mapping[str, str]) -> str:
    """A word to be looked at."""
    about = f'data-level="warning" data-key="{escape(account.message.key)}"'
    text = f"{account.words}: {say(account.message, language, controls)}"
    return f'<div class="console-message" role="status" {about}>{escape(text)}</div>'


def _row(account: Account, language: Language, controls: Mapping[str, str]) -> str:
    fate = escape(t(f"paste.fate.{account.fate}", language))
    why = escape(say(account.message, language, controls))
    return (
        f'<li data-fate="{account.fate}" data-key="{escape(account.message.key)}"><code>{escape(account.words)}</code> '
        f'<b class="paste-fate">{fate}</b> <span>{why}</span></li>'
    )


def _place(found: Found, place: Place, chosen: Found | None, tab: str, language: Language) -> str:
    """A command that goes elsewhere, with its button."""
    title = t(f"{place.tab}.title", language)
    if place.tab == tab:
        label = t("paste.use", language)
    elif found.kind == "address" and place.tab == "deploy":
        label = t("paste.connect", language)
    else:
        label = t("paste.go", language, {"tab": title})
    why = escape(say(found.accounts[0].message, language)) if found.accounts and found.kind == "advice" else ""
    key = "paste.belongs" if place.tab != tab else "paste.another"
    text = escape(t(key, language, {"command": found.words, "tab": title}))
    about = f'data-level="info" data-key="{key}"'
    button = (
        f'<button type="button" class="small-button paste-go" data-go="{go_event(place.tab)}" data-at="{place.at}">'
        f"{escape(label)}</button>"
    )
    return f'<div class="console-message paste-place" role="status" {about}>{text} {why} {button}</div>'
