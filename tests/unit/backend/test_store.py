"""The database: documents, processes, damage."""

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.errors import Message, Unavailable
from backend.store import FILE_NAME, Store
from backend.store_rows import ProcessRow
from tests.support.waiting import wait_for

HOLDER = Path(__file__).parents[2] / "children" / "hold_database.py"

ROW = ProcessRow("a", "server", "名", 1.5, "boot", pid=7, exit_code=-9, stop_requested=True, about={"x": [1, "二"]})


def test_documents_come_back_by_area_in_the_order_they_came(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_json("plan", "b", {"名": [1, 2.5, None]})
    store.put_json("plan", "a", "x")
    store.put_json("chat", "a", 1)
    store.put_json("plan", "b", {"名": 2})
    store.close()
    store = Store(tmp_path)
    assert list(store.all("plan").items()) == [("b", {"名": 2}), ("a", "x")]
    store.delete("plan", "b")
    store.delete("plan", "b")
    assert (store.get_json("plan", "b"), store.get_json("chat", "a"), store.problem) == (None, 1, None)
    store.close()


def test_processes_come_back_as_they_were(tmp_path: Path) -> None:
    store = Store(tmp_path)
    problem = Message("servers.process.no-program", {"path": "x"}, level="warning")
    rows = (ROW, ProcessRow("b", "job", "n", 2.0, "boot", ended_at=3.0, problem=problem, interrupted=True))
    for row in reversed(rows):
        store.save_process(row)
    assert store.processes() == rows
    store.drop_process("a")
    store.save_process(rows[1])
    store.close()
    store = Store(tmp_path)
    assert store.processes() == rows[1:]
    store.close()


@pytest.mark.parametrize("damage", ["garbage", "truncated", "document", "process", "no text", "said with no text"])
def test_a_damaged_file_is_kept_aside_and_said(tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    for number in range(500):
        store.put_json("area", str(number), "x" * 100)
    store.save_process(ROW)
    store.close()
    path = tmp_path / FILE_NAME
    if damage == "garbage":
        path.write_bytes(b"\x00garbage" * 1000)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:20_000])
    elif damage == "no text":
        with sqlite3.connect(path) as db:
            db.execute("UPDATE document SET value = CAST(X'22a8ff22' AS TEXT) WHERE key = '7'")
        db.close()
    elif damage == "said with no text":  # what is wrong names an index, whose name is garbled
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE t (a)")
            db.execute("INSERT INTO t VALUES (1)")
            db.execute("CREATE INDEX odd ON t (a)")
            db.execute("PRAGMA writable_schema = ON")
            db.execute("UPDATE sqlite_master SET rootpage = 1 WHERE name = 'odd'")
            db.execute("UPDATE sqlite_master SET name = CAST(X'6fa864' AS TEXT) WHERE name = 'odd'")
        db.close()
    else:
        column = {"document": "value", "process": "about"}[damage]
        with sqlite3.connect(path) as db:
            db.execute(f"UPDATE {damage} SET {column} = '{{'")
        db.close()
    broken = path.read_bytes()
    store = Store(tmp_path)
    assert store.problem is not None
    assert store.problem.key == "servers.store.corrupted"
    assert Path(str(store.problem.params["kept"])).read_bytes() == broken
    assert store.all("area") == {}
    store.put_json("area", "a", 1)
    store.close()
    store = Store(tmp_path)
    assert (store.problem, store.get_json("area", "a")) == (None, 1)
    store.close()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("started_at", None),
        ("started_at", "x"),
        ("started_at", float("inf")),
        ("kill_at", "x"),
        ("pid", "x"),
        ("exit_code", 1.5),
        ("ended_at", "x"),
        ("about", "[1]"),
        ("about", "[" * 200_000),
        ("problem", "{}"),
    ],
)
def test_a_row_whose_values_are_of_another_type_is_damage(tmp_path: Path, column: str, value: object) -> None:
    store = Store(tmp_path)
    store.save_process(ROW)
    store.save_process(replace(ROW, id="b"))
    store.close()
    with sqlite3.connect(store.path) as db:
        db.execute(f"UPDATE process SET {column} = ? WHERE id = 'a'", (value,))
    db.close()
    store = Store(tmp_path)
    assert store.problem is not None
    assert store.problem.key == "servers.store.corrupted"
    store.close()


def test_a_path_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(Unavailable) as caught:
        Store(tmp_path)
    assert caught.value.messages[0].key == "servers.store.unusable"
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        Store(tmp_path / "file")


