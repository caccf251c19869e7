"""The Quantize tab's components. Layout only: what a control means is in values.py, what it does in binding.py."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.quantization.checks import CPU_SAMPLES, CPU_SEQLEN
from backend.services import Services
from ui.i18n import L
from ui.page.bridge import bridge, part
from ui.page.form_controls import checkbox, dropdown, hidden_text, number, text
from ui.paste.box import PasteBox, build_paste
from ui.tabs.quantize import choices
from ui.tabs.quantize.values import CONTROLS, DEFAULTS


@dataclass(frozen=True)
class QuantizeTab:
    """The components, named as the QuantConfig fields that they hold; the rest by their elem_id."""

    model: gr.Dropdown
    refresh: gr.Button
    method: gr.Dropdown
    device: gr.Dropdown
    dataset: gr.Dropdown
    text: gr.Textbox
    file: gr.UploadButton
    upload: gr.Textbox
    text_info: gr.HTML
    samples: gr.Number
    seqlen: gr.Number
    batch_size: gr.Number
    bits: gr.Dropdown
    group_size: gr.Dropdown
    symmetric: gr.Checkbox
    search_scale: gr.Checkbox
    dtype: gr.Dropdown
    output: gr.Textbox
    suggested: gr.Textbox
    trust_remote_code: gr.Checkbox
    mirror: gr.Textbox
    environment: gr.Dropdown
    quant_dtype: gr.Dropdown
    paste: PasteBox

    command: gr.HTML
    start: gr.Button
    cancel: gr.Button
    message: gr.HTML
    bridge: gr.HTML
    status: gr.HTML
    progress: gr.HTML
    result: gr.HTML
    log: gr.HTML
    jobs: gr.HTML

    def inputs(self) -> list[Any]:
        """The form's controls in the order of CONTROLS: the handlers' arguments."""
        return [getattr(self, name) for name in CONTROLS]


def build(services: Services) -> QuantizeTab:
    """Lay the tab out: the form on the left; command, the chosen job and all jobs on the right."""
    parts: dict[str, Any] = {}
    with gr.Row(elem_id="quantize-columns", equal_height=False):
        with gr.Column(scale=5, min_width=320, elem_id="quantize-form"):
            parts["paste"] = build_paste("quantize")
            _what(parts)
            _calibration(parts, on_cpu=not services.planner.gpus())
            _weights(parts)
        with gr.Column(scale=6, min_width=320, elem_id="quantize-run"):
            _start(parts)
            _jobs(parts)
    return QuantizeTab(**parts)


def _what(parts: dict[str, Any]) -> None:
    with gr.Group(elem_id="quantize-what"):
        with gr.Row(elem_id="quantize-model-row"):
            parts["model"] = dropdown(CONTROLS["model"], [], "", scale=8)
            parts["refresh"] = gr.Button(
                L("quantize.refresh"), size="sm", scale=1, min_width=90, interactive=True, elem_id="quantize-refresh"
            )
        with gr.Row():
            parts["method"] = dropdown(CONTROLS["method"], methods := choices.method_choices(), methods[0][1])
            parts["device"] = dropdown(CONTROLS["device"], choices.first_device_choices(), DEFAULTS.device)
        parts["output"] = text(CONTROLS["output"], placeholder="~/models/internlm2_5-1_8b-chat-w4a16-4bit")
        parts["suggested"] = hidden_text("quantize-suggested")
        parts["trust_remote_code"] = checkbox(CONTROLS["trust_remote_code"])


def _calibration(parts: dict[str, Any], on_cpu: bool) -> None:
    with gr.Group(elem_id="quantize-calibration"):
        parts["dataset"] = dropdown(CONTROLS["dataset"], choices.first_dataset_choices(), DEFAULTS.dataset)
        parts["text"] = gr.Textbox(
            lines=3,
            max_lines=8,
            placeholder=L("quantize.text.placeholder"),
            label=L("quantize.text.label"),
            info=L("quantize.text.info"),
            interactive=True,
            elem_id="quantize-text",
        )
        with gr.Row(elem_id="quantize-upload-row"):
            parts["file"] = gr.UploadButton(
                L("quantize.upload"), size="sm", scale=0, min_width=140, interactive=True, elem_id="quantize-upload"
            )
            parts["text_info"] = gr.HTML(elem_id="quantize-text-info")
        parts["upload"] = hidden_text("quantize-upload-id")
        with gr.Row():
            parts["samples"] = number(CONTROLS["samples"], CPU_SAMPLES if on_cpu else DEFAULTS.samples)
            parts["seqlen"] = number(CONTROLS["seqlen"], CPU_SEQLEN if on_cpu else DEFAULTS.seqlen)
            parts["batch_size"] = number(CONTROLS["batch_size"], DEFAULTS.batch_size)


def _weights(parts: dict[str, Any]) -> None:
    with gr.Group(elem_id="quantize-weights"), gr.Row():
        parts["bits"] = dropdown(CONTROLS["bits"], choices.bits_choices(), str(DEFAULTS.bits))
        parts["group_size"] = dropdown(CONTROLS["group_size"], choices.group_size_choices(), str(DEFAULTS.group_size))
        parts["quant_dtype"] = dropdown(CONTROLS["quant_dtype"], choices.quant_dtype_choices(), DEFAULTS.quant_dtype)
        parts["dtype"] = dropdown(CONTROLS["dtype"], choices.dtype_choices(), DEFAULTS.dtype)
    with gr.Accordion(L("quantize.more"), open=False, elem_id="quantize-more"):
        with gr.Row():
            parts["symmetric"] = checkbox(CONTROLS["symmetric"])
            parts["search_scale"] = checkbox(CONTROLS["search_scale"])
        parts["mirror"] = text(CONTROLS["mirror"], placeholder="https://hf-mirror.com")
        parts["environment"] = dropdown(CONTROLS["environment"], [(L("quantize.environment.auto"), "")], "")


def _start(parts: dict[str, Any]) -> None:
    with gr.Column(elem_id="quantize-start-panel"):
        with gr.Row(elem_id="quantize-buttons"):
            parts["start"] = gr.Button(
                L("quantize.start"), variant="primary", size="md", interactive=False, elem_id="quantize-start"
            )
            parts["cancel"] = gr.Button(L("quantize.cancel"), size="md", interactive=True, elem_id="quantize-cancel")
        parts["message"] = gr.HTML(elem_id="quantize-message")


def _jobs(parts: dict[str, Any]) -> None:
    for name in ("jobs", "progress", "status", "result"):
        parts[name] = part("quantize", name)
    parts["command"] = part("quantize", "command", value="", html_template="")
    parts["log"] = part("quantize", "log")
    # Its value is the chosen job's id. The script tells of the cards' two buttons, and of what follows a change.
    parts["bridge"] = bridge(
        "quantize", "edit", "deploy", "plan", "remedy", "suggest", "preview", "recount",
        options={"controls": [name for name in CONTROLS if name != "upload"]},
    )  # fmt: skip
