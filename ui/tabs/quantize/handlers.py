"""What the Quantize tab's events do: plain methods that any HTTP client can call; each checks who asks and every value.

``request`` comes first, then the form's values in the order of ``values.CONTROLS``. An error is shown in the tab, in
the page's language; nothing is started then.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

from backend.errors import ConsoleError, InvalidInput, Message, NotFound
from backend.quantization import checks
from backend.quantization.base import CPU, GPU_PREFIX, OWN_TEXT, QuantConfig
from backend.quantization.job import JobState, JobView
from backend.quantization.texts import KeptText, decode, read_upload
from backend.services import Services
from ui.access import Role, language_of, require_operator, role_of
from ui.i18n import Language, t
from ui.render import message_html
from ui.tabs.quantize import choices
from ui.tabs.quantize.values import CONTROLS, form_values, read_form
from ui.units import gib

Updates = tuple[Any, ...]
T = TypeVar("T")


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
        # One that runs at once comes first: code of a model's own must be trusted by a person.
        ready = [str(model.path) for model in models if not model.needs_remote_code]
        first = [path for _, path in offered if path in ready] or [path for _, path in offered]
        said = [] if first else [Message("quantize.nothing-chosen", field="quantize-model", level="info")]
        return (
            gr.update(choices=offered, value=first[0] if first else ""),
            message_html(said, language_of(request)),
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
        place = choices.suggested_output(found, str(method or ""), self.services.settings.models)
        return place, place

    def preview(self, request: gr.Request, *values: object) -> Updates:
        """What Start would run: command, message, start."""

        def look() -> Updates:
            config = self._read(values)
            if not config.model:
                said = Message("quantize.nothing-chosen", field="quantize-model", level="info")
                return "", message_html([said], language_of(request)), gr.update(interactive=False)
            preview = self.services.jobs.preview(config)
            shown = [*(preview.errors or preview.messages)]
            if not preview.errors and preview.before_bytes and preview.after_bytes:
                sizes = {"before": gib(preview.before_bytes), "after": gib(preview.after_bytes)}
                shown.append(Message("quantize.estimate", sizes, level="info"))
            enabled = gr.update(interactive=not preview.errors)
            return preview.command, message_html(shown, language_of(request)), enabled

        return self._shown(request, look, lambda html: ("", html, gr.update(interactive=False)))

    def upload(self, request: gr.Request, file: str | None) -> Updates:
        """Keep an uploaded text: upload, dataset, text_info, message."""

        def keep() -> Updates:
            if not file:
                return gr.skip(), gr.skip(), gr.skip(), gr.skip()
            path = Path(file)
            try:
                kept = self.services.jobs.texts.keep(read_upload(path, path.name), path.name)
            finally:
                path.unlink(missing_ok=True)
            return kept.id, OWN_TEXT, _kept_html(kept, language_of(request)), ""

        return self._shown(request, keep, lambda html: (gr.skip(), gr.skip(), gr.skip(), html))

    def count(self, request: gr.Request, *values: object) -> Any:
        """The own text's tokens, counted by the model's tokenizer in a child, which takes seconds: text_info."""

        def count() -> Any:
            config = self._read(values)
            if config.dataset != OWN_TEXT or not config.text or not config.model:
                return ""
            tokens = self.services.jobs.count_tokens(config)
            if tokens is None:
                return ""
            params = {"tokens": f"{tokens:,}", "seqlen": f"{config.seqlen:,}"}
            return _note(t("quantize.tokens", language_of(request), params))

        return self._shown(request, count, lambda html: html)

    # The buttons

    def start(self, request: gr.Request, *values: object) -> Updates:
        """Queue a job with the form's settings: message, selected (the new job's id)."""

        def start() -> Updates:
            return "", self.services.jobs.start(self._read(values))

        return self._shown(request, start, lambda html: (html, gr.skip()))

    def cancel(self, request: gr.Request, job_id: object) -> str:
        """Cancel the chosen job: message."""

        def cancel() -> str:
            self.services.jobs.cancel(self._selected(job_id).job.id)
            return ""

        return self._shown(request, cancel, lambda html: html)

    def edit(self, request: gr.Request, job_id: object) -> Updates:
        """Put the chosen job's settings into the form: message, then every control."""

        def fill() -> Updates:
            held = form_values(self._selected(job_id).job.config)
            return "", *(held[name] for name in CONTROLS)

        return self._shown(request, fill, lambda html: (html, *(gr.skip() for _ in CONTROLS)))

    def deploy(self, request: gr.Request, job_id: object) -> Updates:
        """Fill the Deploy form with the chosen job's result: tabs, model, model format, dtype, message."""

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
            return gr.Tabs(selected="deploy"), model, job.result.model_format, job.result.deploy_dtype or "auto", ""

        return self._shown(request, fill, lambda html: (gr.skip(), gr.skip(), gr.skip(), gr.skip(), html))

    # Parts

    def _shown(self, request: gr.Request, action: Callable[[], T], otherwise: Callable[[str], T]) -> T:
        """What the operator's action gives, or ``otherwise`` with the error as HTML."""
        try:
            require_operator(request)
            return action()
        except ConsoleError as error:
            return otherwise(message_html(error.messages, language_of(request)))

    def _read(self, values: Sequence[object]) -> QuantConfig:
        """The settings that the form holds, a typed text kept on disk, so that the preview works as it stands.

        Raises InvalidInput.
        """
        config, typed = read_form(values)
        if config.dataset != OWN_TEXT:
            return replace(config, text="")
        if not typed.strip():
            return config
        name = "quantize-text.txt"
        kept = self.services.jobs.texts.keep(decode(typed.encode("utf-8", "replace"), name), name)
        return replace(config, text=kept.id)

    def _selected(self, job_id: object) -> JobView:
        text = str(job_id or "").strip()
        if not text:
            raise InvalidInput(Message("quantize.no-selection"))
        return self.services.jobs.get(text)


def _kept_html(kept: KeptText, language: Language) -> str:
    params = {"name": kept.name, "kib": f"{kept.characters / 1024:,.1f}"}
    return _note(t("quantize.upload.kept", language, params))


def _note(text: str) -> str:
    return f'<p class="quantize-note">{escape(text)}</p>'
