"""What the console remembers across restarts: one SQLite file in the state directory, mode 0600.

Two kinds of content: the processes that the supervisor started, and JSON documents by area ("server", "job", "setting",
"plan" …) and key. Every method is safe to call from any thread.
"""

import errno
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from backend.errors import Message, Unavailable

FILE_NAME = "console.sqlite3"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProcessRow:
    """One started command as the supervisor remembers it.

    ``pid``/``start`` and ``runner_pid``/``runner_start`` name a process within one boot (``boot_id``): start times are
    clock ticks since boot; 0 = not known yet. Times are seconds since the epoch, but ``kill_at``, which counts seconds
    since boot (a stop's deadline, which a changed clock must not move). ``about`` is what the starter keeps with it.
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
    rung: str = ""
    stop_requested: bool = False
    kill_at: float = 0.0
    interrupted: bool = False
    problem: Message | None = None
    about: Mapping[str, Any] = field(default_factory=dict)


_COLUMNS = tuple(f.name for f in fields(ProcessRow))
_SCHEMA = f"""
    CREATE TABLE IF NOT EXISTS process ({", ".join(_COLUMNS)}, PRIMARY KEY (id));
    CREATE TABLE IF NOT EXISTS document (area TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (area, key));
"""


class Store:
    """The database of one state directory. Raises Unavailable where it can't be opened or written.

    A file that isn't a sound database is moved aside and a new one begun; ``problem`` then says so.
    """

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / FILE_NAME
        self.problem: Message | None = None
        self._lock = threading.RLock()
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._db = self._open()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                log.warning("%s is corrupted: %s", self.path, error)
                self.problem = self._move_aside()
                self._db = self._open()
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(_unusable(self.path, error)) from error

    def get_json(self, area: str, key: str) -> Any | None:
        """The document, or None where there is none."""
        with self._access() as db:
            row = db.execute("SELECT value FROM document WHERE area = ? AND key = ?", (area, key)).fetchone()
        return None if row is None else json.loads(row[0])

    def put_json(self, area: str, key: str, value: Any) -> None:
        """Write the document (anything json.dumps takes) whole, or not at all."""
        text = json.dumps(value)
        with self._access() as db:
            db.execute(
                "INSERT INTO document VALUES (?, ?, ?) ON CONFLICT (area, key) DO UPDATE SET value = excluded.value",
                (area, key, text),
            )

    def delete(self, area: str, key: str) -> None:
        """Remove the document if it is there."""
        with self._access() as db:
            db.execute("DELETE FROM document WHERE area = ? AND key = ?", (area, key))

    def all(self, area: str) -> dict[str, Any]:
        """Every document of the area by key, oldest first."""
        with self._access() as db:
            rows = db.execute("SELECT key, value FROM document WHERE area = ? ORDER BY rowid", (area,)).fetchall()
        return {key: json.loads(value) for key, value in rows}

    def save_process(self, row: ProcessRow) -> None:
        """Insert the process, or replace what is known of it."""
        marks = ", ".join("?" * len(_COLUMNS))
        with self._access() as db:
            db.execute(f"INSERT OR REPLACE INTO process VALUES ({marks})", _to_sql(row))

    def delete_process(self, process_id: str) -> None:
        """Forget the process if it is known."""
        with self._access() as db:
            db.execute("DELETE FROM process WHERE id = ?", (process_id,))

    def processes(self) -> tuple[ProcessRow, ...]:
        """Every process known, oldest first."""
        with self._access() as db:
            rows = db.execute(f"SELECT {', '.join(_COLUMNS)} FROM process ORDER BY started_at").fetchall()
        return tuple(_from_sql(row) for row in rows)

    def close(self) -> None:
        """Close the file. A later call raises Unavailable."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _access(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        with self._lock:
            try:
                with self._db:
                    yield self._db
            except sqlite3.Error as error:
                raise Unavailable(_unusable(self.path, error)) from error

    def _open(self) -> sqlite3.Connection:
        # SQLite gives its -wal and -shm files the mode of the database.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self.path.chmod(0o600)
        db = sqlite3.connect(self.path, timeout=10, check_same_thread=False)
        try:
            if db.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("quick_check failed")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.executescript(_SCHEMA)
            for (value,) in db.execute("SELECT value FROM document"):
                _checked(value)
            for row in db.execute(f"SELECT {', '.join(_COLUMNS)} FROM process"):
                _from_sql(row)
        except BaseException:
            db.close()
            raise
        return db

    def _move_aside(self) -> Message:
        kept = self.path.with_name(f"{FILE_NAME}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}")
        self.path.rename(kept)
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                self.path.with_name(FILE_NAME + suffix).rename(kept.with_name(kept.name + suffix))
        return Message("servers.store.corrupted", {"file": str(self.path), "kept": str(kept)}, level="warning")


def _unusable(path: Path, error: Exception) -> Message:
    full = "disk is full" in str(error) or (isinstance(error, OSError) and error.errno == errno.ENOSPC)
    key = "servers.store.full" if full else "servers.store.unusable"
    return Message(key, {"file": str(path), "error": str(error)})


def _to_sql(row: ProcessRow) -> tuple[Any, ...]:
    problem = None if row.problem is None else json.dumps(message_to_json(row.problem))
    return (*(getattr(row, name) for name in _COLUMNS[:-2]), problem, json.dumps(dict(row.about)))


def _from_sql(row: tuple[Any, ...]) -> ProcessRow:
    """Raises sqlite3.DatabaseError where a value isn't what was written."""
    values = dict(zip(_COLUMNS, row, strict=True))
    for name in ("stop_requested", "interrupted"):
        values[name] = bool(values[name])
    values["about"] = _checked(values["about"])
    values["problem"] = None if values["problem"] is None else message_from_json(_checked(values["problem"]))
    return ProcessRow(**values)


def _checked(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError) as error:
        raise sqlite3.DatabaseError(f"not a document: {str(text)[:80]!r}") from error


def message_to_json(message: Message) -> dict[str, Any]:
    """A Message as a document."""
    return {"key": message.key, "params": dict(message.params), "field": message.field, "level": message.level}


def message_from_json(value: Mapping[str, Any]) -> Message:
    """The Message that ``message_to_json`` wrote."""
    return Message(value["key"], value["params"], value["field"], value["level"])
