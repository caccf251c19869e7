"""The memory plan on the Deploy tab: redrawn at every change of the form, and asked the other way round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.engines.base import ServeConfig
from backend.errors import ConsoleError, InvalidInput, Message
from backend.memory_plan.advice import ratio_for_chats, ratio_for_total
from backend.memory_plan.planner import THIS_MACHINE, Planned, parse_card
from backend.services import Services
from backend.units import GIB
from ui.i18n import L, Language
from ui.page.bridge import hear
from ui.page.form_controls import figure
from ui.page.render import message_html
from ui.page.units import gib
from ui.tabs.deploy.choice_note import beside, choice_html, look_at_choice
from ui.tabs.deploy.plan_html import empty_html, kv_html, plan_html, steps_html
from ui.tabs.deploy.remedy_buttons import plan_buttons
from ui.tabs.deploy.values import CONTROLS
from ui.web.visitor import language_of, require_operator

MOST_OTHERS = 2  # servers that are offered to be stopped
CARDS = (8, 12, 16, 24, 32, 40, 48, 80, 96, 141)
ReadConfig = Callable[[Sequence[object]], ServeConfig]


@dataclass(frozen=True)
class DeployPlan:
    """The plan's components on the Deploy tab. ``choice`` stands at the model: why the choice can't run here."""

    choice: gr.HTML
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


def build_plan(choice: gr.HTML) -> DeployPlan:
    """Lays the plan out where it is called: the bar with its sentences, and below it what explains it."""
    with gr.Column(elem_id="deploy-plan-group"):
        card = gr.Dropdown(
            choices=[(L("plan.card.machine"), THIS_MACHINE), *((f"{size} GiB", str(size)) for size in CARDS)],
            value=THIS_MACHINE,
            allow_custom_value=True,
            label=L("plan.card.label"),
            interactive=True,
            container=False,
            elem_id="deploy-plan-card",
        )
        view = gr.HTML(elem_id="deploy-plan-view", padding=False)
        with gr.Row(elem_id="deploy-plan-more"):
            inverse, chats, length, set_chats, most, set_most = _inverse()
            with gr.Accordion(L("plan.steps.title"), open=False, elem_id="deploy-plan-arithmetic"):
                steps = gr.HTML(elem_id="deploy-plan-steps")
            with gr.Accordion(L("plan.kv.title"), open=False, elem_id="deploy-plan-why"):
                kv = gr.HTML(elem_id="deploy-plan-kv")
    return DeployPlan(choice, card, view, chats, length, set_chats, most, set_most, inverse, steps, kv)


def _inverse() -> tuple[Any, ...]:
    with gr.Accordion(L("plan.inverse.title"), open=False, elem_id="deploy-plan-inverse"):
        with gr.Row():
            chats = figure("deploy-plan-chats", "plan.inverse.chats", "5")
            length = figure("deploy-plan-length", "plan.inverse.length", "4096")
            set_chats = gr.Button(
                L("plan.inverse.set-chats"), size="sm", interactive=True, elem_id="deploy-plan-set-chats"
            )
        with gr.Row():
            most = figure("deploy-plan-most", "plan.inverse.most", "20")
            set_most = gr.Button(
                L("plan.inverse.set-most"), size="sm", interactive=True, elem_id="deploy-plan-set-most"
            )
        inverse = gr.HTML(elem_id="deploy-plan-message")
    return inverse, chats, length, set_chats, most, set_most


def bind_plan(
    services: Services, plan: DeployPlan, bridge: Any, inputs: Sequence[Any], ratio: Any, read: ReadConfig
) -> None:
    """Connects it: ``bridge`` is the tab's, ``inputs`` are the form's controls, ``read`` makes a ServeConfig of their
    values or raises InvalidInput, ``ratio`` is the KV cache ratio's control."""
    handlers = Handlers(services, read)
    form = [*inputs, plan.card]
    options: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "queue": False,
        "preprocess": False,
    }
    # The script tells of servers that come and go, since other memory is free then, and of every change of the form
    # (ui/tabs/deploy/binding.py says why).
    bridge.plan(
        handlers.show, form, [plan.view, plan.steps, plan.kv, plan.choice], trigger_mode="always_last", **options
    )
    plan.card.change(fn=None, js=hear("deploy", "changed"), api_visibility="private")
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

    def show(self, request: gr.Request, *values: object) -> tuple[str, str, str, str]:
        """The form's values and the card → the plan, its arithmetic, the KV cache's picture, and why the choice of
        model and engine can't run here, with what could."""
        language = language_of(request)
        try:
            require_operator(request)
            config = self._read(values[:-1])
        except ConsoleError as error:
            return empty_html(error.messages, language), "", "", ""
        seen = look_at_choice(self._services, config)
        choice = choice_html(seen, language, self._services.installer.offered)
        try:
            planned = self._plan(values)
        except ConsoleError as error:
            first = error.messages[0]
            own = first.level == "info" or first.key.startswith("plan.")  # others are told at the choice
            return empty_html(error.messages if own else [Message("plan.none", level="info")], language), "", "", choice
        assumed = planned.named and parse_card(str(values[-1] or "")) is None
        view = plan_html(
            planned, language, here=seen.runs_here, assumed=assumed, buttons=self._buttons(planned, language)
        )
        return view, steps_html(planned, language), kv_html(planned, language), choice

    def _buttons(self, planned: Planned, language: Language) -> str:
        """The plan's remedies: settings, and the servers that hold this memory now."""
        others: list[tuple[str, str]] = []
        if planned.plan.verdict != "fits" and not planned.named:
            others = [(view.id, view.name) for view in beside(planned.config, self._services.servers.snapshot())]
        gpus = len(self._services.planner.gpus())
        return plan_buttons(planned.plan.remedies, gpus, others[:MOST_OTHERS], planned.config.model, language)

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
            return gr.skip(), message_html(error.messages, language, CONTROLS)
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
            return gr.skip(), message_html(error.messages, language, CONTROLS)
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
        if config.engine == "proxy":
            raise InvalidInput(Message("plan.proxy", level="info"))
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
