"""What each open page of the Chat tab has told: by Gradio's session, which is one page."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.chat.attachments import Upload

MOST = 20_000


def session(request: Any) -> str:
    """The page that an event comes from."""
    return str(getattr(request, "session_hash", "") or "")


@dataclass
class Page:
    """``shown``: the conversation that it shows, "" = not told: the one that its browser opened last. ``edited``: the
    exchange that is edited in it. ``options``: the settings beside the form, None = those of the conversation.
    ``turn``: the starts whose settings are asked one after another, instead of servers that run."""

    shown: str = ""
    edited: int = 0
    options: Mapping[str, Any] | None = None
    turn: tuple[str, ...] = ()


class Pages:
    """For one event loop."""

    def __init__(self) -> None:
        self._pages: OrderedDict[str, Page] = OrderedDict()

    def of(self, request: Any) -> Page:
        """The page that the event comes from."""
        key = session(request)
        page = self._pages.setdefault(key, Page())
        self._pages.move_to_end(key)
        while len(self._pages) > MOST:
            self._pages.popitem(last=False)
        return page

    def at(self, request: Any, conversation: str, edited: int) -> bool:
        """It says that it shows that conversation, and which question was edited last. What is known of the page stays;
        one of which nothing is known, since the console was started anew, is believed: True."""
        known = self.of(request).shown
        if known != conversation:
            self.shows(request, conversation)
        if not known:
            self.of(request).edited = edited
        return not known

    def shows(self, request: Any, conversation: str) -> None:
        """It shows that conversation from now on."""
        page = self.of(request)
        page.shown, page.edited = conversation, 0


def written(question: Any) -> tuple[str, list[Upload]]:
    """What stands in the input: its text and its files."""
    question = question if isinstance(question, Mapping) else {}
    uploads = [Upload(Path(path), Path(path).name) for path in question.get("files") or ()]
    return str(question.get("text") or ""), uploads
