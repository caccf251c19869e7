"""The VRAM tab's controls work in the browser alone; the interval is posted by the page's script."""

from collections.abc import Mapping
from typing import Any

from backend.services import Services
from ui.page.bridge import hear
from ui.tabs.vram.form import VramTab


def bind(services: Services, tab: VramTab, tabs: Mapping[str, Any]) -> None:
    """The controls work in the browser alone; the interval is posted by the page's script."""

    def in_page(event: Any, told: str, inputs: Any = None, outputs: Any = None) -> None:
        event(fn=None, js=hear("vram", told), inputs=inputs, outputs=outputs, api_visibility="private")

    in_page(tab.bridge.known, "knownInterval", outputs=tab.interval)  # another page may have changed it
    in_page(tab.window.input, "window", inputs=tab.window)
    in_page(tab.interval.input, "interval", inputs=tab.interval)
    in_page(tab.pause.click, "pause", outputs=tab.pause)
