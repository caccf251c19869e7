"""A conversation in memory: who watches it rests between two looks, but sees its end at once."""

import asyncio
import time
from dataclasses import replace

from backend.chat.conversation import Answer, AnswerState, Conversation, Question, Sampling
from backend.chat.session import Room


async def test_a_rest_ends_with_the_answer() -> None:
    room = Room("c", "ann", Conversation(), 60.0, lambda room: None)

    def asked() -> None:
        room.conversation = room.conversation.asked(Question("Hi"), (Answer("s", "Server", "m"),), Sampling())
        room.bump()

    def show(state: AnswerState) -> None:
        room.show(0, replace(room.answer(0), state=state))

    for _ in range(2):  # the second question's rest doesn't end with the first one's answer
        asked()
        show(AnswerState.STREAMING)
        began = time.monotonic()
        await room.rest(0.05)
        assert time.monotonic() - began >= 0.04
        resting = asyncio.create_task(room.rest(60))
        await asyncio.sleep(0)
        show(AnswerState.STREAMING)
        await asyncio.sleep(0)
        assert not resting.done()
        show(AnswerState.DONE)
        await asyncio.wait_for(resting, 5)
    await asyncio.wait_for(room.rest(60), 5)
