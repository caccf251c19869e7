"""What the form's dropdowns offer: pairs of label and value; a label begins with the raw value."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo
from backend.quantization import QUANT_METHODS
from backend.quantization.awq import GROUP_SIZES
from backend.quantization.base import CPU, DEMO_TEXT, GPU_PREFIX, NO_DATA, OWN_TEXT
from backend.quantization.calibration_sets import is_cached
from backend.quantization.smooth_quant import QUANT_DTYPES
from ui.i18n import L, Language, t
from ui.page.units import gib, parameters
from ui.tabs.quantize.values import SEPARATOR

Choices = list[tuple[Any, str]]
DTYPES = ("auto", "float16", "bfloat16")


def method_choices() -> Choices:
    """Every method of the registry."""
    return [(L(f"quantize.method.{name}"), name) for name in QUANT_METHODS]


def dtype_choices() -> Choices:
    """auto_awq's --dtype."""
    return [(L(f"quantize.dtype.{name}"), name) for name in DTYPES]


def bits_choices() -> Choices:
    """AWQ's --w-bits."""
    return [(str(bits), str(bits)) for bits in QUANT_METHODS["awq"].bits]


def quant_dtype_choices() -> Choices:
    """smooth_quant's --quant-dtype."""
    return [(L(f"quantize.quant-dtype.{name}"), name) for name in QUANT_DTYPES]


def group_size_choices() -> Choices:
    """The usual ones, TurboMind's first."""
    return [(str(size), str(size)) for size in GROUP_SIZES]


def first_device_choices() -> Choices:
    """What is offered until the machine has been looked at."""
    return [(L("quantize.device.cpu"), CPU)]


def device_choices(machine: Machine, language: Language) -> Choices:
    """Every GPU, then the CPU."""
    choices: Choices = []
    for gpu in machine.gpus:
        free = "" if gpu.free_bytes is None else f"{gib(gpu.free_bytes)} / "
        choices.append(
            (SEPARATOR.join((GPU_PREFIX + gpu.id, gpu.name, free + gib(gpu.total_bytes))), GPU_PREFIX + gpu.id)
        )
    return [*choices, (t("quantize.device.cpu", language), CPU)]


def first_dataset_choices() -> Choices:
    """What needs nothing from the hub."""
    return [(L(f"quantize.dataset.{name}"), name) for name in (DEMO_TEXT, OWN_TEXT, NO_DATA)]


def dataset_choices(names: Iterable[str], language: Language) -> Choices:
    """The console's own ways, then the datasets that the installed LMDeploy offers."""
    own: Choices = [(t(f"quantize.dataset.{name}", language), name) for name in (DEMO_TEXT, OWN_TEXT, NO_DATA)]
    for name in names:
        key = "quantize.dataset.cached" if is_cached(name) else "quantize.dataset.hub"
        own.append((t(key, language, {"name": name}), name))
    return own


def model_choices(models: Iterable[ModelInfo]) -> Choices:
    """The catalogue's unquantized models: name and what tells them apart."""
    return [
        (SEPARATOR.join(filter(None, (model.name, parameters(model.parameters), model.dtype))), str(model.path))
        for model in models
        if model.problem is None and not model.quantization
    ]


def environment_choices(environments: Iterable[Environment], language: Language) -> Choices:
    """First "automatic", then each Python that has LMDeploy."""
    choices: Choices = [(e.label, e.id) for e in environments if e.lmdeploy]
    return [(t("quantize.environment.auto", language), ""), *choices]


def suggested_output(model: ModelInfo, method: str, folders: Iterable[Path]) -> str:
    """Where the result could go: beside the model if that folder is a person's own, else the first of ``folders``."""
    chosen = QUANT_METHODS.get(method)
    name = model.name.rsplit("/", 1)[-1] + (chosen.suffix if chosen else "")
    places = [model.path.parent, *folders]
    place = next((p for p in places if _is_own(p)), Path.home() / "models")
    return str(place / name)


def _is_own(folder: Path) -> bool:
    """Not a hub's cache, not a part of the console, and writable."""
    parts = folder.parts
    hidden = any(part.startswith("models--") or part in {"snapshots", ".cache"} for part in parts)
    inside = Path(__file__).resolve().parents[3] in (folder, *folder.parents)
    return not hidden and not inside and folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
