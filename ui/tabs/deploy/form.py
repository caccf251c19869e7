"""The Deploy tab's components. Layout only: what a control means is in values.py, what it does in binding.py."""

import json
from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.engines import ENGINES
from backend.services import Services
from ui.form_controls import checkbox, command, dropdown, hidden_button, hidden_text, text
from ui.i18n import L
from ui.tabs.deploy.choices import engine_choices, first_choices
from ui.tabs.deploy.values import CONTROLS, DEFAULTS
from ui.tabs.deploy_plan import DeployPlan, build_plan

# What stands around or beside controls, and goes with them.
AROUND = {
    "deploy-refresh": frozenset({"model"}),
    "deploy-first-settings": frozenset({"gpus", "quant_policy", "model_format", "cache_max_entry_count"}),
    **{f"deploy-plan-{part}": frozenset({"model"}) for part in ("card", "inverse", "arithmetic", "why")},
}


@dataclass(frozen=True)
class DeployTab:
    """The components, named as the ServeConfig fields that they hold; the rest by their elem_id."""

    engine: gr.Dropdown
    model: gr.Dropdown
    environment: gr.Dropdown
    gpus: gr.Dropdown
    model_format: gr.Dropdown
    quant_policy: gr.Dropdown
    cache_max_entry_count: gr.Slider
    tp: gr.Dropdown
    session_len: gr.Textbox
    dtype: gr.Dropdown
    port: gr.Textbox
    model_name: gr.Textbox
    trust_remote_code: gr.Checkbox
    extra: gr.Textbox
    ready_timeout: gr.Textbox
    address: gr.Textbox
    api_key: gr.Textbox

    refresh: gr.Button
    details: gr.HTML
    paste: gr.Textbox
    paste_apply: gr.Button
    paste_message: gr.HTML
    more_message: gr.HTML
    plan: DeployPlan

    command: gr.Textbox
    message: gr.HTML
    start: gr.Button
    stop: gr.Button
    selected: gr.Textbox
    edit: gr.Button
    look_again: gr.Button
    changed: gr.Button
    describe: gr.Button
    engine_changed: gr.Button
    chat: gr.Button
    unused: gr.HTML
    status: gr.HTML
    servers: gr.HTML
    log: gr.HTML
    ssh: gr.Textbox
    ssh_line: gr.Textbox
    ssh_message: gr.HTML
    environments: gr.HTML
    recheck: gr.Button

    def inputs(self) -> list[Any]:
        """The form's controls in the order of CONTROLS: the handlers' arguments."""
        return [getattr(self, name) for name in CONTROLS]


def build(services: Services) -> DeployTab:
    """Lay the tab out: the form on the left; command, servers and log on the right."""
    parts: dict[str, Any] = {}
    with gr.Row(elem_id="deploy-columns", equal_height=False):
        with gr.Column(scale=5, min_width=320, elem_id="deploy-form"):
            _paste(parts)
            _model(parts)
            _first_settings(parts)
            parts["plan"] = build_plan()
            _more_settings(parts)
        with gr.Column(scale=6, min_width=320, elem_id="deploy-run"):
            _command(parts)
            _servers(parts)
    _connect(parts)
    _environments(parts)
    return DeployTab(**parts)


def _model(parts: dict[str, Any]) -> None:
    with gr.Group(elem_id="deploy-what"):
        parts["engine"] = gr.Dropdown(
            choices=(engines := engine_choices()),
            value=engines[0][1],
            label=L("deploy.engine.label"),
            info=L("deploy.engine.info"),
            interactive=True,
            elem_id="deploy-engine",
        )
        with gr.Row(elem_id="deploy-model-row"):
            parts["model"] = dropdown(CONTROLS["model"], [], "", scale=8)
            parts["refresh"] = gr.Button(
                L("deploy.refresh"), size="sm", scale=1, min_width=90, interactive=True, elem_id="deploy-refresh"
            )
        parts["address"] = text(CONTROLS["address"], placeholder="http://127.0.0.1:23333")
        parts["api_key"] = gr.Textbox(
            type="password",
            label=L("deploy.api-key.label"),
            info=L("deploy.api-key.info"),
            interactive=True,
            elem_id="deploy-api-key",
        )
        parts["details"] = gr.HTML(elem_id="deploy-model-details", padding=True)


def _first_settings(parts: dict[str, Any]) -> None:
    with gr.Group(elem_id="deploy-first-settings"):
        parts["gpus"] = gr.Dropdown(
            choices=[],
            value=[],
            multiselect=True,
            allow_custom_value=True,
            label=L("deploy.gpus.label"),
            info=L("deploy.gpus.info"),
            interactive=True,
            elem_id="deploy-gpus",
        )
        with gr.Row():
            parts["quant_policy"] = _choice("quant_policy", "0")
            parts["model_format"] = _choice("model_format", "auto")
        parts["cache_max_entry_count"] = gr.Slider(
            minimum=0.0,
            maximum=1.0,
            step=0.01,
            value=DEFAULTS.cache_max_entry_count,
            label=L("deploy.cache-ratio.label"),
            info=L("deploy.cache-ratio.info"),
            interactive=True,
            elem_id="deploy-cache-ratio",
        )


