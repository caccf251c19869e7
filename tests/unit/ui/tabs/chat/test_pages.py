"""What each open page has told of itself."""

from types import SimpleNamespace

from ui.tabs.chat.pages import Pages

PAGE, OTHER = SimpleNamespace(session_hash="one"), SimpleNamespace(session_hash="two")


def test_the_edited_question_stays_while_the_conversation_does() -> None:
    pages = Pages()
    pages.shows(PAGE, "a")
    pages.of(PAGE).edited = 1
    assert not pages.at(PAGE, "a", 2)
    assert (pages.of(PAGE).shown, pages.of(PAGE).edited) == ("a", 1)
    assert not pages.at(PAGE, "b", 1)
    assert (pages.of(PAGE).shown, pages.of(PAGE).edited) == ("b", 0)
    assert pages.of(OTHER).shown == ""


def test_a_console_that_knows_nothing_of_a_page_believes_it() -> None:
    pages = Pages()
    assert pages.at(PAGE, "a", 2)
    assert (pages.of(PAGE).shown, pages.of(PAGE).edited) == ("a", 2)
