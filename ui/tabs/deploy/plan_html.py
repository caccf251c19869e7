"""A memory plan as a person reads it: bar, sentences, arithmetic, and the picture of the KV cache. Pure; HTML out."""

from collections.abc import Sequence
from html import escape

from backend.errors import Message, Value
from backend.memory_plan.formulas import block_bytes
from backend.memory_plan.planner import Planned
from backend.memory_plan.values import Plan, Step
from ui.i18n import Language, say, t
from ui.page.units import gib, parameters
from ui.tabs.deploy.values import CONTROLS

KIB, MIB = 1024, 1024**2
PARTS = ("weights", "vision", "context", "kv", "work", "picture")
_SQUARES = 24  # in the box of the 16-bit cache


def plan_html(
    planned: Planned, language: Language, *, here: bool = True, assumed: bool = False, buttons: str = ""
) -> str:
    """The plan as the element ``deploy-plan``: stacked bar, legend, two sentences; its figures as data attributes.

    ``here``: the choice can run on this machine; else no verdict says that it fits. ``assumed``: nobody named the card,
    this machine has none. ``buttons`` are remedies.
    """
    plan = planned.plan
    verdict = plan.verdict if here or plan.verdict == "over" else "elsewhere"
    data = {
        "weights-bytes": plan.weights_bytes + plan.vision_bytes,
        "kv-bytes": plan.kv_bytes,
        "work-bytes": plan.work_bytes,
        "context-bytes": plan.context_bytes,
        "picture-bytes": plan.picture_bytes,
        "total-bytes": plan.total_bytes,
        "free-bytes": plan.free_bytes,
        "tokens": plan.tokens,
        "verdict": plan.verdict,
    }
    attributes = " ".join(f'data-{name}="{value}"' for name, value in data.items())
    title = t("plan.title.host" if plan.engine == "transformers" else "plan.title", language)
    sentences = [_verdict_sentence(planned, language), _tokens_sentence(plan, language)]
    notes = " ".join(_notes(planned, language, assumed))
    return (
        f'<section id="deploy-plan" class="plan card" {attributes} aria-label="{escape(title)}">'
        f'<div class="plan-head"><strong>{escape(title)}</strong>'
        f'<span class="plan-notes muted">{escape(notes)}</span></div>'
        f"{_bar(planned, language)}"
        f'<p class="plan-say"><span class="plan-verdict" data-verdict="{verdict}">'
        f"{escape(t(f'plan.verdict.{verdict}', language))}</span> {escape(sentences[0])}</p>"
        f'<p class="plan-say">{escape(sentences[1])}</p>{buttons}</section>'
    )


def empty_html(messages: Sequence[Message], language: Language) -> str:
    """The element ``deploy-plan`` without a plan: why there is none."""
    lines = "".join(f"<p>{escape(say(message, language, CONTROLS))}</p>" for message in messages)
    return f'<section id="deploy-plan" class="plan card" data-verdict="">{lines}</section>'


def steps_html(planned: Planned, language: Language) -> str:
    """The arithmetic with this model's numbers, line by line."""
    lines = "".join(f"<li>{escape(sentence(step, language))}</li>" for step in planned.plan.steps)
    return f'<ol class="plan-steps">{lines}</ol>'


def sentence(step: Step, language: Language) -> str:
    """One line of the arithmetic; sizes and counts as a person reads them."""
    return t(step.key, language, {name: _figure(name, value) for name, value in step.params.items()})


def kv_html(planned: Planned, language: Language) -> str:
    """The same GiB at 16 and at 4 bits: two boxes of one size, with squares for the tokens they hold."""
    plan, shape = planned.plan, planned.shape
    if plan.engine == "transformers" or plan.kv_bytes <= 0:
        key = "plan.kv.grows" if plan.engine == "transformers" else "plan.kv.nothing"
        return f'<p class="muted">{escape(t(key, language))}</p>'
    if shape.head_dim == 64 and plan.engine == "turbomind":
        return f'<p class="muted">{escape(t("plan.kv.head64", language))}</p>'
    token = {bits: block_bytes(shape, policy, planned.config.tp) / 64 for bits, policy in ((16, 0), (4, 4))}
    times = token[16] / token[4]
    # The plan's own figure, and what the same memory holds at the other size.
    tokens = {bits: round(plan.tokens * plan.token_bytes / size) for bits, size in token.items()}
    text = t(
        "plan.kv.text",
        language,
        {
            "kv": gib(plan.kv_bytes),
            "token16": _small(token[16]),
            "token4": _small(token[4]),
            "times": f"{times:.1f}",
        },
    )
    rows = "".join(
        _kv_row(bits, count, squares, language)
        for bits, count, squares in ((16, tokens[16], _SQUARES), (4, tokens[4], round(_SQUARES * times)))
    )
    square = t("plan.kv.square", language, {"tokens": f"{tokens[16] // _SQUARES:,}", "kv": gib(plan.kv_bytes)})
    return (
        f'<div class="plan-kv"><p>{escape(text)}</p>{rows}'
        f'<p class="muted">{escape(square)} {escape(t("plan.kv.same", language))}</p></div>'
    )


