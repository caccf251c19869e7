"""What fits me: so many people, so many tokens each, so much memory → which model, with which settings. Pure.

Best quality first: more parameters before more bits (a larger model in 4 bits answers better than a smaller one in 16),
then more bits of the weights, then more of the KV cache. Of each model the best settings that fit are given, with the
smallest KV cache that holds everybody: what is left stays free.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from backend.engines.base import ServeConfig
from backend.errors import InvalidInput, Message, Value
from backend.memory_plan.advice import ratio_for_chats
from backend.memory_plan.formulas import KV_BITS, MARGIN_BYTES, max_batch
from backend.memory_plan.model_shape import ModelShape
from backend.memory_plan.values import Card, Plan
from backend.models.checkpoint import ModelInfo
from backend.units import GIB

MOST_PEOPLE, MOST_TOKENS = 10_000, 10_000_000
LARGEST_RATIO, SMALLEST_RATIO = 0.95, 0.01
KV_POLICIES = (0, 8, 4)  # 16 bits, nearly lossless, loses a little
PACKED_BITS = {"awq": 4, "gptq": 4, "mxfp4": 4, "fp8": 8, "smooth_quant": 8}

PlanOf = Callable[[ModelShape, ServeConfig], Plan]


@dataclass(frozen=True)
class Need:
    """``people`` talk at once, each with a conversation of at most ``tokens``."""

    people: int
    tokens: int


@dataclass(frozen=True)
class Candidate:
    """A model of this disk, and the engine that would serve it."""

    model: ModelInfo
    shape: ModelShape
    engine: str


@dataclass(frozen=True)
class Fit:
    """A model that fits, with the settings to start it with and their plan. ``weight_bits`` and ``kv_bits`` are what
    was chosen by."""

    model: ModelInfo
    config: ServeConfig
    plan: Plan
    weight_bits: int
    kv_bits: int


@dataclass(frozen=True)
class NoFit:
    """A model that doesn't, and why: the nearest that was tried."""

    model: ModelInfo
    why: Message


def checked(people: int, tokens: int) -> Need:
    """The need. Raises InvalidInput for numbers that can't be."""
    for name, value, most in (("people", people, MOST_PEOPLE), ("tokens", tokens, MOST_TOKENS)):
        if not 1 <= value <= most:
            raise InvalidInput(Message(f"fits.range.{name}", {"value": value, "most": most}))
    return Need(people, tokens)


def what_fits(
    candidates: Iterable[Candidate], need: Need, card: Card, plan_of: PlanOf
) -> tuple[tuple[Fit, ...], tuple[NoFit, ...]]:
    """Those that fit, the best first, and those that don't, the one that lacks least first."""
    fits: list[Fit] = []
    rest: list[tuple[float, NoFit]] = []
    for one in candidates:
        found, lacking, why = _best(one, need, card, plan_of)
        if found is not None:
            fits.append(found)
        elif why is not None:
            rest.append((lacking, NoFit(one.model, why)))
    fits.sort(key=lambda fit: (-(fit.model.parameters or 0), -fit.weight_bits, -fit.kv_bits, fit.model.name))
    return tuple(fits), tuple(no for _, no in sorted(rest, key=lambda pair: pair[0]))


def _best(one: Candidate, need: Need, card: Card, plan_of: PlanOf) -> tuple[Fit | None, float, Message | None]:
    """The best settings of one model; else how many bytes it lacks, and why."""
    name = one.model.name
    context = one.shape.context_length
    if context and need.tokens > context:
        params: dict[str, Value] = {"name": name, "context": context, "tokens": need.tokens}
        return None, float("inf"), Message("fits.context", params)
    lacking = float("inf")
    for policy in policies(one):
        config = _config(one, need, card, policy)
        made = plan_of(one.shape, config)
        ratio = ratio_for_chats(one.shape, config, made, need.people, need.tokens)
        lacking = min(lacking, _lacking(made, need))
        if ratio is None or ratio > LARGEST_RATIO:
            continue
        config = replace(config, cache_max_entry_count=max(SMALLEST_RATIO, ratio))
        made = plan_of(one.shape, config)
        if made.verdict == "over" or made.free_after_bytes < MARGIN_BYTES or made.chats(need.tokens) < need.people:
            continue
        return Fit(one.model, config, made, weight_bits(one.model), int(KV_BITS[policy][0])), 0.0, None
    short = max(lacking, MARGIN_BYTES / 8)
    return None, short, Message("fits.lacks", {"name": name, "gib": f"{short / GIB:.1f}"})


def policies(one: Candidate) -> Sequence[int]:
    """The KV cache policies that the model's head size allows (see TurboMind.traps), the best first."""
    head_dim = one.shape.head_dim
    if one.engine == "turbomind":
        return tuple(p for p in KV_POLICIES if p == 0 or head_dim == 128 or (p == 8 and head_dim == 64))
    return KV_POLICIES


def weight_bits(model: ModelInfo) -> int:
    """Bits of a weight, as the model is stored."""
    return PACKED_BITS.get(model.quantization, 4) if model.quantization else 16


def _config(one: Candidate, need: Need, card: Card, policy: int) -> ServeConfig:
    config = ServeConfig(
        one.engine,
        str(one.model.path),
        model_format=one.model.quantization if one.model.quantization in ("awq", "gptq") else "auto",
        quant_policy=policy,
        session_len=need.tokens,
    )
    if need.people > max_batch(config, card):
        config = replace(config, extra=("--max-batch-size", str(need.people)))
    return config


def _lacking(made: Plan, need: Need) -> float:
    """Bytes that are missing for everybody's tokens, the margin included."""
    wanted = made.total_bytes - made.kv_bytes + made.reserve_bytes + need.people * need.tokens * made.token_bytes
    return wanted + MARGIN_BYTES - made.free_bytes
