"""What the console remembers across restarts: one SQLite file in the state directory, mode 0600.

Three kinds of content: the processes that the supervisor started; JSON documents by area ("server", "job", "setting",
"plan" …) and key; conversations, whose tables chat/archive.py reads and writes by ``rows`` and ``write``. Which form
the file has stands in its ``user_version`` (store_forms.py). Every method is safe to call from any thread.

What is deleted is overwritten (``secure_delete``); ``scrub`` empties the log of it too.

There are two ways to write. ``put_json`` and ``delete`` write at once and raise where that can't be done: for what a
person has just set. ``keep…`` and ``drop…`` never wait and never raise: for what has happened, which is true whether or
not it can be written. A thread writes it soon; what can't be written (a full disk, a locked or read-only file) is tried
again until it can, and ``unsaved`` says so meanwhile. Readers see it at once.
"""

import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from backend import disk
from backend.errors import Message, Unavailable
from backend.outside_text import clean
from backend.private_folders import make_private
from backend.store_forms import FORM, bring_up
from backend.store_rows import COLUMNS, ProcessRow, checked, from_sql, to_sql

FILE_NAME = "console.sqlite3"
# How long another program may hold the file: a page waits so long at most, and only one that writes a setting.
BUSY_S = 0.5
OPEN_BUSY_S = 5.0
RETRY_S = 1.0
_PROGRESS_STEPS = 1000  # of SQLite's machine, between two looks at the clock
_MOST_NAMED = 3
# Of a damaged file SQLite may say something, a name in it, say, that is no text. What it can't hold: half of a
# surrogate pair, a giant number.
SQLITE_ERRORS = (sqlite3.Error, UnicodeError, OverflowError)
# Folders beside the database that are filled only where there was one before.
_WITNESSES = ("runs", "jobs", "pictures")

log = logging.getLogger(__name__)


_SCHEMA = f"""
    CREATE TABLE IF NOT EXISTS process ({", ".join(COLUMNS)}, PRIMARY KEY (id));
    CREATE TABLE IF NOT EXISTS document (area TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (area, key));
"""
_PUT = "INSERT INTO document VALUES (?, ?, ?) ON CONFLICT (area, key) DO UPDATE SET value = excluded.value"
_SAVE = f"INSERT OR REPLACE INTO process VALUES ({', '.join('?' * len(COLUMNS))})"

# What is written: "document", its area and key; "process", its id and ""; "conversation", its id and "".
Target = tuple[str, str, str]
Steps = Sequence[tuple[str, Sequence[Any]]]  # SQL with its values, in one transaction


@dataclass(frozen=True, eq=False)
class _Write:
    """Rows to write. ``value`` is what a reader gets meanwhile: a document's text or a row; None = it is deleted."""

    steps: Steps
    value: Any = None

    def run(self, db: sqlite3.Connection) -> None:
        for sql, parameters in self.steps:
            db.execute(sql, parameters)


