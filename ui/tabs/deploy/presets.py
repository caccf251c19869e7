"""The presets on the Deploy tab: chosen into the form, kept from the form, and as files."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.errors import ConsoleError, InvalidInput, Message
from backend.models.checkpoint import ModelInfo
from backend.presets.preset import FIELDS, Preset
from backend.presets.shelf import Shelf
from backend.services import Services
from backend.units import GIB
from ui.i18n import L, Language, t
from ui.page.bridge import part
from ui.page.form_controls import dropdown, text
from ui.page.operator import for_operator
from ui.page.render import message_html
from ui.tabs.deploy.values import CONTROLS, SEPARATOR, FormValues, form_values
from ui.web.routes import json_route
from ui.web.visitor import Role, language_of, require_operator, role_of

FIELD = "deploy-preset"
NAMES: Mapping[str, str] = {**CONTROLS, "preset": FIELD}
ReadConfig = Callable[[Sequence[object]], ServeConfig]


@dataclass(frozen=True)
class PresetControls:
    """The components."""

    preset: gr.Dropdown
    name: gr.Textbox
    save: gr.Button
    delete: gr.Button
    message: gr.HTML
    files: gr.HTML


def build_presets() -> PresetControls:
    """Lay them out, folded."""
    with gr.Accordion(L("deploy.preset.title"), open=False, elem_id="deploy-presets"):
        preset = dropdown(FIELD, [], "")
        with gr.Row(elem_id="deploy-preset-row"):
            name = text("deploy-preset-name")
            save = gr.Button(
                L("deploy.preset.save"), size="sm", min_width=90, interactive=True, elem_id=f"{FIELD}-save"
            )
            delete = gr.Button(
                L("deploy.preset.delete"), size="sm", min_width=90, interactive=True, elem_id=f"{FIELD}-delete"
            )
        message = gr.HTML(elem_id=f"{FIELD}-message")
        files = part("deploy", "preset-files")
    return PresetControls(preset, name, save, delete, message, files)


def bind_presets(
    services: Services, controls: PresetControls, bridge: Any, inputs: Sequence[Any], read: ReadConfig
) -> None:
    """Connect them. ``read`` makes a ServeConfig of the form's values or raises InvalidInput."""
    handlers = PresetHandlers(services, read)
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden", "preprocess": False}
    gr.on(None, handlers.choices, inputs=[], outputs=controls.preset, api_visibility="private", queue=False,
          show_progress="hidden")  # fmt: skip
    bridge.presets(handlers.choices, outputs=controls.preset, api_visibility="private", **quick)
    controls.preset.input(
        handlers.choose,
        inputs=[controls.preset, *inputs],
        outputs=[controls.message, *inputs],
        api_name="deploy_preset",
        **quick,
    )
    gr.on(
        [controls.save.click, controls.name.submit],
        handlers.save,
        inputs=[controls.name, *inputs],
        outputs=[controls.message, controls.preset, controls.name],
        api_name="deploy_preset_save",
        **quick,
    )
    controls.delete.click(
        handlers.delete,
        inputs=controls.preset,
        outputs=[controls.message, controls.preset],
        api_name="deploy_preset_delete",
        **quick,
    )


