"""What a server will take of a GPU's memory, worked out before it starts. Pure; the formulas' sources: formulas.py.

Sizes are bytes on each GPU.
"""

from dataclasses import replace

from backend.engines.base import ServeConfig
from backend.errors import InvalidInput, Message, Value
from backend.memory_plan.advice import judge
from backend.memory_plan.formulas import (
    AWQ_EXTRA,
    AWQ_EXTRA_SHARE,
    BLOCK_TOKENS,
    KV_BITS,
    PREFILL_TOKENS,
    PYTORCH_CONTEXT,
    PYTORCH_TP_CONTEXT,
    PYTORCH_WORK,
    SESSION_TOKEN_BYTES,
    SESSION_TOKENS,
    TRANSFORMERS_CONTEXT,
    TURBOMIND_CONTEXT,
    TURBOMIND_TP_WORK,
    block_bytes,
    max_batch,
    option,
    picture_bytes,
    slab,
)
from backend.memory_plan.model_shape import ModelShape
from backend.memory_plan.values import Card, Learned, Plan, Step


def plan(shape: ModelShape, config: ServeConfig, card: Card, learned: Learned | None = None) -> Plan:
    """The plan for these settings. Raises InvalidInput for an engine that takes no memory of this machine."""
    learned = learned or Learned()
    config = replace(
        config, tp=max(1, config.tp), cache_max_entry_count=min(1.0, max(0.0, config.cache_max_entry_count))
    )
    match config.engine:
        case "turbomind":
            plan = _turbomind(shape, config, card, learned)
        case "pytorch":
            plan = _pytorch(shape, config, card, learned)
        case "transformers":
            plan = _transformers(shape, config, card, learned)
        case _:
            raise InvalidInput(Message("plan.external", level="info", field="engine"))
    verdict, remedies = judge(plan, shape, config)
    return replace(plan, verdict=verdict, remedies=remedies, learned=learned.count)


