"""The rows as the store keeps them: listed, filtered, sorted, noted, deleted. Safe to call from any thread."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import count
from typing import Any

from backend.errors import InvalidInput, Message, NotFound
from backend.lab.row import RunRow
from backend.store import Store
from backend.store_forms import folded, storable

KIND = "lab_run"  # in the store's targets
COLUMNS = tuple(f.name for f in fields(RunRow) if f.name != "detail")
_TEXTS = ("name", "model", "engine", "settings", "gpu", "environment", "state")
_KEPT = tuple(name for name in COLUMNS if name != "note")
_SAVE = f"""
    INSERT INTO lab_run ({", ".join(_KEPT)}, folded) VALUES ({", ".join("?" * (len(_KEPT) + 1))})
    ON CONFLICT (id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in (*_KEPT[1:], "folded"))}"""
_DETAIL = "INSERT OR REPLACE INTO lab_run_detail VALUES (?, ?)"
MOST_ROWS = 200  # of the list, at a time
MOST_POINTS = 2000
MOST_BESIDE = 8
MOST_EXPORTED = 100_000
MOST_WORDS = 10
NOTE_LENGTH = 2000
NUMBERS = (*(name for name in COLUMNS if name.endswith(("_at", "_s", "_ms", "_bytes"))), "tokens", "perplexity")


@dataclass(frozen=True)
class Query:
    """Which rows, in which order. ``text``: words that a row must all have somewhere; ``kind`` and ``state`` "" = all.

    ``sort`` is one of COLUMNS; rows without a value come last.
    """

    text: str = ""
    kind: str = ""
    state: str = ""
    sort: str = "started_at"
    descending: bool = True


class Runs:
    """All rows of this console."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changes = count(1)
        self._change = 0  # of what is kept or deleted
        self._states: tuple[int, tuple[str, ...]] = (-1, ())

    def keep(self, row: RunRow) -> None:
        """Write the row as soon as that can be done; a note that a person wrote stays."""
        values = [_storable(getattr(row, name)) for name in _KEPT]
        text = folded(" ".join(storable(getattr(row, name)) for name in _TEXTS))
        steps = ((_SAVE, (*values, text)), (_DETAIL, (row.id, json.dumps(row.detail))))
        self._change = next(self._changes)
        self._store.write_soon((KIND, row.id, ""), steps, row)

    def listed(self, query: Query, skip: int = 0, limit: int = MOST_ROWS) -> tuple[tuple[RunRow, ...], int]:
        """A part of the rows, without their detail, and how many there are. Raises InvalidInput, Unavailable."""
        self._store.settle()
        where, values = _where(query)
        if query.text:  # reading every row's text takes longest: once
            found = self._store.rows(f"SELECT number FROM lab_run{where} {_order(query)}", values)
            total, numbers = len(found), [row[0] for row in found[skip : skip + min(limit, MOST_EXPORTED)]]
            where, values, skip = f" WHERE number IN ({', '.join(map(str, numbers))})", [], 0
        else:
            [[total]] = self._store.rows(f"SELECT COUNT(*) FROM lab_run{where}", values)
        sql = f"SELECT {', '.join(COLUMNS)} FROM lab_run{where} {_order(query)} LIMIT ? OFFSET ?"
        rows = self._store.rows(sql, (*values, min(limit, MOST_EXPORTED), max(0, skip)))
        return tuple(RunRow(**dict(zip(COLUMNS, row, strict=True))) for row in rows), int(total)

    def states(self) -> tuple[str, ...]:
        """Every state that a row has, for the filter. Every row is read for it: once a change."""
        change = self._change
        if self._states[0] != change:
            self._store.settle()
            found = self._store.rows("SELECT DISTINCT state FROM lab_run ORDER BY state")
            self._states = (change, tuple(row[0] for row in found))
        return self._states[1]

    def points(self, query: Query, x: str, y: str) -> list[tuple[str, str, float, float]]:
        """(id, name, x, y) of the rows that have both numbers, the newest MOST_POINTS. Raises InvalidInput."""
        for column in (x, y):
            if column not in NUMBERS:
                raise InvalidInput(Message("lab.error.column", {"value": column[:80], "known": ", ".join(NUMBERS)}))
        self._store.settle()
        where, values = _where(query)
        where += f"{' AND' if where else ' WHERE'} {x} IS NOT NULL AND {y} IS NOT NULL"
        sql = f"SELECT id, name, {x}, {y} FROM lab_run{where} ORDER BY started_at DESC LIMIT {MOST_POINTS}"
        return [(row[0], row[1], row[2], row[3]) for row in self._store.rows(sql, values)]

    def get(self, run_id: str) -> RunRow:
        """One row with its detail. Raises NotFound."""
        self._store.settle()
        sql = f"SELECT {', '.join(COLUMNS)} FROM lab_run WHERE id = ?"
        rows = self._store.rows(sql, (storable(run_id),))
        if not rows:
            raise NotFound(Message("lab.error.run_gone"))
        detail = self._store.rows("SELECT value FROM lab_run_detail WHERE id = ?", (rows[0][0],))
        values = dict(zip(COLUMNS, rows[0], strict=True))
        return RunRow(**values, detail=json.loads(detail[0][0]) if detail else {})

    def several(self, ids: Sequence[str]) -> tuple[RunRow, ...]:
        """Those of the rows that are there, in the order of their ids, with their detail."""
        found = []
        for run_id in ids:
            with suppress(NotFound):
                found.append(self.get(run_id))
        return tuple(found)

    def detail(self, run_id: str) -> Mapping[str, Any]:
        """What stands in a row's detail; {} where there is none."""
        found = self._store.rows("SELECT value FROM lab_run_detail WHERE id = ?", (run_id,))
        return json.loads(found[0][0]) if found else {}

    def exported(self, query: Query) -> Iterator[RunRow]:
        """Every row of the query with its detail, read a part at a time."""
        rows, total = self.listed(query, 0, MOST_EXPORTED)
        for row in rows[:total]:
            yield RunRow(**{name: getattr(row, name) for name in COLUMNS}, detail=self.detail(row.id))

    def note(self, run_id: str, text: str) -> str:
        """Write a person's note, now. Raises NotFound, InvalidInput, Unavailable."""
        text = storable(text).replace("\0", "").strip()
        if len(text) > NOTE_LENGTH:
            raise InvalidInput(Message("lab.error.note_long", {"count": len(text), "limit": NOTE_LENGTH}, "note"))
        row = self.get(run_id)
        self._store.write((KIND, row.id, "note"), (("UPDATE lab_run SET note = ? WHERE id = ?", (text, row.id)),))
        return text

    def delete(self, ids: Sequence[str]) -> None:
        """Remove the rows, now. Raises Unavailable."""
        steps: list[tuple[str, Sequence[Any]]] = []
        for run_id in ids:
            for table in ("lab_run", "lab_run_detail"):
                steps.append((f"DELETE FROM {table} WHERE id = ?", (storable(run_id),)))
        self._store.write((KIND, ",".join(ids), "delete"), steps)
        self._change = next(self._changes)


def _where(query: Query) -> tuple[str, list[Any]]:
    said: list[str] = []
    values: list[Any] = []
    for word in folded(storable(query.text)).split()[:MOST_WORDS]:
        # A note is folded as it is searched: it is changed by a person, beside what the recorder writes.
        escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        said.append(r"(folded LIKE ? ESCAPE '\' OR note LIKE ? ESCAPE '\')")
        values += [f"%{escaped}%"] * 2
    for name in ("kind", "state"):
        if value := getattr(query, name):
            said.append(f"{name} = ?")
            values.append(storable(value))
    return (" WHERE " + " AND ".join(said) if said else ""), values


def _order(query: Query) -> str:
    if query.sort not in COLUMNS:
        raise InvalidInput(Message("lab.error.column", {"value": query.sort[:80], "known": ", ".join(COLUMNS)}))
    way = "DESC" if query.descending else "ASC"
    last = "" if query.sort == "started_at" else f"({query.sort} IS NULL), "
    return f"ORDER BY {last}{query.sort} {way}, number {way}"


def _storable(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value
