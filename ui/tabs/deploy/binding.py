"""Which event calls which handler. A change of the form asks for one preview, a moment later; the last change wins."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from backend.services import Services
from ui.page.bridge import hear
from ui.tabs.deploy.flag_controls import bind_flags
from ui.tabs.deploy.form import DeployTab
from ui.tabs.deploy.handlers import CHOSEN, Handlers
from ui.tabs.deploy.plan import bind_plan
from ui.tabs.deploy.presets import bind_presets
from ui.tabs.deploy.several_machines import bind_machines
from ui.tabs.deploy.what_fits import bind_fits


def bind(services: Services, tab: DeployTab, tabs: Mapping[str, Any]) -> None:
    """Connect the tab's events. Handlers read raw values (``preprocess=False``): every error is the console's own."""
    handlers = Handlers(services)
    inputs = tab.inputs()
    # Short and frequent: no queue, no spinner.
    quick: dict[str, Any] = {
        "queue": False, "show_progress": "hidden", "preprocess": False, "trigger_mode": "always_last",
    }  # fmt: skip

    _open(handlers, tab)
    # Gradio runs two changes of one moment side by side, and the older answer may come last. So every change goes to
    # the page's script, which tells the bridge once, a moment later; of those events, one is under way at a time. Each
    # has one handler: two that wait for their turn on one event would call one another for ever.
    for changes, event in (
        ([control.change for control in inputs], "changed"),
        ([tab.engine.change, tab.model.change], "modelChanged"),
        ([tab.engine.change, tab.environment.change], "engineChanged"),
    ):
        gr.on(changes, fn=None, js=hear("deploy", event), api_visibility="private")
    tab.bridge.preview(
        handlers.preview,
        inputs=inputs,
        outputs=[tab.command, tab.message, tab.start],
        api_name="deploy_preview",
        **quick,
    )
    tab.bridge.describe(
        handlers.describe,
        inputs=[tab.engine, tab.model],
        outputs=tab.details,
        api_name="deploy_describe",
        **quick,
    )
    tab.bridge.look_again(  # a port was taken or became free: the command may have changed, the message stays
        handlers.preview_again,
        inputs=inputs,
        outputs=[tab.command, tab.start],
        api_visibility="private",
        **quick,
    )
    tab.bridge.engine(fn=None, js=hear("deploy", "fit"), inputs=tab.engine, api_visibility="private")
    tab.bridge.engine(
        handlers.fit,
        inputs=[tab.engine, tab.environment],
        outputs=[*(getattr(tab, name) for name in CHOSEN), *tab.flags.fitted()],
        api_name="deploy_fit_choices",
        **quick,
    )
    tab.bridge.nodes(
        handlers.node_choices, outputs=[tab.nodes, tab.node_lines], api_name="deploy_node_choices", **quick
    )
    tab.refresh.click(handlers.refresh_models, outputs=tab.model, api_name="deploy_refresh", **quick)
    tab.download.click(
        fn=None, js=hear("deploy", "getModel"), inputs=[*inputs, tab.plan.card], api_visibility="private"
    )
    # The script names the model that was loaded, "" to look again alone.
    tab.bridge.got(
        handlers.got_model,
        js=hear("deploy", "gotModel"),
        inputs=tab.model,
        outputs=tab.model,
        api_name="deploy_got_model",
        **quick,
    )
    tab.recheck.click(
        handlers.recheck, outputs=[tab.gpus, tab.environment, tab.environments], api_name="deploy_recheck"
    )
    installed = tab.bridge.installed(
        handlers.installed, outputs=[tab.gpus, tab.environment, tab.environments], api_name="deploy_installed", **quick
    )
    installed.then(fn=None, js=hear("deploy", "looked"), api_visibility="private")

    # The bridge's value is the chosen server: the new one after a start.
    starting: dict[str, Any] = quick | {"trigger_mode": "once", "inputs": inputs, "outputs": [tab.message, tab.bridge]}
    tab.start.click(handlers.start, api_name="deploy_start", **starting)
    tab.bridge.begin(handlers.start, api_visibility="private", **starting)
    tab.stop.click(fn=None, js=hear("deploy", "stop"), api_visibility="private")
    tab.bridge.stop(
        handlers.stop,
        js=hear("deploy", "toStop"),
        inputs=tab.bridge,
        outputs=tab.message,
        api_name="deploy_stop",
        **quick,
    )
    filling: dict[str, Any] = quick | {"inputs": tab.bridge, "outputs": [tab.message, *inputs]}
    tab.bridge.edit(handlers.edit, api_name="deploy_edit", **filling)
    tab.bridge.parser(handlers.add_parser, api_visibility="private", **filling)
    tab.bridge.logprobs(handlers.add_logprobs, api_visibility="private", **filling)
    tab.bridge.correct(
        handlers.correct,
        js=hear("deploy", "toCorrect"),
        inputs=[tab.bridge, tab.bridge],
        outputs=[tab.more, tab.message, *inputs],
        api_name="deploy_correct",
        **quick,
    )
    # What is left while the line is lost comes to no handler: the script tells it by the bridge once the line is back.
    login: dict[str, Any] = quick | {"inputs": tab.ssh, "outputs": [tab.ssh_line, tab.ssh_message]}
    patience: dict[str, Any] = quick | {"inputs": tab.ready_timeout, "outputs": tab.more_message}
    left = [tab.ready_timeout.submit, tab.ready_timeout.blur]
    for kept, sent in (
        (gr.on([tab.ssh.submit, tab.ssh.blur], handlers.remember_login, api_name="deploy_ssh", **login), "loginSent"),
        (tab.bridge.login(handlers.remember_login, api_visibility="private", **login), "loginSent"),
        (gr.on(left, handlers.ready_timeout, api_name="deploy_ready_timeout", **patience), "patienceSent"),
        (tab.bridge.patience(handlers.ready_timeout, api_visibility="private", **patience), "patienceSent"),
    ):
        kept.then(fn=None, js=hear("deploy", sent), api_visibility="private")
    # A remedy's button: the script answers with the form as it is to be.
    tab.bridge.remedy(fn=None, js=hear("deploy", "withRemedy"), inputs=inputs, outputs=inputs, api_visibility="private")
    bind_presets(services, tab.presets, tab.bridge, inputs, handlers.read)
    bind_fits(services, tab.fits)
    bind_machines(services, tab.machines, inputs, handlers.read)
    bind_flags(tab.flags, tab.extra)
    bind_plan(services, tab.plan, tab.bridge, inputs, tab.cache_max_entry_count, handlers.read)
    _go_to(tab.bridge.chat, tabs, "chat", tab.bridge, "server")  # a card's "Chat with it": the chosen server
    _go_to(tab.bridge.quantize, tabs, "quantize", tab.model, "model")  # a plan's "Quantize it"


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


def _go_to(event: Any, tabs: Mapping[str, Any], name: str, given: Any, control: str) -> None:
    """On that event of the bridge the tab opens with ``given`` in its control, where the page has such a tab."""
    if name in tabs:
        event(
            lambda value: (gr.Tabs(selected=name), value),
            inputs=given,
            outputs=[tabs["tabs"], getattr(tabs[name], control)],
            queue=False,
            show_progress="hidden",
            preprocess=False,
            api_visibility="private",
        )
