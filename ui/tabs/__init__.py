"""The tabs of the page. A new tab is one module with a ``TAB`` and one line here."""

from ui.tabs import chat, deploy, vram
from ui.tabs.base import TabSpec

TABS: tuple[TabSpec, ...] = (deploy.TAB, chat.TAB, vram.TAB)
