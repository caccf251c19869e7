"""Branches of a conversation: what was asked anew or otherwise stays, and can be turned back to. Pure.

Of a tree of exchanges, one path is shown (``Conversation.exchanges``); each ``Aside`` is the rest of another one, from
where it leaves its parent on. Exchanges that follow on the same one are siblings, in the order of their ids.
"""

from dataclasses import replace

from backend.chat.conversation import Aside, Conversation, Exchange
from backend.errors import Message, NotFound


def siblings(conversation: Conversation, number: int) -> tuple[Exchange, ...]:
    """All that stand in the place of the shown exchange of that number, itself included, oldest first."""
    after = before(conversation, number)
    heads = [aside.exchanges[0] for aside in conversation.asides if aside.after == after]
    return tuple(sorted((conversation.exchanges[number], *heads), key=lambda exchange: exchange.id))


def before(conversation: Conversation, number: int) -> int:
    """The id of the exchange that the one of that number follows on; 0 = none."""
    return conversation.exchanges[number - 1].id if number else 0


def place(conversation: Conversation, exchange_id: int) -> int:
    """The number of the shown exchange of that id. NotFound: another page has turned to another branch."""
    for number, exchange in enumerate(conversation.exchanges):
        if exchange.id == exchange_id:
            return number
    raise NotFound(Message("chat.error.exchange_gone"))


def set_aside(conversation: Conversation, number: int) -> Conversation:
    """Shown up to before that exchange; what came from there on stays as a branch, unless nothing was said in it."""
    rest = conversation.exchanges[number:]
    kept = replace(conversation, exchanges=conversation.exchanges[:number])
    if not rest:
        return kept
    return replace(kept, asides=(*conversation.asides, Aside(before(conversation, number), rest)))


def asked_anew(conversation: Conversation, number: int) -> Conversation:
    """As ``set_aside``, for the same question: a last answer in which nothing was written isn't worth a branch."""
    rest = conversation.exchanges[number:]
    if len(rest) == 1 and not any(answer.characters for answer in rest[0].answers):
        return replace(conversation, exchanges=conversation.exchanges[:number])
    return set_aside(conversation, number)


def rewritten(conversation: Conversation, number: int, lane: int, text: str) -> Conversation:
    """With that answer's text written otherwise, and marked so; as it was, it stays as a branch, with all that came
    after it."""
    old = conversation.exchanges[number]
    answer = replace(old.answers[lane], text=text, edited=True, tokens=None, no_logprobs=None)
    answers = (*old.answers[:lane], answer, *old.answers[lane + 1 :])
    return set_aside(conversation, number).asked(old.question, answers, conversation.sampling)


def turned_to(conversation: Conversation, exchange_id: int) -> Conversation:
    """With that exchange's branch shown, to its end. NotFound where there is none."""
    for aside in conversation.asides:
        if aside.exchanges[0].id == exchange_id:
            number = next((n + 1 for n, one in enumerate(conversation.exchanges) if one.id == aside.after), None)
            if number is None and aside.after:
                break  # it leaves from a branch that isn't shown
            number = number or 0
            rest = set_aside(replace(conversation, asides=_without(conversation, aside)), number)
            return replace(rest, exchanges=(*rest.exchanges, *aside.exchanges))
    raise NotFound(Message("chat.error.exchange_gone"))


def _without(conversation: Conversation, gone: Aside) -> tuple[Aside, ...]:
    return tuple(aside for aside in conversation.asides if aside is not gone)
