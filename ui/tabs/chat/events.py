"""What happens on the Chat tab. A class may do all of it: a conversation is its visitor's own."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr

from backend.chat.conversation import Conversation, Sampling
from backend.chat.room import View
from backend.chat.service import Chat, Upload
from backend.errors import ConsoleError, InvalidInput, Message, NotFound
from backend.servers.view import ServerState, ServerView
from backend.services import Services
from ui.access import Role, Visitor, language_of, visitor
from ui.i18n import t
from ui.render import message_html
from ui.tabs.chat import render
from ui.tabs.chat.code import code_view
from ui.tabs.chat.layout import ChatTab
from ui.tabs.chat.samples import samples
from ui.tabs.chat.servers import known, picks

Updates = dict[Any, Any]
Handler = Callable[..., Awaitable[Updates]]
WATCH = "() => { window.lmChat.watch(); }"
SHOWN = "() => window.lmChat.shown()"
EMPTY = {"text": "", "files": []}
NOT_INSTEAD = gr.update(visible="hidden", value=False)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Form:
    """The tab's inputs as Gradio hands them over; a request sent by hand may hold anything."""

    server: Any
    other: Any
    system: Any
    temperature: Any
    top_p: Any
    max_tokens: Any
    tools: Any

    def sampling(self) -> Sampling:
        """InvalidInput where a value can't be."""
        return Sampling(
            system=str(self.system or ""),
            temperature=number(self.temperature, "chat.error.temperature", "chat-temperature"),
            top_p=number(self.top_p, "chat.error.top_p", "chat-top-p"),
            max_tokens=self._max_tokens(),
            tools=tuple(str(name) for name in self.tools or ()),
        )

    def _max_tokens(self) -> int | None:
        if self.max_tokens in (None, ""):
            return None
        return int(number(self.max_tokens, "chat.error.max_tokens", "chat-max-tokens"))


