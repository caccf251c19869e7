"""What would help, as settings to take over with a click: for a message about a form, for a server that died, for a
plan that doesn't fit. Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from backend.diagnosis import Remedy
from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.engines.runnable import obstacles
from backend.errors import Message
from backend.machine.flags import without_flag
from backend.machine.machine import Machine
from backend.models.checkpoint import ModelInfo

LOWEST_RATIO = 0.1
LONG_SESSION = 262_144  # tokens: more than that is asked for by mistake, not by need
GPU_ENGINES = ("turbomind", "pytorch")


@dataclass(frozen=True)
class Case:
    """What a message is about: the settings, their model (None: not on this machine) and the machine; ``demo`` is the
    model that comes with the console."""

    config: ServeConfig
    model: ModelInfo | None
    machine: Machine
    demo: ModelInfo | None = None

    def runs(self, model: ModelInfo | None, engine: str) -> bool:
        """Whether that model can be started here with that engine."""
        if model is None:
            return False
        config = ServeConfig(engine, str(model.path), trust_remote_code=self.config.trust_remote_code)
        return not obstacles(config, model, self.machine)


def remedies(message: Message, case: Case) -> tuple[Remedy, ...]:
    """What would put right what the message says; () where only a person can."""
    found = _BY_KEY.get(message.key)
    if found is not None:
        return found(message.params, case)
    if message.key.startswith("models.") and message.field == "model":
        return _demo(message.params, case)
    if message.key.startswith("engines.extra."):
        return _without_flag(message.params, case)
    return ()


def _sane(params: "Params", config: ServeConfig) -> tuple[Remedy, ...]:
    """Numbers that went wrong: another dtype than the one that was chosen, then a KV cache that isn't quantized."""
    sound = "float32" if config.engine == "transformers" else "float16"  # that one runs on the CPU
    dtype = sound if config.dtype == "auto" else "auto"
    return (Remedy("remedy.dtype", {"dtype": dtype}), Remedy("remedy.kv-off", {"quant_policy": 0}))


def restarts(reason: Message | None, config: ServeConfig, demo: ModelInfo | None = None) -> tuple[Remedy, ...]:
    """With which other settings a server that ended for that reason could be started again."""
    if reason is None:
        return ()
    found = _AFTER_DEATH.get(reason.key)
    if found is None:
        return ()
    return tuple(r for r in found(reason.params, config) if replace(config, **r.settings) != config)  # type: ignore[arg-type]


def for_plan(message: Message, gpus: int) -> tuple[Remedy, ...]:
    """The settings that a plan's remedy speaks of; () where it is no matter of this form."""
    params = message.params
    match message.key:
        case "plan.remedy.ratio" | "plan.remedy.ratio-up":
            return (Remedy("remedy.ratio", {"cache_max_entry_count": params["ratio"]}),)
        case "plan.remedy.kv-bits":
            return (Remedy("remedy.kv-bits", {"quant_policy": 8}),)
        case "plan.remedy.session-len":
            return (Remedy("remedy.session-len", {"session_len": params["tokens"]}),)
        case "plan.remedy.tp" if int(params["tp"]) <= gpus:
            return (Remedy("remedy.tp", {"tp": params["tp"], "gpus": tuple(map(str, range(int(params["tp"]))))}),)
    return ()


Params = Mapping[str, str | int | float]
Find = Callable[[Params, Case], tuple[Remedy, ...]]


def _fixed(key: str, **settings: str | int | float | bool | None) -> Find:
    return lambda params, case: (Remedy(key, settings),)


def _demo(params: Params, case: Case) -> tuple[Remedy, ...]:
    """The demo model on an engine that runs it here, the chosen one first."""
    if case.demo is None or (case.model is not None and case.model.path == case.demo.path):
        return ()
    for engine in dict.fromkeys((case.config.engine, "transformers", *GPU_ENGINES)):
        if engine in ENGINES and "model" in ENGINES[engine].fields and case.runs(case.demo, engine):
            return (Remedy("remedy.demo", {"model": str(case.demo.path), "engine": engine}),)
    return ()


