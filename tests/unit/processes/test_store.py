"""The database: documents, processes, damage."""

import sqlite3
import threading
from pathlib import Path

import pytest

from backend.errors import Message, Unavailable
from backend.store import FILE_NAME, ProcessRow, Store

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
    store.delete_process("a")
    store.save_process(rows[1])
    store.close()
    store = Store(tmp_path)
    assert store.processes() == rows[1:]
    store.close()


@pytest.mark.parametrize("damage", ["garbage", "truncated", "document", "process"])
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
