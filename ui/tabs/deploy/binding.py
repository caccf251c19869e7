"""Which event calls which handler. A change of the form asks for one preview, a moment later; the last change wins."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import gradio as gr

from backend.services import Services
from ui.tabs.deploy.form import DeployTab
from ui.tabs.deploy.handlers import CHOSEN, Handlers
from ui.tabs.deploy_plan import bind_plan

SELECTED = "() => [window.lmDeploy.selected()]"  # the handler's one input: the server chosen on the page
CHANGED = "() => { window.lmDeploy?.changed(); }"
MODEL_CHANGED = "() => { window.lmDeploy?.modelChanged(); }"
ENGINE_CHANGED = "() => { window.lmDeploy?.engineChanged(); }"
FIT = "(engine) => { window.lmDeploy.fit(engine); }"
SHOW = "(id) => { window.lmDeploy.select(id); }"


def bind(services: Services, tab: DeployTab, tabs: Mapping[str, Any]) -> None:
    """Connect the tab's events. Handlers read raw values (``preprocess=False``): every error is the console's own."""
    handlers = Handlers(services)
    inputs = tab.inputs()
    # Short and frequent: no queue, no spinner.
    quick = partial(gr.on, queue=False, show_progress="hidden", preprocess=False, trigger_mode="always_last")

    _open(handlers, tab)
    # Gradio runs two changes of one moment side by side, and the older answer may come last. So every change goes to
    # the page's script, which presses the hidden buttons once, a moment later; of those, one is under way at a time.
    # Each button has one handler: two that wait for their turn on one event would call one another for ever.
    gr.on([control.change for control in inputs], fn=None, js=CHANGED, api_visibility="private")
    gr.on([tab.engine.change, tab.model.change], fn=None, js=MODEL_CHANGED, api_visibility="private")
    gr.on([tab.engine.change, tab.environment.change], fn=None, js=ENGINE_CHANGED, api_visibility="private")
    quick(
        tab.changed.click,
        handlers.preview,
        inputs=inputs,
        outputs=[tab.command, tab.message, tab.start],
        api_name="deploy_preview",
    )
    quick(
        tab.describe.click,
        handlers.describe,
        inputs=[tab.engine, tab.model],
        outputs=tab.details,
        api_name="deploy_describe",
    )
    quick(
        tab.look_again.click,  # a port was taken or became free: the command may have changed, the message stays
        handlers.preview_again,
        inputs=inputs,
        outputs=[tab.command, tab.start],
        api_visibility="private",
    )
    tab.engine_changed.click(fn=None, js=FIT, inputs=tab.engine, api_visibility="private")
    quick(
        tab.engine_changed.click,
        handlers.fit_choices,
        inputs=[tab.engine, tab.environment],
        outputs=[getattr(tab, name) for name in CHOSEN],
        api_name="deploy_fit_choices",
    )
    quick(tab.refresh.click, handlers.refresh_models, outputs=tab.model, api_name="deploy_refresh")
    tab.recheck.click(
        handlers.recheck, outputs=[tab.gpus, tab.environment, tab.environments], api_name="deploy_recheck"
    )

    started = quick(
        tab.start.click,
        handlers.start,
        inputs=inputs,
        outputs=[tab.message, tab.selected],
        trigger_mode="once",
        api_name="deploy_start",
    )
    started.then(fn=None, js=SHOW, inputs=tab.selected, api_visibility="private")
    quick(tab.stop.click, handlers.stop, inputs=tab.selected, outputs=tab.message, js=SELECTED, api_name="deploy_stop")
    quick(
        tab.edit.click, handlers.edit, inputs=tab.selected, outputs=[tab.message, *inputs], js=SELECTED,
        api_name="deploy_edit",
    )  # fmt: skip
    quick(
        [tab.paste_apply.click, tab.paste.submit],
        handlers.paste,
        inputs=tab.paste,
        outputs=[tab.paste_message, *inputs],
        api_name="deploy_paste",
    )
    quick(
        [tab.ssh.submit, tab.ssh.blur],
        handlers.remember_login,
        inputs=tab.ssh,
        outputs=[tab.ssh_line, tab.ssh_message],
        api_name="deploy_ssh",
    )
    quick(
        [tab.ready_timeout.submit, tab.ready_timeout.blur],
        handlers.ready_timeout,
        inputs=tab.ready_timeout,
        outputs=tab.more_message,
        api_name="deploy_ready_timeout",
    )
    bind_plan(services, tab.plan, inputs, tab.cache_max_entry_count, handlers.read)
    _go_to_chat(tab, tabs)


def _open(handlers: Handlers, tab: DeployTab) -> None:
    """What the page asks for once, as it opens: in one answer, so that nothing changes under a person's hands later."""
    gr.on(
        None,
        handlers.load,
        inputs=[],
        outputs=[
            tab.model, tab.ssh, tab.ssh_line, tab.ready_timeout,
            tab.engine, tab.gpus, tab.environment, tab.environments,
        ],
        queue=False,
        show_progress="hidden",
        api_name="deploy_load",
    )  # fmt: skip


def _go_to_chat(tab: DeployTab, tabs: Mapping[str, Any]) -> None:
    """The cards' "Chat with it": open the Chat tab with the chosen server in it."""
    chat = tabs.get("chat")
    if chat is None:
        return
    tab.chat.click(
        lambda server_id: (gr.Tabs(selected="chat"), server_id),
        inputs=tab.selected,
        outputs=[tabs["tabs"], chat.server],
        js=SELECTED,
        queue=False,
        show_progress="hidden",
        preprocess=False,
        api_visibility="private",
    )
