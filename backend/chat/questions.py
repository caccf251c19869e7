"""What a question must be to be asked of these servers, and what it takes of their context."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from backend.chat.attachments import MAX_DOCUMENTS, MAX_PICTURES, Upload
from backend.chat.branches import place
from backend.chat.checks import FIELD, check_fits, check_room, check_total
from backend.chat.context import Weight, parts_of, rough_tokens
from backend.chat.conversation import Conversation, Document, Picture, Question, Sampling
from backend.chat.session import Room
from backend.chat.token_counter import TokenCounter
from backend.engines.base import ServeConfig
from backend.errors import InvalidInput, Message, NotFound, Unavailable
from backend.servers.server import ServerState, ServerView

DIED = "chat.end.server_died"


class Servers(Protocol):
    """What the chat needs of the server manager."""

    def snapshot(self) -> tuple[ServerView, ...]:
        """All servers, the newest first."""

    def get(self, server_id: str, /) -> ServerView:
        """One of them; NotFound."""

    def change(self, server_id: str, change: Callable[[ServerView], ServerView], /) -> ServerView:
        """The view as ``change`` makes it; NotFound."""

    def wake(self, server_id: str, /) -> None:
        """Before a question: it is woken where it sleeps. May block; NotFound, Unavailable."""

    def start(self, config: ServeConfig, /) -> str:
        """Start one; its id. May block; raises a ConsoleError."""

    def stop(self, server_id: str, /) -> None:
        """Begin to stop it. May block; raises a ConsoleError."""

    def endpoint(self, server_id: str, /) -> Any:
        """base_url, api_key, model_id, takes_images, context_length."""


class Questions:
    """For one event loop."""

    def __init__(self, servers: Servers, counter: TokenCounter) -> None:
        self._servers = servers
        self._counter = counter

    def check(
        self, room: Room, text: str, uploads: Sequence[Upload], server_ids: Sequence[str], instead_of: int
    ) -> tuple[ServerView, ...]:
        """The servers that will be asked. Raises a ConsoleError."""
        if not text.strip() and not uploads and not instead_of:
            raise InvalidInput(Message("chat.error.empty", field=FIELD))
        servers = self.running(server_ids)
        question = question_with(room, instead_of, text, (), ())
        if not text.strip() and not uploads and not question.pictures and not question.documents:
            raise InvalidInput(Message("chat.error.empty", field=FIELD))
        if len(uploads) > MAX_PICTURES + MAX_DOCUMENTS:
            raise _too_many("file_count", len(uploads), MAX_PICTURES + MAX_DOCUMENTS)
        self.check_taken(room, question, servers)
        return servers

    def check_taken(self, room: Room, question: Question, servers: Sequence[ServerView]) -> None:
        """What the question has, with its files, can be sent. Raises InvalidInput."""
        check_total(room.conversation, question.characters)
        self.check_counts(question, 0, 0, servers)
        check_fits(question, servers)

    def check_counts(self, question: Question, pictures: int, documents: int, servers: Sequence[ServerView]) -> None:
        """As many can be sent with what the question has already. Raises InvalidInput before any is kept."""
        pictures, documents = pictures + len(question.pictures), documents + len(question.documents)
        if pictures > MAX_PICTURES:
            raise _too_many("picture_count", pictures, MAX_PICTURES)
        if documents > MAX_DOCUMENTS:
            raise _too_many("document_count", documents, MAX_DOCUMENTS)
        for server in servers:
            if pictures and not server.takes_images:
                raise InvalidInput(Message("chat.error.no_pictures", {"name": server.name}, field=FIELD))

    def running(self, server_ids: Sequence[str]) -> tuple[ServerView, ...]:
        """The servers, which run. Raises InvalidInput, Unavailable."""
        if not server_ids or not server_ids[0]:
            raise InvalidInput(Message("chat.error.no_server", field="server"))
        views = []
        for server_id in server_ids:
            try:
                view = self._servers.get(server_id)
            except NotFound:
                raise InvalidInput(Message("chat.error.server_unknown", field="server")) from None
            if view.state is not ServerState.RUNNING:
                raise Unavailable(Message("chat.error.server_not_running", {"name": view.name}, field="server"))
            views.append(view)
        return tuple(views)

    def why_gone(self, server_id: str) -> Message | None:
        """Why nothing more comes from that server, as far as the console knows; None while it runs."""
        try:
            view = self._servers.get(server_id)
        except NotFound:
            return Message("chat.end.server_removed")
        if view.state in (ServerState.STOPPING, ServerState.STOPPED):
            return Message("chat.end.server_stopped", {"name": view.name})
        return Message(DIED, {"name": view.name}) if view.state is ServerState.FAILED else None

    async def weighed(self, earlier: Conversation, question: Question, server: ServerView) -> Weight:
        """What the question takes of the server's context, after what was said."""
        endpoint = await asyncio.to_thread(self._servers.endpoint, server.id)
        parts = await asyncio.to_thread(parts_of, earlier.exchanges, question, earlier.sampling, 0)
        return await self._counter.weigh(
            server.id, endpoint.base_url, endpoint.api_key, parts, earlier, server.context_length
        )

    async def check_room(self, question: Question, sampling: Sampling, server_ids: Sequence[str]) -> None:
        """InvalidInput where a server has no room for the question even alone; nothing is counted that is short."""
        texts = [question.text, *(document.text for document in question.documents)]
        for server in self.running(server_ids):
            if 0 < server.context_length < 2 * sum(map(rough_tokens, texts)):
                weight = await self.weighed(Conversation(sampling=sampling), question, server)
                check_room(weight, server.name)


def question_with(
    room: Room, instead_of: int, text: str, pictures: Sequence[Picture], documents: Sequence[Document]
) -> Question:
    """The question, with what the one that it takes the place of had."""
    old = Question("")
    if instead_of:
        old = room.conversation.exchanges[place(room.conversation, instead_of)].question
    return Question(text.strip(), (*old.pictures, *pictures), (*old.documents, *documents))


def _too_many(key: str, count: int, limit: int) -> InvalidInput:
    return InvalidInput(Message(f"chat.error.{key}", {"count": count, "limit": limit}, field=FIELD))
