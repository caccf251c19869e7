"""What the two LMDeploy engines have in common: `lmdeploy serve api_server`, its flags and its traps. Pure.

The traps were met with LMDeploy 0.18.0; each check says which one it keeps people out of.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.engines import checks
from backend.engines.adapters import check_adapters
from backend.engines.base import ServeConfig
from backend.engines.choice import choose_environment
from backend.engines.conditions import check_conditions, flag_names
from backend.errors import ConsoleError, Message
from backend.machine import programs
from backend.machine.fit import capabilities_known, capabilities_of, gpu_problem, lmdeploy_unavailable
from backend.machine.flags import LMDEPLOY_OWNED, Flag, check_extra, find
from backend.machine.flags import choices as flag_choices
from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo
from backend.processes.command import Argument, CommandSpec, SecretFile

ENTRY = Path(__file__).parent / "children" / "lmdeploy_entry.py"
HOST = "127.0.0.1"
NOBODY = "none"  # neither a web origin nor a host name: it allows nobody
DEFAULT_RATIO = 0.8
# A vision model's name that is this word is taken for its chat template, and for none (serve/core/vl_async_engine.py).
NO_TEMPLATE = "base"
# What keeps others on the machine, web pages and the network out of a server.
SAFETY_FLAGS = ("--api-keys", "--allow-origins")
OFFLINE = (("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "1"))


@dataclass(frozen=True)
class LMDeployEngine(ABC):
    """`lmdeploy serve api_server` with one of its two backends."""

    name: str
    fields: frozenset[str] = frozenset({
        "model", "environment", "gpus", "model_format", "quant_policy", "cache_max_entry_count", "tp", "session_len",
        "dtype", "port", "model_name", "trust_remote_code", "extra",
    })  # fmt: skip

    @abstractmethod
    def knows(self, model: ModelInfo, environment: Environment | None) -> bool:
        """Whether this engine has the model's classes."""

    @abstractmethod
    def quant_policies(self, offered: Sequence[str]) -> tuple[str, ...]:
        """Those of the parser's KV cache policies that this engine takes; the parser knows no engine."""

    @abstractmethod
    def traps(self, config: ServeConfig, model: ModelInfo) -> tuple[Message, ...]:
        """What this engine alone stumbles over."""

    def choices(self, environment: Environment | None) -> Mapping[str, tuple[str, ...]]:
        """What the parser says, with "auto" for a flag that is left out."""
        serve = capabilities_of(environment).serve
        return {
            "model_format": ("auto", *flag_choices(serve, "--model-format")),
            "quant_policy": self.quant_policies(flag_choices(serve, "--quant-policy") or ("0", "4", "8")),
            "dtype": flag_choices(serve, "--dtype") or ("auto",),
        }

    def unavailable(self, machine: Machine) -> Message | None:
        """LMDeploy needs a GPU, and an environment that fits its driver."""
        return lmdeploy_unavailable(machine)

    def refuses(self, model: ModelInfo) -> Message | None:
        """A broken folder, or an architecture that the engine doesn't know."""
        if model.problem is not None:
            return Message(model.problem.key, model.problem.params, "model")
        return None if self.knows(model, None) else self.unknown_architecture(model, None)

    def unknown_architecture(self, model: ModelInfo, environment: Environment | None) -> Message:
        """Why the engine can't take the architecture, and what could."""
        others = capabilities_of(environment).pytorch_architectures if self.name == "turbomind" else ()
        key = "engines.architecture-pytorch" if model.architecture in others else "engines.architecture"
        name = model.architecture
        if model.text_architecture != name:
            name += f" ({model.text_architecture})"
        return Message(key, {"engine": self.name, "architecture": name}, "model")

    def check(self, config: ServeConfig, model: ModelInfo | None, machine: Machine) -> tuple[Message, ...]:
        """Everything wrong or worth knowing."""
        messages: list[Message] = []
        environment: Environment | None = None
        try:
            environment = choose_environment(config, model, machine)
            problem = environment.problem or gpu_problem(environment, machine)
            messages += [problem] if problem is not None else []
        except ConsoleError as error:
            messages += error.messages
        messages += checks.check_model(config, model)
        if model is not None and model.problem is None:
            if not self.knows(model, environment):
                messages.append(self.unknown_architecture(model, environment))
            messages += self._model_traps(config, model, capabilities_of(environment).serve)
            messages += self.traps(config, model)
            messages += check_conditions(config, model, environment, machine)
        choices = self.choices(environment)
        messages += checks.check_choice(config.model_format, choices["model_format"], "model_format")
        messages += checks.check_choice(str(config.quant_policy), choices["quant_policy"], "quant_policy")
        messages += checks.check_choice(config.dtype, choices["dtype"], "dtype")
        messages += checks.check_gpus(config, model, machine)
        messages += checks.check_ratio(config)
        messages += checks.check_session_len(config, model)
        messages += checks.check_port(config)
        messages += checks.check_model_name(config)
        messages += self._check_flags(config, model, environment)
        return tuple(messages)

    def command(
        self, config: ServeConfig, model: ModelInfo | None, environment: Environment, port: int, key_file: Path
    ) -> CommandSpec:
        """`lmdeploy serve api_server MODEL …`; flags that this LMDeploy's parser doesn't have are left out."""
        parser = capabilities_of(environment).serve
        path = str(model.path) if model is not None else config.hub_model
        argv: list[Argument] = [*programs.lmdeploy(environment), "serve", "api_server", path]
        argv += ["--server-name", HOST, "--server-port", str(port)]
        if self.name != _default(parser, "--backend", "turbomind"):
            argv += ["--backend", self.name]
        name = self.model_id(config, model)
        # A name that begins with a dash would be read as a flag.
        argv += [f"--model-name={name}"] if name.startswith("-") else ["--model-name", name]
        if config.model_format != "auto" and not self._left_out(config, model):
            argv += ["--model-format", config.model_format]
        if config.quant_policy:
            argv += ["--quant-policy", str(config.quant_policy)]
        if config.cache_max_entry_count != DEFAULT_RATIO:
            argv += ["--cache-max-entry-count", f"{config.cache_max_entry_count:g}"]
        if config.tp != 1:
            argv += ["--tp", str(config.tp)]
        if config.session_len is not None:
            argv += ["--session-len", str(config.session_len)]
        dtype = needed_dtype(config, model)
        if dtype != "auto" and find(parser, "--dtype"):
            argv += ["--dtype", dtype]
        if config.trust_remote_code and find(parser, "--trust-remote-code"):
            argv.append("--trust-remote-code")
        if find(parser, "--api-keys"):
            argv += ["--api-keys", SecretFile(key_file)]
        for flag in ("--allow-origins", "--allowed-media-domains"):
            if find(parser, flag):
                argv += [flag, NOBODY]
        argv += self.reporting(config, parser)
        argv += config.extra
        secret_entry = (str(environment.python), str(ENTRY))
        return CommandSpec(tuple(argv), _variables(config, model), secret_entry=secret_entry)

    def reporting(self, config: ServeConfig, known: Sequence[Flag]) -> tuple[str, ...]:
        """Flags that make the engine say what the console shows of it; () where it says that anyway."""
        return ()

    def model_id(self, config: ServeConfig, model: ModelInfo | None) -> str:
        """The given name, else the folder's or the hub repository's."""
        return config.model_name or (model.name if model is not None else config.hub_model)

    def _left_out(self, config: ServeConfig, model: ModelInfo | None) -> bool:
        """The tutorials' `--model-format hf` says "not quantized"; newer PyTorch engines take it for a quantization."""
        return self.name == "pytorch" and config.model_format == "hf" and (model is None or not model.quantization)

    def _model_traps(self, config: ServeConfig, model: ModelInfo, known: Sequence[Flag]) -> tuple[Message, ...]:
        """What both engines stumble over in this model with these settings. An LMDeploy that has no flag for trust runs
        a model's own code always."""
        messages: list[Message] = []
        if config.model_format in {"awq", "gptq"} and not model.quantization:
            # LMDeploy ignores the format then and serves in 16 bits, silently.
            params = {"format": config.model_format, "model": model.name}
            messages.append(Message("engines.format-unquantized", params, "model_format"))
        elif config.model_format not in {"auto", model.quantization} and model.quantization:
            params = {"format": config.model_format, "quantization": model.quantization, "model": model.name}
            messages.append(Message("engines.format-mismatch", params, "model_format"))
        elif config.model_format == "auto" and model.quantization_source in {"file", "tensors"}:
            # LMDeploy goes by config.json alone and would look for plain weights.
            params = {"quantization": model.quantization, "model": model.name}
            offered = model.quantization in flag_choices(known, "--model-format")
            key = "engines.format-undeclared" if offered else "engines.format-unknown"
            messages.append(Message(key, params, "model_format" if offered else "model"))
        if model.needs_remote_code and not config.trust_remote_code and find(known, "--trust-remote-code"):
            # Without it the original InternVL2 dies while loading, and so does a model with a tokenizer of its own.
            params = {"model": model.name, "architecture": model.architecture}
            field = "trust_remote_code"
            if model.architecture == "InternVLChatModel" or model.own_tokenizer:
                messages.append(Message("engines.needs-trust", params, field))
            else:
                messages.append(Message("engines.may-need-trust", params, field, "warning"))
        if model.takes_images and self.model_id(config, model) == NO_TEMPLATE:
            messages.append(Message("engines.name-base", {"value": NO_TEMPLATE}, "model_name"))
        dtype = needed_dtype(config, model)
        if dtype != config.dtype and find(known, "--dtype"):
            params = {"model": model.name, "dtype": dtype}
            messages.append(Message("engines.dtype-added", params, "dtype", "info"))
        return tuple(messages)

    def _check_flags(
        self, config: ServeConfig, model: ModelInfo | None, environment: Environment | None
    ) -> tuple[Message, ...]:
        """Further flags against the environment's parser, and the safety flags that it lacks."""
        parser = capabilities_of(environment).serve
        if environment is not None and not capabilities_known(environment):
            params = {"environment": environment.label, "version": environment.lmdeploy}
            return (Message("engines.parser-unread", params, "environment"),)
        messages = list(check_extra(config.extra, parser, LMDEPLOY_OWNED))
        messages += flag_names(config, environment)
        messages += check_adapters(config, model, environment)
        lacking = [flag for flag in SAFETY_FLAGS if not find(parser, flag)]
        if environment is not None and lacking:
            params = {"version": environment.lmdeploy, "flags": ", ".join(lacking)}
            messages.append(Message("engines.safety-lacking", params, "environment", "warning"))
        own_code = config.trust_remote_code or (model is not None and model.needs_remote_code)
        if own_code and environment is not None and not find(parser, "--trust-remote-code"):
            params = {"version": environment.lmdeploy}
            messages.append(Message("engines.always-trusts", params, "trust_remote_code", "warning"))
        return tuple(messages)


def needed_dtype(config: ServeConfig, model: ModelInfo | None) -> str:
    """The dtype to give: the chosen one; where none is chosen, one for both towers of a vision model.

    auto_awq leaves the vision tower in float16 and the text model in bfloat16. Of a float32 checkpoint LMDeploy loads
    the text model in bfloat16 and the vision tower as it is. Either way the first picture would abort the server.
    """
    if config.dtype == "auto" and model is not None and model.takes_images:
        if model.quantization == "awq":
            return "float16"
        if model.dtype == "float32":
            return "bfloat16"
    return config.dtype


def _default(flags: Sequence[Flag], name: str, otherwise: str) -> str:
    flag = find(flags, name)
    return flag.default if flag is not None else otherwise


def _variables(config: ServeConfig, model: ModelInfo | None) -> tuple[tuple[str, str | None], ...]:
    """CUDA's view of the chosen GPUs, counted as NVML does; a folder on this machine needs no hub."""
    variables: list[tuple[str, str | None]] = []
    if config.gpus:
        variables += [("CUDA_DEVICE_ORDER", "PCI_BUS_ID"), ("CUDA_VISIBLE_DEVICES", ",".join(config.gpus))]
    if model is not None:
        variables += OFFLINE
    return tuple(variables)
