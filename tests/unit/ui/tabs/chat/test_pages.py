"""What each open page has told of itself."""

from types import SimpleNamespace

from ui.tabs.chat.pages import Pages

PAGE, OTHER = SimpleNamespace(session_hash="one"), SimpleNamespace(session_hash="two")


def test_the_edited_question_stays_while_the_conversation_does() -> None:
    pages = Pages()
    pages.shows(PAGE, "a")
    pages.of(PAGE).edited = 1
    pages.at(PAGE, "a")
    assert (pages.of(PAGE).shown, pages.of(PAGE).edited) == ("a", 1)
    pages.at(PAGE, "b")
    assert (pages.of(PAGE).shown, pages.of(PAGE).edited) == ("b", 0)
    assert pages.of(OTHER).shown == ""
