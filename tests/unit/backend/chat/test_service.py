"""Which conversations stay in memory, and how long one may get."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.chat.checks import check_total
from backend.chat.conversation import CONVERSATION_LIMIT, Answer, Conversation, Exchange, Question
from backend.chat.desks import new_id
from backend.chat.rooms import MOST_VACANT_EACH
from backend.chat.service import Chat
from backend.errors import InvalidInput, NotFound
from backend.store import Store


@pytest.fixture
def chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    monkeypatch.setattr("backend.chat.rooms.REMEMBERED", 3)
    store = Store(tmp_path)
    yield Chat(None, store, tmp_path / "pictures")  # type: ignore[arg-type]
    store.close()


def remembered(chat: Chat) -> list[str]:
    """The visitors whose conversations are in memory."""
    return [room.visitor for room in chat._rooms]


async def test_a_newcomer_is_let_in_where_all_are_busy(chat: Chat) -> None:
    for number in range(3):
        (await chat._rooms.find(f"{number}")).watchers = 1
    assert (await chat.view("newcomer")).conversation == Conversation()
    assert remembered(chat) == ["0", "1", "2", "newcomer"]
    await chat.view("another")  # nobody looks at the newcomer's any more
    assert remembered(chat) == ["0", "1", "2", "another"]


async def test_long_conversations_are_forgotten_first_come_first_gone(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.chat.rooms.REMEMBERED_CHARACTERS", 100)
    (await chat._rooms.find("long")).characters = 90
    (await chat._rooms.find("busy")).characters = 90
    assert remembered(chat) == ["long", "busy"]
    (await chat._rooms.find("busy")).watchers = 1
    await chat.view("newcomer")
    assert remembered(chat) == ["busy", "newcomer"]


async def test_a_page_keeps_a_conversation_that_had_not_begun(chat: Chat) -> None:
    """Of the console before, which knew it alone."""
    shown, of_another = "0123456789abcdef", (await chat.view("another")).id
    with pytest.raises(NotFound):
        await chat.view("me", shown)
    assert (await chat.at("me", shown)).id == shown
    for number in range(4):  # it isn't in memory any more
        await chat.view(f"{number}")
    assert (await chat.view("me", shown)).conversation == Conversation()
    stored = "fedcba9876543210"
    chat.archive.add("another", [(stored, {"exchanges": []}, "theirs")])
    for visitor, taken in (("another", shown), ("me", of_another), ("me", stored), ("me", "../../etc/passwd")):
        with pytest.raises(NotFound):
            await chat.at(visitor, taken)


async def test_one_visitor_claims_so_many_pages(chat: Chat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.chat.rooms.MOST_VACANT", MOST_VACANT_EACH + 1)
    other = new_id()
    await chat.at("other", other)
    for _ in range(2 * MOST_VACANT_EACH):
        await chat.at("me", new_id())
    assert (await chat.view("other", other)).id == other
    assert sum(who == "me" for who in chat._rooms._vacant.values()) == MOST_VACANT_EACH


def test_a_conversation_has_a_total() -> None:
    half = "x" * (CONVERSATION_LIMIT // 2)
    value = Conversation((Exchange(Question(half), (Answer("s", "S", "m", text=half),)),))
    check_total(Conversation(), half)
    with pytest.raises(InvalidInput) as caught:
        check_total(value, "one more")
    assert caught.value.messages[0].key == "chat.error.conversation_long"
    many = Conversation((Exchange(Question("x")),) * 2_000)
    with pytest.raises(InvalidInput) as caught:
        check_total(many, "one more")
    assert caught.value.messages[0].key == "chat.error.conversation_turns"
