"""LMDeploy's TurboMind engine. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.engines.base import ServeConfig
from backend.engines.lmdeploy import LMDeployEngine
from backend.errors import Message, Value
from backend.machine.fit import capabilities_of
from backend.machine.flags import Flag, choices
from backend.machine.machine import Environment
from backend.models.checkpoint import ModelInfo

INTERNVL = frozenset({"InternVLChatModel", "InternVLForConditionalGeneration", "InternS1ForConditionalGeneration"})
QUANT_POLICIES = frozenset(
    {"0", "4", "8"}
)  # fp8 is refused by its config; turbo_quant exists in the PyTorch engine only


@dataclass(frozen=True)
class TurboMind(LMDeployEngine):
    """The fast engine: it knows fewer architectures, and quantizes the KV cache to 4 and 8 bits."""

    name: str = "turbomind"

    def knows(self, model: ModelInfo, environment: Environment | None) -> bool:
        """InternVL's text model must be one of TurboMind's too. An old version that lists none is asked nothing."""
        architectures = capabilities_of(environment).turbomind_architectures
        if not architectures:
            return True
        if model.architecture in INTERNVL and model.text_architecture not in architectures:
            return False
        return model.architecture in architectures

    def reporting(self, config: ServeConfig, known: Sequence[Flag]) -> tuple[str, ...]:
        """At INFO it prints the size of its KV cache, at 0.4% of its tokens/s (tests/gpu/log_level_cost.py).

        Only where prompts have a log level of their own (REQUEST): older versions write them at INFO.
        """
        given = any(argument.split("=")[0] == "--log-level" for argument in config.extra)
        return () if given or "REQUEST" not in choices(known, "--log-level") else ("--log-level", "INFO")

    def quant_policies(self, offered: Sequence[str]) -> tuple[str, ...]:
        """None, 4 and 8 bits."""
        return tuple(policy for policy in offered if policy in QUANT_POLICIES)

    def traps(self, config: ServeConfig, model: ModelInfo) -> tuple[Message, ...]:
        """KV int4 with 64 numbers a head starts, says ready, and dies at the first request (misaligned address)."""
        messages: list[Message] = []
        params: dict[str, Value] = {"bits": config.quant_policy, "head_dim": model.head_dim, "model": model.name}
        if config.quant_policy == 4 and model.head_dim == 64:
            messages.append(Message("engines.kv-int4-head-dim-64", params, "quant_policy"))
        elif config.quant_policy in {4, 8} and model.head_dim not in {0, 128}:
            messages.append(Message("engines.kv-head-dim", params, "quant_policy", "warning"))
        return tuple(messages)
