"""LMDeploy's PyTorch engine. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from backend.engines.base import ServeConfig
from backend.engines.lmdeploy import LMDeployEngine
from backend.errors import Message
from backend.machine.fit import capabilities_of
from backend.machine.machine import Environment
from backend.models.checkpoint import ModelInfo


@dataclass(frozen=True)
class PyTorch(LMDeployEngine):
    """The engine with more architectures; slower to start."""

    name: str = "pytorch"

    def knows(self, model: ModelInfo, environment: Environment | None) -> bool:
        """By its list of models. An old version that lists none is asked nothing."""
        architectures = capabilities_of(environment).pytorch_architectures
        return not architectures or model.architecture in architectures

    def quant_policies(self, offered: Sequence[str]) -> tuple[str, ...]:
        """All that the parser takes."""
        return tuple(offered)

    def traps(self, config: ServeConfig, model: ModelInfo) -> tuple[Message, ...]:
        """A natively laid out InternVL that was quantized stops with a KeyError for its unquantized projector."""
        if model.architecture == "InternVLForConditionalGeneration" and model.quantization == "awq":
            return (Message("engines.pytorch-internvl-awq", {"model": model.name}, "engine", "warning"),)
        return ()
