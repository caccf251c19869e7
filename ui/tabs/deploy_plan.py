"""The memory plan on the Deploy tab: redrawn at every change of the form, and asked the other way round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.engines.base import ServeConfig
from backend.errors import ConsoleError, InvalidInput, Message
from backend.memory.advice import ratio_for_chats, ratio_for_total
from backend.memory.formulas import GIB
from backend.memory.planner import THIS_MACHINE, Planned
from backend.services import Services
from ui.access import language_of, require_operator
from ui.explain import empty_html, kv_html, plan_html, steps_html
from ui.i18n import L, Language
from ui.render import message_html
from ui.units import gib

CARDS = (8, 12, 16, 24, 32, 40, 48, 80, 96, 141)
ReadConfig = Callable[[Sequence[object]], ServeConfig]


@dataclass(frozen=True)
class DeployPlan:
    """The plan's components on the Deploy tab."""

    card: gr.Dropdown
    view: gr.HTML
    chats: gr.Textbox
    length: gr.Textbox
    set_chats: gr.Button
    most: gr.Textbox
    set_most: gr.Button
    inverse: gr.HTML
    steps: gr.HTML
    kv: gr.HTML
    refresh: gr.Button


def build_plan() -> DeployPlan:
    """Lays the plan out where it is called: the bar with its sentences, and below it what explains it."""
    with gr.Group(elem_id="deploy-plan-group"):
        view = gr.HTML(elem_id="deploy-plan-view", padding=False)
        card = gr.Dropdown(
            choices=[(L("plan.card.machine"), THIS_MACHINE), *((f"{size} GiB", str(size)) for size in CARDS)],
            value=THIS_MACHINE,
            allow_custom_value=True,
            label=L("plan.card.label"),
            info=L("plan.card.info"),
            interactive=True,
            elem_id="deploy-plan-card",
        )
        with gr.Accordion(L("plan.inverse.title"), open=False, elem_id="deploy-plan-inverse"):
            with gr.Row():
                chats = _text("chats", "5")
                length = _text("length", "4096")
                set_chats = gr.Button(
                    L("plan.inverse.set-chats"), size="sm", interactive=True, elem_id="deploy-plan-set-chats"
                )
            with gr.Row():
                most = _text("most", "20")
                set_most = gr.Button(
                    L("plan.inverse.set-most"), size="sm", interactive=True, elem_id="deploy-plan-set-most"
                )
            inverse = gr.HTML(elem_id="deploy-plan-message")
        with gr.Accordion(L("plan.steps.title"), open=False, elem_id="deploy-plan-arithmetic"):
            steps = gr.HTML(elem_id="deploy-plan-steps")
        with gr.Accordion(L("plan.kv.title"), open=False, elem_id="deploy-plan-why"):
            kv = gr.HTML(elem_id="deploy-plan-kv")
    # The page's script presses it when servers come and go: then other memory is free.
    refresh = gr.Button("", visible="hidden", interactive=True, elem_id="deploy-plan-refresh")
    return DeployPlan(card, view, chats, length, set_chats, most, set_most, inverse, steps, kv, refresh)


def bind_plan(services: Services, plan: DeployPlan, inputs: Sequence[Any], ratio: Any, read: ReadConfig) -> None:
    """Connects it: ``inputs`` are the form's controls, ``read`` makes a ServeConfig of their values or raises
    InvalidInput, ``ratio`` is the KV cache ratio's control."""
    handlers = Handlers(services, read)
    form = [*inputs, plan.card]
    options: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "queue": False,
        "preprocess": False,
    }
    # The page's script presses it after every change of the form too (ui/tabs/deploy/binding.py says why).
    plan.refresh.click(handlers.show, form, [plan.view, plan.steps, plan.kv], trigger_mode="always_last", **options)
    plan.card.change(fn=None, js="() => { window.lmDeploy?.changed(); }", api_visibility="private")
    gr.on(
        [plan.set_chats.click, plan.chats.submit, plan.length.submit],
        handlers.for_chats,
        [*form, plan.chats, plan.length],
        [ratio, plan.inverse],
        **options,
    )
    gr.on(
        [plan.set_most.click, plan.most.submit],
        handlers.for_most,
        [*form, plan.most],
        [ratio, plan.inverse],
        **options,
    )


