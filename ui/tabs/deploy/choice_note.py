"""What stands at the model and the engine: why that choice can't run on this machine, calmly, with what could."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from backend.engines.base import ServeConfig
from backend.engines.remedies import GPU_ENGINES, Case
from backend.engines.runnable import obstacles
from backend.errors import ConsoleError, Message
from backend.models.catalog import DEMO_MODEL
from backend.models.checkpoint import ModelInfo
from backend.servers.server import ServerView
from backend.servers.transitions import ENDED
from backend.services import Services
from ui.i18n import Language
from ui.page.render import message_html
from ui.tabs.deploy.remedy_buttons import buttons_for
from ui.tabs.deploy.values import CONTROLS

WITHOUT_MODEL = frozenset({"external", "proxy"})
TRUST = "trust_remote_code"


@dataclass(frozen=True)
class Choice:
    """The chosen model and engine, and what stands against them."""

    case: Case
    messages: tuple[Message, ...]

    @property
    def runs_here(self) -> bool:
        """Whether nothing but a person's word is missing."""
        return all(message.field == TRUST for message in self.messages)


def look_at_choice(services: Services, config: ServeConfig) -> Choice:
    """Looks the model up and asks its engine."""
    machine = services.finder.machine()
    messages: list[Message] = []
    model: ModelInfo | None = None
    try:
        asked = config.model.strip() and not config.address and config.engine not in WITHOUT_MODEL
        model = services.catalog.find_or_hub(config.model) if asked else None
    except ConsoleError as error:
        messages += error.messages
    case = Case(config, model, machine, demo_model(services))
    if config.model.strip():
        messages += (message for message in obstacles(config, model, machine) if message not in messages)
    return Choice(case, tuple(messages))


def demo_model(services: Services) -> ModelInfo | None:
    """The model that comes with the console; None where it was left out."""
    try:
        return services.catalog.find(str(DEMO_MODEL))
    except ConsoleError:
        return None


def choice_html(choice: Choice, language: Language, installs: bool = False) -> str:
    """ "" where the choice can run. ``installs``: the console can install an engine."""
    buttons = buttons_for(choice.case, language, installs)
    return message_html(choice.messages, language, CONTROLS, buttons, calm=True)


def with_holder(messages: Iterable[Message], views: Iterable[ServerView]) -> list[Message]:
    """The messages; one of a port that is taken names the console's own server that holds it."""
    holders = {view.port: view for view in views if view.state not in ENDED and view.config.engine != "external"}
    return [_named(message, holders) for message in messages]


def _named(message: Message, holders: Mapping[int, ServerView]) -> Message:
    holder = holders.get(int(message.params["value"])) if message.key == "servers.port-in-use" else None
    if holder is None:
        return message
    params = {**message.params, "id": holder.id, "name": holder.name}
    return Message("servers.port-own", params, message.field, message.level)


def beside(config: ServeConfig, views: Iterable[ServerView]) -> Sequence[ServerView]:
    """The console's servers that hold memory which these settings want."""
    on_gpu = config.engine in GPU_ENGINES
    wanted = set(config.gpus or ("0",))
    return [
        view
        for view in views
        if view.state not in ENDED
        and view.config.engine not in WITHOUT_MODEL
        and (view.config.engine in GPU_ENGINES) == on_gpu
        and (not on_gpu or wanted & set(view.config.gpus or ("0",)))
    ]
