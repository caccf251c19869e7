"""The paste boxes' events: each fills its own tab, and takes a command to the tab where it belongs."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from backend.services import Services
from ui.paste.box import go_event
from ui.paste.handlers import pasted
from ui.paste.target import BoundTarget, Updates
from ui.ssh import forward_line, load_login, login_text
from ui.web.visitor import Role, role_of

QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden", "preprocess": False}


def bind_pastes(services: Services, bound: Mapping[str, BoundTarget], tabs: gr.Tabs, login: list[Any]) -> None:
    """``login`` are the controls that show the ssh login and its line: a pasted one is seen there."""
    targets = {name: one.target for name, one in bound.items()}

    def here(tab: str) -> Any:
        def paste(request: gr.Request, text: object) -> Updates:
            """Fill the tab's form from a pasted block: paste_message, then the form's controls."""
            return pasted(services, request, targets, tab, text)

        return paste

    def elsewhere(tab: str) -> Any:
        def go(request: gr.Request, event: gr.EventData, text: object) -> Updates:
            """Open the tab that a command belongs on, filled: tabs, section, paste, paste_message, then the form's
            controls."""
            at = getattr(event, "at", None)
            place = int(at) if isinstance(at, int | float) else None
            filled = pasted(services, request, targets, tab, text, place)
            return gr.Tabs(selected=tab), gr.Accordion(open=True), text, *filled

        return go

    def shown(request: gr.Request) -> Updates:
        """The login as it is kept: ssh, ssh_line."""
        if role_of(request) is not Role.OPERATOR or request.request is None:
            return gr.skip(), gr.skip()
        server = request.request.scope.get("server")
        port = int(server[1]) if server and server[1] else 0
        return login_text(services.store), forward_line(load_login(services.store), port)

    for name, one in bound.items():
        done = gr.on(
            [one.box.apply.click, one.box.text.submit],
            here(name),
            inputs=one.box.text,
            outputs=[one.box.message, *one.outputs],
            api_name=f"{name}_paste",
            trigger_mode="always_last",
            **QUICK,
        )
        done.then(shown, outputs=login, api_visibility="private", **QUICK)
        for other, target in bound.items():
            getattr(one.box.message, go_event(other))(
                elsewhere(other),
                inputs=one.box.text,
                outputs=[tabs, target.box.section, target.box.text, target.box.message, *target.outputs],
                api_visibility="private",
                **QUICK,
            )
