"""Checks of a quantization job before its start, each with its remedy. Pure; what they must know is handed to them."""

import os
from collections.abc import Sequence
from pathlib import Path

from backend.errors import Message, Value
from backend.machine.fit import capabilities_of, gpu_problem
from backend.machine.flags import choices as flag_choices
from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo, TensorInfo
from backend.quantization import sizes
from backend.quantization.base import CPU, DEMO_TEXT, NO_DATA, OWN_TEXT, QuantConfig, Surroundings
from backend.units import GIB

# What a CPU calibrates a small model with in about two minutes, and what the tutorials take on a GPU.
CPU_SAMPLES, CPU_SEQLEN = 8, 256
USUAL_SAMPLES, USUAL_SEQLEN = 128, 2048
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "tokenizer_config.json", "vocab.txt")
INTERNLM2_REMEDY = "make install-internlm2"
_MOST_SAMPLES = 100_000
_MOST_SEQLEN = 1 << 20


def output_path(config: QuantConfig) -> Path:
    """The folder to write, as an absolute path."""
    return Path(os.path.abspath(os.path.expanduser(config.output.strip())))


def partial_folder(output: Path, method: str) -> Path:
    """The folder beside it that a job writes to, until its result is whole."""
    return output.with_name(f".{output.name}.partial-{method}")


def dataset_choices(environment: Environment | None) -> tuple[str, ...]:
    """The calibration datasets that this LMDeploy offers."""
    return flag_choices(capabilities_of(environment).awq, "--calib-dataset")


def downloads(config: QuantConfig) -> bool:
    """Whether the calibration data comes from the hub (or its cache)."""
    return config.dataset not in (OWN_TEXT, DEMO_TEXT, NO_DATA)


def hub_variables(config: QuantConfig) -> list[tuple[str, str | None]]:
    """Local data needs no network, and gets none; a dataset from the hub may come through a mirror."""
    if not downloads(config):
        return [("HF_HUB_OFFLINE", "1")]
    found: list[tuple[str, str | None]] = [("HF_HUB_OFFLINE", None), ("TRANSFORMERS_OFFLINE", None)]
    if config.mirror:
        found.append(("HF_ENDPOINT", config.mirror))
    return found


def check_groups(config: QuantConfig, tensors: Sequence[TensorInfo], columns: int) -> list[Message]:
    """A group size that doesn't divide the inputs of a matrix, or outputs that can't be packed."""
    size = config.group_size
    if size < 1:
        return [Message("quantize.group-size", {"value": size}, "group_size")]
    matrices = sizes.shape(tensors).linears
    wrong = [t for t in matrices if t.shape[1] % size]
    if wrong:
        fitting = [n for n in (128, 64, 32) if all(t.shape[1] % n == 0 for t in matrices)]
        params: dict[str, Value] = {"value": size, "layer": wrong[0].name, "inputs": wrong[0].shape[1]}
        if fitting:
            return [Message("quantize.group-divides", {**params, "fitting": fitting[0]}, "group_size")]
        return [Message("quantize.group-none", params, "group_size")]
    odd = next((t for t in matrices if t.shape[0] % columns), None)
    if odd is not None:
        params = {"layer": odd.name, "outputs": odd.shape[0], "columns": columns}
        return [Message("quantize.not-packable", params, "model")]
    return []


