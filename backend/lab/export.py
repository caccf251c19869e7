"""Rows as files: CSV for a spreadsheet, JSON with everything, Markdown for a report. Pure."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from backend.lab.row import RunRow
from backend.lab.runs import COLUMNS
from backend.units import GIB

FORMATS = ("csv", "json", "md")
FIRST = (
    "name", "model", "engine", "settings", "gpu", "state", "started_at", "load_s", "planned_bytes", "measured_bytes",
    "kv_bytes", "tokens", "tokens_per_s", "ttft_ms", "note",
)  # fmt: skip


def as_csv(rows: Iterable[RunRow]) -> str:
    """Every column of every row; sizes in bytes, times in UTC, unknown = empty."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([safe_cell(_plain(name, getattr(row, name))) for name in COLUMNS])
    return out.getvalue()


def as_json(rows: Iterable[RunRow]) -> str:
    """Every row with its detail."""
    return json.dumps([asdict(row) for row in rows], indent=1)


def as_markdown(rows: Iterable[RunRow], columns: Sequence[str] = FIRST) -> str:
    """A table of the chosen columns; sizes in GiB."""
    shown = [name for name in columns if name in COLUMNS] or list(FIRST)
    lines = [markdown_line(shown), markdown_line(["---"] * len(shown))]
    lines += [markdown_line([_read(name, getattr(row, name)) for name in shown]) for row in rows]
    return "\n".join(lines) + "\n"


def safe_cell(value: Any) -> Any:
    """A spreadsheet would work out a text that begins like a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def markdown_line(cells: Iterable[str]) -> str:
    """A line of a table; what would break it is escaped."""
    escaped = (" ".join(cell.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _plain(name: str, value: Any) -> Any:
    if value is None:
        return ""
    return _time(value) if name.endswith("_at") else value


def _read(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name.endswith("_at"):
        return _time(value)
    if name.endswith("_bytes"):
        return f"{value / GIB:.2f} GiB"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # a clock that was far off
        return str(seconds)
