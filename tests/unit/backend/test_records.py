"""What a manager knows: what is stored of one that can't be read is that one's trouble."""

from pathlib import Path
from typing import Any

import pytest

from backend.records import Records, readable
from backend.store import Store


def named(document: Any) -> str:
    return f"{document.get('name', '') + document['id']}"


DAMAGED: tuple[Any, ...] = ([1], "x", None, 3, {"id": [1]}, {})


def test_what_runs_keep_is_taken_where_it_can_be_read(caplog: pytest.LogCaptureFixture) -> None:
    sound = {"id": "a", "name": "A"}
    assert readable([*DAMAGED, sound], named) == {"a": sound}
    assert len(caplog.records) == len(DAMAGED)


def test_a_document_that_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number, damaged in enumerate(DAMAGED):
        store.put_json("area", str(number), damaged)
    store.put_json("area", "sound", {"id": "sound"})
    records = Records[str](store, "area", lambda record: record)
    records.load(named, {"spare": {"id": "spare"}, "other": [1]})
    assert records.all() == ("sound", "spare")
    assert len(store.all("area")) == len(DAMAGED) + 1
    store.close()
