"""Which event of the Chat tab calls which handler."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial, wraps
from typing import Any

import gradio as gr

from backend.errors import ConsoleError, Message
from backend.services import Services
from ui.page.bridge import hear
from ui.page.render import message_html
from ui.tabs.chat.form import ChatTab
from ui.tabs.chat.handlers import Handler, Handlers, Updates
from ui.tabs.chat.help_search import help_text
from ui.tabs.chat.values import CONTROLS
from ui.web.visitor import language_of, role_of

log = logging.getLogger(__name__)


def bind(services: Services, tab: ChatTab, tabs: Mapping[str, Any]) -> None:
    """Connect the tab's events."""
    services.chat.tool_sources["console_help"] = help_text
    handlers = Handlers(services, tab)
    settings_handlers = handlers.settings
    settings = [tab.system, tab.temperature, tab.top_p, tab.max_tokens, tab.tools]
    form = [tab.server, tab.other_server, *settings]
    beside = [tab.presets]
    # Each event names what it changes. The box that somebody types in is named where it must be: a component that an
    # event names is drawn anew, and what is typed meanwhile can be lost.
    asked = [tab.message, tab.instead, tab.starter, tab.code]
    offered = [
        tab.message,
        tab.server,
        tab.other_server,
        tab.more_servers,
        tab.input,
        tab.options,
        tab.starter,
        tab.code,
    ]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}

    def on(event: Any, handler: Handler, inputs: Any, outputs: Any, **options: Any) -> Any:
        name = f"chat_{handler.__name__}"
        return event(shown(handler, tab.message), inputs, outputs, api_name=name, **quiet, **options)

    def in_page(event: Any, js: str, outputs: Any = None) -> None:
        event(fn=None, js=js, outputs=outputs, api_visibility="private")

    # What comes while one before is being shown must not be left out, which is Gradio's default (but for a
    # component's change).
    latest = {"trigger_mode": "always_last"}
    on(tab.bridge.opened, handlers.opened, None, [*offered, *settings, *beside])
    # The script follows the conversation from when the page is opened, and anew after whatever may change it.
    in_page(
        on(either(tab.clear.click, tab.bridge.clear), handlers.clear, None, [tab.instead, *offered]).then,
        hear("chat", "begun"),
    )
    changing = [
        on(
            tab.input.submit,
            handlers.ask,
            [tab.input, tab.instead, *form],
            [tab.input, *asked],
            trigger_mode="multiple",
            js=hear("chat", "asking"),
        ),
        on(tab.bridge.sample, handlers.sample, form, asked),
        on(tab.bridge.again, handlers.again, form, asked),
        on(tab.bridge.goon, handlers.go_on, form, asked),
        on(tab.bridge.next, handlers.go_next, form, [*asked, tab.server]),
        on(tab.bridge.show, handlers.show, None, [tab.instead, *offered, *settings, *beside], **latest),
        on(tab.server.input, handlers.picked, [tab.server, tab.other_server], offered, **latest),
        on(tab.other_server.input, handlers.picked, [tab.server, tab.other_server], offered, **latest),
        on(tab.bridge.more, handlers.picked_more, None, offered, **latest),
        on(tab.bridge.turn, handlers.turn, None, offered, **latest),
        on(tab.server.change, handlers.set_elsewhere, [tab.server], offered),
        on(tab.bridge.servers, handlers.servers_changed, None, offered, **latest),
    ]
    for event in changing:
        in_page(event.then, hear("chat", "changed"))
    told = on(tab.bridge.options, settings_handlers.set_options, form, [tab.code, tab.message], **latest)
    in_page(told.then, hear("chat", "optionsArrived"))
    on(tab.bridge.apply, settings_handlers.apply, tab.input, [tab.input, tab.message, tab.code, tab.options, *settings])
    on(tab.bridge.keep, settings_handlers.keep, [tab.input, *form], [tab.presets, tab.message])
    on(tab.bridge.forget, settings_handlers.forget, None, [tab.presets, tab.message])
    on(tab.bridge.weigh, handlers.weigh, [tab.input, tab.instead, *form], tab.meter, **latest)
    in_page(on(tab.bridge.at, handlers.at, None, tab.message, **latest).then, hear("chat", "placeArrived"))
    in_page(tab.bridge.grew, hear("chat", "shown"), [tab.box, tab.other_box])
    # Rarely shown: setting them with every token would cost each conversation.
    in_page(tab.bridge.widened, hear("chat", "shownBeside"), list(tab.more_boxes))
    on(tab.bridge.ended, handlers.ended, None, tab.message, **latest)
    edited = on(tab.bridge.edit, handlers.edit, None, [tab.input, tab.instead, tab.message])
    in_page(edited.then, hear("chat", "write"))
    either(tab.stop.click, tab.bridge.stop)(handlers.stop, None, None, **quiet)
    for component in settings:
        on(component.change, handlers.code, form, [tab.code, tab.message])


def either(*events: Any) -> Any:
    """What a button does and a key (ui/page/shortcuts.js) is one event."""
    return partial(gr.on, list(events))


def shown(handler: Handler, message: gr.HTML) -> Handler:
    """The handler, with its errors shown on the tab in the page's language; what was there stays."""

    @wraps(handler)
    async def wrapped(request: gr.Request, *values: Any) -> Updates:
        try:
            return await handler(request, *values) or {message: gr.skip()}
        except ConsoleError as error:
            found: Sequence[Message] = error.messages
        except Exception as error:
            log.exception("the chat failed")
            found = (Message("common.unexpected", {"error": type(error).__name__}),)
        return {message: message_html(found, language_of(request), CONTROLS, audience=role_of(request))}

    return wrapped