def number(value: Any, key: str, field: str) -> float:
    """A finite number; InvalidInput."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = float("nan")
    if not abs(found) < 1e18:
        raise InvalidInput(Message(key, {"value": str(value)[:40]}, field=field))
    return found


class Handlers:
    """One method an event. Each returns what changes, by component; the conversation itself comes by its stream."""

    def __init__(self, services: Services, tab: ChatTab) -> None:
        self._services = services
        self._tab = tab

    @property
    def _chat(self) -> Chat:
        return self._services.chat

    async def opened(self, request: gr.Request) -> Updates:
        """A page was opened or reloaded: servers and settings as they are."""
        who = visitor(request)
        view = await self._chat.view(who.id)
        sampling = view.conversation.sampling
        updates = await self._server_updates(who, view)
        if sampling != Sampling():  # a new visitor may have begun to type already
            updates |= {
                self._tab.system: sampling.system,
                self._tab.temperature: sampling.temperature,
                self._tab.top_p: sampling.top_p,
                self._tab.max_tokens: sampling.max_tokens,
                self._tab.tools: list(sampling.tools),
            }
        return updates

    async def ended(self, request: gr.Request) -> Updates:
        """After the answer: why it isn't kept across a restart, if so."""
        who = visitor(request)
        problem = (await self._chat.view(who.id)).problem
        return {self._tab.message: message_html((problem,), who.language)} if problem is not None else {}

    async def servers_changed(self, request: gr.Request) -> Updates:
        """Servers came or went."""
        who = visitor(request)
        return await self._server_updates(who, await self._chat.view(who.id))

    async def picked(self, request: gr.Request, server: Any, other: Any) -> Updates:
        """A server was chosen by hand."""
        who = visitor(request)
        await self._chat.pick(who.id, str(server or ""), 0)
        await self._chat.pick(who.id, str(other or ""), 1)
        return await self._server_updates(who, await self._chat.view(who.id))

    async def set_elsewhere(self, request: gr.Request, server: Any) -> Updates:
        """The list changed, by hand or not: another tab sent the visitor here to talk to that server."""
        who = visitor(request)
        chosen, _ = await picks(self._services, who)
        wanted = str(server or "")
        if wanted in ("", chosen):
            return {}
        await self._chat.pick(who.id, wanted, 0)
        return await self._server_updates(who, await self._chat.view(who.id))

    async def ask(self, request: gr.Request, question: Any, instead: Any, *form: Any) -> Updates:
        """Send what stands in the input; it stays there if it can't be sent."""
        who = visitor(request)
        question = question if isinstance(question, Mapping) else {}
        uploads = [Upload(Path(path), Path(path).name) for path in question.get("files") or ()]
        filled = Form(*form)
        notices = await self._chat.ask(
            who.id,
            str(question.get("text") or ""),
            uploads,
            filled.sampling(),
            await self._servers(who, filled),
            replace_last=bool(instead),
        )
        return {**await self._asked(who, notices), self._tab.input: dict(EMPTY)}

    async def sample(self, request: gr.Request, event: gr.EventData, *form: Any) -> Updates:
        """Ask one of the sample questions."""
        who = visitor(request)
        filled = Form(*form)
        index = getattr(event, "index", None)
        servers = await self._servers(who, filled)
        view = self._running(servers[0])
        offered = samples(who.language, pictures=view is not None and view.takes_images)
        if not isinstance(index, int) or not 0 <= index < len(offered):
            raise NotFound(Message("common.bad_request"))
        chosen = offered[index]
        uploads = [Upload(chosen.picture, chosen.picture.name)] if chosen.picture else []
        return await self._asked(who, await self._chat.ask(who.id, chosen.text, uploads, filled.sampling(), servers))

    async def again(self, request: gr.Request, *form: Any) -> Updates:
        """Ask the last question once more."""
        who = visitor(request)
        filled = Form(*form)
        await self._chat.again(who.id, filled.sampling(), await self._servers(who, filled))
        return await self._asked(who, ())

    async def edit(self, request: gr.Request) -> Updates:
        """Put the last question back into the input."""
        view = await self._chat.view(visitor(request).id)
        if not view.conversation.exchanges:
            return {}
        question = view.conversation.exchanges[-1].question
        return {
            self._tab.input: {"text": question.text, "files": []},
            self._tab.instead: gr.update(visible=True, value=True),
        }

    async def stop(self, request: gr.Request) -> None:
        """End the answer under way."""
        await self._chat.stop(visitor(request).id)

    async def clear(self, request: gr.Request) -> Updates:
        """Forget the conversation."""
        who = visitor(request)
        await self._chat.clear(who.id)
        return {
            self._tab.message: "",
            self._tab.instead: NOT_INSTEAD,
            **await self._server_updates(who, await self._chat.view(who.id)),
        }

    async def code(self, request: gr.Request, *form: Any) -> Updates:
        """The settings changed: the code with them."""
        who = visitor(request)
        return {self._tab.code: self._code(who, (await self._chat.view(who.id)).conversation, Form(*form))}

    # -- what is shown ---------------------------------------------------------------------------------------------

    async def _asked(self, who: Visitor, notices: tuple[Message, ...]) -> Updates:
        """The question is on its way: beside the conversation, what changes with it."""
        view = await self._chat.view(who.id)
        server = view.answers[0].server_id if view.answers else ""
        return {
            self._tab.message: message_html(notices, who.language) if notices else "",
            self._tab.instead: NOT_INSTEAD,
            self._tab.starter: {"shown": False},
            self._tab.code: self._code(who, view.conversation, Form(server, "", *self._settings(view))),
        }

    async def _server_updates(self, who: Visitor, view: View) -> Updates:
        """The servers that can be asked, and what the chosen one takes; a question to it may come soon."""
        chosen, second = await picks(self._services, who)
        choices = render.server_choices(self._services.servers.snapshot(), who.language)
        server = self._running(chosen)
        if server is not None:
            self._chat.prepare(chosen)
        pictures = server is None or (server.takes_images and (not second or self._takes_images(second)))
        placeholder = "chat.input.placeholder" if pictures else "chat.input.placeholder_text"
        none = (t("chat.server_2.none", who.language), "")
        form = Form(chosen, second, *self._settings(view))
        return {
            self._tab.server: gr.update(choices=choices, value=chosen or None),
            self._tab.other_server: gr.update(
                choices=[none, *((label, value) for label, value in choices if value != chosen)],
                value=second,
                visible=True if len(choices) > 1 else "hidden",
            ),
            self._tab.input: gr.update(
                sources=["upload"] if pictures else [], placeholder=t(placeholder, who.language)
            ),
            self._tab.starter: self._starter(who, view, server),
            self._tab.code: self._code(who, view.conversation, form),
        }

    def _starter(self, who: Visitor, view: View, server: ServerView | None) -> Mapping[str, Any]:
        """The empty conversation: what to do next, and samples to begin with."""
        starting = any(v.state is ServerState.STARTING for v in self._services.servers.snapshot())
        offered = samples(who.language, pictures=server is not None and server.takes_images) if server else ()
        return {
            "shown": not view.conversation.exchanges,
            "server": server.name if server else "",
            "pictures": server is not None and server.takes_images,
            "starting": starting,
            "operator": who.role is Role.OPERATOR,
            "samples": [
                {"text": sample.text, "picture": sample.picture.name if sample.picture else ""} for sample in offered
            ],
        }

    def _code(self, who: Visitor, conversation: Conversation, form: Form) -> Mapping[str, str]:
        server = self._running(str(form.server or ""))
        if server is None:
            return {"python": "", "curl": ""}
        try:
            return code_view(self._services, who, server, conversation, form.sampling())
        except ConsoleError:
            return {"python": "", "curl": ""}

    async def _servers(self, who: Visitor, form: Form) -> tuple[str, ...]:
        """The ids of the server, and of the other one to compare it with; a page that has just been opened may not
        have its list yet."""
        chosen, _ = await picks(self._services, who)
        server = str(form.server or "") or chosen
        return (server, str(form.other)) if form.other and form.other != server else (server,)

    def _settings(self, view: View) -> tuple[Any, ...]:
        sampling = view.conversation.sampling
        return sampling.system, sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.tools

    def _running(self, server_id: str) -> ServerView | None:
        view = known(self._services, server_id)
        return view if view is not None and view.state is ServerState.RUNNING else None

    def _takes_images(self, server_id: str) -> bool:
        view = known(self._services, server_id)
        return view is not None and view.takes_images


