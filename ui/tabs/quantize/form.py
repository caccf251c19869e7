"""The Quantize tab's components. Layout only: what a control means is in values.py, what it does in binding.py."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.services import Services
from ui.i18n import L
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

    command: gr.Textbox
    start: gr.Button
    cancel: gr.Button
    message: gr.HTML
    selected: gr.Textbox
    changed: gr.Button
    edit: gr.Button
    deploy: gr.Button
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
            _what(parts)
            _calibration(parts)
            _weights(parts)
        with gr.Column(scale=6, min_width=320, elem_id="quantize-run"):
            _command(parts)
            _jobs(parts)
    return QuantizeTab(**parts)


def _what(parts: dict[str, Any]) -> None:
    with gr.Group(elem_id="quantize-what"):
        with gr.Row(elem_id="quantize-model-row"):
            parts["model"] = _dropdown("model", [], "", scale=8)
            parts["refresh"] = gr.Button(
                L("quantize.refresh"), size="sm", scale=1, min_width=90, interactive=True, elem_id="quantize-refresh"
            )
        with gr.Row():
            parts["method"] = _dropdown("method", methods := choices.method_choices(), methods[0][1])
            parts["device"] = _dropdown("device", choices.first_device_choices(), DEFAULTS.device)
        parts["output"] = _text("output", placeholder="~/models/internlm2_5-1_8b-chat-w4a16-4bit")
        parts["suggested"] = _hidden("suggested")
        parts["trust_remote_code"] = _checkbox("trust_remote_code")


def _calibration(parts: dict[str, Any]) -> None:
    with gr.Group(elem_id="quantize-calibration"):
        parts["dataset"] = _dropdown("dataset", choices.first_dataset_choices(), DEFAULTS.dataset)
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
        parts["upload"] = _hidden("upload-id")
        with gr.Row():
            parts["samples"] = _number("samples", DEFAULTS.samples)
            parts["seqlen"] = _number("seqlen", DEFAULTS.seqlen)
            parts["batch_size"] = _number("batch_size", DEFAULTS.batch_size)


def _weights(parts: dict[str, Any]) -> None:
    with gr.Group(elem_id="quantize-weights"), gr.Row():
        parts["bits"] = _dropdown("bits", choices.bits_choices(), str(DEFAULTS.bits))
        parts["group_size"] = _dropdown("group_size", choices.group_size_choices(), str(DEFAULTS.group_size))
        parts["dtype"] = _dropdown("dtype", choices.dtype_choices(), DEFAULTS.dtype)
    with gr.Accordion(L("quantize.more"), open=False, elem_id="quantize-more"):
        with gr.Row():
            parts["symmetric"] = _checkbox("symmetric")
            parts["search_scale"] = _checkbox("search_scale")
        parts["mirror"] = _text("mirror", placeholder="https://hf-mirror.com")
        parts["environment"] = _dropdown("environment", [(L("quantize.environment.auto"), "")], "")


def _command(parts: dict[str, Any]) -> None:
    with gr.Column(elem_id="quantize-command-panel"):
        parts["command"] = gr.Textbox(
            lines=3,
            max_lines=10,
            label=L("quantize.command.label"),
            interactive=False,
            autoscroll=False,
            buttons=["copy"],
            elem_id="quantize-command",
        )
        with gr.Row():
            parts["start"] = gr.Button(
                L("quantize.start"), variant="primary", size="md", interactive=False, elem_id="quantize-start"
            )
            parts["cancel"] = gr.Button(L("quantize.cancel"), size="md", interactive=True, elem_id="quantize-cancel")
        parts["message"] = gr.HTML(elem_id="quantize-message")


def _jobs(parts: dict[str, Any]) -> None:
    for name in ("status", "progress", "result", "jobs", "log"):
        control = f"quantize-{name}"
        parts[name] = gr.HTML(elem_id=control, js_on_load=f"lmConsole.mount('{control}', element)")
    # The page's script keeps the chosen job's id in it, and presses the two buttons for the cards.
    parts["selected"] = _hidden("selected")
    parts["changed"] = gr.Button("", visible="hidden", interactive=True, elem_id="quantize-changed")
    parts["edit"] = gr.Button(L("quantize.edit"), visible="hidden", interactive=True, elem_id="quantize-edit")
    parts["deploy"] = gr.Button(L("quantize.deploy"), visible="hidden", interactive=True, elem_id="quantize-deploy")


def _key(name: str) -> str:
    """Where the control's texts stand."""
    return f"quantize.{CONTROLS[name].removeprefix('quantize-')}"


def _dropdown(name: str, offered: choices.Choices, value: str, scale: int = 1) -> gr.Dropdown:
    """Typed text is taken too; the handlers say what is wrong with it."""
    key = _key(name)
    return gr.Dropdown(
        choices=offered,
        value=value,
        allow_custom_value=True,
        label=L(f"{key}.label"),
        info=L(f"{key}.info"),
        interactive=True,
        scale=scale,
        min_width=140,
        elem_id=CONTROLS[name],
    )


def _number(name: str, value: int) -> gr.Number:
    key = _key(name)
    return gr.Number(
        value=value,
        precision=0,
        label=L(f"{key}.label"),
        info=L(f"{key}.info"),
        interactive=True,
        min_width=130,
        elem_id=CONTROLS[name],
    )


def _checkbox(name: str) -> gr.Checkbox:
    key = _key(name)
    return gr.Checkbox(
        value=False,
        label=L(f"{key}.label"),
        info=L(f"{key}.info"),
        interactive=True,
        min_width=160,
        elem_id=CONTROLS[name],
    )


def _text(name: str, placeholder: str = "") -> gr.Textbox:
    key = _key(name)
    return gr.Textbox(
        lines=1,
        max_lines=1,
        placeholder=placeholder,
        label=L(f"{key}.label"),
        info=L(f"{key}.info"),
        interactive=True,
        min_width=150,
        elem_id=CONTROLS[name],
    )


def _hidden(name: str) -> gr.Textbox:
    return gr.Textbox(
        value="", show_label=False, container=False, interactive=True, visible="hidden", elem_id=f"quantize-{name}"
    )
