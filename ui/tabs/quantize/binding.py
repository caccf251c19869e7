"""Which event calls which handler. Every change of the form asks for one preview; the last change wins."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import gradio as gr

from backend.services import Services
from ui.tabs.quantize.form import QuantizeTab
from ui.tabs.quantize.handlers import Handlers

SELECTED = "() => [window.lmQuantize.selected()]"  # the handler's one input: the job chosen on the page
CHANGED = "() => { window.lmQuantize?.changed(); }"
RECOUNT = "() => { window.lmQuantize?.recount(); }"
SHOW = "(id) => { window.lmQuantize.select(id); }"
# Giving text chooses it as calibration data, at once and in the browser.
CHOOSE_OWN = "(text, dataset) => text.trim() ? 'own' : dataset"


def bind(services: Services, tab: QuantizeTab, tabs: Mapping[str, Any]) -> None:
    """Connect the tab's events. Handlers read raw values (``preprocess=False``): every error is the console's own."""
    handlers = Handlers(services)
    inputs = tab.inputs()
    quick = partial(gr.on, queue=False, show_progress="hidden", preprocess=False)
    # A text is sent when it is finished (blur) or when it begins (then the dataset changes), not at every key.
    settled = [control.change for control in inputs if control is not tab.text] + [tab.text.blur]

    _open(handlers, tab)
    tab.text.change(
        fn=None, js=CHOOSE_OWN, inputs=[tab.text, tab.dataset], outputs=tab.dataset, api_visibility="private"
    )
    quick(
        [tab.model.change, tab.method.change],
        handlers.suggest,
        inputs=[tab.model, tab.method, tab.output, tab.suggested],
        outputs=[tab.output, tab.suggested],
        trigger_mode="always_last",
        api_name="quantize_suggest",
    )
    # As on the Deploy tab: one preview a moment after the last change, one at a time, and one handler on each button.
    gr.on(settled, fn=None, js=CHANGED, api_visibility="private")
    quick(
        tab.changed.click,
        handlers.preview,
        inputs=inputs,
        outputs=[tab.command, tab.message, tab.start],
        trigger_mode="always_last",
        api_name="quantize_preview",
    )
    gr.on(
        [tab.text.blur, tab.upload.change, tab.model.change, tab.dataset.change],
        fn=None,
        js=RECOUNT,
        api_visibility="private",
    )
    counted = quick(
        tab.recount.click,
        handlers.count,
        inputs=inputs,
        outputs=tab.text_info,
        trigger_mode="always_last",
        api_name="quantize_count",
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
    quick(tab.refresh.click, handlers.refresh_models, outputs=tab.model, api_name="quantize_refresh")
    # Counting tokens or asking the hub takes seconds: this one shows that it works.
    started = gr.on(
        tab.start.click,
        handlers.start,
        inputs=inputs,
        outputs=[tab.message, tab.selected],
        queue=False,
        preprocess=False,
        show_progress="minimal",
        show_progress_on=tab.message,
        trigger_mode="once",
        api_name="quantize_start",
    )
    started.then(fn=None, js=SHOW, inputs=tab.selected, api_visibility="private")
    quick(
        tab.cancel.click, handlers.cancel, inputs=tab.selected, outputs=tab.message, js=SELECTED,
        api_name="quantize_cancel",
    )  # fmt: skip
    quick(
        tab.edit.click, handlers.edit, inputs=tab.selected, outputs=[tab.message, *inputs], js=SELECTED,
        api_name="quantize_edit",
    )  # fmt: skip
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
    tab.deploy.click(
        handlers.deploy,
        inputs=tab.selected,
        outputs=[tabs["tabs"], form.model, form.model_format, form.dtype, tab.message],
        js=SELECTED,
        queue=False,
        show_progress="hidden",
        preprocess=False,
        api_visibility="private",
    )
