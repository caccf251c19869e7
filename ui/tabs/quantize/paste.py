"""What a pasted command fills on the Quantize tab."""

import os
from collections.abc import Mapping
from pathlib import Path

import gradio as gr

from backend.errors import ConsoleError, Message
from backend.quantization.base import CPU, GPU_PREFIX
from backend.services import Services
from ui.paste.target import BoundTarget, Filled, PasteTarget
from ui.tabs.deploy.paste import on_this_machine
from ui.tabs.quantize import choices
from ui.tabs.quantize.form import QuantizeTab
from ui.tabs.quantize.values import CONTROLS, DEFAULTS, SWITCHES, WHOLE, form_values

# What belongs to this machine, or is given by a person, rather than by a pasted command.
KEPT = frozenset({"environment", "text", "upload", "device", "output"})


def fill(services: Services, request: gr.Request, values: Mapping[str, object]) -> Filled:
    """Every control: what the command doesn't name goes to LMDeploy's default, but for KEPT."""
    held = form_values(DEFAULTS) | {"dataset": "wikitext2"}
    said: list[Message] = []
    for name, value in values.items():
        if name in WHOLE:
            number = int(str(value))
            held[name] = str(number) if name in ("bits", "group_size") else number
        elif name in SWITCHES:
            held[name] = bool(value)
        elif name in CONTROLS:
            held[name] = value
    if "dataset" not in values:
        said.append(Message("paste.dataset_default", {"now": "wikitext2"}, "dataset", "info"))
    kept = set(KEPT) - values.keys()
    if "model" not in values:
        kept.add("model")
    else:
        given = str(values["model"])
        held["model"] = on_this_machine(services, given)
        if held["model"] != given:
            said.append(Message("paste.here", {"value": given[:200], "now": str(held["model"])}, "model", "info"))
    if "device" in values:
        device, other = _device(services, str(values["device"]))
        held["device"] = device
        if other:
            said.append(Message("paste.no_gpu", {"value": str(values["device"]), "now": device}, "device", "warning"))
    if "output" in values:
        held["output"], moved = _output(services, str(values["output"]), str(held["model"]), str(held["method"]))
        if moved:
            params = {"value": str(values["output"])[:200], "now": str(held["output"])}
            said.append(Message("paste.output_moved", params, "output", "info"))
    return Filled(tuple(gr.skip() if name in kept else held[name] for name in CONTROLS), said)


def _device(services: Services, wanted: str) -> tuple[str, bool]:
    """The device, and whether it is another one: the named GPU may not be here."""
    ids = [gpu.id for gpu in services.finder.machine().gpus]
    if wanted == CPU or wanted.removeprefix(GPU_PREFIX) in ids:
        return wanted, False
    return (GPU_PREFIX + ids[0], True) if ids else (CPU, True)


def _output(services: Services, given: str, model: str, method: str) -> tuple[str, bool]:
    """A place for the result: as given where its folder is here, else beside this machine's models."""
    place = Path(os.path.expanduser(given))
    if place.is_absolute() and place.parent.is_dir():
        return given, False
    try:
        found = services.catalog.find(model)
    except ConsoleError:
        return given, False
    suggested = Path(choices.suggested_output(found, method, services.settings.models))
    name = suggested.name if place.name in ("", ".", "work_dir") else place.name
    return str(suggested.parent / name), True


TARGET = PasteTarget(
    tab="quantize",
    kinds=("lite", "calibrate"),
    fill=fill,
    count=len(CONTROLS),
    controls=CONTROLS,
    done="quantize.paste.done",
)


def paste(tab: QuantizeTab) -> BoundTarget:
    """The box with what it fills."""
    return BoundTarget(TARGET, tab.paste, tab.inputs())
