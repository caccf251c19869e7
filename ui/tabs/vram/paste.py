"""The VRAM tab's paste box fills nothing: what it reads goes to the other tabs."""

from collections.abc import Mapping

import gradio as gr

from backend.services import Services
from ui.paste.target import BoundTarget, Filled, PasteTarget
from ui.tabs.vram.form import VramTab


def fill(services: Services, request: gr.Request, values: Mapping[str, object]) -> Filled:
    """Nothing."""
    return Filled(())


TARGET = PasteTarget(tab="vram", kinds=(), fill=fill, count=0, controls={}, done="deploy.paste.done", open_to_all=True)


def paste(tab: VramTab) -> BoundTarget:
    """The box with what it fills."""
    return BoundTarget(TARGET, tab.paste, ())
