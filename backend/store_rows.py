"""The processes' table: a row as a value, its columns, and what of a damaged file is no row."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf
from typing import Any

from backend.errors import Message
from backend.message_document import message_from_json, message_to_json


@dataclass(frozen=True)
class ProcessRow:
    """One started command as the supervisor remembers it.

    ``pid``/``start`` and ``runner_pid``/``runner_start`` name a process within one boot (``boot_id``): start times are
    clock ticks since boot; 0 = not known yet. Times are seconds since the epoch, but ``kill_at``, which counts seconds
    since boot (a stop's deadline, which a changed clock must not move). ``stop_signal`` is the hardest that a stop had
    to send; its column is called "rung". ``about`` is what the starter keeps with it.
    """

    id: str
    kind: str
    name: str
    started_at: float
    boot_id: str
    runner_pid: int = 0
    runner_start: int = 0
    pid: int = 0
    start: int = 0
    ended_at: float | None = None
    exit_code: int | None = None
    stop_signal: str = ""
    stop_requested: bool = False
    kill_at: float = 0.0
    interrupted: bool = False
    problem: Message | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


_FIELDS = tuple(f.name for f in fields(ProcessRow))
COLUMNS = tuple("rung" if name == "stop_signal" else name for name in _FIELDS)
_NONE = type(None)
_NUMBER = (int, float)
_TYPES: Mapping[str, Any] = {
    **dict.fromkeys(("id", "kind", "name", "boot_id", "stop_signal"), str),
    **dict.fromkeys(("runner_pid", "runner_start", "pid", "start", "stop_requested", "interrupted"), int),
    **dict.fromkeys(("started_at", "kill_at"), _NUMBER),
    "ended_at": (*_NUMBER, _NONE),
    "exit_code": (int, _NONE),
    "problem": (dict, _NONE),
    "about": dict,
}


def to_sql(row: ProcessRow) -> tuple[Any, ...]:
    """The row's values, in the order of COLUMNS."""
    problem = None if row.problem is None else json.dumps(message_to_json(row.problem))
    values = (getattr(row, name) for name in _FIELDS[:-2])
    return (*(_storable(value) for value in values), problem, json.dumps(dict(row.about)))


def _storable(value: Any) -> Any:
    """A name may hold bytes that are no text (half of a surrogate pair), which SQLite doesn't take."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def from_sql(row: tuple[Any, ...]) -> ProcessRow:
    """The row of those values. Raises sqlite3.DatabaseError where one isn't what was written."""
    values = dict(zip(_FIELDS, row, strict=True))
    values["about"] = checked(values["about"])
    values["problem"] = None if values["problem"] is None else checked(values["problem"])
    for name, kind in _TYPES.items():
        if not isinstance(values[name], kind) or values[name] in (inf, -inf):
            raise sqlite3.DatabaseError(f"process {values['id']!r}: {name} is {values[name]!r}"[:200])
    for name in ("stop_requested", "interrupted"):
        values[name] = bool(values[name])
    try:
        if values["problem"] is not None:
            values["problem"] = message_from_json(values["problem"])
    except (KeyError, TypeError) as error:
        raise sqlite3.DatabaseError(f"process {values['id']!r}: its problem is no message") from error
    return ProcessRow(**values)


def checked(text: Any) -> Any:
    """A document's value. Raises sqlite3.DatabaseError where the text is none."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise sqlite3.DatabaseError(f"not a document: {str(text)[:80]!r}") from error
