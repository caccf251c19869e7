"""The paste box's components, the same on every tab. Layout only."""

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from ui.i18n import L

# Gradio offers an event of a gr.HTML where its name stands in its script, in quotes: one for each tab.
_ON_LOAD = """
const known = [%s];
element.addEventListener("click", (event) => {
  const go = event.target.closest("[data-go]");
  if (go && known.includes(go.dataset.go)) trigger(go.dataset.go, {at: Number(go.dataset.at)});
});
"""
EXAMPLE = "conda activate lmdeploy\nlmdeploy serve api_server /root/models/internlm2_5-7b-chat --quant-policy 4"
TABS = ("deploy", "quantize", "chat", "vram")


@dataclass(frozen=True)
class PasteBox:
    """``{tab}-paste``, its button, and what became of the words."""

    section: gr.Accordion
    text: gr.Textbox
    apply: gr.Button
    message: gr.HTML


def go_event(tab: str) -> str:
    """The event of ``PasteBox.message`` that takes a command to its tab."""
    return f"go_{tab}"


def build_paste(tab: str, tabs: Sequence[str] = TABS) -> PasteBox:
    """The box, folded until it is wanted."""
    section = gr.Accordion(L("paste.title"), open=False, elem_id=f"{tab}-paste-section", elem_classes="paste-section")
    with section:
        text = gr.Textbox(
            lines=3,
            max_lines=12,
            placeholder=EXAMPLE,
            label=L("paste.label"),
            info=L("paste.info"),
            interactive=True,
            elem_id=f"{tab}-paste",
        )
        apply = gr.Button(L("paste.apply"), size="sm", interactive=True, elem_id=f"{tab}-paste-apply")
        names = ", ".join(f'"{go_event(name)}"' for name in tabs)
        message = gr.HTML(elem_id=f"{tab}-paste-message", js_on_load=_ON_LOAD % names)
    return PasteBox(section, text, apply, message)
