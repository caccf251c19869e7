"""The VRAM tab's components. What moves is drawn by assets/js/vram.js from the tab's routes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.services import Services
from ui.i18n import L

WINDOWS = (1, 5, 15, 60, 1440)  # minutes
INTERVALS = (0.2, 0.5, 1.0, 2.0, 5.0)  # seconds
READ_INTERVAL = "async () => String((await (await fetch('./console/vram/interval')).json()).interval)"


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
            choices=[(f"{seconds:g} s", f"{seconds:g}") for seconds in INTERVALS],
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
    chart = _live("vram-chart")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            table = _live("vram-table")
        with gr.Column(scale=2, min_width=320):
            events = _live("vram-events")
    reconciled = _live("vram-reconciled")
    return VramTab(window, interval, pause, message, chart, table, events, reconciled)


def bind(services: Services, tab: VramTab, tabs: Mapping[str, Any]) -> None:
    """The controls work in the browser alone; the interval is posted by the page's script."""
    gr.on(None, fn=None, js=READ_INTERVAL, outputs=tab.interval, api_visibility="private")
    tab.window.input(fn=None, js="(minutes) => lmVram.window(minutes)", inputs=tab.window, api_visibility="private")
    tab.interval.input(
        fn=None, js="(seconds) => lmVram.interval(seconds)", inputs=tab.interval, api_visibility="private"
    )
    tab.pause.click(fn=None, js="() => lmVram.pause()", outputs=tab.pause, api_visibility="private")


def _live(name: str) -> gr.HTML:
    return gr.HTML(elem_id=name, js_on_load=f"lmConsole.mount('{name}', element)", padding=False)
