"""The text in records of training or evaluation data. What of it isn't taken is counted by its field. Pure.

A field with a known name counts whatever it holds; another counts if it holds prose, which its values in all records
tell together. Beside known ones that takes long prose, since most other fields say where a text comes from.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backend.quantization.record_names import (
    KINDS,
    KNOWN,
    ORDER,
    PACKED,
    PARTS,
    SAID,
    SPEAKER,
    TITLES,
    WHOLE,
    WRAPPERS,
    is_no_text,
)
from backend.quantization.text_json import loads

LEAST_PROSE = 20  # characters: shorter values of unknown fields are rather names and categories
PROSE_SHARE = 0.2  # of a field's values: where so many are prose, the short ones are text too
LONG = 40  # characters on average: authors, licences and categories have fewer, or are always the same
JUDGED = 400  # characters of a value
DEEPEST = 16
_NO_PROSE = ("data:", "Mozilla/", '{"', "{'", '["', "['", "[{", "[[")
_PLACE = {name: place for place, name in enumerate(ORDER)}


class TextRecords:
    """The samples in a JSON value: a text, a record, a list of them, or what wraps such a list.

    ``left`` holds, by field, in how many records it had text that wasn't taken; it is complete after ``texts``.
    """

    def __init__(self, value: Any) -> None:
        self._value = value
        self.left = Counter[str]()
        fields, known = dict[str, _Field](), False
        for name, text in _values("", value, 0):
            if (field := fields.get(name)) is not None:
                field.add(text)
            elif name not in KNOWN:
                fields[name] = _Field(text)
            elif name not in TITLES:
                known = True
        self._prose = {name for name, field in fields.items() if field.is_prose(beside_known=known)}

    def texts(self) -> Iterator[str]:
        """Every sample's text."""
        yield from self._samples(self._value, 0)

    def _samples(self, value: Any, depth: int) -> Iterator[str]:
        if depth > DEEPEST:
            return
        if isinstance(value, str):
            if value.strip():
                yield value
        elif isinstance(value, dict):
            yield from self._of_record(_lower(value), depth)
        elif isinstance(value, list):
            if value and all(_is_turn(turn) for turn in value):
                yield from self._one({"messages": value}, depth)
            else:
                for item in value:
                    yield from self._samples(item, depth + 1)

    def _of_record(self, record: Mapping[str, Any], depth: int) -> Iterator[str]:
        """A record is one sample; a table by columns has one in each row; what wraps records has all of theirs."""
        rows = _table(record) or self._columns(record)
        own = {name for name, value in record.items() if self._is_own(name, value)}
        wraps = not (own & KNOWN) - TITLES and any(
            name in WRAPPERS and _is_container(value) for name, value in record.items()
        )
        if rows:
            yield from self._samples(rows, depth + 1)
        elif _is_turn(record) or (own and not wraps):
            yield from self._one(record, depth)
        else:
            yield from self._one({name: value for name, value in record.items() if not _is_container(value)}, depth)
            yield from self._inside({name: value for name, value in record.items() if _is_container(value)}, depth)

    def _inside(self, record: Mapping[str, Any], depth: int) -> Iterator[str]:
        """The samples of what a record without text of its own holds; of data for taggers, the words."""
        lists = [name for name, value in record.items() if _is_strings(value)]
        names = [name for name in lists if name not in WRAPPERS | KNOWN and name not in self._prose]
        some = False
        for name, value in record.items():
            for text in self._samples(value, depth + 1) if name not in names else ():
                some = True
                yield text
        first = next((name for name in names if not some and not is_no_text(name)), "")
        if first:
            yield _joined_words(record[first]) if _is_words(record[first]) else "\n".join(record[first])
        self.left.update(name for name in names if name != first)

    def _columns(self, record: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of a table that is written by columns; none where it is something else."""
        columns = {name: _column(value) for name, value in record.items() if isinstance(_column(value), list)}
        known = [
            name
            for name, column in columns.items()
            if name in WHOLE or name in PARTS
            if all(cell is None or isinstance(cell, str) for cell in column)
        ]
        lengths = {len(columns[name]) for name in known}
        single = len(known) == 1 and known[0] not in WHOLE
        if len(lengths) != 1 or lengths <= {0, 1} or single or any(self._counts(*item) for item in record.items()):
            return []
        columns = {name: column for name, column in columns.items() if len(column) in lengths}
        self.left.update(name for name, value in record.items() if name not in columns and isinstance(value, str))
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _is_own(self, name: str, value: Any) -> bool:
        """Whether the record itself has text there, rather than other records."""
        named = name in _PLACE or name in WHOLE
        return self._counts(name, value) or (named and _is_container(value) and any(_values(name, value, 0)))

    def _counts(self, name: str, value: Any) -> bool:
        """Whether it is a text that is taken."""
        return isinstance(value, str) and bool(value.strip()) and self._is_text(name, known=name in KNOWN)

    def _is_text(self, name: str, *, known: bool) -> bool:
        return not is_no_text(name) and (known or (name in self._prose and name not in KINDS))

    def _one(self, record: Mapping[str, Any], depth: int) -> Iterator[str]:
        """One sample of all the record's text. What a turn says isn't repeated by other fields."""
        left = set[str]()
        pieces = list(self._mapping(record, False, False, depth, left))
        self.left.update(left)
        spoken = {text for text, said in pieces if said}
        text = "\n".join(text for text, said in pieces if said or text not in spoken)
        if text.strip():
            yield text

    def _mapping(
        self, record: Mapping[str, Any], known: bool, said: bool, depth: int, left: set[str]
    ) -> Iterator[tuple[str, bool]]:
        """The texts of a mapping's fields, each with whether a turn says it. ``known``: what it stands under is."""
        turn = _is_turn(record)
        any_counts = known and not turn and not any(name in KNOWN or name in SAID for name in record)  # en, zh
        for name in _in_order(record):
            counts = name in KNOWN or any_counts or (name in SAID and (turn or known))
            if name in KINDS and (turn or known):
                continue
            yield from self._field(name, record[name], counts, said or turn, depth + 1, left)

    def _field(
        self, name: str, value: Any, known: bool, said: bool, depth: int, left: set[str]
    ) -> Iterator[tuple[str, bool]]:
        value = _unpacked(name, _column(value))
        if depth > DEEPEST:
            return
        if is_no_text(name):
            left.update([name] if any(_values(name, value, 0)) else [])
        elif isinstance(value, dict):
            yield from self._mapping(_lower(value), known, said, depth, left)
        elif isinstance(value, list) and not _is_strings(value):
            for item in value:
                yield from self._field(name, item, known, said, depth + 1, left)
        elif text := _text_of(value):
            if self._is_text(name, known=known):
                yield text, said
            else:
                left.add(name)


class _Field:
    """What a field with an unknown name holds in all records."""

    def __init__(self, text: str) -> None:
        self._count = self._prose = self._size = 0
        self._different = set[int]()
        self.add(text)

    def add(self, text: str) -> None:
        """One more value."""
        head = text[:JUDGED].strip()
        size = _size(head)
        self._count += 1
        self._prose += _is_prose(head, size)
        self._size += max(size, LONG) if "\n" in head else size
        self._different.add(hash(head))

    def is_prose(self, *, beside_known: bool) -> bool:
        """Whether it is text of the samples."""
        long = self._size >= LONG * self._count and 2 * len(self._different) > self._count
        return 0 < self._prose >= PROSE_SHARE * self._count and (long or not beside_known)


def _lower(record: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name).strip().lower(): value for name, value in record.items()}