class Handlers:
    """What the plan's events do. Nothing here changes anything but the page."""

    def __init__(self, services: Services, read: ReadConfig) -> None:
        self._services = services
        self._read = read

    def show(self, request: gr.Request, *values: object) -> tuple[str, str, str]:
        """The form's values and the card → the plan, its arithmetic, the KV cache's picture."""
        language = language_of(request)
        try:
            require_operator(request)
            planned = self._plan(values)
        except ConsoleError as error:
            return empty_html(error.messages, language), "", ""
        return plan_html(planned, language), steps_html(planned, language), kv_html(planned, language)

    def for_chats(self, request: gr.Request, *values: object) -> tuple[Any, str]:
        """Sets the ratio that holds so many chats of so many tokens."""
        *form, chats_text, length_text = values
        language = language_of(request)
        try:
            require_operator(request)
            chats, length = _whole(chats_text), _whole(length_text)
            planned = self._plan(form)
            _check_ratio(planned)
        except ConsoleError as error:
            return gr.skip(), message_html(error.messages, language)
        ratio = ratio_for_chats(planned.shape, planned.config, planned.plan, chats, length)
        said = {"chats": f"{chats:,}", "length": f"{length:,}"}
        if ratio is None:
            return gr.skip(), _say("plan.inverse.chats-none", said, "error", language)
        return ratio, _say("plan.inverse.chats-done", {**said, "ratio": ratio}, "info", language)

    def for_most(self, request: gr.Request, *values: object) -> tuple[Any, str]:
        """Sets the ratio with which at most so many GiB are used."""
        *form, most_text = values
        language = language_of(request)
        try:
            require_operator(request)
            most = round(_number(most_text) * GIB)
            planned = self._plan(form)
            _check_ratio(planned)
        except ConsoleError as error:
            return gr.skip(), message_html(error.messages, language)
        ratio = ratio_for_total(planned.plan, most)
        if ratio is None:
            fixed = gib(planned.plan.total_bytes - planned.plan.kv_bytes)
            return gr.skip(), _say("plan.inverse.most-none", {"most": gib(most), "fixed": fixed}, "error", language)
        return ratio, _say("plan.inverse.most-done", {"most": gib(most), "ratio": ratio}, "info", language)

    def _plan(self, values: Sequence[object]) -> Planned:
        *form, card = values
        config = self._read(form)
        if config.engine == "external":
            raise InvalidInput(Message("plan.external", level="info"))
        if not config.model.strip():
            raise InvalidInput(Message("plan.empty", level="info"))
        try:
            return self._services.planner.plan(config, str(card or ""))
        except InvalidInput as error:
            if error.messages[0].key == "models.not-here":
                raise InvalidInput(Message("plan.hub", level="info")) from error
            raise


def _check_ratio(planned: Planned) -> None:
    if planned.plan.engine == "transformers":
        raise InvalidInput(Message("plan.inverse.gpu-only"))


def _say(key: str, params: dict[str, Any], level: Any, language: Language) -> str:
    return message_html([Message(key, params, level=level)], language)


def _number(value: object) -> float:
    """A number above 0 as it was typed; InvalidInput for anything else."""
    text = str(value if value is not None else "").strip().replace(",", "")
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e12:
        raise InvalidInput(Message("plan.inverse.needs-number", {"value": text}))
    return number


def _whole(value: object) -> int:
    number = _number(value)
    if number != int(number):
        raise InvalidInput(Message("plan.inverse.needs-number", {"value": str(value)}))
    return int(number)


def _text(name: str, value: str) -> gr.Textbox:
    return gr.Textbox(
        value=value,
        lines=1,
        max_lines=1,
        label=L(f"plan.inverse.{name}"),
        interactive=True,
        min_width=100,
        elem_id=f"deploy-plan-{name}",
    )