def bind(services: Services, tab: ChatTab, tabs: Mapping[str, Any]) -> None:
    """Connect the tab's events."""
    handlers = Handlers(services, tab)
    settings = [tab.system, tab.temperature, tab.top_p, tab.max_tokens, tab.tools]
    form = [tab.server, tab.other_server, *settings]
    # Each event names what it changes. The box that somebody types in is named where it must be: a component that an
    # event names is drawn anew, and what is typed meanwhile can be lost.
    asked = [tab.message, tab.instead, tab.starter, tab.code]
    offered = [tab.message, tab.server, tab.other_server, tab.input, tab.starter, tab.code]
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "queue": False}

    def on(event: Any, handler: Handler, inputs: Any, outputs: Any, **options: Any) -> Any:
        name = f"chat_{handler.__name__}"
        return event(shown(handler, tab.message), inputs, outputs, api_name=name, **quiet, **options)

    def in_page(event: Any, js: str, outputs: Any = None) -> None:
        event(fn=None, js=js, outputs=outputs, api_visibility="private")

    # What comes while one before is being shown must not be left out, which is Gradio's default (but for a
    # component's change).
    latest = {"trigger_mode": "always_last"}
    on(tab.page.opened, handlers.opened, None, [*offered, *settings])
    # The script follows the conversation from when the page is opened, and anew after whatever may change it.
    changing = [
        on(
            tab.input.submit,
            handlers.ask,
            [tab.input, tab.instead, *form],
            [tab.input, *asked],
            trigger_mode="multiple",
        ),
        on(tab.starter.sample, handlers.sample, form, asked),
        on(tab.again.click, handlers.again, form, asked),
        on(tab.clear.click, handlers.clear, None, [tab.instead, *offered]),
        on(tab.server.input, handlers.picked, [tab.server, tab.other_server], offered, **latest),
        on(tab.other_server.input, handlers.picked, [tab.server, tab.other_server], offered, **latest),
        on(tab.server.change, handlers.set_elsewhere, [tab.server], offered),
        on(tab.page.servers, handlers.servers_changed, None, offered, **latest),
    ]
    for event in changing:
        in_page(event.then, WATCH)
    in_page(tab.page.grew, SHOWN, [tab.box, tab.other_box, tab.stats])
    on(tab.page.ended, handlers.ended, None, tab.message, **latest)
    on(tab.edit.click, handlers.edit, None, [tab.input, tab.instead, tab.message])
    tab.stop.click(handlers.stop, None, None, **quiet)
    for component in settings:
        on(component.change, handlers.code, form, [tab.code, tab.message])


def shown(handler: Handler, message: gr.HTML) -> Handler:
    """The handler, with its errors shown on the tab in the page's language; what was there stays."""

    @wraps(handler)
    async def wrapped(request: gr.Request, *values: Any) -> Updates:
        try:
            return await handler(request, *values) or {message: gr.skip()}
        except ConsoleError as error:
            return {message: message_html(error.messages, language_of(request))}
        except Exception as error:
            log.exception("the chat failed")
            unexpected = Message("common.unexpected", {"error": type(error).__name__})
            return {message: message_html((unexpected,), language_of(request))}

    return wrapped
