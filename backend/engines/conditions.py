"""LMDeploy's own conditions on a quantization, a kernel and the names that its flags take. Pure, but for a look at the
file that a flag may name.

What the installed LMDeploy says (machine/flags.py asks it) goes before what stands here; each check names the place
in LMDeploy 0.18.0 that it keeps people out of.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.engines.base import ServeConfig
from backend.engines.template_names import FLAG as TEMPLATE_FLAG
from backend.errors import Message, Value
from backend.machine.fit import capabilities_of
from backend.machine.flags import find
from backend.machine.machine import Environment, Machine
from backend.memory_plan.formulas import option
from backend.models.checkpoint import ModelInfo

PLAIN_FORMATS = frozenset({"auto", "hf"})  # formats of weights that aren't quantized
# The attention kernels in _turbomind.so; any other size is ready and dies at the first request.
TURBOMIND_HEAD_DIMS = frozenset({64, 128, 192, 256, 576})
PACKED_FORMATS = frozenset({"awq", "gptq"})  # whose tensors LMDeploy takes as config.json says, whatever they are
PACKED_BITS = 4  # all that either engine's kernels unpack
RAY_SINCE = (0, 8)  # LMDeploy's version
FP8_SINCE = 9.0  # Hopper's compute capability (pytorch/check_env/cuda.py)
NAMED_FLAGS = ("--tool-call-parser", "--reasoning-parser", TEMPLATE_FLAG)  # the template may be a file as well
NO_NAME = frozenset({"", "none", "None"})


def check_conditions(
    config: ServeConfig, model: ModelInfo, environment: Environment | None, machine: Machine
) -> tuple[Message, ...]:
    """What the engine would die of in this model with these settings."""
    return (
        *quantization(config.engine, model, environment),
        *weights_format(config, model, machine),
        *kernels(config.engine, model, environment),
        *shards(config, model),
        *several_gpus(config, environment),
        *dp_and_ep(config),
        *awq_dtype(config, model),
    )


def quantization(engine: str, model: ModelInfo, environment: Environment | None) -> tuple[Message, ...]:
    """A quantization that the engine doesn't know, or not in this form (turbomind/converter.py, pytorch/config.py)."""
    known = capabilities_of(environment)
    methods = known.turbomind_quantizations if engine == "turbomind" else known.pytorch_quantizations
    sizes = dict(known.turbomind_group_sizes if engine == "turbomind" else known.pytorch_group_sizes)
    if not model.quantization or model.quantization_source in {"file", "tensors"}:
        return ()
    params: dict[str, Value] = {"model": model.name, "engine": engine, "quantization": model.quantization}
    if methods and model.quantization not in methods:
        return (Message("engines.quantization", {**params, "methods": ", ".join(methods)}, "engine"),)
    if model.quantization in PACKED_FORMATS:
        if model.all_plain:  # TurboMind goes by the tensors
            if engine == "turbomind":
                return (Message("engines.quantization-not-there", params, "model", "warning"),)
            return (Message("engines.quantization-plain", params, "model"),)
        if model.packed_as not in {"", model.quantization}:
            return (Message("engines.quantization-differs", {**params, "packed": model.packed_as}, "model"),)
        if model.bits not in {0, PACKED_BITS}:
            return (Message("engines.quantization-bits", {**params, "bits": model.bits}, "model"),)
    allowed = sizes.get(model.quantization, ())
    if allowed and model.group_size and model.group_size not in allowed:
        about = {**params, "group_size": model.group_size, "sizes": ", ".join(map(str, allowed))}
        return (Message("engines.group-size", about, "model"),)
    form = _form(model.config) if engine == "turbomind" else ""
    return (Message("engines.quantization-form", {**params, "form": form}, "engine"),) if form else ()


def _form(config: Mapping[str, Any]) -> str:
    """What of the quantization's own settings TurboMind refuses; "" for nothing."""
    quantized = config.get("quantization_config")
    if not isinstance(quantized, Mapping):
        return ""
    method = quantized.get("quant_method")
    version = str(quantized.get("version", "gemm")).lower()
    if method == "awq" and version != "gemm":
        return f"version {version}"
    if method == "gptq" and quantized.get("desc_act"):
        return "desc_act true"
    if method == "gptq" and quantized.get("sym") is False:
        return "sym false"
    return ""


def weights_format(config: ServeConfig, model: ModelInfo, machine: Machine) -> tuple[Message, ...]:
    """Formats on weights that aren't quantized: the PyTorch engine dies of all but fp8, which it makes as it loads."""
    chosen = config.model_format
    if model.quantization or chosen == "auto":
        return ()
    params: dict[str, Value] = {"format": chosen, "model": model.name}
    if config.engine == "pytorch" and chosen == "hf":
        return (Message("engines.format-left-out", params, "model_format", "info"),)
    if config.engine == "pytorch" and chosen == "fp8":
        slow = [gpu for gpu in used_gpus(config, machine) if gpu.compute and gpu.compute < FP8_SINCE]
        if slow:
            about = {**params, "gpu": slow[0].name, "compute": f"{slow[0].compute:g}"}
            return (Message("engines.fp8-gpu", about, "model_format"),)
        return (Message("engines.fp8-loading", params, "model_format", "info"),)
    if chosen not in PLAIN_FORMATS | {"awq", "gptq"}:  # those two are lmdeploy.py's
        return (Message("engines.format-unquantized", params, "model_format"),)
    return ()


