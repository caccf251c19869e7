"""What happens with a pasted block: the tab's form is filled by the first command that it has one for."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from backend.errors import ConsoleError, InvalidInput, Message
from backend.paste.block import Found
from backend.paste.reading import Reading, read
from backend.services import Services
from ui.page.operator import for_operator
from ui.page.render import message_html
from ui.paste.render import Place, paste_html
from ui.paste.target import PasteTarget, Updates
from ui.ssh import forward_line, save_login
from ui.web.visitor import Role, language_of, role_of

FORMS = ("deploy", "quantize")  # tabs that a class has no use for


def pasted(
    services: Services,
    request: gr.Request,
    targets: Mapping[str, PasteTarget],
    tab: str,
    text: object,
    at: int | None = None,
) -> Updates:
    """Read the block and fill the tab: paste_message, then the target's outputs. ``at`` chooses a command by its
    place."""
    target = targets[tab]

    def fill() -> Updates:
        reading = read(str(text or ""))
        if not any(account.message.key != "paste.comment" for account in reading.accounts):
            raise InvalidInput(Message("paste.nothing"))
        operator = role_of(request) is Role.OPERATOR
        chosen = _chosen(reading, target, at)
        said: list[Message] = []
        updates = target.unchanged
        if chosen is not None:
            try:
                filled = target.fill(services, request, chosen.values)
            except ConsoleError as error:
                said += error.messages
            else:
                updates = filled.updates
                said += [Message(target.done, level="info"), *filled.said]
        if operator:
            said += _logins(services, request, reading)
        said += reading.notes
        if chosen is None and not reading.found:
            known = Message("deploy.error.paste", {"value": " ".join(str(text or "").split())[:200]}, f"{tab}-paste")
            said = [known, *said]
        places = [place for place in _places(reading, chosen, targets, tab) if operator or place.tab not in FORMS]
        controls = {name: other.controls for name, other in targets.items()}
        return paste_html(reading, said, chosen, places, tab, language_of(request), controls), *updates

    if target.open_to_all and role_of(request) is not Role.OPERATOR:
        try:
            return fill()
        except InvalidInput as error:
            return message_html(error.messages, language_of(request), target.controls), *target.unchanged
    return for_operator(request, target.controls, fill, lambda html: (html, *target.unchanged))


def _chosen(reading: Reading, target: PasteTarget, at: int | None) -> Found | None:
    if at is not None and 0 <= at < len(reading.found):
        found = reading.found[at]
        return found if found.kind in target.kinds and found.values else None
    for kind in target.kinds:  # what the tab is for comes first
        for found in reading.found:
            if found.kind == kind and found.values:
                return found
    return None


def _places(reading: Reading, chosen: Found | None, targets: Mapping[str, PasteTarget], tab: str) -> list[Place]:
    """Where the other commands go, each once."""
    places: list[Place] = []
    for at, found in enumerate(reading.found):
        if found.kind == "login":
            continue
        wanted = [found.tab]
        if found.kind == "address":
            wanted = ["chat", "deploy"]
        for name in wanted:
            fills = name in targets and found.kind in targets[name].kinds and bool(found.values)
            if name not in targets or (found is chosen and name == tab) or (name == tab and not fills):
                continue
            places.append(Place(name, at))
    return places


def _logins(services: Services, request: gr.Request, reading: Reading) -> list[Message]:
    """An ssh line is kept as the login that every printed line is made from."""
    said: list[Message] = []
    for found in reading.found:
        if found.kind != "login":
            continue
        try:
            login = save_login(services.store, str(found.values["login"]))
        except InvalidInput as error:
            said += error.messages
            continue
        line = forward_line(login, _port(request))
        said.append(Message("paste.login_kept", {"line": line}, level="info"))
        if login is not None and login.left_out:
            said.append(Message("deploy.ssh.left_out", {"value": ", ".join(login.left_out)}, "deploy-ssh", "warning"))
        break
    return said


def _port(request: gr.Request) -> int:
    server: Any = request.request.scope.get("server") if request.request is not None else None
    return int(server[1]) if server and server[1] else 0
