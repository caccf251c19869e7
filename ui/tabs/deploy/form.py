"""The Deploy tab's components. Layout only: what a control means is in values.py, what it does in binding.py."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.engines import ENGINES
from backend.services import Services
from ui.i18n import L
from ui.page.bridge import bridge, part
from ui.page.form_controls import checkbox, dropdown, text
from ui.page.storage_panel import storage_panel
from ui.paste.box import PasteBox, build_paste
from ui.tabs.deploy.choices import engine_choices, first_choices
from ui.tabs.deploy.flag_controls import FlagControls, build_flags
from ui.tabs.deploy.plan import DeployPlan, build_plan
from ui.tabs.deploy.presets import PresetControls, build_presets
from ui.tabs.deploy.several_machines import MachinesPanel, build_machines
from ui.tabs.deploy.values import CONTROLS, DEFAULTS
from ui.tabs.deploy.what_fits import FitsPanel, build_fits

# What stands around or beside controls, and goes with them.
AROUND = {
    **{f"deploy-{name}": frozenset({"model"}) for name in ("refresh", "download", "downloads")},
    "deploy-first-settings": frozenset({"quant_policy", "model_format", "cache_max_entry_count"}),
    "deploy-plan-inverse": frozenset({"cache_max_entry_count"}),
    "deploy-model-details": frozenset({"model"}),
    "deploy-nodes-far": frozenset({"nodes"}),
    "deploy-presets": frozenset({"model"}),
    "deploy-flags": frozenset({"cache_max_entry_count"}),
    "deploy-fits": frozenset({"model"}),
    "deploy-machines": frozenset({"tp"}),
    **{f"deploy-plan-{part}": frozenset({"model"}) for part in ("card", "arithmetic", "why")},
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
    nodes: gr.Dropdown

    more: gr.Accordion
    machines: MachinesPanel
    refresh: gr.Button
    download: gr.Button
    downloads: gr.HTML
    details: gr.HTML
    paste: PasteBox
    presets: PresetControls
    flags: FlagControls
    more_message: gr.HTML
    node_lines: gr.HTML
    plan: DeployPlan
    fits: FitsPanel

    command: gr.HTML
    message: gr.HTML
    start: gr.Button
    stop: gr.Button
    bridge: gr.HTML
    status: gr.HTML
    servers: gr.HTML
    log: gr.HTML
    ssh: gr.Textbox
    ssh_line: gr.Textbox
    ssh_message: gr.HTML
    keys: gr.HTML
    environments: gr.HTML
    recheck: gr.Button

    def inputs(self) -> list[Any]:
        """The form's controls in the order of CONTROLS: the handlers' arguments."""
        return [getattr(self, name) for name in CONTROLS]


def build(services: Services) -> DeployTab:
    """Lay the tab out: the form on the left; command, servers and log on the right."""
    parts: dict[str, Any] = {}
    first = "turbomind" if services.planner.gpus() else "transformers"
    # What this engine doesn't use is hidden from the first frame on; the page's script takes over from there.
    gr.HTML(f"<style>{hiding(first)}</style>", elem_id="deploy-first-hiding", padding=False)
    with gr.Row(elem_id="deploy-columns", equal_height=False):
        with gr.Column(scale=5, min_width=320, elem_id="deploy-form"):
            parts["paste"] = build_paste("deploy")
            _model(parts, first)
            _first_settings(parts)
            _more_settings(parts)
            parts["presets"] = build_presets()
            parts["command"] = part("deploy", "command", value="", html_template="")
        with gr.Column(scale=6, min_width=320, elem_id="deploy-run"):
            parts["plan"] = build_plan(parts.pop("choice"))
            parts["fits"] = build_fits()
            parts["machines"] = build_machines()
            _start(parts)
            _servers(parts, first)
    _connect(parts)
    _keys(parts)
    _environments(parts)
    storage_panel("deploy")
    return DeployTab(**parts)


def _model(parts: dict[str, Any], first: str) -> None:
    with gr.Group(elem_id="deploy-what"):
        with gr.Row(elem_id="deploy-model-row"):
            parts["model"] = dropdown(CONTROLS["model"], [], "", scale=8)
            parts["refresh"] = gr.Button(
                L("deploy.refresh"), size="sm", scale=1, min_width=90, interactive=True, elem_id="deploy-refresh"
            )
            parts["download"] = gr.Button(
                L("downloads.get"), size="sm", scale=1, min_width=110, interactive=True, elem_id="deploy-download"
            )
        parts["downloads"] = part("deploy", "downloads")
        part("deploy", "installation")
        parts["details"] = gr.HTML(elem_id="deploy-model-details", padding=True)
        parts["choice"] = gr.HTML(elem_id="deploy-choice", padding=True)
        parts["engine"] = gr.Dropdown(
            choices=engine_choices(),
            value=first,
            label=L("deploy.engine.label"),
            info=L("deploy.engine.info"),
            interactive=True,
            elem_id="deploy-engine",
        )
        parts["nodes"] = gr.Dropdown(
            choices=[],
            value=[],
            multiselect=True,
            allow_custom_value=True,
            label=L("deploy.nodes.label"),
            info=L("deploy.nodes.info"),
            interactive=True,
            elem_id="deploy-nodes",
        )
        parts["address"] = text(CONTROLS["address"], placeholder="http://127.0.0.1:23333")
        parts["api_key"] = gr.Textbox(
            type="password",
            label=L("deploy.api-key.label"),
            info=L("deploy.api-key.info"),
            interactive=True,
            elem_id="deploy-api-key",
        )
    with gr.Accordion(L("deploy.nodes.far"), open=False, elem_id="deploy-nodes-far"):
        parts["node_lines"] = gr.HTML(elem_id="deploy-node-lines", padding=True)


def _first_settings(parts: dict[str, Any]) -> None:
    with gr.Group(elem_id="deploy-first-settings"):
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
    with gr.Accordion(L("deploy.more"), open=False, elem_id="deploy-more") as parts["more"]:
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
            parts["tp"] = _choice("tp", "1")
            parts["session_len"] = text(CONTROLS["session_len"], placeholder="32768")
        with gr.Row():
            parts["dtype"] = _choice("dtype", "auto")
            parts["port"] = text(CONTROLS["port"], placeholder=L("deploy.port.placeholder"))
        parts["model_name"] = text(CONTROLS["model_name"], placeholder=L("deploy.model-name.placeholder"))
        parts["trust_remote_code"] = checkbox(CONTROLS["trust_remote_code"])
        parts["extra"] = text(CONTROLS["extra"], placeholder="--max-batch-size 64 --enable-prefix-caching")
        parts["flags"] = build_flags()
        parts["ready_timeout"] = text("deploy-ready-timeout")
        parts["more_message"] = gr.HTML(elem_id="deploy-more-message")
        parts["environment"] = dropdown(CONTROLS["environment"], [(L("deploy.lmdeploy.auto"), "")], "")


def _start(parts: dict[str, Any]) -> None:
    with gr.Column(elem_id="deploy-start-panel"):
        with gr.Row(elem_id="deploy-buttons"):
            parts["start"] = gr.Button(
                L("deploy.start"), variant="primary", size="md", interactive=False, elem_id="deploy-start"
            )
            parts["stop"] = gr.Button(L("deploy.stop"), size="md", interactive=True, elem_id="deploy-stop")
        parts["message"] = gr.HTML(elem_id="deploy-message")


def _servers(parts: dict[str, Any], first: str) -> None:
    for name in ("status", "servers", "log"):
        parts[name] = part("deploy", name)
    # Its value is the chosen server's id. The script tells of the cards' two buttons, of a remedy, a start and a model
    # to be quantized that one of those asks for, and of what follows a change of the servers, of the form, of the
    # model, of the engine, and of what is installed.
    parts["bridge"] = bridge(
        "deploy", "edit", "parser", "logprobs", "correct", "stop", "chat", "remedy", "begin", "quantize", "look_again",
        "plan", "preview", "describe", "engine", "nodes", "got", "installed", "presets", "login", "patience",
        options={"hiding": {name: hiding(name) for name in ENGINES}, "first": first, "controls": dict(CONTROLS)},
    )  # fmt: skip


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


def _keys(parts: dict[str, Any]) -> None:
    with gr.Accordion(L("deploy.keys.title"), open=False, elem_id="deploy-keys-section"):
        parts["keys"] = part("deploy", "keys")


def _environments(parts: dict[str, Any]) -> None:
    with gr.Accordion(L("deploy.environments.title"), open=False, elem_id="deploy-environments-section"):
        parts["environments"] = gr.HTML(elem_id="deploy-environments")
        parts["recheck"] = gr.Button(L("deploy.recheck"), size="sm", interactive=True, elem_id="deploy-recheck")


def _choice(name: str, value: str) -> gr.Dropdown:
    """A dropdown whose choices the installed LMDeploy's parser gives."""
    return dropdown(CONTROLS[name], first_choices(name), value, min_width=150)


def hiding(engine: str) -> str:
    """The style that hides what the engine has no use for."""
    ids = unused_controls()[engine]
    return f"{', '.join(f'#{name}' for name in ids)} {{ display: none !important; }}" if ids else ""


def unused_controls() -> dict[str, list[str]]:
    """By engine, the elements that it has no use for. The page's script hides them: Gradio takes a component out of
    the page and puts it in again, and two of those at one moment can leave it standing still."""
    return {engine.name: _unused(engine.fields) for engine in ENGINES.values()}


def _unused(fields: frozenset[str]) -> list[str]:
    controls = [elem_id for name, elem_id in CONTROLS.items() if name != "engine" and name not in fields]
    return controls + [elem_id for elem_id, names in AROUND.items() if not fields & names]