def _other_engine(params: Params, case: Case) -> tuple[Remedy, ...]:
    """An engine that can run the model here; where none can, a model that runs."""
    for engine in ("turbomind", "pytorch", "transformers"):
        if engine != case.config.engine and case.runs(case.model, engine):
            return (Remedy(f"remedy.engine.{engine}", {"engine": engine}),)
    return _demo(params, case)


def _format(params: Params, case: Case) -> tuple[Remedy, ...]:
    return (Remedy("remedy.format", {"model_format": params.get("quantization") or "auto"}),)


def _fewer_gpus(params: Params, case: Case) -> tuple[Remedy, ...]:
    wanted, have = int(params["value"]), len(case.machine.gpus)
    if wanted <= have:
        ids = tuple(gpu.id for gpu in case.machine.gpus[:wanted])
        return (Remedy("remedy.gpus", {"gpus": ids, "tp": wanted}),)
    return (Remedy("remedy.tp", {"tp": params["gpus"]}),)


def _port(params: Params, case: Case) -> tuple[Remedy, ...]:
    return (Remedy("remedy.port", {"port": params["free"]}),) if params.get("free") else ()


def _without_flag(params: Params, case: Case) -> tuple[Remedy, ...]:
    flag = str(params.get("flag") or params.get("word") or "")
    left = without_flag(case.config.extra, flag)
    found = []
    if nearest := params.get("nearest"):
        renamed = tuple(str(nearest) + word[len(flag) :] if _names(word, flag) else word for word in case.config.extra)
        found.append(Remedy("remedy.flag.nearest", {"extra": renamed}))
    if left != case.config.extra:
        found.append(Remedy("remedy.flag.remove", {"extra": left}))
    return tuple(found)


def _names(word: str, flag: str) -> bool:
    return word == flag or word.startswith(f"{flag}=")


def _parser(params: Params, case: Case) -> tuple[Remedy, ...]:
    words = (*case.config.extra, str(params["flag"]), str(params["parser"]))
    return (Remedy("remedy.parser", {"extra": words}),)


_TRUST = _fixed("remedy.trust", trust_remote_code=True)
_BY_KEY: Mapping[str, Find] = {
    "engines.needs-trust": _TRUST,
    "engines.may-need-trust": _TRUST,
    "environments.no-driver": _other_engine,
    "environments.no-gpu": _other_engine,
    "environments.no-lmdeploy": _other_engine,
    "environments.no-transformers": _other_engine,
    "environments.driver-too-old": _other_engine,
    "environments.lacks-torch": _other_engine,
    "environments.torch-without-cuda": _other_engine,
    "environments.unknown": _fixed("remedy.environment", environment=""),
    "environments.old-transformers": _fixed("remedy.environment", environment=""),
    "engines.architecture": _other_engine,
    "engines.architecture-pytorch": _other_engine,
    "engines.cpu-quantized": _other_engine,
    "engines.cpu-own-code": _other_engine,
    "engines.group-size": _other_engine,
    "engines.quantization": _other_engine,
    "engines.quantization-form": _other_engine,
    "engines.quantization-plain": _demo,
    "engines.quantization-differs": _demo,
    "engines.quantization-bits": _other_engine,
    "engines.no-kernel": _other_engine,
    "engines.fp8-gpu": _fixed("remedy.format", model_format="auto"),
    "engines.tp-kv-heads": _fixed("remedy.tp", tp=1),
    "engines.parser-unknown": _without_flag,
    "engines.dp-pytorch": _without_flag,
    "engines.parallel-gpus": _without_flag,
    "engines.format-unknown": _demo,
    "engines.format-unquantized": _fixed("remedy.format", model_format="auto"),
    "engines.format-mismatch": _format,
    "engines.format-undeclared": _format,
    "engines.kv-int4-head-dim-64": _fixed("remedy.kv-bits", quant_policy=8),
    "engines.kv-head-dim": _fixed("remedy.kv-off", quant_policy=0),
    "engines.tp-above-gpus": _fewer_gpus,
    "engines.tp-below-one": _fixed("remedy.tp", tp=1),
    "engines.gpu-unknown": _fixed("remedy.gpu-first", gpus=None),
    "engines.ratio": _fixed("remedy.ratio", cache_max_entry_count=0.8),
    "engines.session-len": _fixed("remedy.session-len.own", session_len=None),
    "engines.session-len-long": lambda params, case: (
        Remedy("remedy.session-len", {"session_len": params["longest"]}),
    ),
    "engines.ray": lambda params, case: (*_other_engine(params, case), Remedy("remedy.tp", {"tp": 1})),
    "engines.name-base": _fixed("remedy.model-name", model_name="vision"),
    "engines.awq-dtype": _fixed("remedy.dtype", dtype="float16"),
    "engines.template-by-name": lambda params, case: (
        Remedy("remedy.template", {"extra": (*case.config.extra, "--chat-template", "hf")}),
    ),
    "engines.adapters-turbomind": lambda params, case: (
        *_other_engine(params, case),
        *_without_flag({"flag": "--adapters"}, case),
    ),
    "engines.adapters-folder": lambda params, case: _without_flag({"flag": "--adapters"}, case),
    "engines.tools-parser": _parser,
    "engines.reasoning-parser": _parser,
    "preflight.cache-tiny": _fixed("remedy.ratio", cache_max_entry_count=0.8),
    "preflight.memory-over": lambda params, case: _less_memory(params, case.config),
    "preflight.session-cache": lambda params, case: (Remedy("remedy.session-len", {"session_len": params["tokens"]}),),
    "engines.port": _fixed("remedy.port.free", port=None),
    "servers.port-in-use": _port,
    "servers.port-own": _port,
}


