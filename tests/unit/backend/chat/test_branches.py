"""Whatever is asked anew, what was said before is still there, and can be turned back to."""

import random

import pytest

from backend.chat.branches import asked_anew, place, rewritten, set_aside, siblings, turned_to
from backend.chat.conversation import Answer, AnswerState, Conversation, Question, Sampling, from_json, to_json
from backend.chat.prompt import chat_request
from backend.errors import NotFound


def ask(conversation: Conversation, text: str) -> Conversation:
    answer = Answer("s", "S", "m", AnswerState.DONE, f"to {text}")
    return conversation.asked(Question(text), (answer,), Sampling())


def shown(conversation: Conversation) -> list[str]:
    return [exchange.question.text for exchange in conversation.exchanges]


def test_an_edited_question_stands_beside_the_first() -> None:
    whole = ask(ask(ask(Conversation(), "a"), "b"), "c")
    other = ask(set_aside(whole, 1), "b2")
    assert shown(other) == ["a", "b2"]
    assert [exchange.id for exchange in siblings(other, 1)] == [2, 4]
    third = ask(set_aside(other, 1), "b3")
    assert [exchange.id for exchange in siblings(third, 1)] == [2, 4, 5]
    assert shown(turned_to(third, 2)) == ["a", "b", "c"]
    assert shown(turned_to(turned_to(third, 2), 4)) == ["a", "b2"]
    assert [exchange.id for exchange in siblings(turned_to(third, 2), 1)] == [2, 4, 5]
    first = ask(set_aside(third, 0), "A")
    assert shown(turned_to(first, 1)) == ["a", "b3"]
    assert len(siblings(turned_to(first, 1), 0)) == 2
    for wrong in (0, 99, 4):  # 4 leaves from a branch that isn't shown
        with pytest.raises(NotFound):
            turned_to(first, wrong)
    with pytest.raises(NotFound):
        place(first, 1)


def test_an_answer_without_a_word_is_no_branch() -> None:
    failed = Conversation().asked(Question("a"), (Answer("s", "S", "m", AnswerState.FAILED),), Sampling())
    assert asked_anew(failed, 0) == Conversation(sampling=failed.sampling)
    assert len(asked_anew(ask(failed, "b"), 0).asides) == 1
    assert len(asked_anew(ask(Conversation(), "a"), 0).asides) == 1


def test_nothing_is_ever_lost() -> None:
    chance = random.Random(3)
    for _ in range(200):
        whole, count = Conversation(), 0
        for _ in range(25):
            if whole.exchanges and chance.random() < 0.4:
                number = chance.randrange(len(whole.exchanges))
                if chance.random() < 0.5:
                    shown_id = whole.exchanges[number].id
                    others = [other for other in siblings(whole, number) if other.id != shown_id]
                    whole = turned_to(whole, chance.choice(others).id) if others else whole
                    continue
                whole = set_aside(whole, number)
            whole, count = ask(whole, f"q{count}"), count + 1
            assert sorted(exchange.id for exchange in whole.everything) == list(range(1, count + 1))
            assert from_json(to_json(whole)) == whole


def test_an_edited_answer_is_marked_and_read_and_the_earlier_one_stays() -> None:
    whole = ask(ask(ask(Conversation(), "a"), "b"), "c")
    other = rewritten(whole, 1, 0, "to b, in better words")
    assert shown(other) == ["a", "b"]
    answer = other.exchanges[1].answers[0]
    assert (answer.text, answer.edited, answer.state) == ("to b, in better words", True, AnswerState.DONE)
    assert [exchange.id for exchange in siblings(other, 1)] == [2, 4]
    earlier = turned_to(other, 2)
    assert shown(earlier) == ["a", "b", "c"]
    assert (earlier.exchanges[1].answers[0].text, earlier.exchanges[1].answers[0].edited) == ("to b", False)
    assert from_json(to_json(other)) == other
    request = chat_request(ask(other, "d"), 0, "m", False, lambda picture: "")
    assert [message["content"] for message in request["messages"]][:4] == ["a", "to a", "b", "to b, in better words"]


def test_of_two_answers_one_is_edited() -> None:
    answers = tuple(Answer(name, name, "m", AnswerState.DONE, name) for name in "st")
    other = rewritten(Conversation().asked(Question("a"), answers, Sampling()), 0, 1, "T")
    assert [(answer.text, answer.edited) for answer in other.exchanges[0].answers] == [("s", False), ("T", True)]
