"""What the form's dropdowns offer: pairs of label and value; a label begins with the raw value."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backend.engines import ENGINES
from backend.engines.proxy import NAME as PROXY
from backend.machine.machine import Environment, Gpu
from backend.models.checkpoint import ModelInfo
from backend.servers.server import ServerView
from backend.servers.transitions import ENDED
from ui.i18n import L, Language, t, texts
from ui.page.units import gib, parameters
from ui.tabs.deploy.values import SEPARATOR

Choices = list[tuple[Any, str]]

# What is offered until an LMDeploy has told what its parser takes.
KNOWN: Mapping[str, Sequence[str]] = {
    "quant_policy": ("0", "4", "8"),
    "model_format": ("auto", "hf", "awq", "gptq"),
    "dtype": ("auto", "float16", "bfloat16"),
    "tp": ("1", "2", "4", "8"),
}
_KEYS = {"quant_policy": "quant-policy", "model_format": "model-format", "dtype": "dtype", "tp": "tp"}


def engine_choices() -> Choices:
    """Every engine of the registry, explained in the page's language by the browser."""
    return [(L(f"deploy.engine.{name}"), name) for name in ENGINES]


def first_choices(name: str) -> Choices:
    """A setting's choices as the page is built."""
    return [(L(key) if (key := _key(name, value)) in texts() else value, value) for value in KNOWN[name]]


def setting_choices(name: str, values: Iterable[str], language: Language) -> Choices:
    """A setting's choices as an LMDeploy's parser has them."""
    return [(_label(_key(name, value), value, language), value) for value in values]


def model_choices(models: Iterable[ModelInfo], language: Language) -> Choices:
    """The catalogue: name and what tells models apart. A broken folder is listed as such."""
    return [(model_label(model, language), str(model.path)) for model in models]


def model_label(model: ModelInfo, language: Language) -> str:
    """``internlm2_5-7b-chat · 7.74 B · bfloat16``; ``… · broken`` for a folder that can't be served."""
    if model.problem is not None:
        facts = [t("deploy.model.broken", language)]
    else:
        facts = [parameters(model.parameters), model.dtype, model.quantization]
        facts.append(t("deploy.model.pictures", language) if model.takes_images else "")
    return SEPARATOR.join([model.name, *(fact for fact in facts if fact)])


def gpu_choices(gpus: Iterable[Gpu], language: Language) -> Choices:
    """``0 · NVIDIA H200 · 139.8 GiB, 139.3 GiB free``."""
    return [(gpu_label(gpu, language), gpu.id) for gpu in gpus]


def gpu_label(gpu: Gpu, language: Language) -> str:
    """One GPU as the dropdown shows it."""
    size = gib(gpu.total_bytes)
    if gpu.free_bytes is not None:
        size = t("deploy.gpus.free", language, {"total": size, "free": gib(gpu.free_bytes)})
    return SEPARATOR.join((gpu.id, gpu.name, size))


def node_choices(servers: Iterable[ServerView], language: Language) -> Choices:
    """``http://127.0.0.1:23333 · demo_model :23333 · running``: what may stand behind a proxy."""
    usable = (view for view in servers if view.state not in ENDED and view.config.engine != PROXY)
    return [(_node_label(view, language), view.address) for view in usable]


def _node_label(view: ServerView, language: Language) -> str:
    names = () if view.name in view.address else (view.name,)  # a nameless server goes by its address
    return SEPARATOR.join((view.address, *names, t(f"common.state.{view.state}", language)))


def environment_choices(environments: Iterable[Environment], language: Language) -> Choices:
    """First "automatic", then each Python that has LMDeploy or transformers."""
    choices = [(_environment_label(item), item.id) for item in environments]
    return [(t("deploy.lmdeploy.auto", language), ""), *choices]


def _environment_label(environment: Environment) -> str:
    versions = [
        f"{name} {version}"
        for name, version in (("LMDeploy", environment.lmdeploy), ("transformers", environment.transformers))
        if version
    ]
    return SEPARATOR.join((environment.label, *versions))


def _key(name: str, value: str) -> str:
    return f"deploy.{_KEYS[name]}.{value}"


def _label(key: str, value: str, language: Language) -> str:
    return t(key, language) if key in texts() else value
