"""The VRAM tab's components. What moves is drawn by ui/tabs/vram/vram.js from the tab's routes."""

from dataclasses import dataclass

import gradio as gr

from backend.services import Services
from ui.i18n import L
from ui.page.bridge import bridge, part
from ui.paste.box import PasteBox, build_paste

WINDOWS = (1, 5, 15, 60, 1440)  # minutes
INTERVALS = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds


@dataclass(frozen=True)
class VramTab:
    """The tab's components."""

    window: gr.Dropdown
    interval: gr.Dropdown
    pause: gr.Button
    message: gr.HTML
    chart: gr.HTML
    table: gr.HTML
    events: gr.HTML
    reconciled: gr.HTML
    paste: PasteBox
    bridge: gr.HTML


def build(services: Services) -> VramTab:
    """Controls, chart, and below it table and events side by side."""
    with gr.Row(elem_id="vram-controls", equal_height=False):
        window = gr.Dropdown(
            choices=[(L(f"vram.window.{minutes}"), str(minutes)) for minutes in WINDOWS],
            value="5",
            label=L("vram.window.label"),
            filterable=True,
            interactive=True,
            min_width=160,
            elem_id="vram-window",
        )
        interval = gr.Dropdown(
            choices=[(L(f"vram.interval.{int(seconds * 1000)}"), f"{seconds:g}") for seconds in INTERVALS],
            value="1",
            label=L("vram.interval.label"),
            filterable=True,
            allow_custom_value=True,
            interactive=True,
            min_width=160,
            elem_id="vram-interval",
        )
        pause = gr.Button(L("vram.pause"), size="sm", interactive=True, min_width=110, scale=0, elem_id="vram-pause")
    message = gr.HTML(elem_id="vram-message")
    chart = _live("chart")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            table = _live("table")
        with gr.Column(scale=2, min_width=320):
            events = _live("events")
    reconciled = _live("reconciled")
    paste = build_paste("vram")
    return VramTab(window, interval, pause, message, chart, table, events, reconciled, paste, bridge("vram", "known"))


def _live(name: str) -> gr.HTML:
    return part("vram", name, padding=False)
