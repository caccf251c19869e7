"""Conversations in the store: listed, found by what is said in them, and gone without a trace."""

import random
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.chat.archive import Archive, words_of
from backend.errors import InvalidInput, NotFound, Unavailable
from backend.store import Store

ME, OTHER = "a" * 32, "b" * 32


def said(*texts: str, answer: str = "", picture: str = "") -> dict[str, Any]:
    pictures = [{"id": picture, "name": "cat.png", "width": 1, "height": 1}] if picture else []
    return {
        "exchanges": [
            {"question": {"text": text, "pictures": pictures}, "answers": [{"text": answer}]} for text in texts
        ]
    }


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


@pytest.fixture
def archive(store: Store) -> Archive:
    times = iter(range(10**6))
    return Archive(store, lambda: float(next(times)))


def ids(archive: Archive, query: str = "", visitor: str = ME) -> list[str]:
    return [entry.id for entry in archive.listed((visitor,), query)[0]]


def test_the_list_is_pinned_first_then_newest_and_ones_own(archive: Archive) -> None:
    for name in ("one", "two", "three"):
        archive.save(name, ME, said(f"Question {name}"))
    archive.save("theirs", OTHER, said("Theirs"))
    assert ids(archive) == ["three", "two", "one"]
    archive.pin(archive.entry("one", (ME,)), True)
    archive.save("two", ME, said("Question two", "and more"))
    assert ids(archive) == ["one", "two", "three"]
    assert ids(archive, visitor=OTHER) == ["theirs"]
    assert {entry.id for entry in archive.listed((ME, OTHER))[0]} == {"one", "two", "three", "theirs"}
    (entry,), total = archive.listed((ME,), skip=1, limit=1)
    assert (entry.id, entry.title, entry.exchanges, total) == ("two", "Question two", 2, 3)
    for wrong in ("theirs", "nosuch", ""):
        with pytest.raises(NotFound):
            archive.entry(wrong, (ME,))


def test_a_name_is_the_first_question_until_one_is_given(archive: Archive) -> None:
    archive.save("x", ME, said("  What is\n a KV cache?  " + "y" * 200))
    assert archive.entry("x", (ME,)).title.startswith("What is a KV cache? yyy")
    assert len(archive.entry("x", (ME,)).title) == 80
    assert archive.rename(archive.entry("x", (ME,)), "  My\tname ") == "My name"
    archive.save("x", ME, said("Another first question"))
    assert archive.entry("x", (ME,)).title == "My name"
    assert archive.rename(archive.entry("x", (ME,)), " ") == "Another first question"
    archive.save("x", ME, said("A third"))
    assert archive.entry("x", (ME,)).title == "A third"
    with pytest.raises(InvalidInput) as caught:
        archive.rename(archive.entry("x", (ME,)), "n" * 500)
    assert caught.value.messages[0].params["count"] == 500
    archive.save("p", ME, said("", picture="0.png"))
    assert archive.entry("p", (ME,)).title == "cat.png"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("模型占用多少显存？", "显存"),
        ("模型占用多少显存？", "显"),
        ("KV Cache quantization", "kv cache"),
        ("KV Cache quantization", "CACHE kv"),
        ("KV Cache quantization", "uantiz"),
        ("ＫＶ　cache（４位）", "kv cache (4位)"),
        ("İstanbul and ß", "İSTANBUL"),
        ("a 100% _sure_ 'thing' \"here\"", "100% _sure_"),
        ("say 'thing' twice", '"thing\' twice"'),
        ("ünïcode ÄÖÜ", "äöü"),
        ("after\0all", "all"),
        ("emoji 👩‍🚀 here", "👩‍🚀"),
        ("C:\\path\\*", "\\path\\*"),
    ],
)
def test_what_was_said_is_found(archive: Archive, text: str, query: str) -> None:
    archive.save("asked", ME, said(text))
    archive.save("answered", ME, said("?", answer=text))
    archive.save("else", ME, said("Nothing of the kind"))
    archive.save("theirs", OTHER, said(text))
    assert ids(archive, query) == ["answered", "asked"]


def test_a_search_shows_where_it_stands_and_takes_names(archive: Archive) -> None:
    archive.save("x", ME, said("Begin", answer=f"{'long ' * 100}the KV cache\ngrows {'more ' * 100}"))
    archive.rename(archive.entry("x", (ME,)), "显存笔记")
    (entry,), total = archive.listed((ME,), "kv CACHE")
    assert total == 1
    assert "the KV cache grows" in entry.snippet
    assert len(entry.snippet) <= 140
    assert ids(archive, "显存 grows") == ["x"]
    assert ids(archive, "显卡") == ids(archive, "grows nowhere") == []
    with pytest.raises(InvalidInput):
        archive.listed((ME,), "x" * 1000)
    assert words_of(' a  "b c" a “d e” ') == ("a", "b c", "d e")


