"""The tutorials' table: the settings that they compare, and what they claim of each. Pure.

Memory by the course's arithmetic: weights (parameters × bits / 8) + ratio × (free − weights) + other. An int4 cache
holds four times the tokens in the same memory; 4-bit weights are "2.4 times fp16's speed"; int4 "loses a little".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.engines.base import ServeConfig
from backend.models.checkpoint import ModelInfo
from backend.units import GIB


@dataclass(frozen=True)
class Line:
    """One line: ``packed`` = weights of 4 bits; ``tokens_times`` and ``speed_times`` are the course's word against 16
    bits, None where it says nothing; ``other_gib`` what its arithmetic adds."""

    id: str
    packed: bool
    quant_policy: int
    ratio: float
    tokens_times: float | None = None
    speed_times: float | None = None
    other_gib: float = 1.0


LINES = (
    Line("plain", False, 0, 0.8),
    Line("kv4", False, 4, 0.4, tokens_times=4),
    Line("w4a16", True, 0, 0.8, speed_times=2.4),
    Line("all", True, 4, 0.4, tokens_times=4, other_gib=1.8),
)


@dataclass(frozen=True)
class Weights:
    """4-bit weights of a model: their folder, and the type that they must be served with ("auto" = any)."""

    path: str
    dtype: str = "auto"


def claimed_bytes(line: Line, parameters: int, free_bytes: int) -> int | None:
    """What the course's arithmetic gives for the model on such a card; None where the weights alone don't fit."""
    weights = parameters * (0.5 if line.packed else 2)
    if not parameters or weights >= free_bytes:
        return None
    return round(weights + line.ratio * (free_bytes - weights) + line.other_gib * GIB)


def find_weights(model: ModelInfo, models: Iterable[ModelInfo], made: Sequence[Weights]) -> Weights | None:
    """The model's 4-bit weights: what was ``made`` of it here (the newest first), else a model of the list that is the
    same network in AWQ and bears its name."""
    whole = {str(one.path): one for one in models if one.problem is None and one.quantization == "awq"}
    for weights in made:
        if weights.path in whole:
            return weights
    name = model.name.rpartition("/")[2].lower()
    for path, one in whole.items():
        alike = one.architecture == model.architecture and _sizes(one) == _sizes(model)
        if alike and one.name.rpartition("/")[2].lower().startswith(name):
            # Pictures come as bfloat16 where the text model's type is left open, and end the server.
            return Weights(path, "float16" if one.takes_images else "auto")
    return None


def settings(line: Line, model: str, weights: Weights | None, gpus: tuple[str, ...], trusted: bool) -> ServeConfig:
    """What is started for a line on a GPU. ``trusted``: the model's own code may run."""
    packed = weights if line.packed and weights is not None else Weights(model)
    return ServeConfig(
        "turbomind",
        packed.path,
        gpus=gpus,
        model_format="awq" if line.packed else "auto",
        quant_policy=line.quant_policy,
        cache_max_entry_count=line.ratio,
        dtype=packed.dtype,
        trust_remote_code=trusted,
    )


def _sizes(model: ModelInfo) -> tuple[object, ...]:
    return tuple(model.text.get(name) for name in ("hidden_size", "num_hidden_layers", "vocab_size"))
