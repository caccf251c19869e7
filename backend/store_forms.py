"""The forms that the database has had, and how an older one becomes today's. ``PRAGMA user_version`` says which it is.

    0   each visitor has one conversation, a document of the area "chat"
    1   conversations stand in tables of their own, as many as a visitor likes
    2   the Lab: every start and every quantization is a row that stays; the history of memory and servers

Each step is one transaction: a console that is killed in it, or finds the disk full, leaves the older form as it was.
"""

import json
import logging
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping
from typing import Any

FORM = 2
TITLE_LENGTH = 80
# The list is read often and is small. What is searched stands apart, as close together as can be: a search reads all of
# it. Its text as it was written, of which a search shows a part, and what is opened stand apart from both.
_CONVERSATIONS = (
    """CREATE TABLE conversation (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, visitor TEXT NOT NULL, title TEXT NOT NULL,
        folded_title TEXT NOT NULL, named INTEGER NOT NULL DEFAULT 0, pinned INTEGER NOT NULL DEFAULT 0,
        created_at REAL NOT NULL, changed_at REAL NOT NULL, exchanges INTEGER NOT NULL, pictures TEXT NOT NULL)""",
    "CREATE INDEX conversation_by_visitor ON conversation (visitor, pinned, changed_at)",
    "CREATE TABLE conversation_text (number INTEGER PRIMARY KEY, folded TEXT NOT NULL)",
    "CREATE TABLE conversation_body (number INTEGER PRIMARY KEY, body TEXT NOT NULL)",
    "CREATE TABLE conversation_value (number INTEGER PRIMARY KEY, value TEXT NOT NULL)",
)
# What is filtered and sorted is narrow; the rest of a row (settings, command, reason) is read one by one.
_LAB = (
    """CREATE TABLE lab_run (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, state TEXT NOT NULL,
        name TEXT NOT NULL, model TEXT NOT NULL, engine TEXT NOT NULL, settings TEXT NOT NULL, gpu TEXT NOT NULL,
        environment TEXT NOT NULL, started_at REAL NOT NULL, ended_at REAL, load_s REAL, planned_bytes INTEGER,
        measured_bytes INTEGER, weights_bytes INTEGER, context_bytes INTEGER, kv_bytes INTEGER, work_bytes INTEGER,
        host_bytes INTEGER, tokens INTEGER, tokens_per_s REAL, ttft_ms REAL, perplexity REAL,
        note TEXT NOT NULL DEFAULT '', folded TEXT NOT NULL)""",
    "CREATE INDEX lab_run_by_start ON lab_run (started_at)",
    "CREATE TABLE lab_run_detail (id TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE lab_history (step INTEGER, at INTEGER, value TEXT NOT NULL, PRIMARY KEY (step, at)) WITHOUT ROWID",
)
_SAVED = """
    INSERT INTO conversation (id, visitor, title, folded_title, created_at, changed_at, exchanges, pictures)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
        title = CASE WHEN named THEN title ELSE excluded.title END,
        folded_title = CASE WHEN named THEN folded_title ELSE excluded.folded_title END,
        changed_at = excluded.changed_at, exchanges = excluded.exchanges, pictures = excluded.pictures"""
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20, 0: 0x20}

log = logging.getLogger(__name__)


def bring_up(db: sqlite3.Connection) -> bool:
    """Make today's form of an older one; whether there was anything to do. Raises sqlite3.Error."""
    [form] = db.execute("PRAGMA user_version").fetchone()
    if form >= FORM:
        return False
    for number, step in enumerate(_STEPS[form:], form + 1):
        db.execute("BEGIN IMMEDIATE")
        try:
            step(db)
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
    return True


def _conversations(db: sqlite3.Connection) -> None:
    for statement in _CONVERSATIONS:
        db.execute(statement)
    for visitor, text in db.execute("SELECT key, value FROM document WHERE area = 'chat'").fetchall():
        _move(db, visitor, text)
    db.execute("DELETE FROM document WHERE area = 'chat'")


def _lab(db: sqlite3.Connection) -> None:
    for statement in _LAB:
        db.execute(statement)


_STEPS = (_conversations, _lab)  # the first makes form 1 of form 0