def test_long_texts_of_one_letter_are_searched_in_time(archive: Archive) -> None:
    for number in range(8):
        archive.save(f"c{number}", ME, said("q", answer="x" * 3_800_000))
    assert ids(archive, "x" * 198 + "z") == []
    assert len(ids(archive, "x" * 200)) == 8


def test_a_search_that_takes_too_long_is_cut_and_said(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(500):
        archive.save(f"c{number}", ME, said("q"))
    monkeypatch.setattr("backend.chat.archive.SEARCH_S", -1)
    with pytest.raises(InvalidInput) as caught:
        ids(archive, "nowhere")
    assert caught.value.messages[0].key == "chat.error.search_cut"
    assert len(ids(archive)) == 100


def test_only_ended_answers_of_long_conversations_are_searched_anew(archive: Archive) -> None:
    archive.save("x", ME, said("Question", answer="half"))
    archive.save("x", ME, said("Question", answer="half of it"), whole=False)
    assert ids(archive, "of it") == []
    archive.save("x", ME, said("Question", answer="half of it"))
    assert ids(archive, "of it") == ["x"]


def test_what_is_no_text_can_be_kept(archive: Archive) -> None:
    archive.save("x", ME, said("half \udce9 a pair", answer="\ud800"))
    assert archive.value("x") == said("half \udce9 a pair", answer="\ud800")
    assert ids(archive, "half \udce9 a pair") == ["x"]


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_what_was_deleted_is_in_no_byte(tmp_path: Path, store: Store, archive: Archive) -> None:
    """Whatever the pages went through before: rows that grew, moved, were renamed, and were deleted among others."""
    chance = random.Random(7)

    def word() -> str:
        return "".join(chance.choices(string.ascii_letters, k=12))

    secrets: dict[str, list[str]] = {}
    for number in range(400):
        name = f"c{number}"
        mine = [f"SECRET{name}{word()}" for _ in range(3)]
        secrets[name] = mine
        archive.save(
            name, ME, said(mine[0], answer=" ".join([mine[1], *(word() for _ in range(chance.randrange(300)))]))
        )
        other = f"c{chance.randrange(number + 1)}"
        if chance.random() < 0.4:
            archive.rename(archive.entry(other, (ME,)), f"{secrets[other][2]} {word() * chance.randrange(6)}")
        if chance.random() < 0.4:
            more = [word() for _ in range(chance.randrange(500))]
            archive.save(other, ME, said(secrets[other][0], answer=" ".join([secrets[other][1], *more])))
    doomed = chance.sample(sorted(secrets), 200)
    for name in doomed:
        archive.delete((name,))
    left = bytes_of(tmp_path).decode("latin-1").lower()
    kept = [name for name in secrets if name not in doomed]
    assert all(secrets[name][0].lower() in left for name in kept)
    found = [word for name in doomed for word in secrets[name] if word.lower() in left]
    assert found == []
    archive.delete(kept)
    assert "secret" not in bytes_of(tmp_path).decode("latin-1").lower()


def test_a_delete_that_cannot_be_done_leaves_all(store: Store, archive: Archive) -> None:
    archive.save("x", ME, said("Kept"))
    store._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(Unavailable):
        archive.delete(("x",))
    store._writer.execute("PRAGMA query_only = OFF")
    assert archive.value("x") == said("Kept")
    assert ids(archive, "kept") == ["x"]


def test_what_waits_for_the_disk_is_in_the_list(store: Store, archive: Archive) -> None:
    store._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(Unavailable):
        archive.save("x", ME, said("Not on the disk yet"))
    assert ids(archive) == ["x"]
    assert archive.entry("x", (ME,)).title == "Not on the disk yet"
    store._writer.execute("PRAGMA query_only = OFF")
    assert store.settle()
    assert ids(archive, "disk") == ["x"]


def test_the_older_ones_of_some(archive: Archive) -> None:
    for name, visitor in (("old", ME), ("theirs", OTHER), ("new", ME)):
        archive.save(name, visitor, said("?"))
    # The archive's clock has ticked three times; it stands at 3 now.
    assert archive.older((ME,), 2.5) == ("old",)
    assert archive.older((), 0) == ()