class Store:
    """The database of one state directory. Raises Unavailable where it can't be opened.

    A file that isn't a sound database is moved aside and a new one begun; ``problem`` then says so.
    """

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / FILE_NAME
        self.problem: Message | None = None
        try:
            make_private(state_dir)
            try:
                self._writer = self._open()
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                log.warning("%s is damaged: %s", self.path, error)
                self.problem = self._move_aside()
                self._writer = self._open()
            self._reader = self._connect()
            self._tables = self._connect()
        except (OSError, *SQLITE_ERRORS) as error:
            raise Unavailable(_unusable(self.path, error)) from error
        # Each connection serves one thread at a time. Who reads never waits for who writes.
        self._read_lock = threading.Lock()
        self._tables_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._pending_lock = threading.Lock()
        self._pending: dict[Target, _Write] = {}
        self._refused: dict[Target, tuple[_Write, Exception]] = {}  # of those, which no database takes
        self._unsaved: Message | None = None
        self._scrub_due = False
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._keep_writing, name="store", daemon=True)
        self._thread.start()

    @property
    def unsaved(self) -> Message | None:
        """Why what has happened of late isn't in the file yet, with the remedy; None where it is."""
        return self._unsaved

    # Documents

    def get_json(self, area: str, key: str) -> Any | None:
        """The document, or None where there is none. Raises Unavailable."""
        with self._pending_lock:
            waiting = self._pending.get(("document", area, key))
        if waiting is not None:
            return None if waiting.value is None else json.loads(waiting.value)
        with self._reading() as db:
            row = db.execute("SELECT value FROM document WHERE area = ? AND key = ?", (area, key)).fetchone()
            return None if row is None else checked(row[0])

    def all(self, area: str) -> dict[str, Any]:
        """Every document of the area by key, oldest first. Raises Unavailable."""
        # In this order: what is written in between is seen twice, never not at all.
        with self._pending_lock:
            waiting = {target[2]: write for target, write in self._pending.items() if target[:2] == ("document", area)}
        with self._reading() as db:
            rows = db.execute("SELECT key, value FROM document WHERE area = ? ORDER BY rowid", (area,))
            documents = {key: checked(value) for key, value in rows}
        for key, write in waiting.items():
            if write.value is None:
                documents.pop(key, None)
            else:
                documents[key] = json.loads(write.value)
        return documents

    def put_json(self, area: str, key: str, value: Any) -> None:
        """Write the document (anything json.dumps takes) now, whole or not at all. Raises Unavailable."""
        self._write_now(("document", area, key), _document(area, key, value))

    def delete(self, area: str, key: str) -> None:
        """Remove the document if it is there, now. Raises Unavailable."""
        self._write_now(("document", area, key), _no_document(area, key))

    def keep_json(self, area: str, key: str, value: Any) -> None:
        """Write the document as soon as that can be done."""
        self._write_soon(("document", area, key), _document(area, key, value))

    def drop_json(self, area: str, key: str) -> None:
        """Remove the document as soon as that can be done."""
        self._write_soon(("document", area, key), _no_document(area, key))

    # Processes

    def save_process(self, row: ProcessRow) -> None:
        """Insert the process, or replace what is known of it, now. Raises Unavailable."""
        self._write_now(("process", row.id, ""), _Write(((_SAVE, to_sql(row)),), row))

    def keep_process(self, row: ProcessRow) -> None:
        """Insert the process, or replace what is known of it, as soon as that can be done."""
        self._write_soon(("process", row.id, ""), _Write(((_SAVE, to_sql(row)),), row))

    def drop_process(self, process_id: str) -> None:
        """Forget the process, as soon as that can be done."""
        self._write_soon(("process", process_id, ""), _Write((("DELETE FROM process WHERE id = ?", (process_id,)),)))

    def processes(self) -> tuple[ProcessRow, ...]:
        """Every process known, oldest first. Raises Unavailable."""
        with self._pending_lock:
            waiting = {target[1]: write.value for target, write in self._pending.items() if target[0] == "process"}
        with self._reading() as db:
            stored = db.execute(f"SELECT {', '.join(COLUMNS)} FROM process ORDER BY started_at")
            rows = {row.id: row for row in map(from_sql, stored)}
        rows |= waiting
        return tuple(sorted(filter(None, rows.values()), key=lambda row: row.started_at))

    # Tables of others

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a short query finds. Raises Unavailable."""
        with self._tables_lock:
            try:
                return self._tables.execute(sql, parameters).fetchall()
            except SQLITE_ERRORS as error:
                raise Unavailable(_unusable(self.path, error)) from error

    def search(self, sql: str, parameters: Sequence[Any], seconds: float) -> list[tuple[Any, ...]]:
        """What a query finds that may take long; no other reader waits for it. Raises TimeoutError where it isn't done
        in ``seconds``, Unavailable."""
        until = time.monotonic() + seconds
        try:
            with closing(self._connect()) as db:
                db.set_progress_handler(lambda: time.monotonic() > until, _PROGRESS_STEPS)
                return db.execute(sql, parameters).fetchall()
        except SQLITE_ERRORS as error:
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
                raise TimeoutError(f"a search of {seconds} s") from error
            raise Unavailable(_unusable(self.path, error)) from error

    def write(self, target: Target, steps: Steps) -> None:
        """Do the steps now, all of them or none. What waits for that target is given up. Raises Unavailable."""
        self._write_now(target, _Write(steps))

    def write_soon(self, target: Target, steps: Steps, value: Any) -> None:
        """Do the steps as soon as that can be done; ``waiting`` tells of the value meanwhile."""
        self._write_soon(target, _Write(steps, value))

    def waiting(self, kind: str) -> dict[str, Any]:
        """What waits to be written of that kind of target, by its id; None = it is deleted."""
        with self._pending_lock:
            return {target[1]: write.value for target, write in self._pending.items() if target[0] == kind}

    def scrub(self) -> bool:
        """Empty the log, so that nothing that was deleted is left in any byte of the file's folder. Whether that was
        done; else it is tried again until it is."""
        self._scrub_due = not self._scrubbed()
        if self._scrub_due:
            self._wake.set()
        return not self._scrub_due

    def _scrubbed(self) -> bool:
        with self._write_lock:
            try:
                [(busy, _, _)] = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except SQLITE_ERRORS as error:
                log.warning("%s: the log can't be emptied for now: %s", self.path, error)
                return False
            return not busy

    # Writing

    def settle(self) -> bool:
        """Write what waits, now; whether all of it is in the file. It takes BUSY_S or so at most."""
        return self._write_pending()

    def close(self) -> None:
        """Write what waits, if that can be done, and close. A later read or ``put_json`` raises Unavailable."""
        self._closed = True
        self._wake.set()
        self._thread.join(timeout=10)
        if not self._write_pending():
            log.error("closed with changes that could not be stored: %s", self._unsaved)
        with self._write_lock, self._read_lock, self._tables_lock:
            for connection in (self._writer, self._reader, self._tables):
                connection.close()

    def _write_now(self, target: Target, write: _Write) -> None:
        with self._write_lock:
            with self._pending_lock:
                older = self._pending.get(target)
            try:
                with self._writer as db:
                    write.run(db)
            except SQLITE_ERRORS as error:
                raise Unavailable(_unusable(self.path, error)) from error
            with self._pending_lock:
                if self._pending.get(target) is older:
                    self._pending.pop(target, None)

    def _write_soon(self, target: Target, write: _Write) -> None:
        with self._pending_lock:
            self._pending.pop(target, None)  # to the end: rows keep the order in which they came
            self._pending[target] = write
        self._wake.set()

    def _write_pending(self) -> bool:
        """Write everything that waits in one transaction; whether that was done.

        What the database doesn't take is left waiting, and keeps nothing else from being written.
        """
        with self._write_lock:
            with self._pending_lock:
                batch = dict(self._pending)
            # Not tried again until something else is written in their place: they would fail the transaction of all.
            refused = {target: one for target, one in self._refused.items() if batch.get(target) is one[0]}
            for target in refused:
                del batch[target]
            error = self._tried(batch.values())
            left: dict[Target, Exception] = {}
            if isinstance(error, sqlite3.OperationalError):  # the file's trouble, not one row's
                left = dict.fromkeys(batch, error)
            elif error is not None:
                tried = {target: self._tried((write,)) for target, write in batch.items()}
                left = {target: why for target, why in tried.items() if why is not None}
            for target, why in left.items():
                if _why(self.path, why) == "refused":
                    refused[target] = (batch[target], why)
            self._refused = refused
            left = {target: why for target, (_, why) in refused.items()} | left
            with self._pending_lock:
                for target, write in batch.items():
                    if target not in left and self._pending.get(target) is write:
                        del self._pending[target]
            unsaved = _not_yet(self.path, left) if left else None
            if unsaved is not None and (self._unsaved is None or self._unsaved.key != unsaved.key):
                log.warning("%s can't be written for now: %s", self.path, dict(unsaved.params))
            self._unsaved = unsaved
            return not left

    def _tried(self, writes: Iterable[_Write]) -> Exception | None:
        """Why they can't be written, all of them or none; None where they are now."""
        try:
            with self._writer as db:
                for write in writes:
                    write.run(db)
        except SQLITE_ERRORS as error:
            return error
        return None

    def _keep_writing(self) -> None:
        """The thread's life: write what comes, and try again what could not be written."""
        written = True
        while not self._closed:
            self._wake.wait(None if written and not self._scrub_due else RETRY_S)
            self._wake.clear()
            try:
                written = self._write_pending()
                if self._scrub_due and self._scrubbed():
                    self._scrub_due = False
            except Exception:  # the thread must live on, whatever one row holds
                log.exception("the store's thread")
                written = False

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._read_lock:
            try:
                yield self._reader
            except SQLITE_ERRORS as error:
                raise Unavailable(_unusable(self.path, error)) from error

    # The file

    def _connect(self, busy_s: float = BUSY_S) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=busy_s, check_same_thread=False)

    def _open(self) -> sqlite3.Connection:
        """A connection to a sound database. Raises sqlite3.DatabaseError or UnicodeDecodeError where it is none."""
        # An emptied file is a sound database to SQLite; here it means that everything in it is lost.
        if self.path.exists() and self.path.stat().st_size == 0 and self._was_used():
            raise sqlite3.DatabaseError("the file is empty")
        # SQLite gives its -wal and -shm files the mode of the database.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self.path.chmod(0o600)
        db = self._connect(OPEN_BUSY_S)
        db.text_factory = bytes.decode  # strict: damage may stand in a value, which no check looks at
        try:
            # quick_check would not notice an index that doesn't find its rows: a conversation would seem never begun.
            if db.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("integrity_check failed")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA secure_delete = ON")
            db.executescript(_SCHEMA)
            self._check_form(db)
            if bring_up(db):
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what was moved stands in one place
            for (value,) in db.execute("SELECT value FROM document"):
                checked(value)
            for row in db.execute(f"SELECT {', '.join(COLUMNS)} FROM process"):
                from_sql(row)
            db.execute(f"PRAGMA busy_timeout = {round(BUSY_S * 1000)}")
        except BaseException:
            db.close()
            raise
        return db

    def _check_form(self, db: sqlite3.Connection) -> None:
        """Raises Unavailable where a newer console wrote the file: this one would lose what it doesn't know."""
        [form] = db.execute("PRAGMA user_version").fetchone()
        if form > FORM:
            raise Unavailable(Message("servers.store.newer", {"file": str(self.path), "form": form, "known": FORM}))

    def _was_used(self) -> bool:
        """Whether something else in the state directory shows that there was a database."""
        folders = (self.path.parent / name for name in _WITNESSES)
        return any(folder.is_dir() and any(folder.iterdir()) for folder in folders)

    def _move_aside(self) -> Message:
        kept = self.path.with_name(f"{FILE_NAME}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}")
        self.path.rename(kept)
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                self.path.with_name(FILE_NAME + suffix).rename(kept.with_name(kept.name + suffix))
        return Message("servers.store.corrupted", {"file": str(self.path), "kept": str(kept)}, level="warning")


