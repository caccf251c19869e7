"""What a person changes in what was said: whose answer was better, an answer's text, the branch that is shown."""

from backend.chat.branches import place, rewritten, turned_to
from backend.chat.caretaker import Caretaker
from backend.chat.checks import check_total
from backend.chat.library import Library
from backend.chat.rooms import Rooms
from backend.errors import InvalidInput, Message, NotFound


class Changes:
    """For one event loop. Visitor and ``conversation`` as in ``Chat``."""

    def __init__(self, rooms: Rooms, caretaker: Caretaker, library: Library) -> None:
        self._rooms = rooms
        self._caretaker = caretaker
        self._library = library

    async def vote(self, visitor: str, exchange: int, lane: int | None, conversation: str = "") -> None:
        """That lane's answer is the better one of those to that exchange's question; None takes it back."""
        room = await self._rooms.find(visitor, conversation)
        number = place(room.conversation, exchange)
        count = len(room.conversation.exchanges[number].answers)
        if count < 2 or (lane is not None and not 0 <= lane < count):
            raise NotFound(Message("chat.error.nothing_asked"))
        room.conversation = room.conversation.with_vote(number, lane)
        room.bump()
        await self._caretaker.save(room)

    async def rewrite(self, visitor: str, exchange: int, lane: int, text: str, conversation: str = "") -> None:
        """Write an answer otherwise: that of the exchange with this id, in that lane. The model reads it as its own
        from now on; the earlier one stays as a branch. Raises InvalidInput, Conflict, NotFound."""
        room = await self._rooms.find(visitor, conversation)
        self._rooms.check_free(room)
        number = place(room.conversation, exchange)
        answers = room.conversation.exchanges[number].answers
        if not text.strip():
            raise InvalidInput(Message("chat.error.answer_empty"))
        if not 0 <= lane < len(answers):
            raise NotFound(Message("chat.error.exchange_gone"))
        check_total(room.conversation, text)
        if text != answers[lane].text:
            room.conversation = rewritten(room.conversation, number, lane, text)
            room.characters = room.conversation.characters
            room.bump()
            await self._caretaker.save(room)
            self._library.changed(room.visitor)

    async def turn_to(self, visitor: str, exchange: int, conversation: str = "") -> None:
        """Show the branch of the exchange with that id."""
        room = await self._rooms.find(visitor, conversation)
        self._rooms.check_free(room)
        room.conversation = turned_to(room.conversation, exchange)
        room.bump()
        await self._caretaker.save(room)
        self._library.changed(room.visitor)
