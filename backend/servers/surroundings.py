"""Looks at what a start stands among: the folder's files, the disk, what else is on the GPUs, the proxies."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.engines.base import ServeConfig
from backend.engines.remedies import GPU_ENGINES
from backend.machine.machine import Environment
from backend.memory.readings import GpuSample, Sample
from backend.memory_plan.values import Plan
from backend.models.agreement import disagreements
from backend.models.checkpoint import ModelInfo
from backend.servers.leftovers import find
from backend.servers.preflight import Surroundings

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "tekken.json", "sentencepiece.bpe.model")
TEMPLATES = ("chat_template.jinja", "chat_template.json", "additional_chat_templates")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")
CONFIG = "tokenizer_config.json"
MOST_BYTES = 16 << 20


def look(
    config: ServeConfig,
    model: ModelInfo | None,
    plan: Plan | None,
    sample: Sample | None,
    folder: Path,
    environ: Mapping[str, str],
    runs: Mapping[int, Path] | None = None,
    environment: Environment | None = None,
) -> Surroundings:
    """``folder`` is the console's own: logs are written there. ``environ`` is a person's own environment. ``runs`` are
    the console's own that haven't ended (see leftovers.find); without them no leftovers are looked for."""
    tokenizer, template = files_of(model)
    return Surroundings(
        plan=plan,
        free_disk_bytes=_free(folder),
        others_bytes=_others(config, sample),
        proxies=tuple(sorted({name for name in environ if name.lower() in PROXIES and environ[name]})),
        tokenizer=tokenizer,
        template=template,
        leftovers=find([gpu.reading for gpu in _chosen(config, sample)], runs) if runs is not None else (),
        environment=environment,
        disagreements=disagreements(model) if model is not None else (),
    )


def files_of(model: ModelInfo | None) -> tuple[bool | None, bool | None]:
    """Whether the folder has a tokenizer and a chat template; None where that can't be told: not read, own code."""
    if model is None or model.problem is not None:
        return None, None
    try:
        names = {entry.name for entry in model.path.iterdir()}
    except OSError:
        return None, None
    own = any(name.startswith("tokenization_") and name.endswith(".py") for name in names)
    tokenizer = own or bool(names & set(TOKENIZERS)) or any(name.endswith(".tiktoken") for name in names)
    if names & set(TEMPLATES):
        return tokenizer, True
    if CONFIG not in names:
        return tokenizer, None if own else False
    try:
        path = model.path / CONFIG
        if path.stat().st_size > MOST_BYTES:
            return tokenizer, None
        told = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return tokenizer, None
    return tokenizer, True if isinstance(told, dict) and told.get("chat_template") else None if own else False


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _others(config: ServeConfig, sample: Sample | None) -> int | None:
    """What no server or job of the console holds on the chosen GPUs, the fullest of them."""
    held = [gpu.others_bytes for gpu in _chosen(config, sample) if gpu.others_bytes is not None]
    return max(held, default=None)


def _chosen(config: ServeConfig, sample: Sample | None) -> Sequence[GpuSample]:
    """The GPUs that the settings name, the first one where they name none; () for an engine without."""
    if sample is None or config.engine not in GPU_ENGINES:
        return ()
    gpus = [gpu for gpu in sample.gpus if not config.gpus or gpu.reading.id in config.gpus]
    return gpus if config.gpus else gpus[:1]
