"""What happens on the Chat tab. A class may do all of it: a conversation is its visitor's own."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import gradio as gr

from backend.chat.attachments import Upload
from backend.chat.branches import place
from backend.chat.conversation import LANES, Conversation, Sampling
from backend.chat.in_turn import check_turns
from backend.chat.service import Chat
from backend.chat.session import View
from backend.classroom.limits import LimitReached
from backend.errors import Conflict, ConsoleError, Message, NotFound
from backend.servers.server import ServerState, ServerView
from backend.services import Services
from ui.i18n import t
from ui.page.render import message_html
from ui.tabs.chat import render
from ui.tabs.chat.code import NO_CODE, code_view
from ui.tabs.chat.form import ChatTab
from ui.tabs.chat.meter import meter_value
from ui.tabs.chat.options import able, options_of
from ui.tabs.chat.pages import Pages, written
from ui.tabs.chat.samples import samples
from ui.tabs.chat.selection import all_picks, known, known_visitor, picks
from ui.tabs.chat.setting_handlers import SettingHandlers
from ui.tabs.chat.values import CONTROLS, Form
from ui.web.snapshot_json import public_name
from ui.web.visitor import Role, Visitor, require_operator, visitor

Updates = dict[Any, Any]
Handler = Callable[..., Awaitable[Updates]]
EMPTY = {"text": "", "files": []}
NOT_INSTEAD = gr.update(visible="hidden", value=False)
log = logging.getLogger(__name__)


def number_of(event: gr.EventData, name: str) -> int:
    """A number that the page's script told with an event; 0 where there is none."""
    value = getattr(event, name, 0)
    return value if isinstance(value, int) else 0


