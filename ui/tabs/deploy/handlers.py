"""What the Deploy tab's events do: plain methods that any HTTP client can call; each checks who asks and every value.

``request`` comes first, then the form's values in the order of ``values.CONTROLS``. An error is shown in the tab, in
the page's language; nothing is started then.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import gradio as gr

from backend.engines import ENGINES
from backend.engines.base import Environment, ServeConfig
from backend.engines.choice import check_report, choose_environment, default_engine
from backend.engines.flags import snapshot as known_flags
from backend.errors import ConsoleError, InvalidInput, Message, NotFound
from backend.models.catalog import DEMO_MODEL
from backend.models.checkpoint import ModelInfo
from backend.servers.view import ServerView
from backend.services import Services
from ui.access import Role, language_of, require_operator, role_of, visitor_of
from ui.i18n import Language, t
from ui.render import message_html
from ui.ssh import forward_line
from ui.ssh_login import load_login, login_text, save_login
from ui.tabs.deploy import choices
from ui.tabs.deploy.once import Once
from ui.tabs.deploy.paste import parse_command
from ui.tabs.deploy.render import machine_check, model_facts, note
from ui.tabs.deploy.values import CONTROLS, DEFAULTS, FormValues, form_values, serve_config

Updates = tuple[Any, ...]
T = TypeVar("T")
# The settings whose choices an LMDeploy's parser gives.
CHOSEN = ("quant_policy", "model_format", "dtype")
FIRST_LOOK_S = 60.0  # so long a console that was just started is waited for: it looks at the machine's Pythons
# What belongs to this machine rather than to a pasted command.
KEPT_ON_PASTE = frozenset({"environment", "address", "api_key"})


class Handlers:
    """The tab's event handlers."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._starts = Once()

    # The page opens

    def load(self, request: gr.Request) -> Updates:
        """What the page opens with: model, ssh, ssh_line, ready_timeout, engine, gpus, environment, environments."""
        language = language_of(request)
        port = console_port(request)
        if role_of(request) is not Role.OPERATOR:
            return gr.skip(), gr.skip(), forward_line(None, port), *(gr.skip() for _ in range(5))
        models = self.services.catalog.models()
        return (
            gr.update(choices=choices.model_choices(models, language), value=_first_model(models)),
            login_text(self.services.store),
            forward_line(load_login(self.services.store), port),
            f"{self.services.servers.ready_timeout_s / 60:g}",
            default_engine(self.services.finder.machine(FIRST_LOOK_S)),
            *self._machine(language),
        )

    def recheck(self, request: gr.Request) -> Updates:
        """Look at the machine again: gpus, environment, environments."""
        require_operator(request)
        self.services.finder.refresh()
        return self._machine(language_of(request))

    def refresh_models(self, request: gr.Request) -> Any:
        """Look at the model folders again, keeping what is chosen."""
        require_operator(request)
        return gr.update(choices=choices.model_choices(self.services.catalog.models(), language_of(request)))

    # The form changes

    def fit_choices(self, request: gr.Request, engine: object, environment: object) -> Updates:
        """What the engine's LMDeploy lets one choose: the dropdowns of CHOSEN, in order."""
        language = language_of(request)
        chosen = ENGINES.get(FormValues({"engine": engine}).choice("engine"))
        if chosen is None:
            return tuple(gr.skip() for _ in CHOSEN)
        offered = chosen.choices(self._environment(str(environment or ""), chosen.name))
        return tuple(
            gr.update(choices=choices.setting_choices(name, offered[name], language))
            if offered.get(name)
            else gr.skip()
            for name in CHOSEN
        )

    def describe(self, request: gr.Request, engine: object, model: object) -> str:
        """The chosen model's facts."""
        language = language_of(request)
        chosen = ENGINES.get(FormValues({"engine": engine}).choice("engine"))
        text = FormValues({"model": model}).text("model")
        if role_of(request) is not Role.OPERATOR or chosen is None or "model" not in chosen.fields:
            return ""
        if not text:
            return "" if self.services.catalog.models() else note(t("deploy.model.none", language))
        try:
            found = self.services.catalog.find_or_hub(text)
        except ConsoleError as error:
            return message_html(error.messages, language)
        return model_facts(found, language) if found is not None else note(t("deploy.model.hub", language))

    def preview(self, request: gr.Request, *values: object) -> Updates:
        """What Start would run: command, message, start."""
        language = language_of(request)

        def look() -> Updates:
            config = self.read(values)
            self.services.finder.machine(FIRST_LOOK_S)
            preview = self.services.servers.preview(config)
            command = preview.command.preview() if preview.command is not None else ""
            if config.engine == "external":
                command = t("deploy.command.external", language)
            shown = [message for message in preview.messages if message.level == "error"] or list(preview.messages)
            if preview.environment is not None and not preview.errors:
                label = {"label": preview.environment.label}
                shown.append(Message("deploy.environment.chosen", label, level="info"))
            return command, message_html(shown, language), gr.update(interactive=not preview.errors)

        return self._shown(request, look, lambda html: ("", html, gr.update(interactive=False)))

    def preview_again(self, request: gr.Request, *values: object) -> Updates:
        """As ``preview``, leaving the message as it stands: command, start."""
        command, _, start = self.preview(request, *values)
        return command, start

    # The buttons

    def start(self, request: gr.Request, *values: object) -> Updates:
        """Start a server with the form's settings: message, selected (the new server's id)."""

        def start() -> Updates:
            config = self.read(values)
            self.services.finder.machine(FIRST_LOOK_S)
            servers = self.services.servers
            server_id = self._starts.run((visitor_of(request), config), lambda: servers.start(config))
            key = "deploy.message.connected" if config.engine == "external" else "deploy.message.started"
            said = Message(key, {"name": servers.get(server_id).name}, level="info")
            return message_html([said], language_of(request)), server_id

        return self._shown(request, start, lambda html: (html, gr.skip()))

    def stop(self, request: gr.Request, server_id: object) -> str:
        """Stop the chosen server: message."""

        def stop() -> str:
            view = self._selected(server_id)
            self.services.servers.stop(view.id)
            said = Message("deploy.message.stopping", {"name": view.name}, level="info")
            return message_html([said], language_of(request))

        return self._shown(request, stop, lambda html: html)

    def edit(self, request: gr.Request, server_id: object) -> Updates:
        """Put the chosen server's settings into the form: message, then every control."""

        def fill() -> Updates:
            view = self._selected(server_id)
            said = Message("deploy.message.filled", {"name": view.name}, level="info")
            held = form_values(view.config).values
            return message_html([said], language_of(request)), *(held[name] for name in CONTROLS)

        return self._shown(request, fill, self._unchanged)

    def paste(self, request: gr.Request, text: object) -> Updates:
        """Fill the form from a pasted command; what it doesn't name goes to LMDeploy's default: paste_message, then
        every control."""

        def fill() -> Updates:
            pasted = parse_command(str(text or ""), _switches())
            held = dict(form_values(DEFAULTS).values) | dict(pasted.values)
            held["model"] = self._on_this_machine(str(held["model"]))
            said = (Message("deploy.paste.done", level="info"), *pasted.notes)
            values = (gr.skip() if name in KEPT_ON_PASTE else held[name] for name in CONTROLS)
            return message_html(said, language_of(request)), *values

        return self._shown(request, fill, self._unchanged)

    def remember_login(self, request: gr.Request, text: object) -> Updates:
        """Keep the login command that every ssh line is made from: ssh_line, message."""

        def keep() -> Updates:
            login = save_login(self.services.store, str(text or ""))
            return forward_line(login, console_port(request)), ""

        return self._shown(request, keep, lambda html: (gr.skip(), html))

    def ready_timeout(self, request: gr.Request, minutes: object) -> str:
        """Keep how long a server may take to get ready: message."""

        def keep() -> str:
            text = str(minutes or "").strip()
            try:
                seconds = float(text) * 60
            except ValueError:
                raise InvalidInput(
                    Message("deploy.error.not_minutes", {"value": text}, field="deploy-ready-timeout")
                ) from None
            self.services.servers.set_ready_timeout(seconds)
            return ""

        return self._shown(request, keep, lambda html: html)

    # Parts

    def _shown(self, request: gr.Request, action: Callable[[], T], otherwise: Callable[[str], T]) -> T:
        """What the operator's action gives, or ``otherwise`` with the error as HTML."""
        try:
            require_operator(request)
            return action()
        except ConsoleError as error:
            return otherwise(message_html(error.messages, language_of(request)))

    def _unchanged(self, html: str) -> Updates:
        return html, *(gr.skip() for _ in CONTROLS)

    def read(self, values: Sequence[object]) -> ServeConfig:
        """The settings that the form holds. Raises InvalidInput."""
        form = FormValues.of(values)
        engine = ENGINES.get(form.choice("engine"))
        if engine is None:
            params = {"value": form.text("engine"), "known": ", ".join(ENGINES)}
            raise InvalidInput(Message("deploy.error.engine", params, field="deploy-engine"))
        return serve_config(form, engine.fields)

    def _machine(self, language: Language) -> Updates:
        machine = self.services.finder.machine()
        return (
            gr.update(choices=choices.gpu_choices(machine.gpus, language)),
            gr.update(choices=choices.environment_choices(machine.environments, language)),
            machine_check(check_report(machine), language),
        )

    def _environment(self, environment: str, engine: str) -> Environment | None:
        """The environment whose flags the form offers; None where there is none (the built-in flags are offered)."""
        config = ServeConfig(engine=engine, model="", environment=environment)
        try:
            return choose_environment(config, None, self.services.finder.machine())
        except ConsoleError:
            return None

    def _selected(self, server_id: object) -> ServerView:
        text = str(server_id or "").strip()
        if not text:
            raise NotFound(Message("deploy.error.no_selection"))
        return self.services.servers.get(text)

    def _on_this_machine(self, model: str) -> str:
        """A tutorial's path that isn't here, as the folder of the same name that is."""
        name = model.rstrip("/").rsplit("/", 1)[-1]
        listed = [info for info in self.services.catalog.models() if info.path.name == name]
        try:
            self.services.catalog.find(model)
        except ConsoleError:
            return str(listed[0].path) if listed else model
        return model


def console_port(request: gr.Request) -> int:
    """The port that the console listens on, as this request reached it."""
    server = request.request.scope.get("server") if request.request is not None else None
    return int(server[1]) if server and server[1] else 0


def _first_model(models: Sequence[ModelInfo]) -> str:
    """The model to preselect: the first that can be served; the one that comes with the console where it is alone."""
    served = [model.path for model in models if model.problem is None]
    return str(next((path for path in served if path != DEMO_MODEL), served[0])) if served else ""


def _switches() -> frozenset[str]:
    return frozenset(name for flag in known_flags().serve if flag.kind == "switch" for name in flag.names)
