"""What a pasted command chooses on the Chat tab: the server that it would talk to."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import gradio as gr

from backend.errors import InvalidInput, Message
from backend.machine.network import is_loopback
from backend.servers.server import ServerState, ServerView
from backend.services import Services
from ui.paste.target import BoundTarget, Filled, PasteTarget
from ui.tabs.chat.form import ChatTab
from ui.tabs.chat.values import CONTROLS


def fill(services: Services, request: gr.Request, values: Mapping[str, object]) -> Filled:
    """The server at that address."""
    address = str(values.get("address", ""))
    found = server_at(services.servers.snapshot(), address)
    if found is None:
        raise InvalidInput(Message("paste.no_server", {"value": address}, "server"))
    return Filled((found.id,), [Message("paste.server", {"name": found.name}, "server", "info")])


def server_at(servers: tuple[ServerView, ...], address: str) -> ServerView | None:
    """The running server that listens there, if it is one of the console's."""
    try:
        wanted = urlsplit(address)
        port = wanted.port
    except ValueError:
        return None
    for view in servers:
        if view.state is not ServerState.RUNNING:
            continue
        at = urlsplit(view.address)
        here = is_loopback(wanted.hostname or "") or (wanted.hostname or "") in ("0.0.0.0", "::")
        if (here and port == view.port and view.config.engine != "external") or at.netloc == wanted.netloc:
            return view
    return None


TARGET = PasteTarget(
    tab="chat",
    kinds=("address",),
    fill=fill,
    count=1,
    controls=CONTROLS,
    done="chat.paste.done",
    open_to_all=True,
)


def paste(tab: ChatTab) -> BoundTarget:
    """The box with what it fills."""
    return BoundTarget(TARGET, tab.paste, [tab.server])
