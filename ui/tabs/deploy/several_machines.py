"""The panel "Over several machines": how many, and the form → what to paste on each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import gradio as gr

from backend.engines.base import ServeConfig
from backend.engines.several_machines import MEET_PORT, Lines, Machines, lines, read_machines
from backend.errors import InvalidInput, Message, Value
from backend.services import Services
from ui.i18n import L, Language, t
from ui.page.form_controls import figure
from ui.page.operator import for_operator
from ui.tabs.deploy.render import note
from ui.tabs.deploy.values import CONTROLS, FormValues
from ui.web.visitor import language_of


@dataclass(frozen=True)
class MachinesPanel:
    """The components."""

    count: gr.Textbox
    gpus: gr.Textbox
    first: gr.Textbox
    look: gr.Button
    result: gr.HTML


def build_machines() -> MachinesPanel:
    """Lay it out, folded."""
    with gr.Accordion(L("machines.title"), open=False, elem_id="deploy-machines"):
        with gr.Row():
            count = figure("deploy-machines-count", "machines.count", "2")
            gpus = figure("deploy-machines-gpus", "machines.gpus", "8")
            first = figure("deploy-machines-first", "machines.first", "10.0.0.1")
            look = gr.Button(
                L("machines.look"), size="sm", scale=0, min_width=90, interactive=True, elem_id="deploy-machines-look"
            )
        result = gr.HTML(elem_id="deploy-machines-result")
    return MachinesPanel(count, gpus, first, look, result)


def bind_machines(services: Services, panel: MachinesPanel, inputs: Sequence[Any], read: Any) -> None:
    """Connect it. ``inputs`` is the form, which ``read`` makes settings of."""

    def look(request: gr.Request, count: object, gpus: object, first: object, *form: object) -> str:
        language = language_of(request)

        def found() -> str:
            machines = read_machines(FormValues.of(form).choice("engine"), count, gpus, first)
            return machines_html(services, read(form), machines, language)

        return for_operator(request, CONTROLS, found, lambda html: html)

    gr.on(
        [panel.look.click, panel.count.submit, panel.gpus.submit, panel.first.submit],
        look,
        inputs=[panel.count, panel.gpus, panel.first, *inputs],
        outputs=panel.result,
        api_name="deploy_machines",
        queue=False,
        show_progress="hidden",
        preprocess=False,
    )


def machines_html(services: Services, config: ServeConfig, machines: Machines, language: Language) -> str:
    """The lines by machine. Raises InvalidInput where there is no command to begin with."""
    if not config.model.strip():
        raise InvalidInput(Message("machines.no_model", field="model"))
    config = replace(config, tp=machines.tp, gpus=(), port=None)
    spec = services.servers.preview(config).command
    if spec is None:
        raise InvalidInput(Message("machines.no_command", field="engine"))
    return lines_html(lines(config, spec, machines), config.engine, machines, language)


def lines_html(found: Sequence[Lines], engine: str, machines: Machines, language: Language) -> str:
    """A block a machine: its checks, then its start."""
    about: dict[str, Value] = {
        "tp": machines.tp,
        "count": machines.count,
        "port": MEET_PORT[engine],
        "first": machines.first,
    }
    parts = [note(t("machines.untried", language)), note(t(f"machines.about.{engine}", language, about))]
    for rank, one in enumerate(found):
        title = t("machines.one.first" if rank == 0 else "machines.one", language, {**about, "number": rank + 1})
        parts.append(f'<section data-machine="{rank}"><h4>{escape(title)}</h4>')
        for key, block in (("machines.checks", one.checks), ("machines.start", one.start)):
            code = escape("\n".join(block))
            parts.append(f'{note(t(key, language))}<pre class="code" tabindex="0">{code}</pre>')
        parts.append("</section>")
    parts.append(note(t("machines.then", language)))
    return "".join(parts)
