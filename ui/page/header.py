"""The header on every tab: title, GPU or memory gauge, running servers, language, light and dark."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.services import Services
from ui.i18n import L
from ui.page.bridge import bridge, hear, part


@dataclass(frozen=True)
class Header:
    """The header's components."""

    language: gr.Dropdown
    bridge: gr.HTML


def build_header() -> Header:
    """Lays the header out. Its live part is ui/page/header.js; the language is the page's, known to the browser."""
    with gr.Row(elem_id="header", elem_classes="header-row", equal_height=False):
        part("header", "bar", scale=1, min_width=280)
        language = gr.Dropdown(
            choices=[("English (en)", "en"), ("中文 (zh)", "zh")],
            value="en",
            label=L("header.language.label"),
            show_label=False,
            container=False,
            filterable=True,
            interactive=True,
            scale=0,
            min_width=128,
            elem_id="header-language",
        )
    part("header", "hint")
    return Header(language, bridge("header", "opened"))


def bind_header(header: Header) -> None:
    """The switch works in the browser alone: a cookie and a reload."""
    header.bridge.opened(fn=None, js=hear("header", "language"), outputs=header.language, api_visibility="private")
    header.language.input(fn=None, js=hear("header", "chosen"), inputs=header.language, api_visibility="private")


def header_view(services: Services) -> dict[str, Any]:
    """The header's figures, rounded so that they change only when a reader could see it (bytes, to 0.1 GiB)."""
    sample = services.sampler.latest()
    if sample is None:  # the first one is under way
        return {"gpus": [], "host_used_bytes": None, "host_total_bytes": None}
    gpus = [gpu.reading for gpu in sample.gpus]
    return {
        "gpus": [
            {
                "id": gpu.id,
                "name": gpu.name,
                "used_bytes": _tenths(gpu.used_bytes),
                "total_bytes": gpu.total_bytes,
                "problem": gpu.problem,
            }
            for gpu in gpus
        ],
        "host_used_bytes": _tenths(sample.host.used_bytes),
        "host_total_bytes": sample.host.total_bytes,
    }


def _tenths(size: int | None) -> int | None:
    """Bytes, to a tenth of a GiB."""
    return None if size is None else int(round(size / 2**30, 1) * 2**30)
