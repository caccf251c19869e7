"""What would help, as buttons in the Deploy tab's messages and under its plan. Pure."""

import shlex
from collections.abc import Callable, Iterable, Sequence

from backend.diagnosis import Remedy, Setting
from backend.engines.remedies import Case, for_plan, remedies
from backend.errors import Message
from ui.i18n import Language, t
from ui.page.remedies import remedy_button, remedy_row, remedy_text

NOT_INSTALLED = frozenset({"environments.no-lmdeploy", "environments.no-transformers"})


def buttons_for(case: Case, language: Language, installs: bool = False) -> Callable[[Message], str]:
    """What makes a message's buttons, for these settings. ``installs``: the console can install an engine."""

    def buttons(message: Message) -> str:
        made = [_button(remedy, language) for remedy in remedies(message, case)]
        if message.key == "servers.port-own":
            label = t("remedy.replace", language, {"name": message.params["name"]})
            made.insert(0, remedy_button(label, {"stop": message.params["id"], "forget": True, "start": True}))
        if installs and message.key in NOT_INSTALLED:
            made.insert(0, remedy_button(t("installation.offer", language), {"install": True}))
        if message.key == "preflight.leftover":
            one = {name: message.params[name] for name in ("pid", "start", "what")}
            made.append(remedy_button(t("remedy.end", language), {"end": one}))
        return remedy_row(made)

    return buttons


def plan_buttons(
    messages: Iterable[Message], gpus: int, others: Sequence[tuple[str, str]], model: str, language: Language
) -> str:
    """What would make a plan fit; ``others`` are the servers, by id and name, that hold memory now."""
    messages = tuple(messages)
    made = [_button(remedy, language) for message in messages for remedy in for_plan(message, gpus)]
    made += [
        remedy_button(t("remedy.stop-other", language, {"name": name}), {"stop": server_id, "start": True})
        for server_id, name in others
    ]
    if any(message.key == "plan.remedy.awq" for message in messages):
        made.append(remedy_button(t("remedy.quantize", language), {"quantize": model}))
    return remedy_row(made)


def form_value(name: str, value: Setting) -> object:
    """A setting as its control holds it."""
    if name == "extra" and isinstance(value, tuple):
        return shlex.join(value)
    if name == "gpus":
        return list(value) if isinstance(value, tuple) else []
    if value is None:
        return ""
    return str(value) if name in ("quant_policy", "tp", "port", "session_len") else value


def _button(remedy: Remedy, language: Language) -> str:
    values = {name: form_value(name, value) for name, value in remedy.settings.items()}
    return remedy_button(remedy_text(remedy, language), {"settings": values})
