"""The Lab tab's components: places that ui/tabs/lab/lab.js fills."""

from dataclasses import dataclass

import gradio as gr

from backend.services import Services
from ui.page.bridge import bridge, part


@dataclass(frozen=True)
class LabTab:
    """The tab's components. The bridge's value is the run to start again, or the model to quantize."""

    sections: gr.HTML
    runs: gr.HTML
    benchmark: gr.HTML
    quality: gr.HTML
    lesson: gr.HTML
    message: gr.HTML
    bridge: gr.HTML


def build(services: Services) -> LabTab:
    """The sections' buttons, then one place a section."""
    sections = part("lab", "sections", padding=False)
    message = gr.HTML(elem_id="lab-message")
    runs = part("lab", "runs", padding=False)
    benchmark = part("lab", "benchmark", padding=False)
    quality = part("lab", "quality", padding=False)
    lesson = part("lab", "lesson", padding=False)
    return LabTab(sections, runs, benchmark, quality, lesson, message, bridge("lab", "again", "requantize", "quantize"))
