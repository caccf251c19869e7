"""What happens with the settings on the Chat tab: those beside the form, and presets."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import gradio as gr

from backend.chat.conversation import Sampling
from backend.chat.presets import Preset
from backend.chat.service import Chat
from backend.errors import Message
from backend.services import Services
from ui.page.render import message_html
from ui.tabs.chat.form import ChatTab
from ui.tabs.chat.options import options_of
from ui.tabs.chat.pages import Pages, written
from ui.tabs.chat.preset_list import presets_value, shipped_one
from ui.tabs.chat.values import CONTROLS, Form
from ui.web.visitor import Visitor, visitor

Updates = dict[Any, Any]


class SettingHandlers:
    """``code`` is the handler that shows the settings as code."""

    def __init__(self, services: Services, tab: ChatTab, pages: Pages, code: Callable[..., Awaitable[Updates]]) -> None:
        self._services = services
        self._tab = tab
        self._pages = pages
        self._code = code

    @property
    def _chat(self) -> Chat:
        return self._services.chat

    async def set_options(self, request: gr.Request, event: gr.EventData, *form: Any) -> Updates:
        """The page's script tells its settings: the code with them, and what can't be."""
        values = getattr(event, "values", None)
        page = self._pages.of(request)
        page.options = values if isinstance(values, Mapping) else None
        filled = Form(*form)
        self.look_at_forms(request, str(filled.server or ""))
        await self.sampling(request, filled)
        return {**await self._code(request, *form), self._tab.message: ""}

    def look_at_forms(self, request: gr.Request, server: str) -> None:
        """Where this page wants a form of the answer: whether the server takes one is known before it is asked."""
        if server and (self._pages.of(request).options or {}).get("form_kind"):
            self._chat.look_at_forms(server)

    async def apply(self, request: gr.Request, event: gr.EventData, question: Any) -> Updates:
        """A preset's settings, or its prompt with its first question; what is being written stays."""
        who = visitor(request)
        key, prompt = str(getattr(event, "key", "")), getattr(event, "prompt", False) is True
        if key:
            preset = shipped_one(key, prompt, who.language)
        else:
            preset = self._chat.presets.get(who.id, str(getattr(event, "name", "")), prompt)
        if not prompt:
            values = options_of(preset.sampling)
            self._pages.of(request).options = values
            settings = self.form_updates(preset.sampling)
            del settings[self._tab.system], settings[self._tab.tools]
            return {**settings, self._tab.options: {"values": values}, self._tab.message: ""}
        text, uploads = written(question)
        updates: Updates = {self._tab.system: preset.sampling.system, self._tab.message: ""}
        if preset.question and not text.strip() and not uploads:
            updates[self._tab.input] = {"text": preset.question, "files": []}
        elif preset.question:
            told = Message("chat.preset.question_stays", level="info")
            updates[self._tab.message] = message_html((told,), who.language, CONTROLS, audience=who.role)
        return updates

    async def keep(self, request: gr.Request, event: gr.EventData, question: Any, *form: Any) -> Updates:
        """Keep the settings, or the system prompt with what stands in the input, under a name."""
        who = visitor(request)
        prompt = getattr(event, "prompt", False) is True
        sampling = await self.sampling(request, Form(*form))
        if prompt:
            sampling = Sampling(system=sampling.system)
        name = str(getattr(event, "name", ""))
        text = written(question)[0].strip() if prompt else ""
        kept = await asyncio.to_thread(self._chat.presets.keep, who.id, Preset(name, prompt, sampling, text))
        told = Message("chat.preset.kept", {"name": kept.name}, level="info")
        return {
            self._tab.presets: presets_value(self._chat.presets.of(who.id), who.language),
            self._tab.message: message_html((told,), who.language, CONTROLS, audience=who.role),
        }

    async def forget(self, request: gr.Request, event: gr.EventData) -> Updates:
        """Remove one of the visitor's own presets."""
        who = visitor(request)
        name, prompt = str(getattr(event, "name", "")), getattr(event, "prompt", False) is True
        await asyncio.to_thread(self._chat.presets.forget, who.id, name, prompt)
        return {
            self._tab.presets: presets_value(self._chat.presets.of(who.id), who.language),
            self._tab.message: "",
        }

    async def sampling(self, request: gr.Request, form: Form) -> Sampling:
        """The settings of the form, and those that stand beside it on the page."""
        page = self._pages.of(request)
        options = page.options
        if options is None:
            options = options_of((await self._chat.view(visitor(request).id, page.shown)).conversation.sampling)
        return form.sampling(options)

    def presets(self, who: Visitor) -> Updates:
        """What is offered of them."""
        return {self._tab.presets: presets_value(self._chat.presets.of(who.id), who.language)}

    def form_updates(self, sampling: Sampling) -> Updates:
        """The form filled with them."""
        return {
            self._tab.system: sampling.system,
            self._tab.temperature: sampling.temperature,
            self._tab.top_p: sampling.top_p,
            self._tab.max_tokens: sampling.max_tokens,
            self._tab.tools: list(sampling.tools),
        }