def check_calibration(config: QuantConfig, model: ModelInfo, surroundings: Surroundings) -> list[Message]:
    """Numbers out of range, a text with too few tokens, a dataset that is neither here nor reachable."""
    if not config.calibrated:
        return [Message("quantize.info.no-data", field="dataset", level="info")]
    found = []
    if config.samples == 0:
        found.append(Message("quantize.samples.zero", {"dataset": config.dataset}, "samples"))
    elif not 1 <= config.samples <= _MOST_SAMPLES:
        found.append(_range("samples", config.samples, 1, _MOST_SAMPLES))
    if not 1 <= config.seqlen <= _MOST_SEQLEN:
        found.append(_range("seqlen", config.seqlen, 1, _MOST_SEQLEN))
    elif model.context_length and config.seqlen > model.context_length:
        params: dict[str, Value] = {"value": config.seqlen, "context": model.context_length}
        found.append(Message("quantize.seqlen.context", params, "seqlen", "warning"))
    if not 1 <= config.batch_size <= max(config.samples, 1):
        found.append(_range("batch_size", config.batch_size, 1, max(config.samples, 1)))
    if config.dataset == OWN_TEXT and not config.text:
        found.append(Message("quantize.text.missing", field="text"))
    if surroundings.tokens is not None and surroundings.tokens <= config.seqlen:
        key = "quantize.text.short" if config.dataset == OWN_TEXT else "quantize.demo.short"
        field = "text" if config.dataset == OWN_TEXT else "seqlen"
        found.append(Message(key, {"tokens": surroundings.tokens, "seqlen": config.seqlen}, field))
    if surroundings.dataset == "neither":
        params = {"dataset": config.dataset, "address": config.mirror or "huggingface.co"}
        found.append(Message("quantize.dataset.unreachable", params, "dataset"))
    elif surroundings.dataset == "reachable":
        params = {"dataset": config.dataset, "address": config.mirror or "huggingface.co"}
        found.append(Message("quantize.dataset.downloads", params, "dataset", "info"))
    return found


def check_dataset(config: QuantConfig, environment: Environment | None) -> list[Message]:
    """A dataset that this LMDeploy doesn't know; a mirror that is no address."""
    found = []
    known = dataset_choices(environment)
    if downloads(config) and known and config.dataset not in known:
        params: dict[str, Value] = {"value": config.dataset, "choices": ", ".join(known)}
        found.append(Message("quantize.choice", params, "dataset"))
    if config.mirror and not config.mirror.startswith(("http://", "https://")):
        found.append(Message("quantize.mirror", {"value": config.mirror}, "mirror"))
    return found


def check_environment(
    config: QuantConfig, model: ModelInfo, machine: Machine, environment: Environment | None, internlm2: bool
) -> list[Message]:
    """No LMDeploy to run it with, the wrong transformers, a build too new for the driver; what runs it, and why."""
    found = check_dataset(config, environment)
    if environment is None or not environment.lmdeploy:
        key = "quantize.environment.internlm2-missing" if internlm2 else "quantize.environment.none"
        return [*found, Message(key, {"model": model.name, "command": INTERNLM2_REMEDY}, "model")]
    params: dict[str, Value] = {
        "model": model.name,
        "environment": environment.label,
        "command": INTERNLM2_REMEDY,
    }
    if environment.problem is not None:
        found.append(environment.problem)
    elif config.gpu and machine.gpus and (problem := gpu_problem(environment, machine)) is not None:
        found.append(Message(problem.key, problem.params, "device"))
    if internlm2 and int(environment.transformers.split(".")[0] or 0) > 4:
        found.append(Message("quantize.environment.internlm2-missing", params, "model"))
    else:
        key = "quantize.info.environment-internlm2" if internlm2 else "quantize.info.environment"
        found.append(Message(key, params, "model", "info"))
    return found


def check_trust(config: QuantConfig, model: ModelInfo) -> list[Message]:
    """Code of the model's own that must be trusted; a tokenizer that isn't there."""
    found = []
    if model.needs_remote_code and not config.trust_remote_code:
        params: dict[str, Value] = {"model": model.name, "path": str(model.path)}
        found.append(Message("quantize.trust", params, "trust_remote_code"))
    if not any((model.path / name).exists() for name in TOKENIZER_FILES):
        params = {"path": str(model.path), "files": ", ".join(TOKENIZER_FILES[:2])}
        found.append(Message("quantize.model.no-tokenizer", params, "model"))
    return found