Restart = Callable[[Params, ServeConfig], tuple[Remedy, ...]]


def _again(key: str, **settings: str | int | float | bool | None) -> Restart:
    return lambda params, config: (Remedy(key, settings),)


def _less_memory(params: Params, config: ServeConfig) -> tuple[Remedy, ...]:
    """A smaller cache; a session of a length that a person chose may be what didn't fit, a very long one before all."""
    if config.engine not in GPU_ENGINES:
        return ()
    ratio = Remedy(
        "remedy.ratio", {"cache_max_entry_count": round(max(LOWEST_RATIO, config.cache_max_entry_count / 2), 2)}
    )
    if config.session_len is None:
        return (ratio,)
    own = Remedy("remedy.session-len.own", {"session_len": None})
    return (own, ratio) if config.session_len > LONG_SESSION else (ratio, own)


def _more_cache(params: Params, config: ServeConfig) -> tuple[Remedy, ...]:
    """The cache's own share was too small, or too little was free: a larger share where there is one."""
    if config.cache_max_entry_count >= 0.8:
        return _less_memory(params, config)
    return (Remedy("remedy.ratio", {"cache_max_entry_count": 0.8}),)


def _without(*flags: str) -> Restart:
    """The settings without these further flags."""

    def found(params: Params, config: ServeConfig) -> tuple[Remedy, ...]:
        extra = config.extra
        for flag in flags:
            extra = without_flag(extra, flag)
        return () if extra == config.extra else (Remedy("remedy.flag.without", {"extra": extra}),)

    return found


def _refused_flag(params: Params, config: ServeConfig) -> tuple[Remedy, ...]:
    """Without the flag that the engine's parser refused."""
    words = str(params.get("cause", "")).replace(":", " ").replace("/", " ").split()
    return next((r for word in words if word.startswith("--") and (r := _without(word)(params, config))), ())


def _real_format(params: Params, config: ServeConfig) -> tuple[Remedy, ...]:
    """The format that the model is quantized in, as the log names it; auto where it names none that the form has."""
    real = str(params.get("cause", ""))
    known = real if real in ("awq", "gptq", "fp8", "mxfp4", "compressed-tensors") else "auto"
    return (Remedy("remedy.format", {"model_format": known}),)


def _engine(*engines: str) -> Restart:
    """Another engine, which has the settings that this one has."""
    return lambda params, config: tuple(
        Remedy(f"remedy.engine.{name}", {"engine": name}) for name in engines if name != config.engine
    )


_KV_OFF = _again("remedy.kv-off", quant_policy=0)
_KV_8 = _again("remedy.kv-bits", quant_policy=8)
_FREE_PORT = _again("remedy.port.free", port=None)
_TRUST_AGAIN = _again("remedy.trust", trust_remote_code=True)
_ONE_GPU = _again("remedy.tp", tp=1)
_FLOAT16 = _again("remedy.dtype", dtype="float16")
_AUTO_FORMAT = _again("remedy.format", model_format="auto")
_OTHER_ENVIRONMENT = _again("remedy.environment", environment="")

