"""The page: a header, a loop over TABS, and what crosses tabs; nothing else."""

from typing import Any

import gradio as gr

from backend.services import Services
from ui.gradio_compat.server import Page
from ui.i18n import L
from ui.page.header import bind_header, build_header
from ui.paste.binding import bind_pastes
from ui.tabs import TABS
from ui.web.uploads import check_own_upload, note_spent

SYSTEM_FONTS = (
    "system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", "sans-serif",
)  # fmt: skip
MONO_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Noto Sans Mono CJK SC", "monospace")

QUIET_DARK = "#a8b5c7"


def create_blocks(services: Services) -> Page:
    """The Gradio page with every tab built and bound."""
    blocks = Page(
        check_own_upload,
        note_spent,
        title="LMDeploy Console",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(3600, 86400),
    )
    with blocks:
        header = build_header()
        built: dict[str, Any] = {}
        with gr.Tabs(elem_id="tabs") as tabs:
            for spec in TABS:
                with gr.Tab(L(f"{spec.name}.title"), id=spec.name, elem_id=f"{spec.name}-tab"):
                    built[spec.name] = spec.build(services)
        built["tabs"] = tabs
        for spec in TABS:
            spec.bind(services, built[spec.name], built)
        bind_header(header)
        boxes = {spec.name: spec.paste(built[spec.name]) for spec in TABS if spec.paste is not None}
        bind_pastes(services, boxes, tabs, [built["deploy"].ssh, built["deploy"].ssh_line])
    return blocks


def theme() -> gr.themes.Base:
    """Dense and calm; fonts of the reader's own system, nothing is fetched. Every text has 4.5 : 1 and more on what it
    stands on: a projector takes the rest away."""
    base = gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        text_size="sm",
        spacing_size="sm",
        radius_size="sm",
        font=list(SYSTEM_FONTS),
        font_mono=list(MONO_FONTS),
    )
    return base.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark=QUIET_DARK,
        block_info_text_color="*neutral_600",
        block_info_text_color_dark=QUIET_DARK,
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark=QUIET_DARK,
        input_background_fill="white",
        input_border_color="*neutral_300",
        input_border_width="1px",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        color_accent="*primary_600",
    )
