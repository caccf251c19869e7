"""Which event calls which handler. Every change of the form asks for one preview; the last change wins."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from backend.quantization.checks import CPU_SAMPLES, CPU_SEQLEN, USUAL_SAMPLES, USUAL_SEQLEN
from backend.services import Services
from ui.page.bridge import hear
from ui.tabs.quantize.form import QuantizeTab
from ui.tabs.quantize.handlers import Handlers

CHANGED = hear("quantize", "changed")
# Giving text chooses it as calibration data, at once and in the browser.
# Another device takes its own usual calibration, unless a person chose one.
CALIBRATION_OF = """(device, samples, seqlen) => {
  const quick = %(quick)s, usual = %(usual)s;
  const [from, to] = device === "cpu" ? [usual, quick] : [quick, usual];
  return samples === from[0] && seqlen === from[1] ? to : [samples, seqlen];
}"""
CHOOSE_OWN = "(text, dataset) => text.trim() ? 'own' : dataset"


def bind(services: Services, tab: QuantizeTab, tabs: Mapping[str, Any]) -> None:
    """Connect the tab's events. Handlers read raw values (``preprocess=False``): every error is the console's own."""
    handlers = Handlers(services)
    inputs = tab.inputs()
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "preprocess": False}
    # A text is sent when it is finished (blur) or when it begins (then the dataset changes), not at every key.
    settled = [control.change for control in inputs if control is not tab.text] + [tab.text.blur]

    _open(handlers, tab)
    tab.method.change(fn=None, js=hear("quantize", "method"), inputs=tab.method, api_visibility="private")
    tab.text.change(
        fn=None, js=CHOOSE_OWN, inputs=[tab.text, tab.dataset], outputs=tab.dataset, api_visibility="private"
    )
    gr.on(
        [tab.model.change, tab.method.change],
        handlers.suggest,
        inputs=[tab.model, tab.method, tab.output, tab.suggested],
        outputs=[tab.output, tab.suggested],
        trigger_mode="always_last",
        api_name="quantize_suggest",
        **quick,
    )
    # The script tells when a job began or ended: the proposed folder is one that is free then.
    tab.bridge.suggest(
        handlers.suggest,
        inputs=[tab.model, tab.method, tab.output, tab.suggested],
        outputs=[tab.output, tab.suggested],
        trigger_mode="always_last",
        api_visibility="private",
        **quick,
    )
    seen = [control for control in inputs if control is not tab.upload]
    tab.bridge.remedy(fn=None, js=hear("quantize", "withRemedy"), inputs=seen, outputs=seen, api_visibility="private")
    tab.device.change(
        fn=None,
        js=CALIBRATION_OF % {"quick": [CPU_SAMPLES, CPU_SEQLEN], "usual": [USUAL_SAMPLES, USUAL_SEQLEN]},
        inputs=[tab.device, tab.samples, tab.seqlen],
        outputs=[tab.samples, tab.seqlen],
        api_visibility="private",
    )
    # As on the Deploy tab: one preview a moment after the last change, one at a time, and one handler for each event.
    gr.on(settled, fn=None, js=CHANGED, api_visibility="private")
    tab.bridge.preview(
        handlers.preview,
        inputs=inputs,
        outputs=[tab.command, tab.message, tab.start],
        trigger_mode="always_last",
        api_name="quantize_preview",
        **quick,
    )
    gr.on(
        [
            tab.text.blur, tab.upload.change, tab.model.change, tab.dataset.change, tab.seqlen.change,
            tab.samples.change, tab.trust_remote_code.change,
        ],
        fn=None,
        js=hear("quantize", "recount"),
        api_visibility="private",
    )  # fmt: skip
    counted = tab.bridge.recount(
        handlers.count,
        inputs=inputs,
        outputs=tab.text_info,
        trigger_mode="always_last",
        api_name="quantize_count",
        **quick,
    )
    counted.then(fn=None, js=CHANGED, api_visibility="private")
    tab.file.upload(
        handlers.upload,
        inputs=tab.file,
        outputs=[tab.upload, tab.dataset, tab.text_info, tab.message],
        queue=False,
        show_progress="minimal",
        api_name="quantize_upload",
    )
    tab.refresh.click(handlers.refresh_models, outputs=tab.model, api_name="quantize_refresh", **quick)
    # Counting tokens or asking the hub takes seconds: this one shows that it works. The bridge's value is the chosen
    # job: the new one after a start.
    tab.start.click(
        handlers.start,
        inputs=inputs,
        outputs=[tab.message, tab.bridge],
        queue=False,
        preprocess=False,
        show_progress="minimal",
        show_progress_on=tab.message,
        trigger_mode="once",
        api_name="quantize_start",
    )
    tab.cancel.click(handlers.cancel, inputs=tab.bridge, outputs=tab.message, api_name="quantize_cancel", **quick)
    tab.bridge.edit(handlers.edit, inputs=tab.bridge, outputs=[tab.message, *inputs], api_name="quantize_edit", **quick)
    _deploy(handlers, tab, tabs)


def _open(handlers: Handlers, tab: QuantizeTab) -> None:
    """What the page asks for once, as it opens. The machine's check may take seconds; the models are there before."""
    gr.on(
        None,
        handlers.load,
        inputs=[],
        outputs=[tab.model, tab.message],
        queue=False,
        show_progress="hidden",
        api_name="quantize_load",
    )
    gr.on(
        None,
        handlers.load_machine,
        inputs=[],
        outputs=[tab.device, tab.dataset, tab.environment],
        queue=False,
        show_progress="hidden",
        api_name="quantize_load_machine",
    )


def _deploy(handlers: Handlers, tab: QuantizeTab, tabs: Mapping[str, Any]) -> None:
    """The result's "Deploy it": open the Deploy tab with the new model, its format and dtype in the form."""
    form = tabs.get("deploy")
    if form is None:
        return
    filled = [tabs["tabs"], form.model, form.model_format, form.dtype, tab.message, form.engine]
    options: dict[str, Any] = {
        "inputs": tab.bridge,
        "queue": False,
        "show_progress": "hidden",
        "preprocess": False,
        "api_visibility": "private",
    }
    tab.bridge.deploy(handlers.deploy, outputs=filled, **options)
    tab.bridge.plan(handlers.plan_on_gpu, outputs=filled, **options)
