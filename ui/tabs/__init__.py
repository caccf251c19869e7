"""The tabs of the page. A new tab is one module with a ``TAB`` and one line here."""

from ui.tabs import chat, deploy, lab, quantize, vram
from ui.tabs.base import TabSpec

TABS: tuple[TabSpec, ...] = (deploy.TAB, quantize.TAB, chat.TAB, vram.TAB, lab.TAB)
