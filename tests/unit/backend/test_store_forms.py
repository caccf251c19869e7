"""A database of the form before becomes today's, and one of a later console is left alone."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from backend.chat.archive import Archive
from backend.chat.conversation import AnswerState, from_json
from backend.chat.desks import Desks
from backend.errors import Unavailable
from backend.store import FILE_NAME, Store
from backend.store_forms import FORM, bring_up, folded

# Written by the console of 2026-11-25, of form 0: a visitor with two questions, one who only set something, one whose
# answer was cut off, one whose document nobody can read.
OLD = Path(__file__).parents[2] / "data" / "chat-form-0" / FILE_NAME
TALKED, SET, CUT, UNKNOWN = (str(number) * 32 for number in range(1, 5))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    shutil.copy(OLD, tmp_path / FILE_NAME)
    return tmp_path


def test_nothing_that_a_visitor_had_is_lost(old: Path) -> None:
    with sqlite3.connect(old / FILE_NAME) as db:
        before = dict(db.execute("SELECT key, value FROM document WHERE area = 'chat'"))
    db.close()
    for _ in range(2):  # as it is opened, and opened again
        store = Store(old)
        archive, desks = Archive(store), Desks(store)
        assert store.problem is None
        assert store.all("chat") == {}
        assert store.get_json("setting", "language") == "zh"
        (entry,), _ = archive.listed((TALKED,))
        assert (entry.title, entry.exchanges, desks.of(TALKED).open) == ("什么占用显存？", 2, entry.id)
        assert archive.value(entry.id) == json.loads(before[TALKED])
        whole = from_json(archive.value(entry.id) or {})
        assert [exchange.id for exchange in whole.exchanges] == [1, 2]
        assert whole.exchanges[1].answers[0].rounds[0].calls[0].result == "8"
        assert (desks.of(TALKED).sampling, whole.sampling.system) == (whole.sampling, "Be brief.")
        assert archive.pictures() == {(TALKED, "0123abcd.png")}
        assert [found.id for found in archive.listed((TALKED,), "显存")[0]] == [entry.id]
        assert archive.listed((SET,)) == ((), 0)
        assert desks.of(SET).sampling.system == "Only settings."
        (cut,), _ = archive.listed((CUT,))
        answer = from_json(archive.value(cut.id) or {}).exchanges[0].answers[0]
        assert (answer.state, answer.text) == (AnswerState.STOPPED, "Half an")
        (unknown,), _ = archive.listed((UNKNOWN,))
        assert (unknown.title, archive.value(unknown.id)) == (
            "Of a form that nobody knows",
            json.loads(before[UNKNOWN]),
        )
        store.close()


def test_a_step_that_breaks_off_leaves_the_older_form(old: Path) -> None:
    """As on a full disk, or where the console is killed in it."""
    db = sqlite3.connect(old / FILE_NAME)
    whole = list(db.iterdump())
    [pages] = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        bring_up(db)
    assert list(db.iterdump()) == whole
    assert db.execute("PRAGMA user_version").fetchone() == (0,)
    db.execute(f"PRAGMA max_page_count = {pages + 100}")
    assert bring_up(db)
    assert db.execute("PRAGMA user_version").fetchone() == (FORM,)
    db.close()


def test_a_later_form_is_said_and_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        db.execute(f"PRAGMA user_version = {FORM + 1}")
    db.close()
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(Unavailable) as caught:
        Store(tmp_path)
    assert caught.value.messages[0].key == "servers.store.newer"
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if "corrupt" in path.name] == []


@pytest.mark.parametrize("text", ["KV Cache", "ＫＶ　（显存）", "İß", "a\ud800", "👩‍🚀", ""])
def test_each_character_stays_at_its_place(text: str) -> None:
    assert len(folded(text)) == len(text)
    assert folded(folded(text)) == folded(text)


def test_the_lab_comes_to_a_store_of_the_form_before(tmp_path: Path) -> None:
    """Written by the console before the Lab: a conversation, a setting, a measurement."""
    shutil.copy(OLD.parents[1] / "lab-form-1" / FILE_NAME, tmp_path / FILE_NAME)
    for _ in range(2):
        store = Store(tmp_path)
        assert store.problem is None
        assert store.rows("PRAGMA user_version") == [(FORM,)]
        assert store.get_json("setting", "language") == "zh"
        assert store.all("memory") == {"aaaabbbbcccc": {"at": 1790000000.0, "model": "demo"}}
        (entry,), _ = Archive(store).listed(("1" * 32,))
        assert entry.title == "What takes the memory?"
        assert store.rows("SELECT COUNT(*) FROM lab_run") == [(0,)]
        store.close()
