"""Which event calls which handler. Every change of the form asks for one preview; the last change wins."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import gradio as gr

from backend.services import Services
from ui.tabs.deploy.form import DeployTab
from ui.tabs.deploy.handlers import Handlers
from ui.tabs.deploy_plan import bind_plan

SELECTED = "() => [window.lmDeploy.selected()]"  # the handler's one input: the server chosen on the page
SHOW = "(id) => { window.lmDeploy.select(id); }"


def bind(services: Services, tab: DeployTab, tabs: Mapping[str, Any]) -> None:
    """Connect the tab's events. Handlers read raw values (``preprocess=False``): every error is the console's own."""
    handlers = Handlers(services)
    inputs = tab.inputs()
    quick = partial(gr.on, queue=False, show_progress="hidden", preprocess=False)
    # What follows the form goes through the queue: only there does Gradio wait for the answer under way, so that a late
    # answer to an older form never stands last.
    follow = partial(gr.on, trigger_mode="always_last", show_progress="hidden", preprocess=False)

    _open(handlers, tab)
    follow(
        None,  # as the page opens, and at every change
        handlers.preview,
        inputs=inputs,
        outputs=[tab.command, tab.message, tab.start],
        api_name="deploy_preview",
    )
    quick(
        tab.look_again.click,  # a port was taken or became free: the command may have changed, the message stays
        handlers.preview_again,
        inputs=inputs,
        outputs=[tab.command, tab.start],
        trigger_mode="always_last",
        api_visibility="private",
    )
    follow(
        [tab.engine.change, tab.environment.change],
        handlers.fit_form,
        inputs=[tab.engine, tab.environment],
        outputs=inputs[1:],
        api_name="deploy_fit_form",
    )
    follow(
        None,
        handlers.describe,
        inputs=[tab.engine, tab.model],
        outputs=tab.details,
        api_name="deploy_describe",
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
        outputs=[tab.message, *inputs],
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
