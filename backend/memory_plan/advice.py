"""Does it fit, what would make it fit, and the plan asked the other way round. Pure."""

from backend.engines.base import ServeConfig
from backend.errors import Message
from backend.memory_plan.formulas import BLOCK_TOKENS, MARGIN_BYTES, PACKED_SHARE, block_bytes, slab
from backend.memory_plan.model_shape import ModelShape
from backend.memory_plan.values import Plan, Verdict
from backend.units import GIB


def ratio_for_chats(shape: ModelShape, config: ServeConfig, made: Plan, chats: int, tokens: int) -> float | None:
    """The KV cache ratio that holds that many chats of that many tokens, rounded up to a percent; None if none does."""
    room = room_bytes(made)
    if room <= 0 or chats <= 0 or tokens <= 0:
        return None
    block = block_bytes(shape, config.quant_policy, config.tp)
    blocks = chats * -(-tokens // BLOCK_TOKENS)
    size, count = slab(block) if made.engine == "turbomind" else (block, 1)
    ratio = -(-blocks // count) * size / room
    percent = -(-round(ratio * 1e6) // 10000) / 100
    return percent if percent <= 1 else None


def ratio_for_total(made: Plan, total_bytes: int) -> float | None:
    """The largest KV cache ratio with which no more than that is used, rounded down to a percent; None if none does."""
    room = room_bytes(made)
    left = total_bytes - (made.total_bytes - made.kv_bytes)
    if room <= 0 or left <= 0:
        return None
    return min(100, int(left / room * 100)) / 100 or None


def room_bytes(made: Plan) -> int:
    """What the ratio is a share of."""
    if made.engine not in ("turbomind", "pytorch"):
        return 0
    return made.free_bytes - made.before_cache_bytes - made.reserve_bytes


def judge(made: Plan, shape: ModelShape, config: ServeConfig) -> tuple[Verdict, tuple[Message, ...]]:
    """Fits, tight or over, and what would help, the easiest first.

    A cache that holds less than the longest chat that the model takes fits all the same: most chats are shorter.
    """
    over = made.free_after_bytes < 0 or made.tokens < BLOCK_TOKENS
    short = made.tokens < made.session_len
    tight = made.free_after_bytes < MARGIN_BYTES
    if not over and not tight and not short:
        return "fits", ()
    verdict: Verdict = "over" if over else "tight" if tight else "fits"
    if made.engine not in ("turbomind", "pytorch"):
        return verdict, (
            Message("plan.remedy.session-len", {"tokens": 4096}),
            Message("plan.remedy.smaller"),
        )
    remedies: list[Message] = []
    fixed = made.total_bytes - made.kv_bytes
    if fixed + block_bytes(shape, config.quant_policy, config.tp) > made.free_bytes - MARGIN_BYTES:
        # No ratio helps: what stands beside the cache is too much already.
        if not shape.packed_bytes:
            saved = shape.decoder_bytes * (1 - PACKED_SHARE) / config.tp
            remedies.append(Message("plan.remedy.awq", {"saved": f"{saved / GIB:.1f}"}))
        remedies.append(Message("plan.remedy.tp", {"tp": config.tp * 2}))
        remedies.append(Message("plan.remedy.smaller"))
    elif made.free_after_bytes < MARGIN_BYTES:
        lower = ratio_for_total(made, made.free_bytes - MARGIN_BYTES)
        remedies += [Message("plan.remedy.ratio", {"ratio": lower})] if lower else [Message("plan.remedy.smaller")]
    elif short:
        higher = ratio_for_chats(shape, config, made, 1, made.session_len)
        most = ratio_for_total(made, made.free_bytes - MARGIN_BYTES)
        if higher and most and higher <= most:
            remedies.append(Message("plan.remedy.ratio-up", {"ratio": higher, "tokens": made.session_len}))
        if config.quant_policy == 0 and shape.head_dim != 64:
            remedies.append(Message("plan.remedy.kv-bits"))
        if made.tokens >= BLOCK_TOKENS:
            remedies.append(Message("plan.remedy.session-len", {"tokens": made.tokens}))
    return verdict, tuple(remedies)