def used_gpus(config: ServeConfig, machine: Machine) -> tuple[Any, ...]:
    """The GPUs that the settings name; the first one where they name none."""
    return tuple(gpu for gpu in machine.gpus if gpu.id in config.gpus) or machine.gpus[:1]


def kernels(engine: str, model: ModelInfo, environment: Environment | None) -> tuple[Message, ...]:
    """A head size that TurboMind has no kernel for; only a warning for a version whose kernels weren't looked at."""
    if engine != "turbomind" or model.head_dim in TURBOMIND_HEAD_DIMS | {0}:
        return ()
    looked_at = environment is None or environment.lmdeploy.startswith("0.18.")
    params: dict[str, Value] = {
        "model": model.name,
        "head_dim": model.head_dim,
        "sizes": ", ".join(map(str, sorted(TURBOMIND_HEAD_DIMS))),
    }
    return (Message("engines.no-kernel", params, "engine", "error" if looked_at else "warning"),)


def shards(config: ServeConfig, model: ModelInfo) -> tuple[Message, ...]:
    """KV heads that can't be dealt out: both engines repeat them, to a multiple of what there is
    (turbomind/builders/attention.py, pytorch/configurations/builder.py)."""
    heads = model.text.get("num_key_value_heads")
    if not isinstance(heads, int) or heads < 1 or config.tp < 2 or -(-heads // config.tp) * config.tp % heads == 0:
        return ()
    return (Message("engines.tp-kv-heads", {"value": config.tp, "heads": heads}, "tp"),)


def several_gpus(config: ServeConfig, environment: Environment | None) -> tuple[Message, ...]:
    """The PyTorch engine deals its work out with Ray (pytorch/executor/__init__.py); early versions needed none."""
    if config.engine != "pytorch" or config.tp < 2 or environment is None or "ray" not in environment.lacking:
        return ()
    version = re.match(r"(\d+)\.(\d+)", environment.lmdeploy)
    if version is None or (int(version[1]), int(version[2])) < RAY_SINCE:
        return ()
    params: dict[str, Value] = {"environment": environment.label, "python": str(environment.python)}
    return (Message("engines.ray", params, "tp"),)


def dp_and_ep(config: ServeConfig) -> tuple[Message, ...]:
    """Data and expert parallelism, which are further flags. With dp the PyTorch engine starts a server a rank, on the
    machine's own address whatever --server-name says (serve/openai/launch_server.py); TurboMind's layout needs dp × cp
    GPUs and ep (turbomind/parallel_config.py), the other engine one a rank (pytorch/executor/__init__.py)."""
    dp, ep, cp = (option(config, flag) or 1 for flag in ("--dp", "--ep", "--cp"))
    flag = "--dp" if dp > 1 else "--ep"
    if max(dp, ep) < 2:
        return ()
    if config.engine == "pytorch" and dp > 1:
        return (Message("engines.dp-pytorch", {"flag": flag, "value": dp}, "extra"),)
    needed, chosen = max(dp * cp, ep), len(config.gpus) or 1
    params: dict[str, Value] = {"flag": flag, "value": max(dp, ep), "needed": needed, "gpus": chosen}
    if needed > chosen:
        return (Message("engines.parallel-gpus", params, "extra"),)
    return (Message("engines.parallel-untried", params, "extra", "warning"),)


def awq_dtype(config: ServeConfig, model: ModelInfo) -> tuple[Message, ...]:
    """auto_awq's scales are float16 numbers: in bfloat16 they lose digits, in some models all sense."""
    if model.quantization not in {"awq", "gptq"} or config.dtype != "bfloat16":
        return ()
    params: dict[str, Value] = {"model": model.name, "dtype": config.dtype, "quantization": model.quantization}
    return (Message("engines.awq-dtype", params, "dtype", "warning"),)


def flag_names(config: ServeConfig, environment: Environment | None) -> tuple[Message, ...]:
    """A parser or chat template that the installed LMDeploy doesn't list: it says so only after seconds of loading."""
    found = []
    for at, word in enumerate(config.extra):
        name, equals, value = word.partition("=")
        flag = find(capabilities_of(environment).serve, name) if name in NAMED_FLAGS else None
        if flag is None or not flag.suggestions:
            continue
        given = value if equals else next(iter(config.extra[at + 1 : at + 2]), "")
        if given in NO_NAME or given in flag.suggestions or f"'{given}'" in flag.help:  # legacy names stand there
            continue
        if name == TEMPLATE_FLAG and Path(given).is_file():
            continue
        params: dict[str, Value] = {"flag": name, "value": given, "choices": ", ".join(flag.suggestions)}
        found.append(Message("engines.parser-unknown", params, "extra"))
    return tuple(found)
