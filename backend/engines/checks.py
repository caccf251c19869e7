"""Checks of settings that several engines share. Pure; each gives the messages, none where all is well."""

import re
from collections.abc import Sequence

from backend.engines.base import ServeConfig
from backend.errors import Message, Value
from backend.machine.machine import Machine
from backend.models.checkpoint import ModelInfo

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_model(config: ServeConfig, model: ModelInfo | None) -> tuple[Message, ...]:
    """No model chosen, or a broken folder."""
    if not config.model.strip():
        return (Message("models.nothing-chosen", field="model"),)
    if model is None:
        return (Message("engines.downloads", {"model": config.hub_model}, "model", "warning"),)
    if model.problem is not None:
        return (Message(model.problem.key, model.problem.params, "model"),)
    return ()


def check_port(config: ServeConfig) -> tuple[Message, ...]:
    """A port outside 1–65535. Whether it is free can't be known here."""
    if config.port is not None and not 1 <= config.port <= 65535:
        return (Message("engines.port", {"value": config.port}, "port"),)
    return ()


def check_choice(value: str, choices: Sequence[str], field: str) -> tuple[Message, ...]:
    """A value that the environment's parser doesn't know."""
    if value in choices:
        return ()
    return (Message("engines.choice", {"value": value, "choices": ", ".join(choices)}, field),)


def check_gpus(config: ServeConfig, model: ModelInfo | None, machine: Machine) -> tuple[Message, ...]:
    """GPUs that aren't there or chosen twice; tp below 1, above the GPUs, or one that doesn't divide the heads."""
    gpu_ids = {gpu.id for gpu in machine.gpus}
    missing = [gpu for gpu in config.gpus if gpu not in gpu_ids] if gpu_ids else []
    if missing:
        params: dict[str, Value] = {"value": ", ".join(missing), "gpus": ", ".join(sorted(gpu_ids))}
        return (Message("engines.gpu-unknown", params, "gpus"),)
    if len(set(config.gpus)) < len(config.gpus):
        return (Message("engines.gpu-twice", {"value": ", ".join(config.gpus)}, "gpus"),)
    if config.tp < 1:
        return (Message("engines.tp-below-one", {"value": config.tp}, "tp"),)
    chosen = len(config.gpus) or 1
    if config.tp > chosen:
        return (Message("engines.tp-above-gpus", {"value": config.tp, "gpus": chosen}, "tp"),)
    heads = model.text.get("num_attention_heads") if model is not None else None
    if isinstance(heads, int) and heads % config.tp:
        return (Message("engines.tp-heads", {"value": config.tp, "heads": heads}, "tp"),)
    return ()


def check_ratio(config: ServeConfig) -> tuple[Message, ...]:
    """A cache ratio outside (0, 1), not-a-number included."""
    if not 0 < config.cache_max_entry_count < 1:
        return (Message("engines.ratio", {"value": config.cache_max_entry_count}, "cache_max_entry_count"),)
    return ()


def check_session_len(config: ServeConfig, model: ModelInfo | None) -> tuple[Message, ...]:
    """A session length below 1, or longer than what the model was made for (a warning)."""
    if config.session_len is None:
        return ()
    if config.session_len < 1:
        return (Message("engines.session-len", {"value": config.session_len}, "session_len"),)
    longest = model.context_length if model is not None else 0
    if longest and config.session_len > longest:
        params: dict[str, Value] = {"value": config.session_len, "longest": longest}
        return (Message("engines.session-len-long", params, "session_len", "warning"),)
    return ()


def check_model_name(config: ServeConfig) -> tuple[Message, ...]:
    """A name with control characters or spaces at its ends."""
    if CONTROL.search(config.model_name) or config.model_name != config.model_name.strip():
        return (Message("engines.model-name", {"value": repr(config.model_name)}, "model_name"),)
    return ()
