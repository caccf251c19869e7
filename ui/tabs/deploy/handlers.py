"""What the Deploy tab's events do: plain methods that any HTTP client can call; each checks who asks and every value.

``request`` comes first, then the form's values in the order of ``values.CONTROLS``. An error is shown in the tab, in
the page's language; nothing is started then.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from backend.chat.abilities import LOGPROBS_MODE
from backend.console.environment import child_environment
from backend.engines import ENGINES
from backend.engines.base import ServeConfig
from backend.engines.choice import choose_environment, default_engine
from backend.engines.parsers import TOOLS, missing_parsers, read_told
from backend.engines.remedies import Case, restarts
from backend.engines.runnable import first_model
from backend.errors import ConsoleError, InvalidInput, Message, NotFound
from backend.machine.fit import check_report
from backend.machine.flags import without_flag
from backend.machine.machine import Environment
from backend.processes import ports
from backend.servers.preflight import Row, preflight
from backend.servers.preview import Preview
from backend.servers.server import ServerView
from backend.servers.surroundings import look
from backend.services import Services
from ui.i18n import Language, t
from ui.page.operator import for_operator
from ui.page.remedies import remedy_text
from ui.page.render import message_html
from ui.paste.handlers import pasted
from ui.ssh import FIELD as SSH_FIELD
from ui.ssh import forward_line, load_login, login_text, save_login
from ui.tabs.deploy import choices
from ui.tabs.deploy.choice_note import demo_model, with_holder
from ui.tabs.deploy.double_click import Once
from ui.tabs.deploy.flag_controls import fit_flags
from ui.tabs.deploy.node_lines import node_lines_html
from ui.tabs.deploy.paste import TARGET
from ui.tabs.deploy.preflight_html import preflight_html
from ui.tabs.deploy.remedy_buttons import buttons_for
from ui.tabs.deploy.render import machine_check, model_facts, note
from ui.tabs.deploy.values import CONTROLS, FormValues, form_values, serve_config
from ui.web.visitor import Role, language_of, require_operator, role_of, visitor_of

Updates = tuple[Any, ...]
Filling = tuple[Message, ServeConfig]  # what is said, and what goes into the form
# The settings whose choices an LMDeploy's parser gives.
CHOSEN = ("quant_policy", "model_format", "dtype")
# The settings that stand outside "More settings".
SHOWN_AT_ONCE = frozenset({"model", "engine", "nodes", "quant_policy", "model_format", "cache_max_entry_count"})
NODE_PORT = 24333  # from here on a free port is looked for that ssh may bring a far node to
FIRST_LOOK_S = 60.0  # so long a console that was just started is waited for: it looks at the machine's Pythons
INSTALLED_LOOK_S = 60.0


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
        machine = self.services.finder.machine(FIRST_LOOK_S)
        engine = default_engine(machine)
        first = first_model(models, engine, machine, demo_model(self.services), self._fits)
        return (
            gr.update(choices=choices.model_choices(models, language), value=str(first.path) if first else ""),
            login_text(self.services.store),
            forward_line(load_login(self.services.store), port),
            f"{self.services.servers.ready_timeout_s / 60:g}",
            engine,
            *self._machine(language),
        )

    def recheck(self, request: gr.Request) -> Updates:
        """Look at the machine again: gpus, environment, environments."""
        require_operator(request)
        self.services.finder.refresh()
        return self._machine(language_of(request))

    def installed(self, request: gr.Request) -> Updates:
        """An engine was installed: gpus, environment, environments, once the machine was looked at again."""
        require_operator(request)
        self.services.finder.refresh(INSTALLED_LOOK_S)
        return self._machine(language_of(request))

    def refresh_models(self, request: gr.Request) -> Any:
        """Look at the model folders again, keeping what is chosen."""
        require_operator(request)
        return gr.update(choices=choices.model_choices(self.services.catalog.models(), language_of(request)))

    def got_model(self, request: gr.Request, folder: object) -> Any:
        """Look at the model folders again: a model has been loaded. ``folder`` is chosen, "" leaves the choice."""
        require_operator(request)
        update = self.refresh_models(request)
        return update | {"value": str(folder)} if folder else update

    # The form changes

    def fit(self, request: gr.Request, engine: object, environment: object) -> Updates:
        """``fit_choices``, then what follows of the controls for further flags (FlagControls.fitted)."""
        return *self.fit_choices(request, engine, environment), *fit_flags(self.services, engine, environment)

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

    def node_choices(self, request: gr.Request) -> Updates:
        """The servers that a proxy may have as nodes, keeping what is chosen, and how to reach others: nodes,
        node_lines."""
        require_operator(request)
        return self._node_choices(language_of(request))

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
            return message_html(error.messages, language, CONTROLS)
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
            shown = with_holder(shown, self.services.servers.snapshot())
            if not preview.errors:
                shown += missing_parsers(config, preview.model, preview.environment, read_told(preview.model))
            if preview.environment is not None and not preview.errors:
                label = {"label": preview.environment.label}
                shown.append(Message("deploy.environment.chosen", label, level="info"))
            case = Case(config, preview.model, self.services.finder.machine(), demo_model(self.services))
            buttons = buttons_for(case, language, self.services.installer.offered)
            html = message_html(shown, language, CONTROLS, buttons)
            html += preflight_html(self._preflight(config, preview), language, buttons)
            return command, html, gr.update(interactive=not preview.errors)

        return for_operator(request, CONTROLS, look, lambda html: ("", html, gr.update(interactive=False)))

    def _preflight(self, config: ServeConfig, preview: Preview) -> tuple[Row, ...]:
        """The list "Before the start"; () while nothing is chosen yet."""
        if not (config.model.strip() or config.address.strip()):
            return ()
        services = self.services
        try:
            planned = services.planner.plan(config).plan if services.finder.machine().gpus else None
        except ConsoleError:  # no plan for this model: the plan's own card says why
            planned = None
        around = look(
            config,
            preview.model,
            planned,
            services.sampler.latest(),
            services.settings.state_dir,
            child_environment(),
            services.runs(),
            preview.environment,
        )
        messages = with_holder(preview.messages, services.servers.snapshot())
        return preflight(config, preview.model, messages, around)

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
            return message_html([said], language_of(request), CONTROLS), server_id

        return for_operator(request, CONTROLS, start, lambda html: (html, gr.skip()))

    def stop(self, request: gr.Request, server_id: object) -> str:
        """Stop the chosen server: message."""

        def stop() -> str:
            view = self._selected(server_id)
            self.services.servers.stop(view.id)
            said = Message("deploy.message.stopping", {"name": view.name}, level="info")
            return message_html([said], language_of(request), CONTROLS)

        return for_operator(request, CONTROLS, stop, lambda html: html)

    def edit(self, request: gr.Request, server_id: object) -> Updates:
        """Put the chosen server's settings into the form: message, then every control."""

        def as_it_is(view: ServerView, language: Language) -> Filling:
            return Message("deploy.message.filled", {"name": view.name}, level="info"), view.config

        return self._fill(request, server_id, as_it_is)

    def add_parser(self, request: gr.Request, server_id: object) -> Updates:
        """As ``edit``, with the parser for calls of tools that the server's model needs."""

        def words(view: ServerView) -> tuple[str, ...]:
            preview = self.services.servers.preview(view.config)
            missing = missing_parsers(view.config, preview.model, preview.environment, read_told(preview.model))
            needed = next((message.params for message in missing if message.params["flag"] == TOOLS), None)
            return () if needed is None else (TOOLS, str(needed["parser"]))

        return self._fill(request, server_id, lambda view, language: _with_flags(view, words(view)))

    def add_logprobs(self, request: gr.Request, server_id: object) -> Updates:
        """As ``edit``, with the flag without which the server tells no log-probabilities."""
        words = (LOGPROBS_MODE, "raw_logprobs")
        return self._fill(request, server_id, lambda view, language: _with_flags(view, words))

    def correct(self, request: gr.Request, server_id: object, number: object) -> Updates:
        """Put the chosen server's settings into the form, with those of one of its remedies: more (opened where it
        holds what changes), message, then every control. ``number`` counts the remedies that its card offers."""
        changed: set[str] = set()

        def corrected(view: ServerView, language: Language) -> Filling:
            offered = restarts(view.trouble, view.config)
            if str(number) not in map(str, range(len(offered))):
                raise InvalidInput(Message("deploy.message.no-remedy", {"name": view.name}))
            remedy = offered[int(str(number))]
            changed.update(remedy.settings)
            told = {"name": view.name, "remedy": remedy_text(remedy, language)}
            said = Message("deploy.message.corrected", told, level="info")
            return said, replace(view.config, **remedy.settings)  # type: ignore[arg-type]  # of the fields' own types

        filled = self._fill(request, server_id, corrected)
        return gr.update(open=True) if changed - SHOWN_AT_ONCE else gr.skip(), *filled

    def _fill(
        self, request: gr.Request, server_id: object, filling: Callable[[ServerView, Language], Filling]
    ) -> Updates:
        """What is made of the chosen server's settings: message, then every control."""

        def fill() -> Updates:
            language = language_of(request)
            said, config = filling(self._selected(server_id), language)
            held = form_values(config).values
            return message_html([said], language, CONTROLS), *(held[name] for name in CONTROLS)

        return for_operator(request, CONTROLS, fill, self._unchanged)

    def paste(self, request: gr.Request, text: object) -> Updates:
        """Fill the form from a pasted block: paste_message, then every control."""
        return pasted(self.services, request, {"deploy": TARGET}, "deploy", text)

    def remember_login(self, request: gr.Request, text: object) -> Updates:
        """Keep the login command that every ssh line is made from: ssh_line, message."""

        def keep() -> Updates:
            login = save_login(self.services.store, str(text or ""))
            left_out = ", ".join(login.left_out) if login is not None else ""
            said = [Message("deploy.ssh.left_out", {"value": left_out}, SSH_FIELD, "warning")] if left_out else []
            html = message_html(said, language_of(request), CONTROLS) if said else ""
            return forward_line(login, console_port(request)), html

        return for_operator(request, CONTROLS, keep, lambda html: (gr.skip(), html))

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

        return for_operator(request, CONTROLS, keep, lambda html: html)

    # Parts

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

    def _fits(self, config: ServeConfig) -> bool:
        """Whether its plan fits; what can't be planned isn't held against it."""
        try:
            return self.services.planner.plan(config).plan.verdict != "over"
        except ConsoleError:
            return True

    def _machine(self, language: Language) -> Updates:
        machine = self.services.finder.machine()
        return (
            gr.update(choices=choices.gpu_choices(machine.gpus, language)),
            gr.update(choices=choices.environment_choices(machine.environments, language)),
            machine_check(check_report(machine), language),
        )

    def _node_choices(self, language: Language) -> Updates:
        line = node_lines_html(load_login(self.services.store), ports.free_port("127.0.0.1", NODE_PORT, ()), language)
        return gr.update(choices=choices.node_choices(self.services.servers.snapshot(), language)), line

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


def console_port(request: gr.Request) -> int:
    """The port that the console listens on, as this request reached it."""
    server = request.request.scope.get("server") if request.request is not None else None
    return int(server[1]) if server and server[1] else 0


def _with_flags(view: ServerView, words: tuple[str, ...]) -> Filling:
    """The server's settings with a further flag (its name first); as they are without one."""
    key = "deploy.message.filled_with" if words else "deploy.message.filled"
    said = Message(key, {"name": view.name, "flags": " ".join(words)}, level="info")
    extra = (*without_flag(view.config.extra, words[0]), *words) if words else view.config.extra
    return said, replace(view.config, extra=extra)