def test_a_closed_store_is_unavailable(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.close()
    with pytest.raises(Unavailable):
        store.put_json("a", "b", 1)


def test_many_threads_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def write(area: str) -> None:
        for number in range(50):
            store.put_json(area, str(number), number)
            store.save_process(ROW)

    threads = [threading.Thread(target=write, args=(f"area{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(len(store.all(f"area{n}")) == 50 for n in range(8))
    store.close()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process holds the database."""
    with subprocess.Popen([sys.executable, str(HOLDER), str(path)], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            yield
        finally:
            holder.kill()


def test_what_happens_while_another_process_holds_the_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_json("area", "before", 1)
    store.put_json("area", "gone", 1)
    store.save_process(ROW)
    with held(store.path):
        began = time.monotonic()
        store.keep_json("area", "a", 1)
        store.keep_json("area", "a", 2)
        store.drop_json("area", "gone")
        store.keep_process(replace(ROW, stop_signal="SIGKILL"))
        store.keep_process(replace(ROW, id="b", started_at=9))
        # Readers see it at once, and wait for nobody.
        assert (store.get_json("area", "a"), store.get_json("area", "gone")) == (2, None)
        assert store.all("area") == {"before": 1, "a": 2}
        assert [(row.id, row.stop_signal) for row in store.processes()] == [("a", "SIGKILL"), ("b", "")]
        assert time.monotonic() - began < 0.4
        assert not store.settle()
        assert store.unsaved is not None
        assert (store.unsaved.key, store.unsaved.params["file"]) == ("servers.store.unsaved-busy", str(store.path))
        with pytest.raises(Unavailable) as caught:
            store.put_json("area", "now", 1)
        assert caught.value.messages[0].key == "servers.store.busy"
        assert time.monotonic() - began < 5
    wait_for("it is written", lambda: store.unsaved is None)
    store.close()
    store = Store(tmp_path)
    assert store.all("area") == {"before": 1, "a": 2}
    assert [(row.id, row.stop_signal) for row in store.processes()] == [("a", "SIGKILL"), ("b", "")]
    store.close()


def test_what_waits_is_written_at_the_end(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(200):
        store.keep_json("area", str(number), number)
    store.close()
    store = Store(tmp_path)
    assert list(store.all("area").values()) == list(range(200))
    store.close()


def test_a_value_set_by_hand_wins_over_an_older_one_that_waits(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with held(store.path):
        store.keep_json("area", "a", "older")
        assert not store.settle()
    store.put_json("area", "a", "newer")
    assert store.settle()
    assert store.get_json("area", "a") == "newer"
    store.close()


def test_an_emptied_file_is_a_damaged_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put_json("chat", "a", 1)
    store.close()
    (tmp_path / "pictures" / "visitor").mkdir(parents=True)
    (tmp_path / FILE_NAME).write_bytes(b"")
    store = Store(tmp_path)
    assert store.problem is not None
    assert Path(str(store.problem.params["kept"])).exists()
    store.close()


def test_a_first_start_that_was_cut_off_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"")
    (tmp_path / "runs").mkdir()
    store = Store(tmp_path)
    assert store.problem is None
    store.close()


def test_an_index_that_finds_nothing_is_damage(tmp_path: Path) -> None:
    """Each row is there, and none is found by its key: a conversation would seem never begun."""
    store = Store(tmp_path)
    store.put_json("chat", "visitor", {"exchanges": []})
    store.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        [page] = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_document_1'").fetchone()
        [size] = db.execute("PRAGMA page_size").fetchone()
    db.close()
    with (tmp_path / FILE_NAME).open("r+b") as file:
        file.seek((page - 1) * size)
        content = file.read(size)
        assert b"visitor" in content
        file.seek((page - 1) * size)
        file.write(content.replace(b"visitor", b"visitar"))
    store = Store(tmp_path)
    assert store.problem is not None
    store.close()


def test_a_name_that_is_no_text_can_be_stored(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep_process(replace(ROW, name="m\udce9"))
    store.keep_json("area", "a", "m\udce9")
    assert store.settle()
    store.close()
    store = Store(tmp_path)
    assert (store.processes()[0].name, store.get_json("area", "a")) == ("m?", "m\udce9")
    store.close()


def test_what_the_database_does_not_take_keeps_nothing_else_from_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep_json("measured", "/models/\udcff", 1)
    store.keep_process(replace(ROW, pid=1 << 70))
    store.keep_json("setting", "later", 2)
    assert not store.settle()
    assert store.unsaved is not None
    assert (store.unsaved.key, store.unsaved.level) == ("servers.store.unsaved-rows", "warning")
    assert store.unsaved.params["names"] == "document measured /models/\\xff, process a"
    # Readers see it, for as long as the console runs.
    assert store.get_json("measured", "/models/\udcff") == 1
    store.keep_process(ROW)
    store.drop_json("measured", "/models/\udcff")
    with pytest.raises(Unavailable) as caught:
        store.put_json("measured", "/models/\udcff", 1)
    assert caught.value.messages[0].key == "servers.store.refused"
    store.close()
    store = Store(tmp_path)
    assert (store.problem, store.get_json("setting", "later"), store.processes()) == (None, 2, (ROW,))
    store.close()


def test_what_the_database_does_not_take_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each later write is one transaction a row, for as long as the console runs."""
    store, transactions = Store(tmp_path), list[int]()
    tried = Store._tried

    def counting(self: Store, writes: Iterable[Any]) -> Exception | None:
        transactions.append(len(written := list(writes)))
        return tried(self, written)

    store.keep_json("measured", "/models/\udcff", 1)
    assert not store.settle()
    with store._write_lock:  # its own thread writes nothing meanwhile
        monkeypatch.setattr(Store, "_tried", counting)
        for number in range(10):
            store.keep_json("setting", str(number), number)
    wait_for("they are written", lambda: not set(store._pending) - {("document", "measured", "/models/\udcff")})
    assert 10 in transactions
    assert 1 not in transactions
    assert store.unsaved is not None
    assert store.unsaved.key == "servers.store.unsaved-rows"
    store.close()


def test_a_long_search_is_cut_and_keeps_no_reader_waiting(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    store = Store(tmp_path)
    cut = threading.Event()

    def search() -> None:
        with pytest.raises(TimeoutError):
            store.search(endless, (), 3)
        cut.set()

    thread = threading.Thread(target=search)
    thread.start()
    for _ in range(100):
        assert store.rows("SELECT 1") == store.search("SELECT ?", (1,), 3) == [(1,)]
    assert not cut.is_set()
    thread.join(60)
    assert cut.is_set()
    store.close()