def _turbomind(shape: ModelShape, config: ServeConfig, card: Card, learned: Learned) -> Plan:
    tp, batch = config.tp, max_batch(config, card)
    # [W] A tied embedding is put on the GPU twice: as the table and as the head.
    head = shape.embedding_bytes if shape.tied else shape.head_bytes
    weights = round((shape.embedding_bytes + head + shape.decoder_bytes) / tp)
    extra = round(AWQ_EXTRA + AWQ_EXTRA_SHARE * shape.packed_bytes / tp) if shape.packed_bytes else 0
    context = max(0, round(TURBOMIND_CONTEXT) + extra + learned.context_bytes)
    left = max(0, card.free_bytes - weights - shape.vision_bytes - context)
    kv = round(config.cache_max_entry_count * left)
    block = block_bytes(shape, config.quant_policy, tp)
    size, count = slab(block)
    tokens = kv // size * count * BLOCK_TOKENS
    # [T] The activations of the largest step, prefill and decoding together, and 32-bit logits for a full batch.
    # 4-bit feed-forward layers write gate × up at once, so theirs is half as wide [W: ffn.py, fuse_silu].
    step = (option(config, "--max-prefill-token-num") or PREFILL_TOKENS) + batch
    gate = 1 if shape.packed_bytes else 2
    widths = gate * shape.intermediate + (shape.heads + 2 * shape.kv_heads) * shape.head_dim
    shared = round(TURBOMIND_TP_WORK) if tp > 1 else 0
    work = round(step * 2 * (widths / tp + 2 * shape.hidden) + batch * shape.vocab * 4) + learned.work_bytes
    length = config.session_len or shape.context_length
    rows = round(SESSION_TOKEN_BYTES * batch * max(0, length - SESSION_TOKENS))
    plan = _made(shape, config, card, weights, context, kv, max(0, work) + shared + rows, tokens, block)
    steps = [
        *_weight_steps(plan, shape, tp),
        Step("plan.step.context", {"context_bytes": context - extra}),
        *([Step("plan.step.awq-extra", {"extra_bytes": extra})] if extra else []),
        Step(
            "plan.step.left",
            {"free_bytes": card.free_bytes, "before_bytes": plan.before_cache_bytes, "left_bytes": left},
        ),
        Step("plan.step.cache", {"ratio": config.cache_max_entry_count, "left_bytes": left, "kv_bytes": kv}),
        _token_step(plan, shape, config),
        Step(
            "plan.step.tokens-slabs",
            {"kv_bytes": kv, "slabs": kv // size, "slab_bytes": size, "blocks": count, "tokens": tokens},
        ),
        Step(
            "plan.step.work-turbomind",
            {"step": step, "batch": batch, "vocab": shape.vocab, "work_bytes": plan.work_bytes - shared - rows},
        ),
        *([Step("plan.step.sessions", {"batch": batch, "tokens": length, "rows_bytes": rows})] if rows else []),
        *([Step("plan.step.tp-shared", {"shared_bytes": shared})] if shared else []),
        *_end_steps(plan),
    ]
    return replace(plan, steps=tuple(steps))


def _pytorch(shape: ModelShape, config: ServeConfig, card: Card, learned: Learned) -> Plan:
    tp, batch = config.tp, max_batch(config, card)
    weights = round(shape.text_bytes / tp)
    shared = round(PYTORCH_TP_CONTEXT) if tp > 1 else 0
    context = max(0, round(PYTORCH_CONTEXT) + learned.context_bytes) + shared
    left = max(0, card.free_bytes - weights - shape.vision_bytes - context)
    block = block_bytes(shape, config.quant_policy, tp)
    # [P] _get_runtime_size: halved until 16 blocks fit beside it.
    prefill = option(config, "--max-prefill-token-num") or PREFILL_TOKENS
    reserve = kv = 0
    while prefill > 0:
        reserve = (prefill + 2 * batch) * shape.vocab * 2
        kv = max(0, int((left - reserve) * config.cache_max_entry_count)) // block * block
        if kv >= 16 * block:
            break
        prefill //= 2
    tokens = kv // block * BLOCK_TOKENS
    work = max(0, round(PYTORCH_WORK) + learned.work_bytes)
    plan = _made(shape, config, card, weights, context, kv, work, tokens, block)
    steps = [
        *_weight_steps(plan, shape, tp),
        Step("plan.step.context", {"context_bytes": context - shared}),
        *([Step("plan.step.tp-shared", {"shared_bytes": shared})] if shared else []),
        Step(
            "plan.step.left",
            {"free_bytes": card.free_bytes, "before_bytes": plan.before_cache_bytes, "left_bytes": left},
        ),
        Step("plan.step.reserve", {"prefill": prefill, "batch": batch, "vocab": shape.vocab, "reserve_bytes": reserve}),
        Step(
            "plan.step.cache-reserve",
            {"ratio": config.cache_max_entry_count, "left_bytes": left, "reserve_bytes": reserve, "kv_bytes": kv},
        ),
        _token_step(plan, shape, config),
        Step("plan.step.tokens", {"kv_bytes": kv, "tokens": tokens}),
        Step("plan.step.work-pytorch", {"work_bytes": work}),
        *_end_steps(plan),
    ]
    return replace(plan, steps=tuple(steps), reserve_bytes=reserve)


def _transformers(shape: ModelShape, config: ServeConfig, card: Card, learned: Learned) -> Plan:
    """`transformers serve` in the machine's memory: nothing is set aside; the cache grows with the chat."""
    weights = shape.stored_bytes - shape.vision_bytes
    context = max(0, round(TRANSFORMERS_CONTEXT) + learned.context_bytes)
    block = block_bytes(shape, 0)
    length = config.session_len or shape.context_length
    kv = round(length / BLOCK_TOKENS * block)
    plan = _made(shape, replace(config, quant_policy=0), card, weights, context, kv, 0, length, block)
    steps = [
        *_weight_steps(plan, shape, 1),
        Step("plan.step.context-host", {"context_bytes": context}),
        _token_step(plan, shape, replace(config, quant_policy=0)),
        Step("plan.step.cache-host", {"tokens": length, "kv_bytes": kv}),
        *_end_steps(plan),
    ]
    return replace(plan, steps=tuple(steps))


def _made(
    shape: ModelShape,
    config: ServeConfig,
    card: Card,
    weights: int,
    context: int,
    kv: int,
    work: int,
    tokens: int,
    block: int,
) -> Plan:
    return Plan(
        engine=config.engine,
        free_bytes=card.free_bytes,
        weights_bytes=weights,
        vision_bytes=shape.vision_bytes,
        context_bytes=context,
        kv_bytes=kv,
        work_bytes=work,
        picture_bytes=picture_bytes(shape),
        tokens=tokens,
        token_bytes=block / BLOCK_TOKENS,
        session_len=config.session_len or shape.context_length,
        ratio=config.cache_max_entry_count,
        verdict="fits",
        remedies=(),
        steps=(),
    )


def _weight_steps(made: Plan, shape: ModelShape, tp: int) -> list[Step]:
    weights = made.weights_bytes
    if shape.packed_bytes:
        rest = round(weights - shape.packed_bytes / tp)
        steps = [
            Step(
                "plan.step.weights-packed",
                {"packed_bytes": round(shape.packed_bytes / tp), "rest_bytes": rest, "weights_bytes": weights},
            )
        ]
    else:
        steps = [Step("plan.step.weights", {"parameters": shape.parameters, "weights_bytes": weights})]
        if shape.vision_bytes:
            steps = [Step("plan.step.weights-text", {"weights_bytes": weights})]
    if shape.vision_bytes:
        steps.append(Step("plan.step.weights-vision", {"vision_bytes": shape.vision_bytes}))
    if shape.tied and made.engine == "turbomind":
        steps.append(Step("plan.step.tied", {"embedding_bytes": round(shape.embedding_bytes / tp)}))
    if tp > 1:
        steps.append(Step("plan.step.tp", {"tp": tp}))
    return steps


def _token_step(made: Plan, shape: ModelShape, config: ServeConfig) -> Step:
    bits, scales = KV_BITS.get(config.quant_policy, KV_BITS[0])
    split = min(config.tp, shape.kv_heads)
    params: dict[str, Value] = {
        "layers": shape.kv_layers,
        "kv_heads": shape.kv_heads // split,
        "head_dim": shape.head_dim,
        "bits": int(bits),
        "token": round(made.token_bytes),
    }
    return Step("plan.step.token-scaled" if scales else "plan.step.token", params)


def _end_steps(made: Plan) -> list[Step]:
    steps = []
    if made.picture_bytes:
        steps.append(Step("plan.step.picture", {"picture_bytes": made.picture_bytes}))
    sizes: dict[str, Value] = {"total_bytes": made.total_bytes, "free_bytes": made.free_bytes}
    if made.free_after_bytes < 0:
        steps.append(Step("plan.step.total-over", {**sizes, "short_bytes": -made.free_after_bytes}))
    else:
        steps.append(Step("plan.step.total", {**sizes, "after_bytes": made.free_after_bytes}))
    return steps
