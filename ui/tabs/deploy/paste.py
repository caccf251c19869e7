"""What a pasted command fills on the Deploy tab."""

from collections.abc import Mapping
from pathlib import Path

import gradio as gr

from backend.errors import ConsoleError, Message
from backend.services import Services
from ui.paste.target import BoundTarget, Filled, PasteTarget
from ui.tabs.deploy.form import DeployTab
from ui.tabs.deploy.values import CONTROLS, DEFAULTS, form_values

# What belongs to this machine rather than to a pasted command.
KEPT = frozenset({"environment", "address", "api_key"})


def fill(services: Services, request: gr.Request, values: Mapping[str, object]) -> Filled:
    """Every control: what the command doesn't name goes to LMDeploy's default, but for KEPT and a missing model."""
    if "address" in values:
        known = {"engine": "external", **values}
        return Filled(tuple(known.get(name, gr.skip()) for name in CONTROLS))
    held = dict(form_values(DEFAULTS).values) | {name: value for name, value in values.items() if name in CONTROLS}
    said: list[Message] = []
    kept = set(KEPT)
    if "model" in values:
        given = str(values["model"])
        held["model"] = on_this_machine(services, given)
        if held["model"] != given:
            said.append(Message("paste.here", {"value": given[:200], "now": str(held["model"])}, "model", "info"))
    else:
        kept.add("model")
    return Filled(tuple(gr.skip() if name in kept else held[name] for name in CONTROLS), said)


def on_this_machine(services: Services, model: str) -> str:
    """A tutorial's path that isn't here, as the folder of the same name that is."""
    name = Path(model.rstrip("/\\").replace("\\", "/")).name
    try:
        services.catalog.find(model)
    except ConsoleError:
        listed = [info for info in services.catalog.models() if info.path.name == name or info.name == model]
        return str(listed[0].path) if listed else model
    return model


TARGET = PasteTarget(
    tab="deploy",
    kinds=("serve", "convert", "download", "address"),
    fill=fill,
    count=len(CONTROLS),
    controls=CONTROLS,
    done="deploy.paste.done",
)


def paste(tab: DeployTab) -> BoundTarget:
    """The box with what it fills."""
    return BoundTarget(TARGET, tab.paste, tab.inputs())
