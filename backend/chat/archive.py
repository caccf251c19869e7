"""Conversations as the store keeps them: listed, searched, renamed, pinned, deleted.

A search reads all texts of those that may see them: it finds any part of a word in any script (显存 as well as "kv"),
and nothing of what was deleted can be left in an index. It takes twice SEARCH_S at most. Safe to call from any thread.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any

from backend.errors import ConsoleError, InvalidInput, Message, NotFound, Unavailable
from backend.store import Store
from backend.store_forms import folded, saved, storable, texts, title_of

KIND = "conversation"  # in the store's targets
QUERY_LENGTH = 200
NAME_LENGTH = 120
PAGE = 100  # rows of the list at a time
SEARCH_S = 5  # for each of a search's two questions to the store
COUNT_S = 60
_BEFORE, _AROUND = 30, 140  # characters of a text shown with a match
_ROW = "c.id, c.visitor, c.title, c.named, c.pinned, c.created_at, c.changed_at, c.exchanges"
_NAME = "UPDATE conversation SET title = ?, folded_title = ?, named = ? WHERE id = ?"
_ONE = "(SELECT number FROM conversation WHERE id = ?)"


@dataclass(frozen=True)
class Entry:
    """A conversation in the list. ``named``: by a person; ``snippet``: where what was searched for stands."""

    id: str
    visitor: str
    title: str
    named: bool
    pinned: bool
    created_at: float
    changed_at: float
    exchanges: int
    snippet: str = ""


class Archive:
    """``visitors`` are those whose conversations may be seen (People.circle)."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    # -- the list --------------------------------------------------------------------------------------------------

    def listed(
        self, visitors: Sequence[str], query: str = "", skip: int = 0, limit: int = PAGE
    ) -> tuple[tuple[Entry, ...], int]:
        """A part of the list, pinned ones first, the newest first; and how many there are. With a query, those alone
        whose title or text has all its words. Raises InvalidInput where the query is too long or takes too long."""
        words = words_of(query)
        where, values = f"c.visitor IN ({_marks(visitors)})", [*visitors]
        source = "conversation c"
        if words:
            source += " JOIN conversation_text t ON t.number = c.number"
            for word in words:
                # Not LIKE: on a text of one letter it takes the text's length times the word's
                where += " AND (instr(c.folded_title, ?) OR instr(t.folded, ?))"
                values += [word] * 2
        order = "ORDER BY c.pinned DESC, c.changed_at DESC, c.number DESC"
        read = self._search if words else self._store.rows
        found = read(f"SELECT c.number FROM {source} WHERE {where} {order}", values)
        numbers = [row[0] for row in found[skip : skip + limit]]
        rows = self._store.rows(
            f"SELECT {_ROW} FROM conversation c WHERE c.number IN ({_marks(numbers)}) {order}", numbers
        )
        entries = [_entry(row) for row in rows]
        if words:
            return tuple(self._with_snippets(entries, words)), len(found)
        waiting = [one for one in self._store.waiting(KIND).values() if isinstance(one, Entry)] if not skip else []
        there = {entry.id for entry in entries}
        new = [entry for entry in waiting if entry.visitor in visitors and entry.id not in there]
        return (*new, *entries), len(found) + len(new)

    def _with_snippets(self, entries: Sequence[Entry], words: Sequence[str]) -> Iterator[Entry]:
        sql = (
            "SELECT c.id, b.body FROM conversation c JOIN conversation_body b ON b.number = c.number "
            f"WHERE c.id IN ({_marks(entries)})"
        )
        bodies = dict(self._search(sql, [entry.id for entry in entries]))
        for entry in entries:
            yield replace(entry, snippet=snippet(bodies.get(entry.id, ""), words))

    def _search(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            return self._store.search(sql, values, SEARCH_S)
        except TimeoutError as error:
            raise InvalidInput(Message("chat.error.search_cut", {"seconds": SEARCH_S})) from error

    def entry(self, conversation_id: str, visitors: Sequence[str]) -> Entry:
        """One of the list. NotFound for others', and for what is gone."""
        entry = self._store.waiting(KIND).get(conversation_id)
        rows = (
            [] if entry else self._store.rows(f"SELECT {_ROW} FROM conversation c WHERE c.id = ?", (conversation_id,))
        )
        entry = entry or (_entry(rows[0]) if rows else None)
        if entry is None or entry.visitor not in visitors:
            raise gone()
        return entry

    def exists(self, conversation_id: str) -> bool:
        """Whether anybody's has that id."""
        return conversation_id in self._store.waiting(KIND) or bool(self.owners((conversation_id,)))

    def value(self, conversation_id: str) -> Any | None:
        """A conversation as it was stored; None where there is none."""
        sql = "SELECT v.value FROM conversation c JOIN conversation_value v ON v.number = c.number WHERE c.id = ?"
        rows = self._store.rows(sql, (conversation_id,))
        return json.loads(rows[0][0]) if rows else None

    def ids(self, visitors: Sequence[str]) -> tuple[str, ...]:
        """All of theirs, oldest first."""
        sql = f"SELECT id FROM conversation WHERE visitor IN ({_marks(visitors)}) ORDER BY changed_at, number"
        return tuple(row[0] for row in self._store.rows(sql, visitors))

    def pictures(self) -> frozenset[tuple[str, str]]:
        """The pictures in all conversations, as (visitor, picture's id)."""
        rows = self._store.rows("SELECT visitor, pictures FROM conversation WHERE pictures <> '[]'")
        return frozenset((visitor, name) for visitor, names in rows for name in json.loads(names))

    def owners(self, ids: Sequence[str]) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """(its id, its visitor, its pictures' ids) of each of them that is there."""
        sql = "SELECT id, visitor, pictures FROM conversation WHERE id = ?"
        rows = [row for conversation_id in ids for row in self._store.rows(sql, (conversation_id,))]
        return tuple((found, visitor, tuple(json.loads(names))) for found, visitor, names in rows)

    def bytes_of(self, visitor: str) -> int:
        """The bytes of the text of all of that visitor's, which are all read for that. Raises Unavailable."""
        lengths = " + ".join(f"length(CAST({column} AS BLOB))" for column in ("v.value", "t.folded", "b.body"))
        sql = (
            f"SELECT coalesce(sum({lengths}), 0) FROM conversation c JOIN conversation_value v USING (number) "
            "JOIN conversation_text t USING (number) JOIN conversation_body b USING (number) WHERE c.visitor = ?"
        )
        try:
            return int(self._store.search(sql, (visitor,), COUNT_S)[0][0])
        except TimeoutError as error:
            raise Unavailable(Message("chat.import.count_cut", {"seconds": COUNT_S})) from error

    def bytes_in_total(self) -> int:
        """The bytes of all that stands in the store, whosever it is."""
        sql = "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, "
        return int(self._store.rows(f"{sql}pragma_page_size")[0][0])

    # -- writing ---------------------------------------------------------------------------------------------------

    def save(self, conversation_id: str, visitor: str, stored: Mapping[str, Any], *, whole: bool = True) -> None:
        """Write it now; raises Unavailable, and then it is written as soon as that can be done.

        ``whole``: what is searched, too. While an answer grows that isn't needed.
        """
        now, value = self._clock(), json.dumps(stored)
        body = "\n".join(texts(stored)) if whole else None
        steps = saved(conversation_id, visitor, now, value, stored, body)
        target = (KIND, conversation_id, "")
        try:
            self._store.write(target, steps)
        except ConsoleError:
            title, count = title_of(stored), len(stored["exchanges"])
            new = Entry(conversation_id, visitor, title, False, False, now, now, count)
            self._store.write_soon(target, steps, new)
            raise

    def add(
        self,
        visitor: str,
        new: Sequence[tuple[str, Mapping[str, Any], str]],
        fits: Callable[[int], None] = lambda size: None,
    ) -> None:
        """Write new ones, each with its id and name ("" = its first question's): all of them or none. Raises
        Unavailable, and what ``fits`` raises, which is told before how many bytes of text that will be."""
        steps: list[tuple[str, Sequence[Any]]] = []
        now = self._clock()
        for conversation_id, stored, name in new:
            body = "\n".join(texts(stored))
            steps += saved(conversation_id, visitor, now, json.dumps(stored), stored, body)
            if name := " ".join(storable(name).split()):
                steps.append((_NAME, (name, folded(name), True, conversation_id)))
        fits(sum(len(value.encode()) for _, values in steps for value in values if isinstance(value, str)))
        self._store.write((KIND, new[0][0], "new"), steps)

    def rename(self, entry: Entry, name: str) -> str:
        """Give it that name, "" = that of its first question. Raises InvalidInput, Unavailable."""
        name = " ".join(storable(name).split())
        if len(name) > NAME_LENGTH:
            raise InvalidInput(Message("chat.error.name_long", {"count": len(name), "limit": NAME_LENGTH}))
        named = bool(name)
        title = name or title_of(self.value(entry.id) or {})
        self._store.write((KIND, entry.id, "name"), ((_NAME, (title, folded(title), named, entry.id)),))
        return title

    def pin(self, entry: Entry, pinned: bool) -> None:
        """To the top of the list, or back. Raises Unavailable."""
        sql = "UPDATE conversation SET pinned = ? WHERE id = ?"
        self._store.write((KIND, entry.id, "pin"), ((sql, (pinned, entry.id)),))

    def delete(self, ids: Sequence[str]) -> None:
        """Remove them, so that no byte of them is left in the store. Raises Unavailable: they are all there then."""
        for conversation_id in ids:
            steps: list[tuple[str, Sequence[Any]]] = [
                (f"DELETE FROM {table} WHERE number = {_ONE}", (conversation_id,))
                for table in ("conversation_text", "conversation_body", "conversation_value")
            ]
            steps.append(("DELETE FROM conversation WHERE id = ?", (conversation_id,)))
            self._store.write((KIND, conversation_id, ""), steps)
        self._store.scrub()

    def older(self, visitors: Sequence[str], seconds: float) -> tuple[str, ...]:
        """Those of the visitors that nobody has changed for so long, pinned or not."""
        since = self._clock() - seconds
        found: list[str] = []
        for visitor in visitors:
            sql = "SELECT id FROM conversation WHERE visitor = ? AND changed_at < ?"
            found += [row[0] for row in self._store.rows(sql, (visitor, since))]
        return tuple(found)


def words_of(query: str) -> tuple[str, ...]:
    """What has to be found, folded as the texts are; what is in quotes is one. InvalidInput where it is too long."""
    if len(query) > QUERY_LENGTH:
        raise InvalidInput(Message("chat.error.query_long", {"count": len(query), "limit": QUERY_LENGTH}))
    found = re.findall(r'"([^"]+)"|(\S+)', folded(storable(query)).replace("\u201c", '"').replace("\u201d", '"'))
    words = dict.fromkeys(word for pair in found for word in pair if word)
    return tuple(words)


def snippet(body: str, words: Sequence[str]) -> str:
    """The part of a text around the first word that is in it; its beginning where the name alone has them."""
    text = folded(body)
    places = [place for word in words if (place := text.find(word)) >= 0]
    begin = max(0, places[0] - _BEFORE) if places else 0
    return " ".join(body[begin : begin + _AROUND].split())


def gone() -> NotFound:
    """That conversation isn't there, or not this visitor's: nobody is told which."""
    return NotFound(Message("chat.error.conversation_gone"))


def unreadable(entry: Entry) -> Unavailable:
    """It stays as it is in the store."""
    return Unavailable(Message("chat.error.conversation_unreadable", {"name": entry.title}))


def _entry(row: Sequence[Any]) -> Entry:
    conversation_id, visitor, title, named, pinned, created_at, changed_at, exchanges = row
    return Entry(conversation_id, visitor, title, bool(named), bool(pinned), created_at, changed_at, exchanges)


def _marks(values: Sized) -> str:
    return ", ".join("?" * len(values))
