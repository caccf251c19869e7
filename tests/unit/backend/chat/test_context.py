"""What a conversation takes of a model's context: what is dropped, oldest first, and what is counted how."""

from typing import Any

import httpx
import pytest

from backend.chat.checks import check_room
from backend.chat.client import Client
from backend.chat.context import parts_of_last, scale, weighed
from backend.chat.conversation import Answer, AnswerState, Conversation, Document, Exchange, Picture, Question, Sampling
from backend.chat.prompt import chat_request
from backend.chat.stats import AnswerStats
from backend.chat.token_counter import TokenCounter
from backend.errors import InvalidInput


def said(question: str, answer: str, **more: Any) -> Exchange:
    return Exchange(Question(question), (Answer("s", "S", "m", AnswerState.DONE, answer, **more),))


WAITING = (Answer("s", "S", "m"),)
TALK = Conversation(
    (said("one", "first"), said("two", ""), said("three", "third"), Exchange(Question("four"), WAITING)),
    Sampling(system="Be brief."),
)


def test_the_oldest_are_left_out_until_the_rest_has_room() -> None:
    parts = parts_of_last(TALK, 0)
    assert parts.texts == ("Be brief.", "one", "first", "three", "third", "four")
    counts = [10, 30, 30, 40, 40, 5]
    assert weighed(parts, counts, True, 0, 100, 0).left_out == 0  # nobody knows how much there is room for
    assert weighed(parts, counts, True, 200, 40, 0).left_out == 0
    weight = weighed(parts, counts, True, 190, 40, 0)
    assert (weight.earlier, weight.left_out, weight.total) == ((60, 0, 80), 1, 95)
    assert weighed(parts, counts, True, 120, 40, 0).left_out == 3  # one is left out as a whole, question and answer
    assert weighed(parts, counts, True, 120, 40, 0).fits
    full = weighed(parts, counts, True, 15, 40, 0)
    assert not full.fits
    with pytest.raises(InvalidInput) as caught:
        check_room(full, "demo")
    assert caught.value.messages[0].key == "chat.error.context_exact"


def test_what_is_left_out_is_not_sent() -> None:
    answer = Answer("s", "S", "m", left_out=2)
    talk = Conversation((*TALK.exchanges[:3], Exchange(Question("four"), (answer,))), Sampling())
    messages = chat_request(talk, 0, "m", False, lambda picture: "")["messages"]
    assert [message["content"] for message in messages] == ["three", "third", "four"]


def test_files_and_pictures_are_weighed() -> None:
    question = Question("Q", (Picture("a.png", "a", 1000, 1000),), (Document("a.txt", "x" * 40), Document("b.py", "y")))
    parts = parts_of_last(Conversation((Exchange(question, WAITING),)), 0)
    weight = weighed(parts, [12, 4, 1], True, 4000, None, 2)
    assert weight.files == (12, 4)
    assert weight.pictures == 1000 * 1000 // 784
    assert not weight.exact  # how many tokens a picture becomes is the model's own affair
    assert weight.answer == 512


def test_a_server_that_counted_once_corrects_the_rough_count() -> None:
    stats = AnswerStats(prompt_tokens=120)
    talk = Conversation((said("word " * 40, "yes", stats=stats), Exchange(Question("more"), WAITING)))
    assert 1.8 < scale(talk, 0) < 2.2
    assert scale(TALK, 0) == 1.0


def counting(replies: list[Any]) -> tuple[TokenCounter, list[Any]]:
    """A counter whose server gives these replies, and what it was asked."""
    asked: list[Any] = []

    class Counting(Client):
        async def prepare(self, base_url: str, api_key: str) -> None:
            def answer(request: httpx.Request) -> httpx.Response:
                asked.append(httpx.Response(200, content=request.content).json())
                reply = replies.pop(0)
                return httpx.Response(reply) if isinstance(reply, int) else httpx.Response(200, json=reply)

            self._clients.setdefault((base_url, api_key), httpx.AsyncClient(transport=httpx.MockTransport(answer)))

    return TokenCounter(Counting()), asked


async def test_the_server_counts_each_text_once() -> None:
    counter, asked = counting([{"length": [2, 5]}, {"length": 7}])
    first = await counter.count("s", "http://x/v1", "", ["ab", "hello", "ab", ""])
    assert first == [2, 5, 2, 0]
    assert await counter.count("s", "http://x/v1", "", ["hello", "new"]) == [5, 7]
    assert [body["input"] for body in asked] == [["ab", "hello"], ["new"]]
    assert asked[0]["add_bos"] is False


@pytest.mark.parametrize("reply", [404, {"length": "many"}, {"length": [1, 2, 3]}, [1], {"nothing": 1}, 500])
async def test_a_server_that_cannot_count_is_asked_once(reply: Any) -> None:
    counter, asked = counting([reply])
    parts = parts_of_last(TALK, 0)
    for _ in range(2):
        weight = await counter.weigh("s", "http://x/v1", "", parts, TALK, 4096)
        assert not weight.exact
        assert weight.total > 0
    assert len(asked) == 1


async def test_the_template_has_a_weight() -> None:
    counter, asked = counting([{"length": [1] * 6}, {"length": 1}, {"length": 12}])
    weight = await counter.weigh("s", "http://x/v1", "", parts_of_last(TALK, 0), TALK, 4096)
    assert weight.exact
    assert weight.earlier == (2 + 2 * 11, 0, 2 + 2 * 11)
    assert asked[-1]["do_preprocess"] is True
