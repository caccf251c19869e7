"""The page: a header, a loop over TABS, and what crosses tabs; nothing else."""

from typing import Any

import gradio as gr

from backend.services import Services
from ui.header import bind_header, build_header
from ui.i18n import L
from ui.tabs import TABS

MAX_THREADS = 200  # Gradio's 40 would be used up by a class's open answers
MOST_WAITING = 256
QUEUE_LOOK_S = 0.01  # Gradio looks for new events every millisecond, which takes an idle console 6% of a core
SYSTEM_FONTS = (
    "system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", "sans-serif",
)  # fmt: skip
MONO_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Noto Sans Mono CJK SC", "monospace")


class Page(gr.Blocks):  # type: ignore[misc]  # Gradio's types are not followed
    """Gradio's page, set for a class at once: no handler waits for another, nothing goes around the queue."""

    def queue(self, *_: Any, **__: Any) -> "Page":
        """Gradio calls this itself when the page is made, and builds its web application at each call: once will do."""
        self.max_threads = MAX_THREADS
        super().queue(default_concurrency_limit=None, api_open=False, max_size=MOST_WAITING)
        self._queue.sleep_when_free = QUEUE_LOOK_S
        return self


def create_blocks(services: Services) -> gr.Blocks:
    """The Gradio page with every tab built and bound."""
    with Page(
        title="LMDeploy Console",
        analytics_enabled=False,
        fill_width=True,
        delete_cache=(3600, 86400),
    ) as blocks:
        header = build_header()
        built: dict[str, Any] = {}
        with gr.Tabs(elem_id="tabs") as tabs:
            for spec in TABS:
                with gr.Tab(L(f"{spec.name}.title"), id=spec.name, elem_id=f"{spec.name}-tab"):
                    built[spec.name] = spec.build(services)
        built["tabs"] = tabs
        for spec in TABS:
            spec.bind(services, built[spec.name], built)
        bind_header(blocks, header)
    return blocks


def theme() -> gr.themes.Base:
    """Dense and calm; fonts of the reader's own system, nothing is fetched."""
    return gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        text_size="sm",
        spacing_size="sm",
        radius_size="sm",
        font=list(SYSTEM_FONTS),
        font_mono=list(MONO_FONTS),
    )
