"""The rows of a table that is written as text, CSV or TSV, as records. Pure."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from backend.quantization.record_names import KNOWN

_DELIMITER = re.compile(r"\n*sep=([,;|\t])\n", re.IGNORECASE)  # what Excel writes and reads before the names
_NAME = re.compile(r"[\w .-]{1,40}")


@dataclass(frozen=True)
class Table:
    """``joined`` counts the rows with more cells than there are names; the surplus went to the column ``onto``."""

    rows: list[dict[str, str]]
    joined: int = 0
    onto: str = ""


def read_table(text: str, longest: int, *, tabs: bool) -> Table:
    """The rows by the names in the first line; by numbers where it names nothing. Raises csv.Error."""
    csv.field_size_limit(longest)
    told = _DELIMITER.match(text)
    text = text[told.end() :] if told else text
    first = text.lstrip("\n").partition("\n")[0]
    delimiter = "\t" if tabs else told[1] if told else max("\t,;|", key=first.count)
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    if not rows:
        return Table([])
    names = [cell.strip().lower() for cell in rows[0]]
    known = [place for place, name in enumerate(names) if name in KNOWN]
    named = bool(known) or (len(rows) > 1 and len(names) > 1 and all(_NAME.fullmatch(name) for name in names if name))
    if not named:
        names, known = [""] * max(map(len, rows)), []
    names = [name or f"column {number}" for number, name in enumerate(names, 1)]
    onto = known[0] if len(known) == 1 else len(names) - 1
    found, joined = list[dict[str, str]](), 0
    for row in rows[named:]:
        cells = _without_surplus(row, len(names), onto, delimiter)
        joined += cells is not row and any(row[len(names) :])
        found.append(_record(names, cells))
    return Table(found, joined, names[onto] if joined else "")


def _without_surplus(row: list[str], count: int, onto: int, delimiter: str) -> list[str]:
    """A comma within a text that stands without quotation marks made cells of it."""
    while len(row) > count and not row[-1].strip():
        row = row[:-1]
    surplus = len(row) - count
    if surplus <= 0:
        return row
    return [*row[:onto], delimiter.join(row[onto : onto + surplus + 1]), *row[onto + surplus + 1 :]]


def _record(names: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    """A row by its names; columns of the same name are one text."""
    record = dict[str, str]()
    for name, cell in zip(names, cells, strict=False):
        record[name] = f"{record[name]}\n{cell}" if record.get(name) and cell else record.get(name) or cell
    return record
