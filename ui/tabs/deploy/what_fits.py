"""The panel "What fits me": people, tokens and a card → the models of this disk that fit, each with a button."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import gradio as gr

from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.engines.remedies import GPU_ENGINES
from backend.errors import ConsoleError, InvalidInput, Message, Value
from backend.memory_plan.what_fits import Candidate, Fit, NoFit, checked, what_fits
from backend.services import Services
from ui.i18n import L, Language, say, t
from ui.page.form_controls import figure
from ui.page.operator import for_operator
from ui.page.remedies import remedy_button
from ui.page.units import gib, parameters, tokens
from ui.tabs.deploy.render import note
from ui.tabs.deploy.values import CONTROLS, form_values
from ui.web.visitor import language_of

SHOWN = 8  # rows at once; the best stand first
SETS = (
    "engine", "model", "model_format", "quant_policy", "cache_max_entry_count", "session_len", "tp", "dtype", "extra",
)  # fmt: skip


@dataclass(frozen=True)
class FitsPanel:
    """The components."""

    people: gr.Textbox
    tokens: gr.Textbox
    card: gr.Textbox
    look: gr.Button
    result: gr.HTML


def build_fits() -> FitsPanel:
    """Lay it out, folded."""
    with gr.Accordion(L("fits.title"), open=False, elem_id="deploy-fits"):
        with gr.Row():
            people = figure("deploy-fits-people", "fits.people", "20")
            length = figure("deploy-fits-tokens", "fits.tokens", "4000")
            card = figure("deploy-fits-card", "fits.card", "24 GiB")
            look = gr.Button(
                L("fits.look"), size="sm", scale=0, min_width=90, interactive=True, elem_id="deploy-fits-look"
            )
        result = gr.HTML(elem_id="deploy-fits-result")
    return FitsPanel(people, length, card, look, result)


def bind_fits(services: Services, panel: FitsPanel) -> None:
    """Connect it."""

    def look(request: gr.Request, people: object, length: object, card: object) -> str:
        language = language_of(request)
        return for_operator(
            request, CONTROLS, lambda: find_html(services, people, length, card, language), lambda html: html
        )

    gr.on(
        [panel.look.click, panel.people.submit, panel.tokens.submit, panel.card.submit],
        look,
        inputs=[panel.people, panel.tokens, panel.card],
        outputs=panel.result,
        api_name="deploy_what_fits",
        queue=False,
        show_progress="hidden",
        preprocess=False,
    )


def find_html(services: Services, people: object, length: object, card_text: object, language: Language) -> str:
    """The answer as HTML. Raises InvalidInput."""
    need = checked(_whole(people, "people"), _whole(length, "tokens"))
    planner = services.planner
    card, _ = planner.card(ServeConfig("turbomind", ""), str(card_text or ""))
    fits, rest = what_fits(
        candidates(services), need, card, lambda shape, config: planner.plan_on(shape, config, card).plan
    )
    return fits_html(fits, rest, need.people, need.tokens, language)


def candidates(services: Services) -> Iterable[Candidate]:
    """The models of this disk with the engine that knows each; those that can't be read or planned are left out."""
    for model in services.catalog.models():
        if model.problem is not None:
            continue
        engine = next((name for name in GPU_ENGINES if ENGINES[name].refuses(model) is None), None)
        if engine is None:
            continue
        try:
            yield Candidate(model, services.planner.shape(str(model.path)), engine)
        except ConsoleError:
            continue


def fits_html(fits: Sequence[Fit], rest: Sequence[NoFit], people: int, length: int, language: Language) -> str:
    """A row a model, the best first, each with its sum; then the nearest of those that don't fit."""
    if not fits and not rest:
        return note(t("fits.no-models", language))
    head = t("fits.some" if fits else "fits.none", language, {"people": people, "tokens": tokens(length)})
    rows = "".join(_row(fit, people, length, language) for fit in fits[:SHOWN])
    more = len(fits) - SHOWN
    listed = f'<ol class="deploy-fits">{rows}</ol>' if rows else ""
    listed += note(t("fits.more", language, {"count": more})) if more > 0 else ""
    lacking = "".join(f"<li>{escape(say(one.why, language))}</li>" for one in rest[:SHOWN])
    if lacking:
        listed += (
            f'<details class="deploy-fits-rest"><summary>{escape(t("fits.rest", language, {"count": len(rest)}))}'
            f"</summary><ul>{lacking}</ul></details>"
        )
    return note(head) + listed


def _row(fit: Fit, people: int, length: int, language: Language) -> str:
    plan, config = fit.plan, fit.config
    held = form_values(config).values
    button = remedy_button(t("fits.take", language), {"settings": {name: held[name] for name in SETS}})
    facts: dict[str, Value] = {
        "parameters": parameters(fit.model.parameters) or "–",
        "weights": fit.weight_bits,
        "kv": fit.kv_bits,
        "ratio": f"{config.cache_max_entry_count:g}",
        "session": tokens(length),
        "engine": config.engine,
    }
    needed = round(people * length * plan.token_bytes)
    total: dict[str, Value] = {
        "weights": gib(plan.weights_bytes + plan.vision_bytes),
        "kv": gib(plan.kv_bytes),
        "other": gib(plan.context_bytes + plan.work_bytes + plan.picture_bytes),
        "total": gib(plan.total_bytes),
        "free": gib(plan.free_bytes),
        "people": people,
        "tokens": tokens(length),
        "needed": gib(needed),
    }
    return (
        f'<li data-model="{escape(fit.model.name)}" data-kv="{fit.kv_bits}" data-ratio="{facts["ratio"]}">'
        f"<strong>{escape(fit.model.name)}</strong> {button}"
        f"<div>{escape(t('fits.settings', language, facts))}</div>"
        f'<div class="deploy-note">{escape(t("fits.sum", language, total))}</div></li>'
    )


def _whole(value: object, name: str) -> int:
    text = str(value or "").strip().replace(",", "").replace("，", "")
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not number.is_integer():
        raise InvalidInput(Message(f"fits.number.{name}", {"value": text}))
    return int(number)