class PresetHandlers:
    """What the events do."""

    def __init__(self, services: Services, read: ReadConfig) -> None:
        self._services = services
        self._read = read
        self._shelf = Shelf(services.store)

    def choices(self, request: gr.Request) -> Any:
        """The dropdown's choices."""
        if role_of(request) is not Role.OPERATOR:
            return gr.skip()
        try:
            return gr.update(choices=preset_choices(self._shelf.all(), language_of(request)))
        except ConsoleError:  # the store can't be read: the page says so
            return gr.skip()

    def choose(self, request: gr.Request, chosen: object, *values: object) -> tuple[Any, ...]:
        """Put the preset's settings into the form: message, then every control."""
        language = language_of(request)

        def fill() -> tuple[Any, ...]:
            text = str(chosen or "").strip()
            if not text:
                return "", *(gr.skip() for _ in CONTROLS)
            preset = self._named(text)
            form = FormValues.of(values)
            base = ServeConfig(form.choice("engine"), form.text("model"))
            applied, said = apply_preset(preset, base, self._services.catalog.models(), preset_name(preset, language))
            held = form_values(applied).values
            changed = {"model", *_set_by(preset)}
            html = message_html([said], language, NAMES)
            return html, *(held[name] if name in changed else gr.skip() for name in CONTROLS)

        return for_operator(request, NAMES, fill, lambda html: (html, *(gr.skip() for _ in CONTROLS)))

    def save(self, request: gr.Request, name: object, *values: object) -> tuple[Any, ...]:
        """Keep the form's settings: message, preset, name."""
        language = language_of(request)

        def keep() -> tuple[Any, ...]:
            config = self._read(values)
            if "model" not in ENGINES[config.engine].fields:
                raise InvalidInput(Message("presets.other-engine", {"engine": config.engine}, "engine"))
            model = config.model.rstrip("/").rpartition("/")[2]
            preset = self._shelf.save(str(name or ""), config, model, self._card(config))
            said = Message("deploy.preset.saved", {"name": preset.name}, level="info")
            update = gr.update(choices=preset_choices(self._shelf.all(), language), value=preset.id)
            return message_html([said], language, NAMES), update, ""

        return for_operator(request, NAMES, keep, lambda html: (html, gr.skip(), gr.skip()))

    def delete(self, request: gr.Request, chosen: object) -> tuple[Any, ...]:
        """Forget the chosen preset: message, preset."""
        language = language_of(request)

        def forget() -> tuple[Any, ...]:
            preset = self._shelf.delete(self._named(str(chosen or "").strip()).id)
            said = Message("deploy.preset.deleted", {"name": preset.name}, level="info")
            update = gr.update(choices=preset_choices(self._shelf.all(), language), value="")
            return message_html([said], language, NAMES), update

        return for_operator(request, NAMES, forget, lambda html: (html, gr.skip()))

    def _named(self, text: str) -> Preset:
        """By id; a typed name does too."""
        wanted = text.split(SEPARATOR)[0].strip()
        for preset in self._shelf.own():
            if wanted == preset.name:
                return preset
        return self._shelf.get(text)

    def _card(self, config: ServeConfig) -> float:
        """The size of the GPU that the settings name, in GiB to one digit; 0 where there is none."""
        if config.engine == "transformers":
            return 0.0
        gpus = self._services.planner.gpus()
        gpu = next((gpu for gpu in gpus if gpu.id in config.gpus), gpus[0] if gpus else None)
        return round(gpu.total_bytes / GIB, 1) if gpu is not None else 0.0


def _set_by(preset: Preset) -> set[str]:
    """What a preset puts into the form: all that presets hold, further flags only where it has some."""
    return {name for name in FIELDS if name != "extra" or "extra" in preset.settings}


def apply_preset(
    preset: Preset, config: ServeConfig, models: Iterable[ModelInfo], name: str
) -> tuple[ServeConfig, Message]:
    """The settings with the preset's, on the model that it was made for where that is on this machine; and what is to
    be said of it."""
    applied = preset.applied(config)
    own = config.model.rstrip("/").rpartition("/")[2]
    if not preset.model or own == preset.model:
        return applied, Message("deploy.preset.filled", {"name": name}, level="info")
    found = next((model for model in models if model.name == preset.model and model.problem is None), None)
    if found is None:
        params = {"name": name, "model": preset.model}
        return applied, Message("deploy.preset.no-model", params, level="warning")
    switched = replace(applied, model=str(found.path))
    return switched, Message("deploy.preset.filled-model", {"name": name, "model": preset.model}, level="info")


def preset_name(preset: Preset, language: Language) -> str:
    """What it is called: one that comes with the console by its model and what it sets."""
    return t(preset.name, language) if preset.shipped else preset.name


def preset_choices(presets: Iterable[Preset], language: Language) -> list[tuple[str, str]]:
    """``class · internlm2_5-7b-chat · 24 GiB``; first none."""
    labels = [(_label(preset, language), preset.id) for preset in presets]
    return [(t("deploy.preset.none", language), ""), *labels]


def _label(preset: Preset, language: Language) -> str:
    card = f"{preset.card_gib:g} GiB" if preset.card_gib else ""
    name = preset_name(preset, language)
    parts = (preset.model, name, card) if preset.shipped else (name, preset.model, card)
    return SEPARATOR.join(part for part in parts if part)


def preset_routes(services: Services) -> Sequence[BaseRoute]:
    """``GET presets``: the operator's own as a file; ``POST presets/import`` {text}: take a file's."""
    shelf = Shelf(services.store)

    def export(request: Request, body: Mapping[str, Any]) -> Response:
        require_operator(request)
        headers = {"Content-Disposition": 'attachment; filename="presets.json"', "Cache-Control": "no-store"}
        return Response(shelf.to_file(), media_type="application/json", headers=headers)

    def take(request: Request, body: Mapping[str, Any]) -> Mapping[str, Any]:
        require_operator(request)
        text = body.get("text")
        if not isinstance(text, str):
            raise InvalidInput(Message("common.bad_request"))
        return {"names": [preset.name for preset in shelf.take(text)]}

    return [
        Route("/presets", json_route(export), methods=["GET"]),
        Route("/presets/import", json_route(take), methods=["POST"]),
    ]