def _kv_row(bits: int, tokens: int, squares: int, language: Language) -> str:
    label = escape(t("plan.kv.row", language, {"bits": bits}))
    return (
        f'<div class="kv-row"><div class="kv-label"><strong>{label}</strong>'
        f"<span>{escape(t('plan.kv.tokens', language, {'tokens': f'{tokens:,}'}))}</span></div>"
        f'<div class="kv-box" data-bits="{bits}" data-tokens="{tokens}" aria-hidden="true">'
        f"{'<i></i>' * squares}</div></div>"
    )


def _bar(planned: Planned, language: Language) -> str:
    plan = planned.plan
    used = 0 if planned.named else max(0, planned.card.total_bytes - planned.card.free_bytes)
    sizes = [("used", used), *((name, int(getattr(plan, f"{name}_bytes"))) for name in PARTS)]
    end = used + plan.total_bytes
    scale = max(planned.card.total_bytes, end) or 1
    if end < planned.card.total_bytes:
        sizes.append(("free", planned.card.total_bytes - end))
    shown = [(name, size) for name, size in sizes if size > 0]
    segments = "".join(
        f'<span class="plan-part" data-part="{name}" style="width:{size / scale * 100:.3f}%" '
        f'title="{escape(_part(name, plan, language))}: {gib(size)}"></span>'
        for name, size in shown
    )
    limit = ""
    if end > planned.card.total_bytes:
        limit = f'<span class="plan-limit" style="left:{planned.card.total_bytes / scale * 100:.3f}%"></span>'
    legend = "".join(
        f'<li data-part="{name}"><i></i>{escape(_part(name, plan, language))} <b>{gib(size)}</b></li>'
        for name, size in shown
    )
    spoken = ", ".join(f"{_part(name, plan, language)} {gib(size)}" for name, size in shown)
    return (
        f'<div class="plan-bar" role="img" aria-label="{escape(spoken)}">{segments}{limit}</div>'
        f'<ul class="plan-legend">{legend}</ul>'
    )


def _part(name: str, plan: Plan, language: Language) -> str:
    if name == "context" and plan.engine == "transformers":
        name = "context.host"
    return t(f"plan.part.{name}", language)


def _verdict_sentence(planned: Planned, language: Language) -> str:
    plan = planned.plan
    values: dict[str, Value] = {
        "total": gib(plan.total_bytes),
        "free": gib(plan.free_bytes),
        "after": gib(max(0, plan.free_after_bytes)),
        "short": gib(max(0, -plan.free_after_bytes)),
    }
    key = "plan.say.fits.named" if planned.named else "plan.say.fits"
    if plan.verdict == "over":
        key = "plan.say.over" if plan.free_after_bytes < 0 else "plan.say.no-cache"
    return " ".join([t(key, language, values), *(_remedy(remedy, language) for remedy in plan.remedies)])


def _remedy(message: Message, language: Language) -> str:
    figures = {name: f"{value:,}" if isinstance(value, int) else value for name, value in message.params.items()}
    return t(message.key, language, figures)


def _tokens_sentence(plan: Plan, language: Language) -> str:
    values: dict[str, Value] = {
        "kv": gib(plan.kv_bytes),
        "tokens": f"{plan.tokens:,}",
        "chats": f"{plan.chats():,}",
        "length": f"{plan.session_len:,}",
    }
    if plan.engine == "transformers":
        return t("plan.say.tokens.host", language, values)
    if plan.tokens == 0:
        return t("plan.say.tokens.none", language)
    key = {0: "plan.say.tokens.short", 1: "plan.say.tokens.one"}.get(plan.chats(), "plan.say.tokens")
    return t(key, language, values)


def _notes(planned: Planned, language: Language, assumed: bool) -> list[str]:
    card = planned.card
    sizes: dict[str, Value] = {"name": card.name, "free": gib(card.free_bytes), "total": gib(card.total_bytes)}
    if planned.named:
        key = "plan.note.assumed" if assumed else "plan.note.named"
    else:
        key = "plan.note.host" if planned.plan.engine == "transformers" else "plan.note.machine"
    notes = [t(key, language, sizes)]
    if planned.config.tp > 1 and planned.plan.engine != "transformers":
        notes.append(t("plan.note.tp", language, {"tp": planned.config.tp}))
    if planned.plan.learned:
        notes.append(t("plan.note.learned", language, {"count": planned.plan.learned}))
    return notes


def _figure(name: str, value: Value) -> Value:
    if isinstance(value, str):
        return value
    if name == "parameters":
        return parameters(int(value))
    if name.endswith("_bytes"):
        size = int(value)
        return gib(size) if abs(size) >= 100 * MIB else f"{size / MIB:.0f} MiB"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _small(size: float) -> str:
    return f"{size / KIB:.1f} KiB"