def _move(db: sqlite3.Connection, visitor: str, text: str) -> None:
    """One visitor's conversation: it stays the one that is open, and its settings are those of the next one."""
    stored = json.loads(text)
    stored = stored if isinstance(stored, Mapping) else {}
    said = list(texts(stored))
    desk: dict[str, Any] = {"open": "", "sampling": stored.get("sampling")}
    if said or stored.get("exchanges"):
        desk["open"] = conversation_id = secrets.token_hex(8)
        for sql, values in saved(conversation_id, visitor, time.time(), text, stored, "\n".join(said)):
            db.execute(sql, values)
    db.execute("INSERT OR REPLACE INTO document VALUES ('chat_desk', ?, ?)", (visitor, json.dumps(desk)))


def saved(
    conversation_id: str, visitor: str, now: float, value: str, stored: Mapping[str, Any], body: str | None
) -> list[tuple[str, tuple[Any, ...]]]:
    """The steps that write a conversation, new or not. ``value`` is ``stored`` as a text; ``body`` is what is searched,
    None = as it was."""
    title, pictures = title_of(stored), json.dumps(sorted(pictures_of(stored)))
    exchanges = stored.get("exchanges")
    count = len(exchanges) if isinstance(exchanges, list) else 0
    one = "(SELECT number FROM conversation WHERE id = ?)"
    steps: list[tuple[str, tuple[Any, ...]]] = [
        (_SAVED, (conversation_id, visitor, title, folded(title), now, now, count, pictures)),
        (f"INSERT OR REPLACE INTO conversation_value VALUES ({one}, ?)", (conversation_id, value)),
    ]
    if body is not None:
        for table, text in (("text", folded(body)), ("body", body)):
            steps.append((f"INSERT OR REPLACE INTO conversation_{table} VALUES ({one}, ?)", (conversation_id, text)))
    return steps


def folded(text: str) -> str:
    """As it is searched: capitals and full-width forms don't count, and a search would end at a NUL.

    Each character stays at its place.
    """
    lower = text.lower()
    if len(lower) != len(text):  # İ and the like become two
        lower = "".join(low if len(low := character.lower()) == 1 else character for character in text)
    return lower.translate(_FULL_WIDTH)


def storable(text: str) -> str:
    """Without what a column of texts can't hold: halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()


def title_of(stored: Mapping[str, Any]) -> str:
    """The first line of the first question, shortened; the first file's or picture's name where nothing was written."""
    for exchange in _exchanges(stored):
        question = exchange.get("question")
        question = question if isinstance(question, Mapping) else {}
        words = " ".join(storable(str(question.get("text") or "")).split())
        if words:
            return words if len(words) <= TITLE_LENGTH else words[: TITLE_LENGTH - 1] + "…"
        for added in (*(question.get("documents") or ()), *(question.get("pictures") or ())):
            if isinstance(added, Mapping) and added.get("name"):
                return storable(str(added["name"]))[:TITLE_LENGTH]
    return ""


def texts(stored: Mapping[str, Any]) -> Iterator[str]:
    """What a search finds: questions, their files and answers of all branches, the shown one first."""
    for exchange in _exchanges(stored):
        question, answers = exchange.get("question"), exchange.get("answers")
        for said in (question, *(answers if isinstance(answers, list) else ())):
            if isinstance(said, Mapping) and (text := said.get("text")):
                yield storable(str(text))
        for document in (question.get("documents") or ()) if isinstance(question, Mapping) else ():
            if isinstance(document, Mapping):
                yield storable(f"{document.get('name')}\n{document.get('text')}")


def pictures_of(stored: Mapping[str, Any]) -> set[str]:
    """The ids of all pictures in it."""
    found = set()
    for exchange in _exchanges(stored):
        question = exchange.get("question")
        for picture in (question.get("pictures") or ()) if isinstance(question, Mapping) else ():
            if isinstance(picture, Mapping):
                found.add(str(picture.get("id")))
    return found


def _exchanges(stored: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    asides = stored.get("asides")
    asides = asides if isinstance(asides, list) else []
    places = [stored.get("exchanges"), *(aside.get("exchanges") for aside in asides if isinstance(aside, Mapping))]
    for place in places:
        for exchange in place if isinstance(place, list) else ():
            if isinstance(exchange, Mapping):
                yield exchange