class Handlers:
    """One method an event. Each returns what changes, by component; the conversation itself comes by its stream."""

    def __init__(self, services: Services, tab: ChatTab) -> None:
        self._services = services
        self._tab = tab
        self._pages = Pages()
        self.settings = SettingHandlers(services, tab, self._pages, self.code)

    @property
    def _chat(self) -> Chat:
        return self._services.chat

    async def opened(self, request: gr.Request) -> Updates:
        """A page was opened or reloaded: servers and settings as they are."""
        who = known_visitor(self._services, request)
        view = await self._view(request)
        self._pages.shows(request, view.id)
        updates = await self._server_updates(request, who, view, with_options=True)
        if view.conversation.sampling != Sampling():  # a new visitor may have begun to type already
            updates |= self.settings.form_updates(view.conversation.sampling)
        self._pages.of(request).options = None
        return updates | self.settings.presets(who)

    async def show(self, request: gr.Request, event: gr.EventData) -> Updates:
        """A conversation was chosen from the list, on this page."""
        who = known_visitor(self._services, request)
        view = await self._chat.open(who.id, str(getattr(event, "id", "")))
        self._pages.shows(request, view.id)
        self._pages.of(request).options = None
        return {
            self._tab.message: "",
            self._tab.instead: NOT_INSTEAD,
            **self.settings.form_updates(view.conversation.sampling),
            **self.settings.presets(who),
            **await self._server_updates(request, who, view, with_options=True),
        }

    async def at(self, request: gr.Request, event: gr.EventData) -> Updates:
        """A page says how it stands: what it told may not have arrived, or the console was started anew."""
        who = known_visitor(self._services, request)
        view = await self._chat.at(who.id, str(getattr(event, "id", "")))
        if self._pages.at(request, view.id, number_of(event, "edited")) and getattr(event, "runs", None):
            await self.turn(request, event)
        return {}

    async def ended(self, request: gr.Request) -> Updates:
        """After the answer: why it isn't kept across a restart, if so."""
        who = visitor(request)
        problem = (await self._view(request)).problem
        return (
            {self._tab.message: message_html((problem,), who.language, CONTROLS, audience=who.role)}
            if problem is not None
            else {}
        )

    async def servers_changed(self, request: gr.Request) -> Updates:
        """Servers came or went."""
        who = visitor(request)
        return await self._server_updates(request, who, await self._view(request))

    async def picked(self, request: gr.Request, server: Any, other: Any) -> Updates:
        """A server was chosen by hand."""
        who = visitor(request)
        await self._chat.pick(who.id, str(server or ""), 0)
        await self._chat.pick(who.id, str(other or ""), 1)
        if not other:  # nothing is compared any more
            await self._pick_more(who, ())
        return await self._server_updates(request, who, await self._view(request))

    async def picked_more(self, request: gr.Request, event: gr.EventData) -> Updates:
        """Further servers to compare with were chosen."""
        who = visitor(request)
        given = getattr(event, "servers", None)
        await self._pick_more(who, [one for one in given if isinstance(one, str)] if isinstance(given, list) else ())
        return await self._server_updates(request, who, await self._view(request))

    async def turn(self, request: gr.Request, event: gr.EventData) -> Updates:
        """Settings were chosen that the next questions go to, one after another; none = to servers again."""
        who = visitor(request)
        require_operator(request)
        given = getattr(event, "runs", None)
        runs = tuple(one for one in given if isinstance(one, str)) if isinstance(given, list) else ()
        if runs:
            check_turns([await asyncio.to_thread(self._chat.asking.settings_of, run) for run in runs])
        self._pages.of(request).turn = runs
        return {self._tab.message: "", **await self._server_updates(request, who, await self._view(request))}

    async def _pick_more(self, who: Visitor, servers: Sequence[str]) -> None:
        for lane in range(2, LANES):
            await self._chat.pick(who.id, servers[lane - 2] if len(servers) > lane - 2 else "", lane)

    async def set_elsewhere(self, request: gr.Request, server: Any) -> Updates:
        """The list changed, by hand or not: another tab sent the visitor here to talk to that server."""
        who = visitor(request)
        chosen, _ = await picks(self._services, who)
        wanted = str(server or "")
        if wanted in ("", chosen):
            return {}
        await self._chat.pick(who.id, wanted, 0)
        return await self._server_updates(request, who, await self._view(request))

    async def ask(self, request: gr.Request, question: Any, instead: Any, *form: Any) -> Updates:
        """Send what stands in the input; it stays there if it can't be sent."""
        who = known_visitor(self._services, request)
        text, uploads = written(question)
        filled, page = Form(*form), self._pages.of(request)
        sampling = await self.settings.sampling(request, filled)
        into: dict[str, Any] = {"conversation": self._where(request), "replace_last": bool(instead)}
        into["instead_of"] = page.edited if instead else 0
        try:
            if page.turn and who.role is Role.OPERATOR:
                notices = await self._chat.asking.ask_in_turn(who.id, text, uploads, sampling, page.turn, **into)
            else:
                notices = await self._chat.asking.ask(
                    who.id,
                    text,
                    uploads,
                    sampling,
                    await self._servers(who, filled),
                    **into,
                )
        except LimitReached as reached:
            kept = Message("chat.limit.kept", level="info")
            raise LimitReached(reached.wait_s, *reached.messages, kept) from reached
        return {**await self._asked(request, notices), self._tab.input: dict(EMPTY)}

    async def weigh(self, request: gr.Request, question: Any, instead: Any, *form: Any) -> Updates:
        """What the question that is being written takes of the model's context."""
        who = visitor(request)
        text, uploads = written(question)
        filled = Form(*form)
        server, *_ = await self._servers(who, filled)
        try:
            weight, looked = await self._chat.asking.weigh(
                who.id,
                text,
                uploads,
                await self.settings.sampling(request, filled),
                server,
                instead_of=self._pages.of(request).edited if instead else 0,
                conversation=self._where(request),
            )
        except ConsoleError:  # it is said when the question is asked
            return {self._tab.meter: {}}
        return {self._tab.meter: meter_value(weight, looked, who.language)}

    async def sample(self, request: gr.Request, event: gr.EventData, *form: Any) -> Updates:
        """Ask one of the sample questions."""
        who = known_visitor(self._services, request)
        filled = Form(*form)
        index = getattr(event, "index", None)
        servers = await self._servers(who, filled)
        view = self._running(servers[0])
        offered = samples(who.language, pictures=view is not None and view.takes_images)
        if not isinstance(index, int) or not 0 <= index < len(offered):
            raise NotFound(Message("common.bad_request"))
        chosen = offered[index]
        uploads = [Upload(chosen.picture, chosen.picture.name)] if chosen.picture else []
        where = self._where(request)
        told = await self._chat.asking.ask(
            who.id, chosen.text, uploads, await self.settings.sampling(request, filled), servers, conversation=where
        )
        return await self._asked(request, told)

    async def again(self, request: gr.Request, event: gr.EventData, *form: Any) -> Updates:
        """Ask a question once more, the last one where none is named."""
        who = known_visitor(self._services, request)
        filled = Form(*form)
        runs = self._pages.of(request).turn if who.role is Role.OPERATOR else ()
        servers = () if runs else await self._servers(who, filled)
        await self._chat.asking.again(
            who.id,
            await self.settings.sampling(request, filled),
            servers,
            exchange=number_of(event, "exchange"),
            conversation=self._where(request),
            runs=runs,
        )
        return await self._asked(request, ())

    async def go_on(self, request: gr.Request, *form: Any) -> Updates:
        """Go on with an answer that was cut off."""
        who = known_visitor(self._services, request)
        filled = Form(*form)
        servers = await self._servers(who, filled)
        await self._chat.asking.go_on(
            who.id,
            await self.settings.sampling(request, filled),
            servers[0],
            t("chat.continue.ask", who.language),
            self._where(request),
        )
        return await self._asked(request, ())

    async def go_next(self, request: gr.Request, event: gr.EventData, *form: Any) -> Updates:
        """The server of one of the last answers is gone: go on with it, or ask anew, on the one that was picked, else
        the newest; where several answered, on one that isn't among them if there is one."""
        who = known_visitor(self._services, request)
        view = await self._view(request)
        lane = number_of(event, "lane")
        if lane not in range(len(view.answers)):
            lane = 0
        gone = view.answers[lane].server_id if view.answers else ""
        asked = {answer.server_id for answer in view.answers}
        servers = [one for one in self._services.servers.snapshot() if one.state is ServerState.RUNNING]
        picked, *_ = await self._chat.picked(who.id)
        chosen = (
            render.choose_server([one for one in servers if one.id not in asked], picked)
            or render.choose_server([one for one in servers if one.id != gone], picked)
            or render.choose_server(servers, gone)
        )
        if not chosen:
            raise Conflict(Message("chat.error.no_next"))
        sampling, where = await self.settings.sampling(request, Form(*form)), self._where(request)
        words = t("chat.continue.ask", who.language)
        if len(view.answers) > 1:
            await self._chat.asking.go_elsewhere(who.id, sampling, chosen, words, lane, where)
            return await self._asked(request, ())
        await self._chat.pick(who.id, chosen, 0)
        if view.answers and view.answers[0].cut_off:
            await self._chat.asking.go_on(who.id, sampling, chosen, words, where)
        else:
            await self._chat.asking.again(who.id, sampling, (chosen,), conversation=where)
        view = await self._view(request)
        updates = await self._server_updates(request, who, view)
        return {**await self._asked(request, ()), self._tab.server: updates[self._tab.server]}

    async def edit(self, request: gr.Request, event: gr.EventData) -> Updates:
        """Put a question back into the input, the last one where none is named."""
        view = await self._view(request)
        if not view.conversation.exchanges:
            return {}
        named = number_of(event, "exchange")
        exchange = view.conversation.exchanges[place(view.conversation, named) if named else -1]
        self._pages.of(request).edited = exchange.id
        question = exchange.question
        return {
            self._tab.input: {"text": question.text, "files": []},
            self._tab.instead: gr.update(visible=True, value=True),
        }

    async def stop(self, request: gr.Request) -> None:
        """End the answer under way."""
        await self._chat.stop(visitor(request).id, self._where(request))

    async def clear(self, request: gr.Request) -> Updates:
        """Begin a new conversation; the one before stays in the list."""
        who = visitor(request)
        try:
            begun = await self._chat.clear(who.id, self._where(request))
        except NotFound:  # the page's was deleted, or its cookie is gone
            begun = await self._chat.clear(who.id)
        self._pages.shows(request, begun)
        return {
            self._tab.message: "",
            self._tab.instead: NOT_INSTEAD,
            **await self._server_updates(request, who, await self._view(request)),
        }

    async def code(self, request: gr.Request, *form: Any) -> Updates:
        """The settings changed: the code with them."""
        who = visitor(request)
        return {self._tab.code: await self._code(request, who, (await self._view(request)).conversation, Form(*form))}

    # -- which conversation ----------------------------------------------------------------------------------------

    def _where(self, request: gr.Request) -> str:
        """The conversation that this page shows; "" where it hasn't told: the one that its browser opened last."""
        return self._pages.of(request).shown

    async def _view(self, request: gr.Request) -> View:
        return await self._chat.view(visitor(request).id, self._where(request))

    # -- what is shown ---------------------------------------------------------------------------------------------

    async def _asked(self, request: gr.Request, notices: tuple[Message, ...]) -> Updates:
        """The question is on its way: beside the conversation, what changes with it."""
        who, view = visitor(request), await self._view(request)
        self._pages.shows(request, view.id)
        server = view.answers[0].server_id if view.answers else ""
        return {
            self._tab.message: message_html(notices, who.language, CONTROLS, audience=who.role) if notices else "",
            self._tab.instead: NOT_INSTEAD,
            self._tab.starter: {"shown": False},
            self._tab.code: await self._code(request, who, view.conversation, Form(server, "", *self._settings(view))),
        }

    async def _server_updates(
        self, request: gr.Request, who: Visitor, view: View, *, with_options: bool = False
    ) -> Updates:
        """The servers that can be asked, and what the chosen one takes; a question to it may come soon."""
        chosen, *others = await all_picks(self._services, who)
        second = others[0] if others else ""
        choices = render.server_choices(self._services.servers.snapshot(), who.language, who.role)
        server = self._running(chosen)
        if server is not None:
            self._chat.prepare(chosen)
            self.settings.look_at_forms(request, chosen)
        pictures = server is None or (server.takes_images and all(map(self._takes_images, others)))
        placeholder = "chat.input.placeholder" if pictures else "chat.input.placeholder_text"
        none = (t("chat.server_2.none", who.language), "")
        form = Form(chosen, second, *self._settings(view))
        options: dict[str, Any] = {"able": await asyncio.to_thread(able, server)}
        if with_options:
            options["values"] = options_of(view.conversation.sampling)
        return {
            self._tab.server: gr.update(choices=choices, value=chosen or None),
            self._tab.other_server: gr.update(
                choices=[none, *((label, value) for label, value in choices if value != chosen)],
                value=second,
                visible=True if len(choices) > 1 else "hidden",
            ),
            self._tab.more_servers: {
                "choices": [choice for choice in choices if choice[1] not in (chosen, second)] if second else [],
                "chosen": others[1:],
                "operator": who.role is Role.OPERATOR,
                "turn": await self._turn(request),
            },
            self._tab.input: gr.update(placeholder=t(placeholder, who.language)),
            self._tab.options: options,
            self._tab.starter: self._starter(who, view, server),
            self._tab.code: await self._code(request, who, view.conversation, form),
        }

    async def _turn(self, request: gr.Request) -> list[dict[str, str]]:
        """The settings that are asked one after another: those that are still there."""
        found = []
        for run in self._pages.of(request).turn:
            with suppress(ConsoleError):
                found.append({"id": run, "name": (await asyncio.to_thread(self._chat.asking.settings_of, run)).name})
        return found

    def _starter(self, who: Visitor, view: View, server: ServerView | None) -> Mapping[str, Any]:
        """The empty conversation: what to do next, and samples to begin with."""
        starting = any(v.state is ServerState.STARTING for v in self._services.servers.snapshot())
        offered = samples(who.language, pictures=server is not None and server.takes_images) if server else ()
        return {
            "shown": not view.conversation.exchanges,
            "server": public_name(server, who.role) if server else "",
            "pictures": server is not None and server.takes_images,
            "starting": starting,
            "operator": who.role is Role.OPERATOR,
            "samples": [
                {"text": sample.text, "picture": sample.picture.name if sample.picture else ""} for sample in offered
            ],
        }

    async def _code(
        self, request: gr.Request, who: Visitor, conversation: Conversation, form: Form
    ) -> Mapping[str, Any]:
        server = self._running(str(form.server or ""))
        if server is None:
            return NO_CODE
        try:
            return code_view(self._services, who, server, conversation, await self.settings.sampling(request, form))
        except ConsoleError:
            return NO_CODE

    async def _servers(self, who: Visitor, form: Form) -> tuple[str, ...]:
        """The ids of the server, and of those to compare it with; a page that has just been opened may not have its
        list yet."""
        chosen, *others = await all_picks(self._services, who)
        server = str(form.server or "") or chosen
        more = (str(form.other), *others[1:]) if form.other else ()
        return (server, *(other for other in dict.fromkeys(more) if other != server))

    def _settings(self, view: View) -> tuple[Any, ...]:
        sampling = view.conversation.sampling
        return sampling.system, sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.tools

    def _running(self, server_id: str) -> ServerView | None:
        view = known(self._services, server_id)
        return view if view is not None and view.state is ServerState.RUNNING else None

    def _takes_images(self, server_id: str) -> bool:
        view = known(self._services, server_id)
        return view is not None and view.takes_images
