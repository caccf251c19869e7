"""`transformers serve` on the CPU: for machines without a GPU. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.engines import checks
from backend.engines.base import ServeConfig
from backend.engines.choice import choose_environment
from backend.errors import ConsoleError, Message
from backend.machine import programs
from backend.machine.fit import capabilities_of, needs_transformers4
from backend.machine.flags import TRANSFORMERS_OWNED, check_extra
from backend.machine.machine import Environment, Machine
from backend.models.checkpoint import ModelInfo
from backend.processes.command import CommandSpec

DTYPES = ("auto", "float32", "float16", "bfloat16")
HOST = "127.0.0.1"
NEEDS_PACKAGES = frozenset({"awq", "gptq"})  # gptqmodel, which has no CPU wheel among the console's requirements


@dataclass(frozen=True)
class Transformers:
    """transformers' OpenAI-compatible server. It has neither a key nor a name to serve: the model's id is its path."""

    name: str = "transformers"
    fields: frozenset[str] = frozenset({"model", "environment", "dtype", "port", "trust_remote_code", "extra"})

    def choices(self, environment: Environment | None) -> Mapping[str, tuple[str, ...]]:
        """torch's dtypes; the parser takes any text."""
        return {"dtype": DTYPES}

    def unavailable(self, machine: Machine) -> Message | None:
        """Some environment must have transformers 5: the older `transformers serve` blocks and hangs."""
        if any(_good(environment) for environment in machine.environments):
            return None
        return Message("environments.no-transformers", field="engine")

    def refuses(self, model: ModelInfo) -> Message | None:
        """AWQ and GPTQ weights don't load on the CPU; the original InternVL2's and InternLM2's own code doesn't run in
        transformers 5."""
        params = {"model": model.name, "quantization": model.quantization, "architecture": model.architecture}
        if model.problem is not None:
            return Message(model.problem.key, model.problem.params, "model")
        if model.quantization in NEEDS_PACKAGES:
            return Message("engines.cpu-quantized", params, "model")
        if model.architecture == "InternVLChatModel" or needs_transformers4(model):
            return Message("engines.cpu-own-code", params, "model")
        return None

    def check(self, config: ServeConfig, model: ModelInfo | None, machine: Machine) -> tuple[Message, ...]:
        """Everything wrong or worth knowing."""
        messages: list[Message] = []
        environment: Environment | None = None
        try:
            environment = choose_environment(config, model, machine)
            if environment.problem is not None:
                messages.append(environment.problem)
            elif not _good(environment) and (none := self.unavailable(machine)) is not None:
                messages.append(none)
            elif not _good(environment):
                params = {"environment": environment.label, "version": environment.transformers or "–"}
                messages.append(Message("environments.old-transformers", params, "environment"))
        except ConsoleError as error:
            messages += error.messages
        messages += checks.check_model(config, model)
        if model is not None and model.problem is None:
            refusal = self.refuses(model)
            messages += [refusal] if refusal is not None else []
            if refusal is None and model.needs_remote_code and not config.trust_remote_code:
                params = {"model": model.name, "architecture": model.architecture}
                messages.append(Message("engines.needs-trust", params, "trust_remote_code"))
            if "@" in str(model.path):
                messages.append(Message("engines.cpu-at-sign", {"path": str(model.path)}, "model"))
            if refusal is None and model.quantization:
                params = {"model": model.name, "quantization": model.quantization}
                messages.append(Message("engines.cpu-may-not-load", params, "model", "warning"))
        messages += checks.check_choice(config.dtype, DTYPES, "dtype")
        messages += checks.check_port(config)
        messages += check_extra(config.extra, capabilities_of(environment).transformers_serve, TRANSFORMERS_OWNED)
        messages.append(Message("engines.open-server", field="engine", level="info"))
        return tuple(messages)

    def command(
        self, config: ServeConfig, model: ModelInfo | None, environment: Environment, port: int, key_file: Path
    ) -> CommandSpec:
        """`transformers serve MODEL --device cpu …`.

        A local folder runs with the hub off, and with an empty folder of the state directory as the hub's cache: its
        model list answers 500 where that folder doesn't exist.
        """
        path = self.model_id(config, model)
        argv = [
            *programs.transformers(environment),
            "serve",
            path,
            "--device",
            "cpu",
            "--host",
            HOST,
            "--port",
            str(port),
        ]
        if config.dtype != "auto":
            argv += ["--dtype", config.dtype]
        if config.trust_remote_code:
            argv.append("--trust-remote-code")
        argv += config.extra
        variables = [("HF_HUB_DISABLE_UPDATE_CHECK", "1")]
        if model is not None:
            hub = key_file.parent.parent / "hub"
            variables += [("HF_HUB_OFFLINE", "1"), ("TRANSFORMERS_OFFLINE", "1"), ("HF_HUB_CACHE", str(hub))]
        return CommandSpec(tuple(argv), tuple(variables))

    def model_id(self, config: ServeConfig, model: ModelInfo | None) -> str:
        """The path as it stands on the command line: a request that names anything else is refused."""
        return str(model.path) if model is not None else config.hub_model


def _good(environment: Environment) -> bool:
    major = environment.transformers.split(".")[0]
    return environment.problem is None and major.isdigit() and int(major) >= 5