def _document(area: str, key: str, value: Any) -> _Write:
    text = json.dumps(value)
    return _Write(((_PUT, (area, key, text)),), text)


def _no_document(area: str, key: str) -> _Write:
    return _Write((("DELETE FROM document WHERE area = ? AND key = ?", (area, key)),))


def _unusable(path: Path, error: Exception) -> Message:
    return Message(f"servers.store.{_why(path, error)}", {"file": str(path), "error": str(error)})


def _not_yet(path: Path, left: Mapping[Target, Exception]) -> Message:
    """Why what waits can't be written: the file's trouble, else the rows that the database doesn't take."""
    error = next((error for error in left.values() if isinstance(error, sqlite3.OperationalError)), None)
    if error is not None:
        params = {"file": str(path), "error": str(error)}
        return Message(f"servers.store.unsaved-{_why(path, error)}", params, level="warning")
    names = [clean(" ".join(target).strip()) for target in islice(left, _MOST_NAMED)]
    more = ["…"] if len(left) > len(names) else []
    params = {"file": str(path), "names": ", ".join(names + more), "error": clean(str(next(iter(left.values()))))}
    return Message("servers.store.unsaved-rows", params, level="warning")


def _why(path: Path, error: Exception) -> str:
    """ "full", "busy" (another program holds the file), "refused" (what is written can't be held) or "unusable"."""
    if isinstance(error, UnicodeEncodeError | OverflowError | sqlite3.DataError):
        return "refused"
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return "busy"
        # A full disk shows as SQLITE_FULL, or as an I/O error where the index beside the log can't grow.
        full = code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and disk.nothing_free(path))
    else:
        full = isinstance(error, OSError) and disk.is_full(error)
    return "full" if full else "unusable"
