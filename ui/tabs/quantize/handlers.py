"""What the Quantize tab's events do: plain methods that any HTTP client can call; each checks who asks and every value.

``request`` comes first, then the form's values in the order of ``values.CONTROLS``. An error is shown in the tab, in
the page's language; nothing is started then.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from backend.errors import ConsoleError, InvalidInput, Message, NotFound
from backend.quantization import QUANT_METHODS, checks
from backend.quantization.base import CPU, GPU_PREFIX, OWN_TEXT, QuantConfig
from backend.quantization.job import JobState, JobView
from backend.quantization.text_files import read, read_file
from backend.services import Services
from ui.page.operator import for_operator
from ui.page.render import message_html
from ui.page.units import gib
from ui.tabs.quantize import choices
from ui.tabs.quantize.remedy_buttons import buttons_for
from ui.tabs.quantize.text_info import TYPED, text_html, tokens_html
from ui.tabs.quantize.values import CONTROLS, form_values, read_form
from ui.web.visitor import Role, language_of, require_operator, role_of

Updates = tuple[Any, ...]


class Handlers:
    """The tab's event handlers."""

    def __init__(self, services: Services) -> None:
        self.services = services

    # The page opens

    def load(self, request: gr.Request) -> Updates:
        """What is known at once: model, message."""
        if role_of(request) is not Role.OPERATOR:
            return gr.skip(), gr.skip()
        models = self.services.catalog.models()
        offered = choices.model_choices(models)
        # One that runs at once comes first: code of a model's own must be trusted by a person, and a CPU takes hours
        # for a large one.
        ready = [model for model in models if not model.needs_remote_code]
        if not self.services.planner.gpus():
            ready.sort(key=lambda model: model.parameters)
        listed = [path for _, path in offered]
        first = [str(model.path) for model in ready if str(model.path) in listed] or listed
        said = [] if first else [Message("quantize.nothing-chosen", field="quantize-model", level="info")]
        return (
            gr.update(choices=offered, value=first[0] if first else ""),
            message_html(said, language_of(request), CONTROLS),
        )

    def load_machine(self, request: gr.Request) -> Updates:
        """What this machine can do, which takes seconds the first time: device, dataset, environment."""
        if role_of(request) is not Role.OPERATOR:
            return gr.skip(), gr.skip(), gr.skip()
        language = language_of(request)
        machine = self.services.finder.machine()
        environment = next((e for e in machine.environments if e.lmdeploy), None)
        device = GPU_PREFIX + machine.gpus[0].id if machine.gpus else CPU
        return (
            gr.update(choices=choices.device_choices(machine, language), value=device),
            gr.update(choices=choices.dataset_choices(checks.dataset_choices(environment), language)),
            gr.update(choices=choices.environment_choices(machine.environments, language)),
        )

    def refresh_models(self, request: gr.Request) -> Any:
        """Look at the model folders again, keeping what is chosen."""
        require_operator(request)
        return gr.update(choices=choices.model_choices(self.services.catalog.models()))

    # The form changes

    def suggest(self, request: gr.Request, model: object, method: object, output: object, suggested: object) -> Updates:
        """A place for the result, unless a person typed one: output, suggested."""
        typed, last = str(output or "").strip(), str(suggested or "").strip()
        if role_of(request) is not Role.OPERATOR or (typed and typed != last):
            return gr.skip(), gr.skip()
        try:
            found = self.services.catalog.find(str(model or ""))
        except ConsoleError:
            return gr.skip(), gr.skip()
        wanted = choices.suggested_output(found, str(method or ""), self.services.settings.models)
        place = str(self.services.jobs.free_output(Path(wanted), str(method or "")))
        return (gr.skip(), gr.skip()) if place == typed else (place, place)

    def preview(self, request: gr.Request, *values: object) -> Updates:
        """What Start would run: command, message, start."""

        def look() -> Updates:
            config = self._read(values)
            if not config.model:
                said = Message("quantize.nothing-chosen", field="quantize-model", level="info")
                return "", message_html([said], language_of(request), CONTROLS), gr.update(interactive=False)
            preview = self.services.jobs.preview(config)
            shown = [*(preview.errors or preview.messages)]
            if not preview.errors and preview.before_bytes and preview.after_bytes:
                sizes = {"before": gib(preview.before_bytes), "after": gib(preview.after_bytes)}
                shown.append(Message("quantize.estimate", sizes, level="info"))
            enabled = gr.update(interactive=not preview.errors)
            language = language_of(request)
            buttons = buttons_for(config, lambda: self._free(config), language)
            # A job of one's own that writes there is no fault.
            calm = all(message.key == "quantize.output.taken" for message in preview.errors)
            return preview.command, message_html(shown, language, CONTROLS, buttons, calm=calm), enabled

        return for_operator(request, CONTROLS, look, lambda html: ("", html, gr.update(interactive=False)))

    def upload(self, request: gr.Request, file: str | None) -> Updates:
        """Keep an uploaded text: upload, dataset, text_info, message."""

        def keep() -> Updates:
            if not file:
                return gr.skip(), gr.skip(), gr.skip(), gr.skip()
            path = Path(file)
            try:
                kept = self.services.jobs.texts.keep_reading(read_file(path, path.name), path.name)
            finally:
                path.unlink(missing_ok=True)
            return kept.id, OWN_TEXT, text_html(kept, language_of(request)), ""

        return for_operator(request, CONTROLS, keep, lambda html: (gr.skip(), gr.skip(), gr.skip(), html))

    def count(self, request: gr.Request, *values: object) -> Any:
        """What was read of the own text, and its tokens, counted by the model's tokenizer in a child, which takes
        seconds: text_info."""

        def count() -> Any:
            config = self._read(values)
            if config.dataset != OWN_TEXT or not config.text:
                return ""
            language = language_of(request)
            kept = self.services.jobs.texts.get(config.text)
            shown = text_html(kept, language)
            try:
                tokens = self.services.jobs.count_tokens(config) if config.model else None
            except ConsoleError as error:
                return shown + message_html(error.messages, language, CONTROLS)
            return shown if tokens is None else shown + tokens_html(tokens, kept, config, language)

        return for_operator(request, CONTROLS, count, lambda html: html)

    # The buttons

    def start(self, request: gr.Request, *values: object) -> Updates:
        """Queue a job with the form's settings: message, selected (the new job's id)."""

        def start() -> Updates:
            return "", self.services.jobs.start(self._read(values))

        return for_operator(request, CONTROLS, start, lambda html: (html, gr.skip()))

    def cancel(self, request: gr.Request, job_id: object) -> str:
        """Cancel the chosen job: message."""

        def cancel() -> str:
            self.services.jobs.cancel(self._selected(job_id).job.id)
            return ""

        return for_operator(request, CONTROLS, cancel, lambda html: html)

    def edit(self, request: gr.Request, job_id: object) -> Updates:
        """Put the chosen job's settings into the form: message, then every control."""

        def fill() -> Updates:
            held = form_values(self._selected(job_id).job.config)
            return "", *(held[name] for name in CONTROLS)

        return for_operator(request, CONTROLS, fill, lambda html: (html, *(gr.skip() for _ in CONTROLS)))

    def deploy(self, request: gr.Request, job_id: object) -> Updates:
        """Fill the Deploy form with the chosen job's result: tabs, model, model format, dtype, message; and the engine,
        where one alone serves it."""
        return self._deploy(request, job_id, always=False)

    def plan_on_gpu(self, request: gr.Request, job_id: object) -> Updates:
        """As ``deploy``, where nothing here can serve the result: with the engine that could on a GPU."""
        return self._deploy(request, job_id, always=True)

    # Parts

    def _deploy(self, request: gr.Request, job_id: object, always: bool) -> Updates:
        def fill() -> Updates:
            job = self._selected(job_id).job
            if job.state is not JobState.SUCCEEDED or job.result is None:
                raise NotFound(Message("quantize.no-selection"))
            models = [(model.name, str(model.path)) for model in self.services.catalog.models()]
            known = any(path == job.output for _, path in models)
            model = (
                gr.update(value=job.output)
                if known
                else gr.update(choices=[(job.output, job.output)], value=job.output)
            )
            engines = QUANT_METHODS[job.config.method].engines
            engine = engines[0] if always or len(engines) == 1 else gr.skip()
            dtype = job.result.deploy_dtype or "auto"
            return gr.Tabs(selected="deploy"), model, job.result.model_format, dtype, "", engine

        return for_operator(request, CONTROLS, fill, lambda html: (*(gr.skip() for _ in range(4)), html, gr.skip()))

    def _free(self, config: QuantConfig) -> Path:
        return self.services.jobs.free_output(checks.output_path(config), config.method)

    def _read(self, values: Sequence[object]) -> QuantConfig:
        """The settings that the form holds, a typed text kept on disk, so that the preview works as it stands.

        Raises InvalidInput.
        """
        config, typed = read_form(values)
        if config.dataset != OWN_TEXT:
            return replace(config, text="")
        if not typed.strip():
            return config
        reading = read(typed.encode("utf-8", "replace"), TYPED)
        kept = self.services.jobs.texts.keep_reading(reading, TYPED)
        return replace(config, text=kept.id)

    def _selected(self, job_id: object) -> JobView:
        text = str(job_id or "").strip()
        if not text:
            raise InvalidInput(Message("quantize.no-selection"))
        return self.services.jobs.get(text)