_AFTER_DEATH: Mapping[str, Restart] = {
    "servers.first.nonsense": _sane,
    "servers.first.empty": lambda params, config: (
        *_without("--chat-template")(params, config),
        *_sane(params, config),
    ),
} | {
    f"engines.died.{name}": found
    for name, found in {
        "trust": _TRUST_AGAIN,
        "tokenizer": _TRUST_AGAIN,
        "picture-dtype": _FLOAT16,
        "bfloat16": _FLOAT16,
        "kv-misaligned": lambda params, config: (*_KV_8(params, config), *_KV_OFF(params, config)),
        "kv-fp8": _KV_8,
        "kv-head-dim": _KV_OFF,
        "kv-unsupported": _KV_OFF,
        "triton-resources": lambda params, config: (
            *_engine("turbomind")(params, config),
            *_KV_OFF(params, config),
        ),
        "cuda-crash": _KV_OFF,
        "head-dim": _engine("pytorch"),
        "kernel-shape": _engine("pytorch"),
        "proxy-node": _without("--proxy-url"),
        "group-size": _engine("pytorch"),
        "engine-architecture": _engine("pytorch"),
        "engine-architecture-pytorch": _engine("transformers"),
        "quant-config": lambda params, config: _engine("pytorch" if config.engine == "turbomind" else "turbomind")(
            params, config
        ),
        "ray": lambda params, config: (*_engine("turbomind")(params, config), *_ONE_GPU(params, config)),
        "ray-worker": lambda params, config: (*_engine("turbomind")(params, config), *_ONE_GPU(params, config)),
        "nccl": _ONE_GPU,
        "shm": _ONE_GPU,
        "tp-heads": _ONE_GPU,
        "gpus-too-few": lambda params, config: (Remedy("remedy.tp", {"tp": 1, "gpus": ()}),),
        "port-inner": _ONE_GPU,
        "nodes": _ONE_GPU,
        "ray-start": lambda params, config: (*_engine("turbomind")(params, config), *_ONE_GPU(params, config)),
        "turbomind-missing": lambda params, config: (
            *_OTHER_ENVIRONMENT(params, config),
            *_engine("pytorch")(params, config),
        ),
        "code-version": _OTHER_ENVIRONMENT,
        "package-version": _OTHER_ENVIRONMENT,
        "library-mismatch": _OTHER_ENVIRONMENT,
        "heap": _OTHER_ENVIRONMENT,
        "gpu-old": lambda params, config: (*_engine("turbomind")(params, config), *_FLOAT16(params, config)),
        "gpu-virtual": _engine("pytorch"),
        "compiler": _engine("turbomind"),
        "python-headers": _engine("turbomind"),
        "triton": _engine("turbomind"),
        "memory": _less_memory,
        "memory-kv": _more_cache,
        "memory-runtime": lambda params, config: (
            () if config.session_len is None else (Remedy("remedy.session-len.own", {"session_len": None}),)
        ),
        "ratio": _again("remedy.ratio", cache_max_entry_count=0.8),
        "port": _FREE_PORT,
        "port-denied": _FREE_PORT,
        "port-number": _FREE_PORT,
        "no-gpu": _engine("transformers"),
        "format-hf": _AUTO_FORMAT,
        "fp8-gpu": _AUTO_FORMAT,
        "format-mismatch": _real_format,
        "template": _without("--chat-template"),
        "template-file": _without("--chat-template"),
        "parser-tool": _without("--tool-call-parser"),
        "parser-reasoning": _without("--reasoning-parser"),
        "adapter": _without("--adapters"),
        "address": _without("--server-name"),
        "ssl-file": _without("--ssl"),
        "hub-revision": _without("--revision"),
        "speculative": _without(
            "--speculative-algorithm",
            "--speculative-draft-model",
            "--speculative-num-draft-tokens",
            "--speculative-dflash-block-size",
        ),
        "arguments": _refused_flag,
    }.items()
}