def _in_order(record: Mapping[str, Any]) -> Iterator[str]:
    """The names as the record has them, but those with a usual order in that order; a title before the whole text."""
    titles = [name for name in record if name in TITLES]
    titles = titles if titles and any(name in WHOLE for name in record) else []
    usual = iter(sorted((name for name in record if name in _PLACE and name not in titles), key=_PLACE.__getitem__))
    yield from titles
    yield from (next(usual) if name in _PLACE else name for name in record if name not in titles)


def _values(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """Every text in a value, with the name that it stands under."""
    if depth > 2 * DEEPEST:
        return
    if isinstance(value, dict):
        numbered = _column(value) is not value
        for key, item in value.items():
            yield from _values(name if numbered else str(key).strip().lower(), item, depth + 1)
    elif isinstance(value, list):
        if _is_strings(value) and "\n" in value[0][-1:]:  # a text by lines
            yield name, "".join(value)
            return
        for item in value:
            yield from _values(name, item, depth + 1)
    elif isinstance(value, str) and value.strip():
        yield name, value


def _text_of(value: Any) -> str:
    """A text, or one that is written by lines or paragraphs."""
    if isinstance(value, str):
        return value.strip("\n") if value.strip() else ""
    if not _is_strings(value):
        return ""
    between = "" if any(line.endswith("\n") for line in value[:-1]) else "\n"
    return between.join(line for line in value if line.strip() or not between).strip("\n")


def _unpacked(name: str, value: Any) -> Any:
    """A list or a record that is written as JSON within a text; any other text as it is."""
    if isinstance(value, str) and name in KNOWN and value.lstrip()[:1] in ("[", "{"):
        try:
            inner = loads(value)
        except (ValueError, RecursionError):
            return value
        turns = isinstance(inner, list) and bool(inner) and all(_is_turn(turn) for turn in inner)
        return inner if turns or (name in PACKED and _is_container(inner)) else value
    return value


def _is_turn(value: Any) -> bool:
    """Whether it is one turn of a conversation rather than a sample of its own."""
    if not isinstance(value, dict):
        return False
    names = {str(name).strip().lower() for name in value}
    return bool(names & SPEAKER) and bool(names & set(SAID))


def _is_container(value: Any) -> bool:
    return isinstance(value, (list, dict)) and bool(value)


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _column(value: Any) -> Any:
    """What stands in a column: pandas numbers its rows. Anything else as it is."""
    numbered = isinstance(value, dict) and bool(value) and all(str(name).isdecimal() for name in value)
    return list(value.values()) if numbered else value


def _table(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a table as pandas writes it, by columns or split; none where it is something else."""
    names, data = record.get("columns"), record.get("data")
    if isinstance(names, list) and _is_container(data) and isinstance(data, list):
        rows = [dict(zip(map(str, names), row, strict=False)) for row in data if isinstance(row, list)]
        return rows if len(rows) == len(data) else []
    columns = list(record.values())
    if not columns or any(_column(column) is column or column.keys() != columns[0].keys() for column in columns):
        return []
    return [{name: column[row] for name, column in record.items()} for row in columns[0]]


def _is_words(value: Sequence[str]) -> bool:
    """Whether it is a sentence in a list of its words."""
    return len(value) > 2 and all(0 < len(word) < 30 and " " not in word and not word[0].isspace() for word in value)


def _joined_words(words: Sequence[str]) -> str:
    return ("" if words[0] > "\u2e80" else " ").join(words)


def _size(text: str) -> int:
    """Characters, a Chinese one as three."""
    return len(text) if text.isascii() else len(text) + 2 * sum(char > "\u2e80" for char in text)


def _is_prose(head: str, size: int) -> bool:
    """Whether a value begins like a text, rather than an address, a time, JSON or the name of a browser."""
    if "://" in head[:10] or head.startswith(_NO_PROSE) or head[:4].isdecimal():
        return False
    return "\n" in head or (size >= LEAST_PROSE and (" " in head or size > len(head)))