def _more_settings(parts: dict[str, Any]) -> None:
    with gr.Accordion(L("deploy.more"), open=False, elem_id="deploy-more"):
        with gr.Row():
            parts["tp"] = _choice("tp", "1")
            parts["session_len"] = text(CONTROLS["session_len"], placeholder="32768")
        with gr.Row():
            parts["dtype"] = _choice("dtype", "auto")
            parts["port"] = text(CONTROLS["port"], placeholder=L("deploy.port.placeholder"))
        parts["model_name"] = text(CONTROLS["model_name"], placeholder=L("deploy.model-name.placeholder"))
        parts["trust_remote_code"] = checkbox(CONTROLS["trust_remote_code"])
        parts["extra"] = text(CONTROLS["extra"], placeholder="--max-batch-size 64 --enable-prefix-caching")
        parts["ready_timeout"] = text("deploy-ready-timeout")
        parts["more_message"] = gr.HTML(elem_id="deploy-more-message")
        parts["environment"] = dropdown(CONTROLS["environment"], [(L("deploy.lmdeploy.auto"), "")], "")


def _paste(parts: dict[str, Any]) -> None:
    with gr.Accordion(L("deploy.paste.title"), open=False, elem_id="deploy-paste-section"):
        parts["paste"] = gr.Textbox(
            lines=2,
            max_lines=8,
            placeholder="lmdeploy serve api_server /root/models/internlm2_5-7b-chat --quant-policy 4",
            label=L("deploy.paste.label"),
            info=L("deploy.paste.info"),
            interactive=True,
            elem_id="deploy-paste",
        )
        parts["paste_apply"] = gr.Button(
            L("deploy.paste.apply"), size="sm", interactive=True, elem_id="deploy-paste-apply"
        )
        parts["paste_message"] = gr.HTML(elem_id="deploy-paste-message")


def _command(parts: dict[str, Any]) -> None:
    with gr.Column(elem_id="deploy-command-panel"):
        parts["command"] = command("deploy-command", lines=2, max_lines=6)
        with gr.Row():
            parts["start"] = gr.Button(
                L("deploy.start"), variant="primary", size="md", interactive=False, elem_id="deploy-start"
            )
            parts["stop"] = gr.Button(L("deploy.stop"), size="md", interactive=True, elem_id="deploy-stop")
        parts["message"] = gr.HTML(elem_id="deploy-message")


def _servers(parts: dict[str, Any]) -> None:
    parts["status"] = gr.HTML(elem_id="deploy-status", js_on_load=_mount("deploy-status"))
    parts["servers"] = gr.HTML(elem_id="deploy-servers", js_on_load=_mount("deploy-servers"))
    parts["log"] = gr.HTML(elem_id="deploy-log", js_on_load=_mount("deploy-log"))
    # For the page's script: which controls an engine doesn't use, the chosen server's id, the cards' two buttons, and
    # what follows a change of the servers, of the form, and of the engine.
    parts["unused"] = gr.HTML(elem_id="deploy-unused", js_on_load=_mount("deploy-unused", unused_controls()))
    parts["selected"] = hidden_text("deploy-selected")
    for name in ("edit", "chat"):
        parts[name] = hidden_button(f"deploy-{name}", L(f"deploy.{name}"))
    for name in ("look_again", "changed", "describe", "engine_changed"):
        parts[name] = hidden_button(f"deploy-{name.replace('_', '-')}")


def _connect(parts: dict[str, Any]) -> None:
    with gr.Accordion(L("deploy.connect.title"), open=False, elem_id="deploy-connect"):
        with gr.Row():
            parts["ssh"] = text("deploy-ssh", placeholder="ssh -p 41682 root@ssh.example.com")
            parts["ssh_line"] = gr.Textbox(
                label=L("deploy.ssh-line.label"),
                info=L("deploy.ssh-line.info"),
                interactive=False,
                buttons=["copy"],
                elem_id="deploy-ssh-line",
            )
        parts["ssh_message"] = gr.HTML(elem_id="deploy-ssh-message")


def _environments(parts: dict[str, Any]) -> None:
    with gr.Accordion(L("deploy.environments.title"), open=False, elem_id="deploy-environments-section"):
        parts["environments"] = gr.HTML(elem_id="deploy-environments")
        parts["recheck"] = gr.Button(L("deploy.recheck"), size="sm", interactive=True, elem_id="deploy-recheck")


def _choice(name: str, value: str) -> gr.Dropdown:
    """A dropdown whose choices the installed LMDeploy's parser gives."""
    return dropdown(CONTROLS[name], first_choices(name), value, min_width=150)


def _mount(name: str, options: Any = None) -> str:
    return f"lmConsole.mount('{name}', element, {json.dumps(options or {})})"


def unused_controls() -> dict[str, list[str]]:
    """By engine, the elements that it has no use for. The page's script hides them: Gradio takes a component out of
    the page and puts it in again, and two of those at one moment can leave it standing still."""
    return {engine.name: _unused(engine.fields) for engine in ENGINES.values()}


def _unused(fields: frozenset[str]) -> list[str]:
    controls = [elem_id for name, elem_id in CONTROLS.items() if name != "engine" and name not in fields]
    return controls + [elem_id for elem_id, names in AROUND.items() if not fields & names]