def check_device(config: QuantConfig, machine: Machine) -> list[Message]:
    """A GPU that isn't there; the CPU, which takes long."""
    if config.gpu:
        known = [gpu.id for gpu in machine.gpus]
        if config.gpu in known:
            return []
        params: dict[str, Value] = {"value": config.gpu, "gpus": ", ".join(known) or "–"}
        return [Message("quantize.device.unknown", params, "device")]
    if config.device != CPU:
        return [Message("quantize.choice", {"value": config.device, "choices": CPU}, "device")]
    if not config.calibrated:
        return []
    work: dict[str, Value] = {"samples": config.samples, "seqlen": config.seqlen}
    times = max(USUAL_SAMPLES * USUAL_SEQLEN // max(1, config.samples * config.seqlen), 1)
    if config.samples * config.seqlen <= CPU_SAMPLES * CPU_SEQLEN:
        return [Message("quantize.info.cpu-quick", {**work, "times": times}, "device", "info")]
    return [Message("quantize.info.cpu", work, "device", "info")]


def check_gpu_memory(
    config: QuantConfig, model: ModelInfo, tensors: Sequence[TensorInfo], surroundings: Surroundings
) -> list[Message]:
    """A peak above what is free, with settings that fit; servers on the same GPU."""
    if not config.gpu:
        return []
    found = [
        Message(
            "quantize.gpu.shared" if user.used_bytes is not None else "quantize.gpu.shared-unknown",
            {"server": user.name, "gib": _gib(user.used_bytes or 0)},
            "device",
            "warning",
        )
        for user in surroundings.users
    ]
    hidden = model.text.get("hidden_size")
    if surroundings.free_gpu_bytes is None or not tensors or not isinstance(hidden, int):
        return found
    needed = sizes.gpu_bytes(tensors, config, hidden)
    if needed <= surroundings.free_gpu_bytes:
        params: dict[str, Value] = {"needed": _gib(needed), "free": _gib(surroundings.free_gpu_bytes)}
        return [*found, Message("quantize.info.gpu-memory", params, "device", "info")]
    params = {"needed": _gib(needed), "free": _gib(surroundings.free_gpu_bytes)}
    smaller = sizes.fitting(tensors, config, hidden, surroundings.free_gpu_bytes) if config.calibrated else None
    if smaller is None:
        return [*found, Message("quantize.gpu.too-small", params, "device")]
    params |= {"seqlen": smaller[0], "samples": smaller[1]}
    return [*found, Message("quantize.gpu.memory", params, "seqlen")]


def check_output(
    config: QuantConfig,
    model: ModelInfo,
    tensors: Sequence[TensorInfo],
    surroundings: Surroundings,
    weight_bits: float,
    text_tower: bool,
) -> list[Message]:
    """A folder that can't be written, would be written into the model, or has no space."""
    field = "output"
    if not config.output.strip():
        return [Message("quantize.output.missing", field=field)]
    if "\0" in config.output or "\n" in config.output:
        return [Message("quantize.output.characters", {"value": config.output.replace("\0", "␀")}, field)]
    output = output_path(config)
    source = Path(os.path.realpath(model.path))
    if Path(os.path.realpath(output)) == source or source in Path(os.path.realpath(output)).parents:
        return [Message("quantize.output.inside", {"path": str(output), "model": str(model.path)}, field)]
    if surroundings.output:
        partial = partial_folder(output, config.method)
        params: dict[str, Value] = {"path": str(output), "parent": str(output.parent), "partial": str(partial)}
        return [Message(f"quantize.output.{surroundings.output}", params, field)]
    needed = sizes.disk_bytes(tensors, weight_bits, text_tower)
    if surroundings.free_disk_bytes is not None and tensors and needed > surroundings.free_disk_bytes:
        params = {"path": str(output.parent), "needed": _gib(needed), "free": _gib(surroundings.free_disk_bytes)}
        return [Message("quantize.output.space", params, field)]
    return []


def _range(field: str, value: int, low: int, high: int) -> Message:
    return Message("quantize.range", {"value": value, "low": low, "high": high}, field)


def _gib(count: int) -> str:
    return f"{count / GIB:.1f}"
